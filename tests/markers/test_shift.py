"""Sensory-to-affective shift: numbers by hand, gates, and planted effects recovered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.kernels.glm import Fit, fit_effects, noise_covariances
from lbpneuro.kernels.nuisance import project, residual_basis
from lbpneuro.markers import shift
from lbpneuro.markers.bold import Nuisance, Run

N_TIME, T_R = 240, 2.2
SETTINGS = {"control_task": None, "rating_sd_min": 5, "motion_r_max": 0.3}
GATES = {
    "fd_spike_mm": 0.25,
    "fd_mean_mm": [0.2, 0.55],
    "fd_max_mm": 5.0,
    "spike_fraction": 0.2,
    "kept_s": [240, 480],
    "dof_min": 25,
    "coverage_min": 0.5,
    "signal_min": 0.4,
    "tsnr": [20, 30],
}


def coloured(rng: np.random.Generator, n_series: int) -> np.ndarray:
    """1/f noise with a knee (n_time, n_series), as the simulated BOLD has, of unit variance."""
    f = np.fft.rfftfreq(4 * N_TIME, T_R)
    density = np.where(f > 0, 1 / (f + 0.04), 0)
    white = np.fft.rfft(rng.standard_normal((n_series, 4 * N_TIME)), axis=1)
    series = np.fft.irfft(white * np.sqrt(density), axis=1)[:, :N_TIME].T
    return series / series.std()


def regressors(seed: int = 1) -> np.ndarray:
    """A slow rating after a delay, and its change (n_time, 2)."""
    steps = np.random.default_rng(seed).standard_normal(N_TIME)
    slow = 18 * np.convolve(steps, np.exp(-np.arange(40) / 7), mode="same") / 2.5
    return np.column_stack([slow, np.gradient(slow)])


def run_of(
    effects: tuple[float, float, float] = (0.02, 0.01, 0.0), *, control: bool = False, seed: int = 0, **changed: Any
) -> shift.RatingRun:
    rng = np.random.default_rng(seed)
    rated = changed.pop("regressors", regressors(seed + 50))
    keep = np.arange(N_TIME) % 17 != 4
    keep[:2] = False
    confounds = rng.standard_normal((N_TIME, 12))
    basis = residual_basis(confounds, t_r=T_R, band_hz=(0.0078, 0.5 / T_R), polynomial=1, keep=keep)
    means = 1000 * (1 + (np.outer(rated[:, 0], effects) + 0.3 * coloured(rng, 3)) / 100)
    unknown = np.full(3, np.nan)
    bold = Run(
        name="task-rating",
        resting=False,
        t_r=T_R,
        fd_mm=np.concatenate([[np.nan], np.abs(rng.normal(0.08, 0.03, N_TIME - 1))]),
        std_dvars=np.full(N_TIME, np.nan),
        steady=np.arange(N_TIME) > 1,
        keep=keep,
        models={shift.MODEL: Nuisance(strategy="24p", basis=basis)},
        regions=shift.REGIONS,
        means=means,
        size=np.ones(3),
        coverage=np.ones(3),
        signal=np.ones(3),
        tsnr=unknown,
        tsnr_se=unknown,
        n_voxels=np.zeros(3, dtype=np.int64),
        nodes=np.empty((N_TIME, 0)),
        beyond_mpfc=np.empty(0, dtype=bool),
    )
    bold = replace(bold, **{name: changed.pop(name) for name in list(changed) if name in Run.__slots__})
    fit = shift.fit_sets(means, regressors=rated, basis=bold.basis(shift.MODEL), keep=keep)
    made = {"bold": bold, "control": control, "rating": 50 + rated[:, 0], "regressors": rated, "fit": fit}
    return shift.RatingRun(**{**made, **changed})


def data_of(*runs: shift.RatingRun, **settings: Any) -> shift.Ratings:
    return shift.Ratings(runs=runs, settings={**SETTINGS, **settings}, gates=GATES)


def given(effect: list[float], variance: list[float]) -> shift.RatingRun:
    """A run whose fit is set by hand: effects on pain, emotion, reward, emotion minus pain."""
    covariance = np.zeros((4, 2, 2))
    covariance[:, 0, 0] = variance
    fit = Fit(effect=np.array([effect, [0] * 4]), covariance=covariance, weights=np.array([[1.0], [0]]), dof=90)
    return run_of(fit=fit)


def test_index_is_the_difference_with_its_own_error() -> None:
    data = data_of(given([0.02, 0.05, 0.01, 0.03], [1e-4, 4e-4, 1e-4, 3e-4]))
    pain, index = shift.shift_pain_beta(data)[()], shift.shift_index(data)[()]
    assert (pain.value, pain.se, pain.n) == (0.02, pytest.approx(0.01), 90)
    assert (index.value, index.se) == (pytest.approx(0.03), pytest.approx(np.sqrt(3e-4)))


def test_standardised_index_by_hand() -> None:
    """E = 0.06, P = 0.02: 0.5; slopes -2E/S^2 and 2P/S^2 with S = 0.08, covariance (1 + 4 - 3) / 2 = 1 (in 1e-4)."""
    found = shift.shift_index_std(data_of(given([0.02, 0.06, 0.01, 0.04], [1e-4, 4e-4, 1e-4, 3e-4])))[()]
    a, b = -2 * 0.06 / 0.08**2, 2 * 0.02 / 0.08**2
    assert found.value == pytest.approx(0.5)
    assert found.se == pytest.approx(np.sqrt(a * a * 1e-4 + b * b * 4e-4 + 2 * a * b * 1e-4))
    assert (found.ci_low, found.ci_high) == (
        pytest.approx(0.5 - 1.959964 * found.se),
        pytest.approx(0.5 + 1.959964 * found.se),
    )


def test_without_any_response_there_is_no_share_of_it() -> None:
    data = data_of(given([0.01, -0.01, 0, -0.02], [1e-4, 1e-4, 1e-4, 2e-4]))
    assert shift.shift_index_std(data)[()].reasons == (Reason.NO_RESPONSE,)
    assert shift.shift_index(data)[()].status is Status.OK


def test_the_control_run_is_taken_away_and_its_error_added() -> None:
    task = given([0.02, 0.05, 0.01, 0.03], [1e-4, 4e-4, 1e-4, 3e-4])
    control = replace(given([0.01, 0.01, 0.01, 0.0], [1e-4] * 4), control=True)
    found = shift.shift_index(data_of(task, control, control_task="visual"))[()]
    assert (found.value, found.se) == (pytest.approx(0.03), pytest.approx(0.02))
    alone = shift.shift_index(data_of(task, control_task="visual"))[()]
    assert alone.reasons == (Reason.NO_CONTROL_RUN,)


def test_runs_are_averaged_with_the_information_of_their_rating() -> None:
    one = given([0.02, 0.05, 0.01, 0.03], [1e-4] * 4)
    assert one.fit is not None
    weaker = replace(one.fit, weights=np.array([[2.0], [0]]), effect=np.zeros((2, 4)))
    found = shift.shift_pain_beta(data_of(one, replace(one, fit=weaker)))[()]
    assert found.value == pytest.approx(0.8 * 0.02)  # information 1 and 1/4
    assert found.se == pytest.approx(np.sqrt((0.8**2 + 0.2**2) * 1e-4))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"rating": np.full(N_TIME, np.nan)}, Reason.NO_RATING),
        ({"rating": np.full(N_TIME, 40.0)}, Reason.CONSTANT_RATING),
        ({"coverage": np.array([1, 0.4, 1])}, Reason.COVERAGE_TOO_LOW),
        ({"signal": np.array([1, 0.3, 1])}, Reason.SIGNAL_DROPOUT),
        ({"fd_mm": np.full(N_TIME, 0.7)}, Reason.HIGH_MOTION),
        ({"fd_mm": 0.1 + 0.001 * np.abs(regressors(50)[:, 0] + 60)}, Reason.TASK_MOTION),
        ({"models": {shift.MODEL: Nuisance(strategy="24p", basis=None)}}, Reason.TOO_FEW_DOF),
        ({"t_r": 0.5}, Reason.TOO_FEW_VOLUMES),
    ],
)
def test_a_run_that_does_not_pass_gives_no_value_but_a_reason(changed: dict[str, Any], reason: Reason) -> None:
    data = data_of(run_of(**changed))
    for function in (shift.shift_pain_beta, shift.shift_index, shift.shift_index_std):
        found = function(data)[()]
        assert found.status is Status.FAIL
        assert reason in found.reasons


def test_quality_rows_say_what_the_gates_saw() -> None:
    run = run_of()
    steady = run.bold.steady
    assert shift.rating_sd(data_of(run))[()].value == pytest.approx(np.std(run.rating[steady], ddof=1))
    flat = shift.rating_sd(data_of(run, replace(run, rating=np.full(N_TIME, 3.0))))[()]
    assert (flat.value, flat.reasons) == (0.0, (Reason.CONSTANT_RATING,))
    r = np.corrcoef(run.bold.fd_mm[steady], run.regressors[steady, 0])[0, 1]
    assert shift.rating_motion_r(data_of(run))[()].value == pytest.approx(r)
    assert shift.rating_sd(data_of(replace(run, rating=np.full(N_TIME, np.nan))))[()].reasons == (Reason.NO_RATING,)


def test_a_short_run_is_flagged() -> None:
    run = run_of(t_r=1.9)
    assert shift.shift_index(data_of(run))[()].reasons == (Reason.SHORT_SCAN,)


@pytest.mark.parametrize("effects", [(0.02, 0.01, 0.0), (0.0, 0.0, 0.0)])
def test_planted_effects_are_recovered_and_covered(effects: tuple[float, float, float]) -> None:
    """Correlated noise in the three sets; effects and their difference, 1,000 runs at once."""
    rng, n_run = np.random.default_rng(7), 1000
    keep = np.arange(N_TIME) % 17 != 4
    rated = regressors()
    confounds = rng.standard_normal((N_TIME, 24))
    basis = residual_basis(confounds, t_r=T_R, band_hz=(0.0078, 0.5 / T_R), polynomial=1, keep=keep)
    shared = coloured(rng, n_run)
    sets = [0.3 * (0.6 * shared + 0.8 * coloured(rng, n_run)) + (rated[:, 0] * one)[:, None] for one in effects]
    planted = np.array([*effects, effects[1] - effects[0]])
    noise = noise_covariances(basis, keep=keep)
    for truth, series in zip(planted, [*sets, sets[1] - sets[0]], strict=True):
        fit = fit_effects(project(basis, series, keep=keep), regressors=basis.T @ rated[keep], noise=noise)
        se = np.sqrt(fit.covariance[:, 0, 0])
        assert abs(fit.effect[0].mean() - truth) < 3 * fit.effect[0].std() / np.sqrt(n_run)
        assert 0.93 <= np.mean(np.abs(fit.effect[0] - truth) < 1.959964 * se) <= 0.97


def test_percent_are_of_the_mean_of_the_kept_volumes() -> None:
    run = run_of((0.02, 0.01, 0.0))
    fit = shift.fit_sets(
        7 * run.bold.means, regressors=run.regressors, basis=run.bold.basis(shift.MODEL), keep=run.bold.keep
    )
    assert fit is not None
    assert run.fit is not None
    np.testing.assert_allclose(fit.effect, run.fit.effect, rtol=1e-9)
    assert abs(fit.effect[0, 0] - 0.02) < 4 * np.sqrt(fit.covariance[0, 0, 0])


def test_a_session_without_the_task_or_with_too_little_left_gives_no_effect() -> None:
    control_only = shift.shift_index(data_of(run_of(control=True), control_task="visual"))[()]
    assert control_only.reasons == (Reason.NOT_ACQUIRED,)
    strict = shift.Ratings(runs=(run_of(),), settings=SETTINGS, gates={**GATES, "dof_min": 5000})
    assert Reason.TOO_FEW_DOF in shift.shift_index(strict)[()].reasons


def test_reward_is_a_set_of_its_own() -> None:
    found = shift.shift_reward_beta(data_of(given([0.02, 0.05, 0.01, 0.03], [1e-4, 4e-4, 9e-4, 3e-4])))[()]
    assert (found.value, found.se) == (0.01, pytest.approx(0.03))


def test_a_reduced_confound_set_and_another_template_are_said() -> None:
    run = run_of()
    reduced = replace(run.bold.models[shift.MODEL], reduced=True)
    odd = replace(run, bold=replace(run.bold, models={shift.MODEL: reduced}, other_template=True, doubtful_timing=True))
    assert shift.shift_index(data_of(odd))[()].reasons == (
        Reason.OTHER_TEMPLATE,
        Reason.DOUBTFUL_TIMING,
        Reason.REDUCED_CONFOUNDS,
    )


def test_a_model_without_room_for_the_rating_has_no_fit() -> None:
    keep = np.arange(N_TIME) < 3
    found = shift.fit_sets(np.ones((N_TIME, 3)), regressors=regressors(), basis=np.eye(3), keep=keep)
    assert found is None


def test_motion_without_a_rating_or_without_any_change_has_no_correlation() -> None:
    run = run_of()
    unrated = replace(run, regressors=np.full((N_TIME, 2), np.nan))
    assert np.isnan(shift.motion_correlation(unrated))
    assert np.isnan(shift.motion_correlation(replace(run, bold=replace(run.bold, fd_mm=np.full(N_TIME, 0.1)))))
    assert shift.rating_motion_r(data_of(unrated))[()].reasons == (Reason.NO_RATING,)


def test_the_covariance_of_two_effects_stays_possible() -> None:
    found = shift.Effects(effect=np.zeros(4), variance=np.array([1.0, 4.0, 1.0, 100.0]), dof=9)
    assert found.covariance == -2.0
