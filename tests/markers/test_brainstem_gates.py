"""The gates of brainstem seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.bold import Functional, brainstem_refusals, run_refusals, session_flags
from lbpneuro.markers.connectivity import VENTRICLE, edge_estimate
from lbpneuro.markers.scan_quality import brainstem_overlap
from tests.oracles.functional import SETTINGS
from tests.oracles.runs import a_run

PAG, VLPAG, VTA, VMPFC = ("pag", "n/a"), ("vlpag", "n/a"), ("vta", "L"), ("vmpfc", "n/a")
MM3 = 8.0


def refusals(run, *regions):
    return brainstem_refusals(run, SETTINGS, regions=regions)


@pytest.mark.parametrize(("region", "least"), [(PAG, 40), (VLPAG, 12)])
def test_a_seed_needs_its_voxels(rng, region, least):
    run = a_run(rng, voxel_mm3=MM3)
    for size, expected in ((least, []), (least - 0.1, [Reason.COVERAGE_TOO_LOW])):
        small = run.size.copy()
        small[:] = 1000
        small[run.regions.index(region)] = size
        assert refusals(replace(run, size=small), region) == expected
        coarse = replace(run, size=small * MM3 / 27, voxel_mm3=27.0)
        assert refusals(coarse, region) == expected


def test_a_shifted_brainstem_gives_no_value_of_its_seeds_but_of_the_cortex(rng):
    run = a_run(rng, brainstem_dice=0.84)
    assert refusals(run, PAG, VMPFC) == [Reason.BRAINSTEM_MISPLACED]
    assert run_refusals(run, SETTINGS, regions=[VMPFC]) == []
    for fine in (0.85, float("nan")):
        assert refusals(replace(run, brainstem_dice=fine), PAG) == []
    data = Functional(runs=(run,), settings=SETTINGS)
    estimate = edge_estimate(data, ((PAG,), (VMPFC,)), model="brainstem")
    assert estimate.reasons == (Reason.BRAINSTEM_MISPLACED,)
    assert np.isnan(estimate.value)


def test_another_template_is_flagged_and_refused_where_the_aqueduct_is_not_that_of_the_person(rng):
    run = a_run(rng, other_template=True)
    assert refusals(run, PAG) == [Reason.OTHER_TEMPLATE]
    own = replace(run, own_aqueduct=True)
    assert refusals(own, PAG, VLPAG) == []
    assert refusals(own, VTA) == [Reason.OTHER_TEMPLATE]
    for each, regions in ((run, [VMPFC]), (own, [PAG, VMPFC])):
        assert Reason.OTHER_TEMPLATE in session_flags(Functional(runs=(each,), settings=SETTINGS), regions=regions)


def with_ventricle(run, signal: np.ndarray):
    """The run with a fourth ventricle of a given signal."""
    extended = {
        "regions": (*run.regions, VENTRICLE),
        "means": np.column_stack([run.means, 1000 + signal]),
        "n_voxels": np.append(run.n_voxels, 60),
    }
    ones = {name: np.append(getattr(run, name), 60.0) for name in ("size", "signal", "tsnr", "tsnr_se")}
    return replace(run, **extended, **ones, coverage=np.append(run.coverage, 1.0))


def test_a_ventricle_as_strong_as_the_seed_is_flagged(rng):
    run = a_run(rng, r=0.3)
    noise = rng.standard_normal(len(run.means))
    vmpfc = run.means[:, run.regions.index(VMPFC)] - 1000
    for signal, flagged in ((noise, False), (vmpfc + 0.1 * noise, True)):
        data = Functional(runs=(with_ventricle(run, signal),), settings=SETTINGS)
        estimate = edge_estimate(data, ((PAG,), (VMPFC,)), model="brainstem")
        assert np.isfinite(estimate.value)
        assert (Reason.VENTRICLE_AS_STRONG in estimate.reasons) == flagged
        mpfc = ((("mpfc", "n/a"),), (VMPFC,))
        assert Reason.VENTRICLE_AS_STRONG not in edge_estimate(data, mpfc, model="cortical").reasons
    without = Functional(runs=(run,), settings=SETTINGS)
    assert Reason.VENTRICLE_AS_STRONG not in edge_estimate(without, ((PAG,), (VMPFC,)), model="brainstem").reasons


def test_a_ventricle_that_is_weaker_than_the_seed_is_not_flagged(rng):
    run = a_run(rng, r=0.8)
    vmpfc = run.means[:, run.regions.index(VMPFC)] - 1000
    run = with_ventricle(run, vmpfc + 1.5 * vmpfc.std(ddof=1) * rng.standard_normal(len(vmpfc)))
    data = Functional(runs=(run,), settings=SETTINGS)
    ventricle = edge_estimate(data, ((VENTRICLE,), (VMPFC,)), model="cortical")
    assert ventricle.ci_low > 0
    assert Reason.VENTRICLE_AS_STRONG not in edge_estimate(data, ((PAG,), (VMPFC,)), model="brainstem").reasons


def test_the_overlap_has_a_row(rng):
    good, bad = a_run(rng, brainstem_dice=0.92), a_run(rng, brainstem_dice=0.7)
    (estimate,) = brainstem_overlap(Functional(runs=(good,), settings=SETTINGS)).values()
    assert (estimate.value, estimate.status) == (0.92, Status.OK)
    (estimate,) = brainstem_overlap(Functional(runs=(good, bad), settings=SETTINGS)).values()
    assert (estimate.value, estimate.reasons) == (0.7, (Reason.BRAINSTEM_MISPLACED,))
    (estimate,) = brainstem_overlap(Functional(runs=(a_run(rng),), settings=SETTINGS)).values()
    assert estimate.status is Status.MISSING
