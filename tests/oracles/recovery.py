"""Many scans at once: signals with a planted correlation, the noise of a scanner, and confounds that measure it.

Every array has the scans first, then time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.kernels.quality import fd_jenkinson, kept_volumes
from lbpneuro.markers.bold import WIDE, Functional, Nuisance, Run
from lbpneuro.markers.edges import CONTROL_ENDS, EMOTION_NODES, LABELS, PAIN_NODES, PLACE, Parts
from tests.oracles.functional import SETTINGS
from tests.oracles.runs import REGIONS

Array = NDArray[np.float64]

T_R, N_TIME = 2.0, 300
BAND = (0.01, 0.08)
KNEE_HZ = 0.04
RADIUS_MM = 50.0
CARDIAC_HZ, BREATH_HZ = 1.07, 0.27
FD_MAX_MM = 0.25
N_TISSUE = {"WM": 60, "CSF": 40}
MIXTURES = np.array([[0.2, 0.2, 0.3, 0.6, 0.8], [0.8, 0.5, 0.4, 0.5, 0.2], [0.3, 0.3, 0.4, 0.6, 1.0]])
"""How much of each source the mean signals of white matter, CSF and the whole brain hold."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What spoils the scans, and what is recorded of it.

    ``sources`` (s, n, 5) are two cardiac phases, respiration, slow respiratory changes and a global signal; ``motion``
    (s, n, 24) the standardised motion terms; ``confounds`` (s, n, p) by strategy; ``keep`` (s, n) the kept volumes.
    """

    sources: Array
    motion: Array
    confounds: Mapping[str, Array]
    keep: NDArray[np.bool_]


def coloured(rng: np.random.Generator, shape: tuple[int, ...], *, t_r: float = T_R, knee_hz: float = KNEE_HZ) -> Array:
    """Stationary noise with the spectrum 1 / (f + knee), time on axis 1, of variance 1: half of a circular series."""
    n_scan, n_time, *rest = shape
    power = 1 / (fft.rfftfreq(2 * n_time, t_r) + knee_hz)
    power[0] = 0
    gain = np.sqrt(power / fft.irfft(power, 2 * n_time)[0])
    white = fft.rfft(rng.standard_normal((n_scan, 2 * n_time, *rest)), axis=1)
    return fft.irfft(white * gain.reshape(-1, *[1] * len(rest)), 2 * n_time, axis=1)[:, :n_time]


def motion_parameters(
    rng: np.random.Generator, n_scan: int, *, n_time: int = N_TIME, bursts: float | Array = 4
) -> Array:
    """(s, n, 6) translations (mm) and rotations (rad): slow drift of the head, and ``bursts`` of movement (mean)."""
    steps = rng.normal(0, 0.015, (n_scan, n_time, 6))
    for scan, expected in zip(steps, np.broadcast_to(bursts, n_scan), strict=True):
        for start in rng.integers(2, n_time - 10, rng.poisson(expected)):
            length = rng.integers(1, 6)
            scan[start : start + length] += rng.normal(0, 0.15, (length, 6))
    path = signal.lfilter([1], [1, -0.98], steps, axis=1)
    path[..., 3:] /= RADIUS_MM
    return path


def motion_terms(parameters: Array) -> Array:
    """(s, n, 24): the parameters, their changes, and the squares of both."""
    change = np.diff(parameters, axis=1, prepend=parameters[:, :1])
    plain = np.concatenate([parameters, change], axis=2)
    return np.concatenate([plain, plain**2], axis=2)


def standardised(columns: Array) -> Array:
    """The columns with mean 0 and variance 1 over time."""
    centred = columns - columns.mean(axis=1, keepdims=True)
    return centred / centred.std(axis=1, keepdims=True)


def physiology(rng: np.random.Generator, n_scan: int, *, n_time: int = N_TIME) -> Array:
    """(s, n, 5) sources of variance 1; heart and breath wander in rate, and are sampled too slowly."""
    waves = []
    for rate, spread, phases in ((CARDIAC_HZ, 0.03, (0, np.pi / 2)), (BREATH_HZ, 0.06, (0,))):
        steps = 2 * np.pi * T_R * rate * (1 + spread * coloured(rng, (n_scan, n_time), knee_hz=0.01))
        phase = np.cumsum(steps, axis=1) + rng.uniform(0, 2 * np.pi, (n_scan, 1))
        waves += [np.sqrt(2) * np.cos(phase + shift) for shift in phases]
    return np.concatenate([np.stack(waves, axis=2), coloured(rng, (n_scan, n_time, 2))], axis=2)


def components(voxels: Array, *, n: int) -> Array:
    """(s, n_time, n) first principal components of standardised, detrended voxels (s, n_time, v)."""
    series = standardised(signal.detrend(voxels, axis=1))
    return standardised(series @ np.linalg.eigh(np.swapaxes(series, 1, 2) @ series)[1][..., : -n - 1 : -1])


def scanner_noise(
    rng: np.random.Generator, n_scan: int, *, n_time: int = N_TIME, gray: Array, bursts: float | Array = 4
) -> Noise:
    """Return the noise of some scans, and the confounds that fMRIPrep would record of it.

    Voxels of white matter and CSF hold the sources in random shares and white noise of their own; the global signal is
    the mean of ``gray`` (s, n_time, k) and the sources. Motion is recorded with an error of 3 micrometres.
    """
    true = motion_parameters(rng, n_scan, n_time=n_time, bursts=bursts)
    sources = physiology(rng, n_scan, n_time=n_time)
    recorded = true + rng.normal(0, 0.003, true.shape) * [1, 1, 1, *[1 / RADIUS_MM] * 3]
    terms = motion_terms(recorded)
    tissue = {}
    for name, n_voxel in N_TISSUE.items():
        shares = MIXTURES[len(tissue), :, None] * (1 + 0.7 * rng.standard_normal((n_scan, 5, n_voxel)))
        tissue[name] = sources @ shares + rng.standard_normal((n_scan, n_time, n_voxel))
    whole = gray.mean(axis=2) + sources @ MIXTURES[2]
    means = np.stack([tissue["WM"].mean(axis=2), tissue["CSF"].mean(axis=2), whole], axis=2)
    change = np.diff(means, axis=1, prepend=means[:, :1])
    expansion = np.concatenate([means, change, standardised(means) ** 2, change**2], axis=2)
    own = np.concatenate([components(tissue[name], n=5) for name in N_TISSUE], axis=2)
    first = np.concatenate([own[..., :3], own[..., 5:7]], axis=2)
    confounds = {
        "24p": terms,
        "36p": np.concatenate([terms, expansion], axis=2),
        "acompcor24": np.concatenate([terms, own], axis=2),
        "acompcor6": np.concatenate([terms[..., :6], first], axis=2),
    }
    steady = np.ones(n_time, dtype=bool)
    keep = np.stack([kept_volumes(fd_jenkinson(each), steady=steady, threshold_mm=FD_MAX_MM) for each in recorded])
    return Noise(sources=sources, motion=standardised(motion_terms(true)), confounds=confounds, keep=keep)


def spoilt(
    rng: np.random.Generator,
    signals: Array,
    noise: Noise,
    *,
    leak: float = 0.25,
    physio: float = 0.5,
    drift: float = 2,
    mixed: bool = True,
) -> Array:
    """Return ``signals`` (s, n, k) with motion, physiology and a drift in them, each half alike in all series.

    With ``mixed`` the physiology of every series is one of the mixtures that the mean signals of white matter, CSF and
    the whole brain measure, without it the sources come in any proportion.
    """
    n_scan, n_time, k = signals.shape

    def shares(n_source: int) -> Array:
        return (rng.standard_normal((n_scan, n_source, 1)) + rng.standard_normal((n_scan, n_source, k))) / np.sqrt(2)

    time = np.linspace(-1, 1, n_time)
    slow = np.stack([time, np.cos(np.pi * time)], axis=1)
    sources = standardised(noise.sources @ MIXTURES.T) if mixed else noise.sources
    bodily = physio * np.sqrt(5 / sources.shape[2]) * sources @ shares(sources.shape[2])
    return signals + leak / 2 * noise.motion @ shares(24) + bodily + drift * slow @ shares(2)


def correlated(rng: np.random.Generator, n_scan: int, correlation: Array, *, n_time: int = N_TIME) -> Array:
    """(s, n, k) coloured signals with a population correlation (k, k)."""
    return coloured(rng, (n_scan, n_time, len(correlation))) @ np.linalg.cholesky(correlation).T


# runs of a session, and what they plant

N_NODE = 160
STRATEGIES = {"cortical": "36p", "brainstem": "acompcor24"}
NETWORKS = ("DefaultMode", "Salience")
SESSION = {**SETTINGS, "confounds": STRATEGIES, "networks": list(NETWORKS)}


def planted_correlation(rng: np.random.Generator) -> Array:
    """Population correlation of all regions and nodes: three sources in every proportion, and a part of their own."""
    shares = rng.normal(0.35, 0.3, (len(REGIONS) + N_NODE, 3))
    shares *= 0.75 / np.linalg.norm(shares, axis=1, keepdims=True)
    correlation = shares @ shares.T
    np.fill_diagonal(correlation, 1)
    return correlation


def sessions(
    rng: np.random.Generator, n_session: int, correlation: Array, *, n_run: int = 2, **noises: float
) -> list[Functional]:
    """Sessions of some runs each, spoilt by what their confounds measure; ``noises`` are those of :func:`spoilt`."""
    n_scan = n_session * n_run
    noise = scanner_noise(rng, n_scan, gray=coloured(rng, (n_scan, N_TIME, 30)))
    series = spoilt(rng, correlated(rng, n_scan, correlation), noise, **noises)
    runs = [_run(scan, series[scan], noise) for scan in range(n_scan)]
    return [Functional(runs=tuple(runs[one::n_session]), settings=SESSION) for one in range(n_session)]


def _run(scan: int, series: Array, noise: Noise) -> Run:
    keep, ones = noise.keep[scan], np.ones(len(REGIONS))
    fd = np.full(N_TIME, 0.1)
    models = {}
    for model, strategy, band in (
        ("cortical", "36p", BAND),
        ("brainstem", "acompcor24", BAND),
        (WIDE, "36p", (0.008, 0.5 / T_R)),
    ):
        basis = residual_basis(noise.confounds[strategy][scan], t_r=T_R, band_hz=band, polynomial=1, keep=keep)
        models[model] = Nuisance(strategy=strategy, basis=basis)
    return Run(
        name=f"task-rest_run-{scan}",
        resting=True,
        t_r=T_R,
        fd_mm=fd,
        std_dvars=np.ones(N_TIME),
        steady=np.ones(N_TIME, dtype=bool),
        keep=keep,
        models=models,
        regions=REGIONS,
        means=1000 + series[:, : len(REGIONS)],
        size=30 * ones,
        coverage=ones,
        signal=ones,
        tsnr=50 * ones,
        tsnr_se=2 * ones,
        n_voxels=np.full(len(REGIONS), 30),
        nodes=1000 + series[:, len(REGIONS) :],
        beyond_mpfc=np.ones(N_NODE, dtype=bool),
        node_networks=tuple(NETWORKS[node % 2] for node in range(N_NODE)),
    )


def covariance_of_ends(correlation: Array, ends: Sequence[Parts]) -> Array:
    """Covariance of the means of some unions of regions of equal size."""
    weights = np.array([[(region in end) / len(end) for region in REGIONS] for end in ends])
    return weights @ correlation[: len(REGIONS), : len(REGIONS)] @ weights.T


def planted_z(correlation: Array, ends: Sequence[Parts]) -> Array:
    """Fisher z of the correlations of the means of some ends, NaN on the diagonal."""
    covariance = covariance_of_ends(correlation, ends)
    r = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    return np.arctanh(np.where(np.eye(len(ends), dtype=bool), np.nan, r))


def planted_partial_z(correlation: Array, ends: tuple[Parts, Parts]) -> float:
    """Fisher z of the partial correlation of two ends given the control ends in other places, without shrinkage."""

    def places(end: Parts) -> set[tuple[str, str]]:
        found = {(PLACE.get(roi, roi), hemi) for roi, hemi in end}
        return {(roi, "n/a" if roi in ("pcc", "vta") else hemi) for roi, hemi in found}

    taken = places(ends[0]) | places(ends[1])
    given = [end for end in CONTROL_ENDS if not taken & places(end)]
    precision = np.linalg.inv(covariance_of_ends(correlation, [*ends, *given]))
    return float(np.arctanh(-precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])))


def truth(correlation: Array) -> dict[Any, float]:
    """Planted values by marker (and level)."""
    found: dict[Any, float] = {}
    for label, (edge, side) in LABELS.items():
        ends = edge.ends(side)
        found["edge", label] = float(planted_z(correlation, ends)[0, 1])
        found["fc_partial_z", label] = planted_partial_z(correlation, ends)
    n = len(REGIONS)
    z = np.arctanh(correlation - 1e-9 * np.eye(len(correlation)))
    found["mpfc_hub"] = float(np.mean(z[REGIONS.index(("mpfc", "n/a")), n:] ** 2))
    among = [planted_z(correlation, ends) for ends in (EMOTION_NODES, PAIN_NODES)]
    found["shift_rest"] = float(np.nanmean(among[0]) - np.nanmean(among[1]))
    nodes = np.where(np.eye(N_NODE, dtype=bool), np.nan, z[n:, n:])
    for first, second in ((0, 0), (0, 1), (1, 1)):
        found["network_z", NETWORKS[first], NETWORKS[second]] = float(np.nanmean(nodes[first::2, second::2]))
    return found | {("nac_slow5", side): slow5_share() for side in ("L", "R")}


def slow5_share() -> float:
    """Share of slow-5 power in a signal of this colour."""
    f = np.linspace(0.01, 0.1, 90_001)
    power = 1 / (f + KNEE_HZ)
    return float(power[f <= 0.027].sum() / power.sum())
