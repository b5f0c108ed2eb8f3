"""The contract that every marker keeps, checked on the registry."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from lbpneuro import registry
from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.study import DATATYPES
from lbpneuro.io.tables import long_dictionary, marker_dictionary
from lbpneuro.markers.descriptor import Direction, Estimate, Marker, Tier, bounded, with_flag
from lbpneuro.steps import STEPS

MARKERS = pytest.mark.parametrize("marker", registry.MARKERS, ids=lambda marker: marker.name)
CONFIG = resolve(read_config())
UNITS = {"1", "MBq", "kg", "g/mL", "mL/cm^3", "mL", "mL/L", "mm", "s", "cm^2", "uV", "ms", "Hz", "1/min", "%"}
UNITS |= {"uV*cm^2", "uV/%", "mA", "mg/L", "pg/mL"}


def test_names_are_unique() -> None:
    names = [marker.name for marker in registry.MARKERS]
    assert len(names) == len(set(names))


@MARKERS
def test_the_name_is_snake_case_without_unit_or_separator(marker: Marker) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", marker.name)
    assert "__" not in marker.name


@MARKERS
def test_every_text_is_there(marker: Marker) -> None:
    for text in (marker.long_name, marker.description, marker.n_counts, marker.fact_sheet, marker.version):
        assert text.strip()
    assert marker.description.endswith(".")
    assert marker.se_method or marker.tier is Tier.QUALITY
    assert marker.function.__doc__


@MARKERS
def test_the_unit_is_a_bids_unit(marker: Marker) -> None:
    assert marker.unit in UNITS


@MARKERS
def test_a_stated_direction_has_a_source(marker: Marker) -> None:
    if marker.direction is not Direction.NOT_APPLICABLE:
        assert marker.direction_source


@MARKERS
def test_the_family_is_known_to_the_workflow(marker: Marker) -> None:
    assert marker.family in registry.FAMILIES
    assert marker.family in STEPS
    assert marker.family in DATATYPES
    rule = Path(__file__).parents[1] / "workflow" / "rules" / f"{marker.family}.smk"
    assert f'STUDY.trigger("{marker.family}")' in rule.read_text()


@MARKERS
def test_levels_fit_the_index(marker: Marker) -> None:
    levels = list(marker.levels(CONFIG))
    assert levels or marker.name == "custom_z"  # has the edges that the user defines
    assert len(set(levels)) == len(levels)
    for level in levels:
        assert len(level) == len(marker.index)
        assert all(re.fullmatch(r"[A-Za-z0-9_/]+", name) and "__" not in name for name in level)


@MARKERS
def test_bounds_hold_for_what_lies_outside(marker: Marker) -> None:
    low, high = marker.bounds
    assert low < high
    for outside in (low - 1, high + 1):
        if math.isfinite(outside):
            estimate = bounded(Estimate.of(outside, n=3), marker.bounds)
            assert math.isnan(estimate.value)
            assert estimate.reasons == (Reason.OUT_OF_BOUNDS,)
            assert estimate.status is Status.FAIL


def test_everything_is_derived_from_the_registry() -> None:
    described = long_dictionary(registry.MARKERS, registry.INDEX_COLUMNS)
    assert set(described["marker"]["Levels"]) == {marker.name for marker in registry.MARKERS}
    for marker in registry.MARKERS:
        assert marker_dictionary(marker)["Units"] == marker.unit


def test_the_four_headline_markers_are_primary() -> None:
    tiers = {
        marker.name: min((marker.tier, *marker.tier_by_level.values()), key=list(Tier).index)
        for marker in registry.MARKERS
    }
    for name in ("gm_volume", "pag_vmpfc_z", "overlap_min"):
        assert tiers[name] is Tier.PRIMARY
    assert "hp_index" in tiers


def test_contested_evidence_is_called_contested() -> None:
    direction = {marker.name: marker.direction for marker in registry.MARKERS}
    for name in ("pag_vmpfc_z", "cog_x", "cog_y"):
        assert direction[name] is Direction.CONTESTED


def test_a_raised_version_changes_the_trigger_of_its_rule_only() -> None:
    before = {name: registry.method_version(name) for name in registry.FAMILIES}
    assert len(set(before.values())) == len(before)
    for marker in registry.MARKERS:
        assert f"{marker.name}={marker.version}" in before[marker.family]


def test_a_further_caveat_flags_a_value_and_leaves_an_empty_one() -> None:
    assert with_flag(Estimate.of(1.0), Reason.LOW_TSNR).status is Status.FLAG
    empty = Estimate.fail(Reason.NO_MAP)
    assert with_flag(empty, Reason.LOW_TSNR) == empty
