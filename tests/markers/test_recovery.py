"""Planted connections are recovered from hundreds of noisy scans: no bias, honest intervals, few false positives."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lbpneuro.kernels.correlation import correlation, effective_dimensions, fisher_z, fisher_z_se, pooled_z, power_laws
from lbpneuro.kernels.nuisance import band_gain, project, residual_basis
from lbpneuro.markers.connectivity import EDGE_MARKERS, FC_PARTIAL_Z, MPFC_HUB, NAC_SLOW5, SHIFT_REST
from lbpneuro.markers.networks import NETWORK_Z
from tests.oracles import recovery
from tests.oracles.recovery import BAND, T_R

N_SCAN = 300
R = (0.0, 0.2, 0.6)
PAIRS = [(2 * row, 2 * row + 1) for row in range(len(R))]


@pytest.fixture(scope="module")
def scans():
    """Signals (s, n, 6) of three pairs with the correlations ``R``, 36 further regions, and the noise of the scans."""
    rng = np.random.default_rng(20210709)
    gray = recovery.coloured(rng, (N_SCAN, recovery.N_TIME, 40))
    for (one, other), r in zip(PAIRS, R, strict=True):
        gray[..., other] = r * gray[..., one] + np.sqrt(1 - r**2) * gray[..., other]
    noise = recovery.scanner_noise(rng, N_SCAN, gray=gray)
    return gray[..., : 2 * len(R)], noise


def recovered(series: np.ndarray, noise: recovery.Noise, *, strategy: str, scans: slice = slice(None)):
    """Fisher z and effective dimension (s, pair) of every scan under a confound strategy."""
    z, dimension = [], []
    with threadpool_limits(1):
        for scan, keep, confounds in zip(
            series[scans], noise.keep[scans], noise.confounds[strategy][scans], strict=True
        ):
            basis = residual_basis(confounds, t_r=T_R, band_hz=BAND, polynomial=1, keep=keep)
            frequencies, gain = band_gain(basis, t_r=T_R, band_hz=BAND, keep=keep)
            y = project(basis, scan, keep=keep)
            dimension.append(effective_dimensions(y, pairs=PAIRS, laws=power_laws(gain, frequencies_hz=frequencies)))
            z.append(fisher_z(correlation(y)[tuple(np.transpose(PAIRS))]))
    return np.array(z), np.array(dimension)


@pytest.fixture(scope="module")
def spoilt(scans):
    """The series of the scans by strategy, with every noise that its confounds measure."""
    signals, noise = scans
    rng = np.random.default_rng(1)
    moved = recovery.spoilt(rng, signals, noise, physio=0)
    return {"24p": moved, **dict.fromkeys(("acompcor24", "36p"), recovery.spoilt(rng, signals, noise))}


def test_the_scans_are_as_noisy_as_described(scans, spoilt):
    """0 to 15 % of the volumes are censored, in bursts; plain correlations are far off."""
    _, noise = scans
    censored = 1 - noise.keep.mean(axis=1)
    assert censored.min() == 0
    assert 0.08 < censored.max() < 0.15
    bursts = np.diff(~noise.keep, axis=1).sum(axis=1) / 2
    assert (~noise.keep).sum(axis=1).sum() > 1.5 * bursts.sum()
    for series in spoilt.values():
        plain = np.array([fisher_z(np.corrcoef(scan.T)[0, 1]) for scan in series])
        assert plain.std() > 3 / np.sqrt(recovery.N_TIME * 0.28)


@pytest.mark.parametrize("strategy", ["24p", "acompcor24", "36p"])
def test_planted_correlations_are_recovered(scans, spoilt, strategy):
    """Bias within a quarter of an SE, the 95 % interval covers 93 to 97 % (three Monte-Carlo errors: 0.8 %)."""
    z, dimension = recovered(spoilt[strategy], scans[1], strategy=strategy)
    se = fisher_z_se(dimension)
    error = z - np.arctanh(R)
    assert np.all(np.abs(error.mean(axis=0)) < 0.2 * se.mean(axis=0))
    np.testing.assert_allclose(error.std(axis=0), se.mean(axis=0), rtol=0.15)
    inside = np.abs(error) <= 1.959964 * se
    assert np.all((inside.mean(axis=0) > 0.91) & (inside.mean(axis=0) < 0.985))
    assert 0.93 <= inside.mean() <= 0.97
    assert 0.02 < np.mean(np.abs(z[:, 0]) > 1.959964 * se[:, 0]) < 0.08


def test_two_runs_are_pooled_with_an_honest_error(scans, spoilt):
    z, dimension = recovered(spoilt["acompcor24"], scans[1], strategy="acompcor24")
    half = N_SCAN // 2
    pairs = [
        pooled_z(z[[scan, scan + half], column], dimension=dimension[[scan, scan + half], column])
        for scan in range(half)
        for column in range(len(R))
    ]
    value, se = np.transpose(pairs).reshape(2, half, len(R))
    inside = np.abs(value - np.arctanh(R)) <= 1.959964 * se
    assert np.mean(se) < 0.75 * np.mean(fisher_z_se(dimension))
    assert 0.92 <= inside.mean() <= 0.98


def test_noise_that_the_confounds_do_not_measure_stays(scans):
    """Breath and heartbeat that motion terms cannot know raise a correlation of 0 by more than its error."""
    signals, noise = scans
    series = recovery.spoilt(np.random.default_rng(1), signals, noise)
    z, dimension = recovered(series, noise, strategy="24p", scans=slice(60))
    assert z[:, 0].mean() > fisher_z_se(dimension[:, 0]).mean()


JOINT = (FC_PARTIAL_Z, MPFC_HUB, NAC_SLOW5, SHIFT_REST, NETWORK_Z)


def joint(n_session: int, planted: np.ndarray, *, seed: int, **noises: float) -> dict:
    """Values, errors and interval limits (n_session, 4) of all connectivity markers by marker and level."""
    found: dict = {}
    rng = np.random.default_rng(seed)
    with threadpool_limits(1):
        for data in recovery.sessions(rng, n_session, planted, **noises):
            for marker in (*EDGE_MARKERS, *JOINT):
                for level, estimate in marker.function(data).items():
                    key = (marker.name, *level) if level else marker.name
                    if marker in EDGE_MARKERS:
                        key = ("edge", "_".join((marker.name.removesuffix("_z"), *level)))
                    row = (estimate.value, estimate.se, estimate.ci_low, estimate.ci_high)
                    found.setdefault(key, []).append(row)
    return {key: np.array(rows) for key, rows in found.items()}


def worth(found: dict, truth: dict, name: str) -> tuple[float, float, float]:
    """Bias over SE, spread over SE and coverage of a marker, over all its levels and sessions."""
    keys = [key for key in found if key == name or key[0] == name]
    values = np.stack([found[key] for key in keys])
    expected = np.array([truth[key] for key in keys])[:, None]
    error = values[..., 0] - expected
    inside = (values[..., 2] <= expected) & (expected <= values[..., 3])
    se = np.sqrt(np.mean(values[..., 1] ** 2))
    return float(error.mean() / se), float(np.sqrt(np.mean(error**2)) / se), float(inside.mean())


NAMES = ("edge", "fc_partial_z", "mpfc_hub", "nac_slow5", "shift_rest", "network_z")


def test_all_markers_are_recovered_over_two_runs():
    """Edges of both models, and the markers of many edges, in noise that their confounds measure.

    The partial correlations are compared with those of no shrinkage, which here is slight.
    """
    planted = recovery.planted_correlation(np.random.default_rng(3))
    found, truth = joint(40, planted, seed=4), recovery.truth(planted)
    assert set(found) == set(truth)
    for name in NAMES:
        bias, spread, coverage = worth(found, truth, name)
        # an edge has 26 levels; the others hardly more than one value a session, with a Monte-Carlo error of 0.16
        assert abs(bias) < (0.2 if name in ("edge", "fc_partial_z") else 0.47), name
        assert 0.75 < spread < 1.2, name
        assert 0.9 <= coverage <= 1, name
    assert 0.93 <= worth(found, truth, "edge")[2] <= 0.97


def test_nothing_planted_is_nothing_found():
    """Independent regions: intervals without 0 at the nominal 5 %; partial correlations shrink wholly or hold 0."""
    none = np.eye(len(recovery.REGIONS) + recovery.N_NODE)
    found = joint(25, none, seed=5, leak=0.0, physio=0.0)
    truth = recovery.truth(none)
    assert all(value == 0 for key, value in truth.items() if key[0] != "nac_slow5")
    assert 0.03 <= 1 - worth(found, truth, "edge")[2] <= 0.07
    for name in ("network_z", "shift_rest"):
        assert 0 <= 1 - worth(found, truth, name)[2] <= 0.12, name
    assert worth(found, truth, "mpfc_hub")[2] >= 0.9
    partial = np.concatenate([values for key, values in found.items() if key[0] == "fc_partial_z"])
    unknown = np.isnan(partial[:, 0])
    assert unknown.any()
    assert np.isnan(partial[unknown]).all()
    assert np.all((partial[~unknown, 2] <= 0) & (partial[~unknown, 3] >= 0))
