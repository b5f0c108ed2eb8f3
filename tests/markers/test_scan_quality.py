"""Quality rows on runs made of arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.bold import Functional
from lbpneuro.markers.scan_quality import MARKERS, roi_coverage, roi_signal
from tests.oracles import runs
from tests.oracles.functional import SETTINGS
from tests.oracles.runs import a_run, spoilt, with_value

estimates = partial(runs.estimates, MARKERS)


def test_a_clean_run(rng):
    found = estimates(a_run(rng))
    assert found["kept_time"].value == 600
    assert found["fd_mean"].value == pytest.approx(0.1)
    assert found["dvars_mean"].value == 1
    # 600 s: 2 * 600 * 0.07 + 1 = 85 cosines, less six confounds and the drift
    assert found["residual_dimension", "cortical"].value == 85 - 7
    for marker, value in (("roi_tsnr", 50), ("roi_coverage", 1), ("roi_signal", 1)):
        assert found[marker, "amygdala_L"].value == value
        assert found[marker, "pag"].n == 30


@pytest.mark.parametrize(("share", "good"), [(0.5, True), (0.499, False)])
def test_coverage_and_signal_are_flagged_where_they_refuse(rng, share, good):
    for name, marker, reason in (
        ("coverage", "roi_coverage", Reason.COVERAGE_TOO_LOW),
        ("signal", "roi_signal", Reason.SIGNAL_DROPOUT),
    ):
        found = estimates(with_value(a_run(rng), name, share, "s1"))[marker, "s1_R"]
        assert found.value == share
        assert found.reasons == (() if good else (reason,))
    nothing = estimates(with_value(a_run(rng), "coverage", np.nan, "s1"))["roi_coverage", "s1_R"]
    assert nothing.reasons == (Reason.COVERAGE_TOO_LOW,)


def test_signal_to_noise_is_averaged_over_runs_by_their_volumes(rng):
    """300 and 100 volumes: three quarters of 50 and a quarter of 30; errors of 2 and 6 likewise."""
    one, two = a_run(rng), with_value(with_value(a_run(rng, n_time=100), "tsnr", 30, "pag"), "tsnr_se", 6, "pag")
    found = estimates(one, two)["roi_tsnr", "pag"]
    assert found.value == pytest.approx(0.75 * 50 + 0.25 * 30)
    assert found.se == pytest.approx(np.hypot(0.75 * 2, 0.25 * 6))
    assert estimates(with_value(one, "tsnr", 29, "pag", "s1"))["roi_tsnr", "pag"].reasons == (Reason.LOW_TSNR,)
    assert estimates(with_value(one, "tsnr", 29, "pag", "s1"))["roi_tsnr", "s1_L"].status is Status.OK


def test_a_region_without_voxels_or_variation(rng):
    run = with_value(a_run(rng), "tsnr", np.nan, "vmpfc")
    assert estimates(run)["roi_tsnr", "vmpfc"].reasons == (Reason.ZERO_VARIANCE,)
    outside = with_value(run, "coverage", 0.0, "vmpfc")
    assert estimates(outside)["roi_tsnr", "vmpfc"].reasons == (Reason.COVERAGE_TOO_LOW,)


def test_motion_of_the_steady_state(rng):
    fd = np.full(300, 0.05)
    fd[1:4] = 9.0
    run = replace(a_run(rng, fd=fd), steady=np.arange(300) >= 5)
    found = estimates(run)["fd_mean"]
    assert (found.value, found.n, found.status) == (pytest.approx(0.05), 295, Status.OK)
    assert estimates(a_run(rng, fd=0.21))["fd_mean"].reasons == (Reason.MODERATE_MOTION,)
    beyond = estimates(a_run(rng, fd=0.56), fd_spike_mm=1.0)["fd_mean"]
    assert (beyond.value, beyond.reasons) == (pytest.approx(0.56), (Reason.HIGH_MOTION,))


def test_dvars_may_be_unknown(rng):
    found = estimates(a_run(rng, std_dvars=np.full(300, np.nan)))["dvars_mean"]
    assert (found.status, found.reasons) == (Status.MISSING, (Reason.NOT_ACQUIRED,))


def test_kept_time_and_dimension_are_flagged_where_they_refuse(rng):
    short = estimates(spoilt(a_run(rng, n_confounds=0), 183))["kept_time"]
    assert (short.value, short.status, short.reasons) == (234, Status.FLAG, (Reason.TOO_FEW_VOLUMES,))
    few = estimates(a_run(rng, n_confounds=60))["residual_dimension", "brainstem"]
    assert (few.value, few.reasons) == (24, (Reason.TOO_FEW_DOF,))


def test_runs_that_moved_too_much_are_left_out_unless_all_did(rng):
    good, bad = a_run(rng), a_run(rng, fd=0.6)
    assert estimates(good, bad)["fd_mean"].value == pytest.approx(0.1)
    assert estimates(bad, bad)["fd_mean"].value == pytest.approx(0.6)
    assert estimates(good, good)["kept_time"].value == 1200


def test_no_volume_at_all(rng):
    nothing = np.zeros(300, dtype=bool)
    run = a_run(rng)
    models = {name: replace(model, basis=None) for name, model in run.models.items()}
    found = estimates(replace(run, steady=nothing, keep=nothing, models=models))
    assert found["fd_mean"].reasons == (Reason.TOO_FEW_VOLUMES,)
    assert found["kept_time"].value == 0


def levels(marker: str, **functional: object) -> list[str]:
    config = {"functional": {**SETTINGS, **functional}, "dynamic": {"nodes": ["vpl_L", "sma", "dlpfc_L", "angular"]}}
    return [name for (name,) in next(each for each in MARKERS if each.name == marker).levels(config)]


def test_every_region_that_a_value_uses_has_its_quality():
    mine = {"a": {"seed": ["m1", "pag"], "target": ["insula_L", "insula_R", "insula"]}}
    for marker in ("roi_coverage", "roi_tsnr", "roi_signal"):
        plain, own = levels(marker), levels(marker, edges=mine)
        assert {"pag", "putamen_L", "acc_hashmi", "amyg_hashmi_R"} <= set(plain)
        assert len(set(own)) == len(own)
        assert set(own) - set(plain) == {"m1"}
    assert set(levels("roi_coverage")) - set(levels("roi_tsnr")) == {"sma", "angular", "dlpfc_L"}


def test_both_sides_have_the_quality_of_the_worse(rng):
    run = a_run(rng)
    signal = run.signal.copy()
    signal[run.columns([("s2", "R")])] = 0.4
    edges = {"a": {"seed": ["s1"], "target": ["s2"]}}
    found = estimates(replace(run, signal=signal), edges=edges)
    assert found["roi_signal", "s2_L"].value == 1
    assert found["roi_signal", "s2_R"].reasons == (Reason.SIGNAL_DROPOUT,)
    data = Functional(runs=(replace(run, signal=signal),), settings=SETTINGS)
    assert roi_signal(data)["s2",].value == 0.4
    lost = Functional(runs=(with_value(run, "coverage", np.nan, "s2"),), settings=SETTINGS)
    assert roi_coverage(lost)["s2",].reasons == (Reason.COVERAGE_TOO_LOW,)
