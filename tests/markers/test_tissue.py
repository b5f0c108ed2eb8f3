"""From maps to numbers: counted by hand, beside numpy, and what a region that is not whole does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason
from lbpneuro.markers import structural
from lbpneuro.markers.descriptor import Tier
from lbpneuro.markers.tissue import (
    MAP_REGIONS,
    MIDLINE,
    NUCLEI,
    RegionMap,
    from_modulated_maps,
    from_native_maps,
    how_measured,
)
from tests.markers.structural_person import SETTINGS, person, surfaces
from tests.oracles import structural as oracle

SHAPE = (10, 10, 10)
VOXEL_MM3 = 1500.0  # 1000 voxels make a brain of 1.5 L
PLACE = {level: number for number, level in enumerate(MAP_REGIONS)}


def maps(gm=0.45, wm=0.35, csf=0.2):
    return {name: np.full(SHAPE, share, dtype=np.float32) for name, share in (("gm", gm), ("wm", wm), ("csf", csf))}


def row(level, gm, **fields):
    """A region of 10 voxels: the line of the grid whose number is that of the level."""
    first, second = divmod(PLACE[level], 10)
    weights = np.zeros(SHAPE, dtype=np.float32)
    weights[first, second] = 1
    return RegionMap(weights=weights, gm=gm, inside=np.ones(SHAPE, dtype=bool), **fields)


def native(regions=MAP_REGIONS, **shares):
    tissues = maps(**shares)
    found = {level: row(level, tissues["gm"]) for level in regions}
    return from_native_maps(source="fmriprep", settings=SETTINGS, voxel_mm3=VOXEL_MM3, regions=found, **tissues)


def test_native_maps_counted_by_hand():
    data = native()
    assert (data.tiv_ml, data.gm_ml) == (pytest.approx(1500), pytest.approx(675))
    assert (data.wm_ml, data.csf_ml) == (pytest.approx(525), pytest.approx(300))
    assert data.n_voxel == {"tiv": 1000, "gm": 0}
    assert native(gm=0.52, wm=0.4, csf=0.08).n_voxel == {"tiv": 1000, "gm": 1000}
    for level in MAP_REGIONS:
        label = level[0] in NUCLEI
        found = data.regions[level]
        assert found.volume_ml == pytest.approx(15 if label else 6.75)
        assert found.measure == ("label" if label else "gray_matter")
        assert (found.n, found.coverage) == (10, 1)
        assert found.density == pytest.approx(0.45)
        assert math.isnan(found.thickness_mm)
    assert data.gm_subcortical_ml == pytest.approx(14 * 15)
    assert data.gm_neocortical_ml == pytest.approx(675 - 16 * 6.75)


def test_without_all_nuclei_there_is_no_neocortical_volume():
    for absent in (("thalamus", "L"), MIDLINE[0]):
        data = native([level for level in MAP_REGIONS if level != absent])
        assert math.isnan(data.gm_neocortical_ml)
        assert math.isnan(data.gm_subcortical_ml)
        assert structural.gm_neocortical(data)[()].reasons == (Reason.NOT_IN_SOURCE,)


def test_modulated_maps_counted_by_hand():
    """Everything twice as large as in the template: half the probability makes the same gray matter per voxel."""
    tissues, twice = maps(gm=0.3), np.full(SHAPE, 2.0, dtype=np.float32)
    modulated = tissues["gm"] * twice
    regions = {level: row(level, modulated, jacobian=twice, probability=tissues["gm"]) for level in MAP_REGIONS}
    common = {"settings": SETTINGS, "gm": modulated, "voxel_mm3": VOXEL_MM3}
    data = from_modulated_maps(source="embedded", regions=regions, tiv_ml=2000.0, level="full", **common)
    assert (data.gm_ml, data.tiv_ml, data.method) == (pytest.approx(900), 2000, "embedded_full")
    assert data.regions["thalamus", "L"].volume_ml == pytest.approx(30)
    assert data.regions["thalamus", "L"].measure == "label"
    assert data.regions["dlpfc", "L"].volume_ml == pytest.approx(9)
    assert data.regions["dlpfc", "L"].density == pytest.approx(0.3)
    bare = {level: replace(one, jacobian=None, probability=None) for level, one in regions.items()}
    data = from_modulated_maps(source="cat12", regions=bare, **common)
    assert data.regions["thalamus", "L"].volume_ml == pytest.approx(9)
    assert data.regions["thalamus", "L"].measure == "gray_matter"
    assert math.isnan(data.regions["thalamus", "L"].density)
    assert math.isnan(data.tiv_ml)
    assert data.gm_neocortical_ml == pytest.approx(900 - 16 * 9)


@pytest.mark.parametrize("seed", range(5))
def test_native_and_modulated_maps_of_one_affine_agree(seed):
    """A head of other size than the template: its own maps, and the same maps in template space times the size."""
    rng = np.random.default_rng(seed)
    gm, size = rng.random(SHAPE).astype(np.float32) / 2, 0.8
    own = {level: row(level, gm) for level in MAP_REGIONS}
    moved = {
        level: row(level, gm * np.float32(size), jacobian=np.full(SHAPE, size), probability=gm) for level in MAP_REGIONS
    }
    rest = {"wm": 0.6 - gm, "csf": np.full(SHAPE, 0.4, dtype=np.float32)}
    one = from_native_maps(source="fmriprep", settings=SETTINGS, gm=gm, voxel_mm3=VOXEL_MM3 * size, regions=own, **rest)
    other = from_modulated_maps(
        source="fmriprep", settings=SETTINGS, gm=gm * np.float32(size), voxel_mm3=VOXEL_MM3, regions=moved
    )
    for level in MAP_REGIONS:
        first, second = one.regions[level], other.regions[level]
        assert first.volume_ml == pytest.approx(second.volume_ml, rel=1e-5)
        assert first.density == pytest.approx(second.density)
        assert first.measure == second.measure
    assert one.gm_neocortical_ml == pytest.approx(other.gm_neocortical_ml, rel=1e-5)


def test_regions_are_those_of_the_slow_loop():
    rng = np.random.default_rng(4)
    gm, weights, inside = rng.random((3, 3, 4, 5))
    region = RegionMap(weights=weights, gm=gm, inside=inside > 0.5)
    tissues = {"gm": gm, "wm": gm, "csf": gm}
    data = from_native_maps(
        source="maps",
        settings=SETTINGS,
        voxel_mm3=8.0,
        regions={("s1", "L"): region, ("caudate", "L"): region},
        **tissues,
    )
    assert data.regions["s1", "L"].volume_ml == pytest.approx(oracle.regional_volume(gm, weights, voxel_mm3=8.0))
    assert data.regions["s1", "L"].coverage == pytest.approx(oracle.coverage(weights, inside > 0.5))
    assert data.regions["caudate", "L"].volume_ml == pytest.approx(weights.sum() * 0.008)


def test_a_region_that_is_nowhere_is_not_covered():
    tissues = maps()
    empty = np.zeros((0, 0, 0), dtype=np.float32)
    nowhere = RegionMap(weights=empty, gm=empty, inside=empty.astype(bool))
    known = {level: row(level, tissues["gm"]) for level in MAP_REGIONS} | {("thalamus", "L"): nowhere}
    data = from_native_maps(source="fmriprep", settings=SETTINGS, voxel_mm3=VOXEL_MM3, regions=known, **tissues)
    assert data.regions["thalamus", "L"].coverage == 0
    found = structural.gm_volume(data)
    assert found["thalamus", "L"].reasons == (Reason.COVERAGE_TOO_LOW,)
    assert found["thalamus", "R"].reasons == ()


def test_nan_in_a_map_is_a_failure_and_in_a_region_its_own():
    tissues = maps()
    spoilt = tissues["gm"].copy()
    spoilt[tuple(divmod(PLACE["s1", "L"], 10))] = np.nan
    known = {level: row(level, spoilt) for level in MAP_REGIONS}
    common = {"settings": SETTINGS, "voxel_mm3": VOXEL_MM3, "regions": known}
    data = from_native_maps(source="fmriprep", **common, **tissues)
    found = {level: row.reasons for level, row in structural.gm_volume(data).items()}
    assert found.pop(("s1", "L")) == (Reason.INVALID_INPUT,)
    assert set(found.values()) == {()}
    for data in (
        from_native_maps(source="fmriprep", **common, **(tissues | {"gm": spoilt})),
        from_modulated_maps(source="cat12", gm=spoilt, failures=(Reason.OTHER_TEMPLATE,), **common),
    ):
        assert Reason.INVALID_INPUT in data.failures
    assert data.failures == (Reason.OTHER_TEMPLATE, Reason.INVALID_INPUT)


def test_maps_are_only_read():
    tissues = maps()
    for array in tissues.values():
        array.setflags(write=False)
    region = row(("s1", "L"), tissues["gm"])
    for array in (region.weights, region.inside):
        array.setflags(write=False)
    common = {"settings": SETTINGS, "voxel_mm3": 1.0, "regions": {("s1", "L"): region}}
    first, second = (from_native_maps(source="fmriprep", **common, **tissues) for _ in range(2))
    assert first.regions == second.regions


@pytest.mark.parametrize(
    ("marker", "level", "expected"),
    [
        ("gm_volume", ("thalamus", "L"), "embedded_standard: volume of the label"),
        ("gm_volume_ratio", ("dlpfc", "L"), "embedded_standard: gray matter in the region"),
        ("gm_density", ("dlpfc", "L"), "embedded_standard: mean tissue probability"),
        ("gm_coverage", ("dlpfc", "L"), "embedded_standard: share inside the segmented brain"),
        ("gm_total", (), "embedded_standard: as said"),
        ("cortical_thickness", ("cortex", "L"), "embedded_standard: as said"),
    ],
)
def test_a_row_says_how_it_was_measured(marker, level, expected):
    assert how_measured(person(), marker, level, sentence="as said") == expected


def test_thickness_says_so():
    said = how_measured(surfaces(), "cortical_thickness", ("dlpfc", "L"), sentence="as said")
    assert said == "freesurfer: mean thickness"


def test_the_tier_of_a_region_may_differ():
    volume = next(marker for marker in structural.MARKERS if marker.name == "gm_volume")
    assert volume.tier_at(("dlpfc", "L")) is Tier.PRIMARY
    assert volume.tier_at(("insula", "L")) is Tier.SECONDARY
    assert volume.tiers == "secondary (dlpfc: primary, thalamus: primary)"
