"""Values, intervals and gates of the connectivity markers on runs made of arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lbpneuro.errors import Reason, Status
from lbpneuro.kernels.correlation import fisher_z_se
from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.kernels.quality import kept_volumes
from lbpneuro.markers.descriptor import Direction, evaluate
from lbpneuro.markers.functional import MARKERS, Functional, Run
from tests.oracles.functional import SETTINGS, coloured

BAND = (0.01, 0.08)
BY_NAME = {marker.name: marker for marker in MARKERS}


def a_run(rng, *, n_time=300, t_r=2.0, r=0.6, fd=None, exponent=0, n_confounds=6, **changes) -> Run:
    """A run with a planted correlation; ``fd`` may be a number for all volumes."""
    fd_mm = np.full(n_time, 0.1) if fd is None else np.broadcast_to(np.asarray(fd, dtype=float), (n_time,)).copy()
    fd_mm[0] = np.nan
    steady = np.ones(n_time, dtype=bool)
    keep = kept_volumes(fd_mm, steady=steady, threshold_mm=SETTINGS["fd_spike_mm"])
    confounds = rng.standard_normal((n_time, n_confounds))
    basis = residual_basis(confounds, t_r=t_r, band_hz=BAND, polynomial=1, keep=keep) if keep.sum() > 60 else None
    signals = coloured(rng, n_time=n_time, n_series=3, exponent=exponent, t_r=t_r, band_hz=BAND)
    means = 1000 + np.sqrt(1 - abs(r)) * signals[:, :2] + np.sqrt(abs(r)) * signals[:, 2:] * [1, np.sign(r)]
    voxels = tuple((1000 + 20 * rng.standard_normal((n_time, n))).astype(np.float32) for n in (12, 30))
    run = Run(
        name="task-rest",
        resting=True,
        t_r=t_r,
        fd_mm=fd_mm,
        steady=steady,
        keep=keep,
        basis=basis,
        means=means,
        coverage=np.array([1.0, 1.0]),
        voxels=voxels,
    )
    return replace(run, **changes)


def estimates(*runs: Run, **settings) -> dict:
    """All estimates of the family by marker (and region)."""
    config = {"functional": {**SETTINGS, **settings}}
    data = Functional(runs=runs, settings=config["functional"])
    found = {marker.name: evaluate(marker, data, config) for marker in MARKERS}
    return {name if level == () else (name, *level): e for name, levels in found.items() for level, e in levels.items()}


def spoilt(run: Run, n: int) -> Run:
    """The run with its last ``n`` volumes censored, its basis made anew."""
    keep = run.keep.copy()
    keep[len(keep) - n :] = False
    return replace(
        run,
        keep=keep,
        basis=residual_basis(np.empty((len(keep), 0)), t_r=run.t_r, band_hz=BAND, polynomial=1, keep=keep),
    )


def test_a_clean_run(rng):
    found = estimates(a_run(rng))
    assert {estimate.status for estimate in found.values()} == {Status.OK}
    z, r = found["pag_vmpfc_z"], found["pag_vmpfc_r"]
    assert abs(z.value - 0.693) < 2 * z.se
    assert z.se == pytest.approx(float(fisher_z_se(z.n)))
    assert r.value == pytest.approx(np.tanh(z.value))
    assert (r.ci_low, r.ci_high) == pytest.approx((np.tanh(z.ci_low), np.tanh(z.ci_high)))
    assert found["kept_time"].value == 600
    assert found["fd_mean"].value == pytest.approx(0.1)
    # 600 s: 2 * 600 * 0.07 + 1 = 85 cosines, less six confounds and the drift
    assert found["residual_dimension"].value == 85 - 7
    assert 50 - 5 < found["roi_tsnr", "pag"].value < 50 + 5


def test_kept_time_at_the_gates(rng):
    """4.0 min kept is not failed, 3.9 min is; 8.0 min is not flagged."""
    run = a_run(rng, n_time=300, n_confounds=0)
    assert estimates(spoilt(run, 180))["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)
    for name in ("pag_vmpfc_z", "pag_vmpfc_r"):
        assert estimates(spoilt(run, 183))[name].reasons == (Reason.TOO_FEW_VOLUMES,)
    short = estimates(spoilt(run, 183))["kept_time"]
    assert (short.value, short.status, short.reasons) == (234, Status.FLAG, (Reason.TOO_FEW_VOLUMES,))
    assert estimates(spoilt(run, 60))["pag_vmpfc_z"].status is Status.OK
    assert estimates(spoilt(run, 61))["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)


def test_kept_time_is_not_lost_to_rounding(rng):
    """300 volumes of 0.8 s are 240 s, whatever floating point makes of it."""
    run = a_run(rng, n_time=300, t_r=0.8, n_confounds=0)
    assert Reason.TOO_FEW_VOLUMES not in estimates(run)["pag_vmpfc_z"].reasons


@pytest.mark.parametrize(
    ("fd", "reasons"),
    [(0.2, ()), (0.21, (Reason.MODERATE_MOTION,)), (0.25, (Reason.MODERATE_MOTION,))],
)
def test_mean_displacement(rng, fd, reasons):
    found = estimates(a_run(rng, fd=fd))
    assert found["pag_vmpfc_z"].reasons == reasons
    assert found["fd_mean"].reasons == reasons
    assert found["kept_time"].value == 600


def test_mean_displacement_beyond_the_limit(rng):
    found = estimates(a_run(rng, fd=0.56), fd_spike_mm=1.0)
    assert found["pag_vmpfc_z"].reasons[0] is Reason.HIGH_MOTION
    assert found["fd_mean"].status is Status.FLAG
    assert found["fd_mean"].value == pytest.approx(0.56)


def test_one_large_displacement(rng):
    fd = np.full(300, 0.05)
    fd[100] = 5.0
    assert estimates(a_run(rng, fd=fd))["pag_vmpfc_z"].status is Status.OK
    fd[100] = 5.001
    assert estimates(a_run(rng, fd=fd))["pag_vmpfc_z"].reasons == (Reason.HIGH_MOTION,)


def test_share_of_spikes(rng):
    fd = np.full(301, 0.05)
    fd[1:61] = 0.3  # 60 of 300 known displacements: exactly 20 %
    assert Reason.HIGH_MOTION not in estimates(a_run(rng, n_time=301, fd=fd, n_confounds=0))["pag_vmpfc_z"].reasons
    fd[61] = 0.3
    assert estimates(a_run(rng, n_time=301, fd=fd, n_confounds=0))["pag_vmpfc_z"].reasons == (Reason.HIGH_MOTION,)


def test_volumes_before_the_steady_state_do_not_count(rng):
    fd = np.full(300, 0.05)
    fd[1:4] = 9.0
    run = a_run(rng, fd=fd)
    steady = np.arange(300) >= 5
    found = estimates(replace(run, steady=steady))
    assert found["pag_vmpfc_z"].status is Status.OK
    assert found["fd_mean"].n == 295


@pytest.mark.parametrize(
    ("coverage", "good"), [([0.5, 1], True), ([0.499, 1], False), ([1, 0.2], False), ([np.nan, 1], False)]
)
def test_coverage(rng, coverage, good):
    found = estimates(a_run(rng, coverage=np.array(coverage)))
    assert (found["pag_vmpfc_z"].status is Status.OK) == good
    if not good:
        assert found["pag_vmpfc_z"].reasons == (Reason.COVERAGE_TOO_LOW,)
    values = [found["roi_coverage", roi].value for roi in ("pag", "vmpfc")]
    np.testing.assert_array_equal(values, coverage)


@pytest.mark.parametrize(("noise", "status"), [(25, Status.OK), (40, Status.FLAG), (60, Status.FAIL)])
def test_signal_to_noise_of_the_brainstem(rng, noise, status):
    """1000 / 25 = 40, 1000 / 40 = 25, 1000 / 60 = 17; the prefrontal region has no such gate."""
    weak = (1000 + noise * rng.standard_normal((300, 40))).astype(np.float32)
    run = a_run(rng)
    found = estimates(replace(run, voxels=(weak, run.voxels[1])))
    assert found["pag_vmpfc_z"].status is status
    assert (found["roi_tsnr", "pag"].status is Status.OK) == (status is Status.OK)
    assert estimates(replace(run, voxels=(run.voxels[0], weak)))["pag_vmpfc_z"].status is Status.OK


def test_no_signal_at_all(rng):
    run = a_run(rng)
    means = run.means.copy()
    means[:, 1] = 1000.0
    still = np.full((300, 5), 1000, dtype=np.float32)
    found = estimates(replace(run, means=means, voxels=(run.voxels[0], still)))
    assert found["pag_vmpfc_z"].reasons == (Reason.ZERO_VARIANCE,)
    assert found["roi_tsnr", "vmpfc"].reasons == (Reason.ZERO_VARIANCE,)
    assert found["roi_tsnr", "pag"].status is Status.OK


def test_one_series_in_both_regions_has_no_correlation(rng):
    """r of exactly 1 means the same data twice, and its Fisher z is infinite."""
    run = a_run(rng)
    found = estimates(replace(run, means=run.means[:, [0, 0]]))
    for name in ("pag_vmpfc_z", "pag_vmpfc_r"):
        assert (found[name].status, found[name].reasons) == (Status.FAIL, (Reason.OUT_OF_BOUNDS,))


def test_region_outside_the_data(rng):
    run = a_run(rng)
    means = run.means.copy()
    means[:, 0] = np.nan
    none = np.empty((300, 0), dtype=np.float32)
    found = estimates(replace(run, means=means, coverage=np.array([0.0, 1]), voxels=(none, run.voxels[1])))
    assert found["pag_vmpfc_z"].reasons == (Reason.COVERAGE_TOO_LOW,)
    assert found["roi_tsnr", "pag"].reasons == (Reason.COVERAGE_TOO_LOW,)


def test_too_few_dimensions(rng):
    found = estimates(a_run(rng, n_confounds=60))
    assert found["residual_dimension"].value == 24
    assert found["residual_dimension"].status is Status.FLAG
    assert found["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_DOF,)
    assert estimates(a_run(rng, n_confounds=59))["pag_vmpfc_z"].status is Status.OK
    assert estimates(a_run(rng, basis=None))["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_DOF,)


def test_a_task_is_told(rng):
    found = estimates(a_run(rng, resting=False))["pag_vmpfc_z"]
    assert found.reasons == (Reason.NOT_RESTING_STATE,)
    assert found.status is Status.FLAG


def test_runs_are_pooled_and_bad_ones_left_out(rng):
    one, two, bad = a_run(rng), a_run(rng, n_time=200), a_run(rng, fd=0.6, r=-0.9)
    first, second = estimates(one)["pag_vmpfc_z"], estimates(two)["pag_vmpfc_z"]
    weight = np.array([first.n - 2, second.n - 2])
    both = estimates(one, bad, two)
    assert both["pag_vmpfc_z"].value == pytest.approx(weight @ [first.value, second.value] / weight.sum())
    assert both["pag_vmpfc_z"].se == pytest.approx(1 / np.sqrt(weight.sum()))
    assert both["kept_time"].value == 1000
    assert both["fd_mean"].value == pytest.approx(0.1)
    assert estimates(bad, bad)["fd_mean"].value == pytest.approx(0.6)


def test_short_runs_are_enough_together(rng):
    run = a_run(rng, n_time=110, n_confounds=0)
    assert estimates(run)["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_VOLUMES,)
    assert estimates(run, run)["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)


def test_no_volume_at_all(rng):
    run = a_run(rng)
    nothing = np.zeros(300, dtype=bool)
    found = estimates(replace(run, steady=nothing, keep=nothing, basis=None))
    assert found["pag_vmpfc_z"].reasons[0] is Reason.TOO_FEW_VOLUMES
    assert found["fd_mean"].reasons == (Reason.TOO_FEW_VOLUMES,)
    assert found["kept_time"].value == 0


def test_arrays_are_not_changed(rng):
    run = a_run(rng)
    for array in (run.fd_mm, run.steady, run.keep, run.basis, run.means, run.coverage, *run.voxels):
        array.setflags(write=False)
    assert str(estimates(run)) == str(estimates(run))


def test_shift_changes_connectivity_and_motion_not_at_all(rng):
    run = a_run(rng)
    first, second = estimates(run), estimates(replace(run, means=run.means + 1e4))
    assert second["pag_vmpfc_z"].value == pytest.approx(first["pag_vmpfc_z"].value, abs=1e-9)


def test_order_of_the_regions_does_not_matter_to_the_correlation(rng):
    run = a_run(rng)
    assert estimates(replace(run, means=run.means[:, ::-1]))["pag_vmpfc_z"].value == pytest.approx(
        estimates(run)["pag_vmpfc_z"].value
    )


def test_direction_is_contested_and_evidence_honest():
    for name in ("pag_vmpfc_z", "pag_vmpfc_r"):
        assert BY_NAME[name].direction is Direction.CONTESTED
        assert BY_NAME[name].doi == "10.1016/j.nicl.2014.08.019"
        assert "meta-analysis" in BY_NAME[name].direction_source


@pytest.mark.parametrize(("exponent", "r"), [(0, 0.6), (1, 0.3), (1, 0.6)])
def test_intervals_cover_the_planted_correlation(exponent, r):
    """From the run to the row: bias within SE / 4, the 95 % interval of r covers 90 to 98 %."""
    n_seeds, errors, ses, covered = 250, [], [], 0
    with threadpool_limits(1):
        for seed in range(n_seeds):
            fd = np.where(np.random.default_rng(seed).random(300) < 0.08, 0.4, 0.1)
            run = a_run(np.random.default_rng(10_000 + seed), r=r, exponent=exponent, fd=fd, n_confounds=20)
            data = Functional(runs=(run,), settings=SETTINGS)
            z, found = (BY_NAME[name].function(data)[()] for name in ("pag_vmpfc_z", "pag_vmpfc_r"))
            errors.append(z.value - np.arctanh(r))
            ses.append(z.se)
            covered += found.ci_low <= r <= found.ci_high
    assert abs(np.mean(errors)) < np.mean(ses) / 4
    assert 0.90 <= covered / n_seeds <= 0.98
