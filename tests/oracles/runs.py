"""Runs made of arrays, with the regions of the connectivity markers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.kernels.quality import kept_volumes
from lbpneuro.markers.bold import MODELS, WIDE, Functional, Nuisance, Run
from lbpneuro.markers.descriptor import Estimate, Marker, evaluate
from lbpneuro.markers.edges import CONTROL_ENDS, EDGE_REGIONS, EMOTION_NODES, PAIN_NODES
from tests.oracles.functional import SETTINGS, coloured

BAND = (0.01, 0.08)
REGIONS = tuple(
    dict.fromkeys((*EDGE_REGIONS, *(part for end in (*PAIN_NODES, *EMOTION_NODES, *CONTROL_ENDS) for part in end)))
)
PAG, VMPFC = REGIONS.index(("pag", "n/a")), REGIONS.index(("vmpfc", "n/a"))


def models_of(confounds: np.ndarray, *, t_r: float, keep: np.ndarray, alternative: np.ndarray) -> dict[str, Nuisance]:
    """The four models and the wide one; None where too few volumes are kept."""

    def model(columns: np.ndarray, band_hz: tuple[float, float] = BAND, strategy: str = "24p") -> Nuisance:
        enough = keep.sum() > 60
        basis = residual_basis(columns, t_r=t_r, band_hz=band_hz, polynomial=1, keep=keep) if enough else None
        return Nuisance(strategy=strategy, basis=basis)

    main, other, wide = model(confounds), model(alternative, strategy="36p"), model(confounds, (0.008, 0.5 / t_r))
    return {**{name: other if "alternative" in name else main for name in MODELS}, WIDE: wide}


def a_run(
    rng: np.random.Generator,
    *,
    n_time: int = 300,
    t_r: float = 2.0,
    r: float = 0.6,
    fd: Any = None,
    exponent: float = 0,
    n_confounds: int = 6,
    **changes: Any,
) -> Run:
    """A run with a planted correlation of PAG and vmPFC; ``fd`` may be a number for all volumes."""
    fd_mm = np.full(n_time, 0.1) if fd is None else np.broadcast_to(np.asarray(fd, dtype=float), (n_time,)).copy()
    fd_mm[0] = np.nan
    steady = np.ones(n_time, dtype=bool)
    keep = kept_volumes(fd_mm, steady=steady, threshold_mm=SETTINGS["fd_spike_mm"])
    confounds, alternative = rng.standard_normal((n_time, n_confounds)), rng.standard_normal((n_time, 3))
    signals = coloured(rng, n_time=n_time, n_series=len(REGIONS) + 2, exponent=exponent, t_r=t_r, band_hz=BAND)
    means = 1000 + (signals[:, 1:-1] + signals[:, -1:]) / np.sqrt(2)
    for column, sign in ((PAG, 1), (VMPFC, np.sign(r))):
        means[:, column] = 1000 + np.sqrt(1 - abs(r)) * signals[:, 1 + column] + sign * np.sqrt(abs(r)) * signals[:, 0]
    ones = np.ones(len(REGIONS))
    run = Run(
        name="task-rest",
        resting=True,
        t_r=t_r,
        fd_mm=fd_mm,
        std_dvars=np.full(n_time, 1.0),
        steady=steady,
        keep=keep,
        models=models_of(confounds, t_r=t_r, keep=keep, alternative=alternative),
        regions=REGIONS,
        means=means,
        size=30 * ones,
        coverage=ones,
        signal=ones,
        tsnr=50 * ones,
        tsnr_se=2 * ones,
        n_voxels=np.full(len(REGIONS), 30),
        nodes=1000 + coloured(rng, n_time=n_time, n_series=160, exponent=exponent, t_r=t_r, band_hz=BAND),
        beyond_mpfc=np.ones(160, dtype=bool),
    )
    return replace(run, **changes)


def spoilt(run: Run, n: int) -> Run:
    """The run with its last ``n`` volumes censored, its models made anew without confounds."""
    keep = run.keep.copy()
    keep[len(keep) - n :] = False
    none = np.empty((len(keep), 0))
    return replace(run, keep=keep, models=models_of(none, t_r=run.t_r, keep=keep, alternative=none))


def with_value(run: Run, name: str, value: float, *regions: str) -> Run:
    """The run with another value of some regions in one of its arrays over regions."""
    values = np.array(getattr(run, name), dtype=float)
    values[[column for column, (roi, _) in enumerate(run.regions) if roi in regions]] = value
    return replace(run, **{name: values})


def estimates(markers: tuple[Marker, ...], *runs: Run, **settings: Any) -> dict[Any, Estimate]:
    """All estimates of some markers by marker (and level)."""
    config = {"functional": {**SETTINGS, **settings}}
    data = Functional(runs=runs, settings=config["functional"])
    found = {marker.name: evaluate(marker, data, config) for marker in markers}
    return {name if level == () else (name, *level): e for name, levels in found.items() for level, e in levels.items()}


def a_pair(rng: np.random.Generator, *, r: float, exponent: float, fd: np.ndarray) -> Run:
    """A run of PAG and vmPFC alone with one model: quick to make in hundreds."""
    n_time, regions = len(fd), (("pag", "n/a"), ("vmpfc", "n/a"))
    keep = kept_volumes(fd, steady=np.ones(n_time, dtype=bool), threshold_mm=SETTINGS["fd_spike_mm"])
    confounds = rng.standard_normal((n_time, 20))
    basis = residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    signals = coloured(rng, n_time=n_time, n_series=3, exponent=exponent, t_r=2.0, band_hz=BAND)
    means = 1000 + np.sqrt(1 - r) * signals[:, 1:] + np.sqrt(r) * signals[:, :1]
    ones = np.ones(2)
    return Run(
        name="task-rest",
        resting=True,
        t_r=2.0,
        fd_mm=fd,
        std_dvars=np.ones(n_time),
        steady=np.ones(n_time, dtype=bool),
        keep=keep,
        models=dict.fromkeys((*MODELS, WIDE), Nuisance(strategy="24p", basis=basis)),
        regions=regions,
        means=means,
        size=30 * ones,
        coverage=ones,
        signal=ones,
        tsnr=50 * ones,
        tsnr_se=2 * ones,
        n_voxels=np.full(2, 30),
        nodes=np.empty((n_time, 0)),
        beyond_mpfc=np.empty(0, dtype=bool),
    )
