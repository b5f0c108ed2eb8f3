"""How well connectivity is recovered from simulated series: single pairs, and all markers of sessions of two runs.

No file is written. The noise is that of a scanner, and confounds measure it (``tests/oracles/recovery.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lbpneuro.kernels.correlation import correlation, effective_dimensions, fisher_z, fisher_z_se, power_laws
from lbpneuro.kernels.nuisance import band_gain, project, residual_basis
from lbpneuro.markers.connectivity import EDGE_MARKERS, FC_PARTIAL_Z, MPFC_HUB, NAC_SLOW5, SHIFT_REST
from lbpneuro.markers.networks import NETWORK_Z
from tests.oracles import recovery

Array = NDArray[np.float64]

R = (0.0, 0.2, 0.6)
PAIRS = [(2 * row, 2 * row + 1) for row in range(len(R))]
N_GRAY = 40
BURSTS = 10.0
"""Movements of the restless of the runs; with ten, about 15 % of the volumes of a run are censored."""

BATCH = 20
Z_95 = 1.959964


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A confound strategy, and the noise in the series.

    ``physio`` is its amplitude; with ``mixed`` it reaches the regions in the mixtures that the confounds measure.
    """

    strategy: str
    physio: float
    mixed: bool = True


CONDITIONS = {
    "24p, motion and drift": Condition(strategy="24p", physio=0.0),
    "acompcor24, physiology too": Condition(strategy="acompcor24", physio=0.5),
    "36p, physiology too": Condition(strategy="36p", physio=0.5),
    "24p, physiology too": Condition(strategy="24p", physio=0.5),
    "36p, five sources": Condition(strategy="36p", physio=0.5, mixed=False),
}


def arrays(n_run: int, *, seed: int) -> tuple[pd.DataFrame, Array]:
    """Return truth, value and interval of pairs with the correlations ``R``, and the censored share of every run.

    Runs go from still to restless, so that 0 to 15 % of their volumes are censored. All conditions have the same ones.
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    gray = recovery.coloured(rng, (n_run, recovery.N_TIME, N_GRAY))
    for (one, other), r in zip(PAIRS, R, strict=True):
        gray[..., other] = r * gray[..., one] + np.sqrt(1 - r**2) * gray[..., other]
    with threadpool_limits(1):
        noise = recovery.scanner_noise(rng, n_run, gray=gray, bursts=np.linspace(0, BURSTS, n_run))
        found = []
        for name, condition in CONDITIONS.items():
            spoilt = recovery.spoilt(
                np.random.default_rng([seed, 1]),
                gray[..., : 2 * len(R)],
                noise,
                physio=condition.physio,
                mixed=condition.mixed,
            )
            z, dimension = fitted(spoilt, noise, strategy=condition.strategy)
            found += [_rows(name, r, z[:, row], dimension[:, row]) for row, r in enumerate(R)]
    return pd.concat(found, ignore_index=True), 1 - noise.keep.mean(axis=1)


def fitted(series: Array, noise: recovery.Noise, *, strategy: str) -> tuple[Array, Array]:
    """Return Fisher z and effective dimension (run, pair) of runs (run, time, 2 * pair) under a confound strategy."""
    z, dimension = [], []
    for run, keep, confounds in zip(series, noise.keep, noise.confounds[strategy], strict=True):
        basis = residual_basis(confounds, t_r=recovery.T_R, band_hz=recovery.BAND, polynomial=1, keep=keep)
        frequencies, gain = band_gain(basis, t_r=recovery.T_R, band_hz=recovery.BAND, keep=keep)
        y = project(basis, run, keep=keep)
        dimension.append(effective_dimensions(y, pairs=PAIRS, laws=power_laws(gain, frequencies_hz=frequencies)))
        z.append(fisher_z(correlation(y)[tuple(np.transpose(PAIRS))]))
    return np.array(z), np.array(dimension)


def _rows(name: str, r: float, z: Array, dimension: Array) -> pd.DataFrame:
    se = fisher_z_se(dimension)
    estimates = {"value": z, "se": se, "ci_low": z - Z_95 * se, "ci_high": z + Z_95 * se}
    return pd.DataFrame({"marker": name, "level": f"r = {r:g}", "truth": np.arctanh(r), **estimates, "status": "ok"})


def sessions(n_session: int, *, seed: int, null: bool) -> pd.DataFrame:
    """Return truth, value and interval of all connectivity markers of sessions of two runs.

    With ``null`` no region is correlated with another, and nothing that the runs share is in the series but a drift.
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    planted = recovery.planted_correlation(rng)
    planted = np.eye(len(planted)) if null else planted
    noises = {"leak": 0.0, "physio": 0.0} if null else {}
    truth, rows = recovery.truth(planted), []
    with threadpool_limits(1):
        for start in range(0, n_session, BATCH):
            for data in recovery.sessions(rng, min(BATCH, n_session - start), planted, **noises):
                for marker in (*EDGE_MARKERS, FC_PARTIAL_Z, MPFC_HUB, NAC_SLOW5, SHIFT_REST, NETWORK_Z):
                    for level, estimate in marker.function(data).items():
                        edge = "_".join((marker.name.removesuffix("_z"), *level))
                        key = ("edge", edge) if marker in EDGE_MARKERS else (marker.name, *level)
                        rows.append(
                            {
                                "marker": "*_z" if key[0] == "edge" else marker.name,
                                "level": "_".join(key[1:]),
                                "truth": truth[key if len(key) > 1 else marker.name],
                                "value": estimate.value,
                                "se": estimate.se,
                                "ci_low": estimate.ci_low,
                                "ci_high": estimate.ci_high,
                                "status": "ok" if np.isfinite(estimate.value) else "fail",
                            }
                        )
    return pd.DataFrame(rows)
