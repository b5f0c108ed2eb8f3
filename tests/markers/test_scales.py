"""Scores of questionnaires: by hand, by slow loops, missing rules, bands, and what the data files must be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

import lbpneuro
from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.markers.descriptor import Direction, Evidence, Tier
from lbpneuro.markers.instrument import ORDER, instruments
from lbpneuro.markers.scales import (
    MARKERS,
    SCALE_MARKERS,
    Phenotype,
    Sheet,
    neuropathic_component,
    score_names,
    scored,
)
from tests.oracles import scales as slow

SETTINGS = read_config()["scales"]
ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {marker.name: marker for marker in MARKERS}


def phenotype(tool, ticked=None, *, settings=None, totals=None, form=None, **named) -> Phenotype:
    answers = {**slow.sheet(ticked or []), **{name: math.nan if v is None else float(v) for name, v in named.items()}}
    sheet = Sheet(answers=answers, totals=totals or {}, form=form)
    return Phenotype(sheets={tool: sheet}, settings={**SETTINGS, **(settings or {})})


def value(marker, data, *level):
    return BY_NAME[marker].function(data)[level]


def with_blanks(rng, low, high, size, blanks):
    ticked = [int(v) for v in rng.integers(low, high + 1, size)]
    for place in rng.choice(size, blanks, replace=False):
        ticked[place] = None
    return ticked


# --- by hand (the vectors of the definitions) ---------------------------------------------------------------------


def test_odi_with_a_blank_section_divides_by_45():
    estimate = value("odi", phenotype("odi", [2, 2, 2, 2, 2, 2, 2, 2, 0, None]))
    assert estimate.value == pytest.approx(100 * 16 / 45)
    assert round(estimate.value, 2) == 35.56
    assert (estimate.status, estimate.reasons, estimate.n) == (Status.FLAG, (Reason.ITEMS_MISSING,), 9)


def test_odi_with_three_blank_sections_has_no_score():
    estimate = value("odi", phenotype("odi", [2, 2, 2, 2, 2, 2, 2, None, None, None]))
    assert (estimate.status, estimate.reasons, estimate.n) == (Status.FAIL, (Reason.TOO_FEW_ITEMS,), 7)


@pytest.mark.parametrize(("rule", "expected"), [("strict_zero", 14), ("proportional", 24 * 14 / 22)])
def test_rmdq_14_of_22(rule, expected):
    data = phenotype("rmdq", [1] * 14 + [0] * 8 + [None] * 2, settings={"rmdq_missing": rule})
    estimate = value("rmdq", data)
    assert estimate.value == pytest.approx(expected)
    assert value("scale_raw_total", data, "rmdq").value == 14
    assert value("scale_prorated_total", data, "rmdq").value == pytest.approx(15.27, abs=0.005)
    assert value("scale_items_missing", data, "rmdq").value == 2


def test_rmdq_with_five_blanks_is_proportional_no_more():
    ticked = [1] * 19 + [None] * 5
    assert value("rmdq", phenotype("rmdq", ticked)).value == 19
    refused = value("rmdq", phenotype("rmdq", ticked, settings={"rmdq_missing": "proportional"}))
    assert refused.reasons == (Reason.TOO_FEW_ITEMS,)


def test_rmdq_of_23_items_is_brought_to_24():
    estimate = value("rmdq", phenotype("rmdq", [1] * 12 + [0] * 11, form="23"))
    assert estimate.value == pytest.approx(24 * 12 / 23)


def test_tsk_of_threes_is_47_and_flagged():
    data = phenotype("tsk17", [3] * 17)
    assert value("tsk17", data).value == 47
    assert value("tsk17", data).reasons == (Reason.STRAIGHT_LINING,)
    assert value("tsk11", data).value == 33


@pytest.mark.parametrize(
    ("items", "course", "radiation", "expected"),
    [([5] * 7, 3, 1, 38), ([5] * 7, 4, 1, 38), ([0] * 7, 2, 0, -1), ([1] * 7, 1, 0, 7)],
)
def test_paindetect_from_end_to_end(items, course, radiation, expected):
    estimate = value("paindetect", phenotype("paindetect", items, course=course, radiation=radiation))
    assert (estimate.value, estimate.status) == (expected, Status.OK)


@pytest.mark.parametrize("blank", ["item", "course", "radiation"])
def test_paindetect_with_anything_blank_has_no_score(blank):
    items = [None if blank == "item" else 2, *[2] * 6]
    named = {name: None if name == blank else 1 for name in ("course", "radiation")}
    data = phenotype("paindetect", items, **named)
    assert value("paindetect", data).reasons == (Reason.TOO_FEW_ITEMS,)
    assert neuropathic_component(data)[()].reasons == (Reason.TOO_FEW_ITEMS,)


@pytest.mark.parametrize(("total", "expected"), [(12, 0), (13, 1), (18, 1), (19, 2), (-1, 0), (38, 2)])
def test_the_neuropathic_component_has_three_bands(total, expected):
    assert neuropathic_component(phenotype("paindetect", totals={"total": total}))[()].value == expected


def test_without_paindetect_there_is_no_component():
    assert neuropathic_component(Phenotype(sheets={}, settings=SETTINGS))[()].reasons == (Reason.NOT_ACQUIRED,)


@pytest.mark.parametrize(
    ("tool", "score", "at", "band"),
    [
        ("odi", "total", 20, "minimal"),
        ("odi", "total", 21, "moderate"),
        ("odi", "total", 100, "bed-bound or exaggerating"),
        ("csi", "total", 29, "subclinical"),
        ("csi", "total", 30, "mild"),
        ("csi", "total", 49, "moderate"),
        ("csi", "total", 60, "extreme"),
        ("pcs", "total", 29, "below the cut-off"),
        ("pcs", "total", 30, "clinically relevant"),
        ("tsk17", "total", 37, "low"),
        ("tsk17", "total", 38, "high"),
    ],
)
def test_bands_begin_where_they_should(tool, score, at, band):
    assert instruments()[tool].scores[score].band(at) == band


def test_no_value_lies_in_a_band():
    assert instruments()["odi"].scores["total"].band(math.nan) is None
    assert instruments()["rmdq"].scores["total"].band(3) is None


# --- by slow loops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_slow_loops_give_the_same(seed):
    rng = np.random.default_rng(seed)
    blanks = int(rng.integers(0, 4))
    odi, tsk, pcs = (
        with_blanks(rng, low, high, size, blanks) for low, high, size in ((0, 5, 10), (1, 4, 17), (0, 4, 13))
    )
    csi, fre = with_blanks(rng, 0, 4, 25, blanks), with_blanks(rng, 0, 4, 9, min(blanks, 2))
    pain, course, radiation = with_blanks(rng, 0, 5, 7, seed % 2), int(rng.integers(1, 5)), int(rng.integers(0, 2))
    pairs = [
        (value("odi", phenotype("odi", odi)), slow.odi(odi)),
        (value("tsk17", phenotype("tsk17", tsk)), slow.tsk17(tsk)),
        (value("tsk11", phenotype("tsk17", tsk)), slow.tsk11(tsk)),
        (value("csi", phenotype("csi", csi)), slow.limited(csi, 3)),
        (value("frebaq", phenotype("frebaq", fre)), slow.limited(fre, 1)),
        (
            value("paindetect", phenotype("paindetect", pain, course=course, radiation=radiation)),
            slow.paindetect(pain, course, radiation),
        ),
        *((value("pcs", phenotype("pcs", pcs), name), expected) for name, expected in slow.pcs(pcs).items()),
    ]
    for estimate, expected in pairs:
        np.testing.assert_allclose(estimate.value, expected)


# --- errors, flags, where values come from -------------------------------------------------------------------------


def test_the_error_is_that_of_measurement_and_of_the_blanks():
    whole, blank = (value("frebaq", phenotype("frebaq", [1, 2, 3, 4, 0, 1, 2, 3, last])) for last in (2, None))
    assert whole.se == pytest.approx(2.16)
    assert (whole.ci_low, whole.ci_high) == pytest.approx((18 - 1.959964 * 2.16, 18 + 1.959964 * 2.16))
    spread = np.std([1, 2, 3, 4, 0, 1, 2, 3], ddof=1)
    assert blank.se == pytest.approx(np.hypot(2.16, spread * np.sqrt(9 / 8)))


def test_a_score_without_published_error_has_none_unless_the_user_gives_it():
    ticked = [1, 2] * 12 + [0]
    assert math.isnan(value("csi", phenotype("csi", ticked)).se)
    assert value("csi", phenotype("csi", ticked, settings={"sem": {"csi": 4.0}})).se == 4
    assert value("csi", phenotype("csi", [*ticked[:-1], None])).se > 0, "that of the blank alone"
    own = phenotype("pcs", [1] * 12 + [2], settings={"sem": {"pcs_rumination": 1.5}})
    assert (value("pcs", own, "rumination").se, value("pcs", own, "total").se) == (1.5, 4.6)


def test_the_interval_ends_where_the_scale_does():
    estimate = value("rmdq", phenotype("rmdq", [0] * 24))
    assert (estimate.value, estimate.ci_low) == (0, 0)
    assert estimate.ci_high == pytest.approx(1.959964 * 3.7)


@pytest.mark.parametrize(
    ("tool", "ticked", "flagged"),
    [
        ("tsk17", [1] * 17, True),
        ("pcs", [0] * 13, False),
        ("pcs", [2] * 13, True),
        ("frebaq", [4] * 9, True),
        ("rmdq", [1] * 24, False),
        ("tsk11", [1] * 11, False),
        ("tsk11", [2] * 11, True),
        ("csi", [0] * 25, False),
        ("csi", [1] * 24 + [2], False),
    ],
)
def test_straight_lining_is_flagged_where_it_means_something(tool, ticked, flagged):
    level = ("total",) if tool == "pcs" else ()
    assert (Reason.STRAIGHT_LINING in value(tool, phenotype(tool, ticked), *level).reasons) is flagged


def test_totals_alone_are_taken_as_they_are():
    estimate = value("tsk17", phenotype("tsk17", totals={"total": 39.0}))
    assert (estimate.value, estimate.se, estimate.status) == (39, 3.16, Status.OK)
    assert math.isnan(estimate.n)
    short = value("tsk11", phenotype("tsk17", totals={"total": 39.0}))
    assert (short.status, short.reasons) == (Status.FAIL, (Reason.NOT_IN_SOURCE,))


def test_a_total_beside_items_must_be_theirs():
    assert value("odi", phenotype("odi", [1] * 10, totals={"total": 20.0})).status is Status.OK
    assert value("odi", phenotype("odi", [1] * 10, totals={"total": 22.0})).reasons == (Reason.TOTAL_DIFFERS,)


def test_the_own_table_of_the_short_form_goes_before_the_items_of_the_long_one():
    sheets = {"tsk17": Sheet(answers=slow.sheet([1] * 17)), "tsk11": Sheet(answers=slow.sheet([1, 2] * 5 + [3]))}
    assert value("tsk11", Phenotype(sheets=sheets, settings=SETTINGS)).value == 18


def test_a_table_that_cannot_be_read_costs_its_own_scores_only():
    sheets = {"odi": Reason.INVALID_INPUT, "nrs": Sheet(answers={"now": 4.0, "7d_worst": 8.0})}
    data = Phenotype(sheets=sheets, settings=SETTINGS)
    assert value("odi", data).status is Status.FAIL
    assert value("pain_nrs", data, "now").value == 4
    assert value("pain_nrs", data, "7d_average").reasons == (Reason.NOT_ACQUIRED,)
    assert value("csi", data).status is Status.MISSING
    assert ("odi",) not in BY_NAME["scale_raw_total"].function(data)


def test_scores_name_their_rule_band_and_blanks():
    found = scored(instruments()["odi"], phenotype("odi", [3] * 9 + [None]))["total"]
    assert (found.band, found.blank, found.rule.kind) == ("severe", ("10",), "prorate")
    assert scored(instruments()["csi"], Phenotype(sheets={}, settings=SETTINGS)) == {}


# --- what the files say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ORDER)
def test_every_file_keeps_its_schema(tool):
    schema = json.loads((ROOT / "workflow/schemas/instrument.schema.json").read_text())
    content = yaml.safe_load((Path(lbpneuro.__file__).parent / f"markers/instruments/{tool}.yaml").read_text())
    jsonschema.Draft202012Validator(schema).validate({**content, "tool": tool})
    assert content["tool"] == tool


def test_every_file_is_read():
    files = Path(lbpneuro.__file__).parent.glob("markers/instruments/*.yaml")
    assert {path.stem for path in files} == set(ORDER)


def test_ends_of_the_scales():
    ends = {
        f"{tool.tool} {name}": (score.low, score.high)
        for tool in instruments().values()
        for name, score in tool.scores.items()
    }
    expected = {
        "rmdq total": (0, 24),
        "odi total": (0, 100),
        "pcs total": (0, 52),
        "pcs rumination": (0, 16),
        "pcs magnification": (0, 12),
        "pcs helplessness": (0, 24),
        "tsk17 total": (17, 68),
        "tsk11 total": (11, 44),
        "paindetect total": (-1, 38),
        "csi total": (0, 100),
        "frebaq total": (0, 36),
        "nrs now": (0, 10),
    }
    assert {name: ends[name] for name in expected} == expected


def test_body_image_is_the_marker_and_all_else_describes_the_person():
    tiers = {marker.name: marker.tier for marker in SCALE_MARKERS}
    assert tiers.pop("frebaq") is Tier.PRIMARY
    assert set(tiers.values()) == {Tier.COVARIATE}
    assert BY_NAME["frebaq"].direction is Direction.HIGHER
    assert all(marker.direction is Direction.NOT_APPLICABLE for marker in SCALE_MARKERS if marker.name != "frebaq")


def test_every_number_from_a_paper_says_how_far_it_was_checked():
    for tool in instruments().values():
        assert isinstance(tool.evidence, Evidence)
        assert (tool.sem_evidence is None) == all(math.isnan(score.sem) for score in tool.scores.values())
        assert tool.licence
    assert "unverified" in BY_NAME["rmdq"].description
    assert set(score_names()) >= {"odi", "pcs_rumination", "nrs_now", "paindetect"}
