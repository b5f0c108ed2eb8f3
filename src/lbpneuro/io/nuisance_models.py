"""The nuisance models of a run: which volumes are kept, and what each confound strategy of the settings leaves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.confounds import Confounds, find_strategy, select_confounds
from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.kernels.quality import kept_volumes
from lbpneuro.markers.bold import MODELS, WIDE, Nuisance

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("lbpneuro")

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NuisanceModels:
    """The models of a run by name, the regressors that each took out, and the volumes that all of them keep."""

    keep: NDArray[np.bool_]
    models: Mapping[str, Nuisance]
    regressors: Mapping[str, tuple[str, ...]]


@dataclass(slots=True, kw_only=True)
class _Bases:
    """The bases of a run, each computed once.

    ``extra`` holds further regressors (n_time,) or (n_time, k) of the brainstem models by name.
    """

    table: pd.DataFrame
    path: Path
    keep: NDArray[np.bool_]
    t_r: float
    settings: Mapping[str, Any]
    extra: Mapping[str, Array]
    known: dict[tuple[str, bool, tuple[float, float]], tuple[Array | None, tuple[str, ...]]] = field(
        default_factory=dict
    )

    def get(
        self, strategy: str, *, with_extra: bool, band_hz: tuple[float, float]
    ) -> tuple[Array | None, tuple[str, ...]]:
        """Return the basis of a strategy, None (and a line in the log) if it leaves too little, and its regressors."""
        key = (strategy, with_extra and bool(self.extra), band_hz)
        if key not in self.known:
            self.known[key] = self._computed(*key)
        return self.known[key]

    def _computed(
        self, strategy: str, with_extra: bool, band_hz: tuple[float, float]
    ) -> tuple[Array | None, tuple[str, ...]]:
        chosen = find_strategy(strategy, self.settings["confounds_custom"])
        confounds = select_confounds(self.table, self.path, strategy=chosen)
        extra = self.extra if with_extra else {}
        columns = [confounds.regressors, *(each.reshape(len(self.keep), -1) for each in extra.values())]
        names = (*confounds.names, *extra)
        try:
            basis = residual_basis(
                np.column_stack(columns),
                t_r=self.t_r,
                band_hz=band_hz,
                polynomial=self.settings["polynomial"],
                keep=self.keep,
            )
        except QualityError as error:
            log.warning("%s, %s: %s", self.path, strategy, error)
            return None, names
        return basis, names


def nuisance_models(
    table: pd.DataFrame,
    confounds: Confounds,
    *,
    t_r: float,
    settings: Mapping[str, Any],
    n_runs: int = 1,
    extra: Mapping[str, Array] | None = None,
) -> NuisanceModels:
    """Return every nuisance model of a run.

    A model has the strategy of the settings, or the fall-back where that leaves less than this run's share of
    ``dof_min``. Equal strategies share one basis.

    Parameters
    ----------
    table, confounds
        The confounds table of the run, and its head motion (those of any strategy).
    t_r
        Repetition time (s).
    settings
        The section ``functional`` of the settings.
    n_runs
        Number of runs of the session, which share the residual dimension that is asked for.
    extra
        Further regressors of the brainstem models by name, each (n_time,) or (n_time, k).

    Raises
    ------
    InputError
        If a strategy needs what the table lacks, naming file and column or pattern.
    """
    keep = volumes_to_keep(confounds, settings)
    bases = _Bases(table=table, path=confounds.path, keep=keep, t_r=t_r, settings=settings, extra=extra or {})
    low, high = settings["band_hz"]
    models, regressors = {}, {}
    for model in MODELS:
        wanted = settings["confounds_alternative" if model.endswith("_alternative") else "confounds"]
        first = wanted[model.removesuffix("_alternative")]
        models[model], regressors[model] = _chosen(
            bases,
            first,
            with_extra=model.startswith("brainstem"),
            band_hz=(low, high),
            least=settings["dof_min"] / n_runs,
        )
    cortical = models["cortical"]
    nyquist = 0.5 / t_r
    wide, regressors[WIDE] = bases.get(
        cortical.strategy, with_extra=False, band_hz=(min(settings["slow5"]["high_pass_hz"], nyquist / 2), nyquist)
    )
    models[WIDE] = Nuisance(strategy=cortical.strategy, basis=wide, reduced=cortical.reduced)
    return NuisanceModels(keep=keep, models=models, regressors=regressors)


def _chosen(
    bases: _Bases, first: str, *, with_extra: bool, band_hz: tuple[float, float], least: float
) -> tuple[Nuisance, tuple[str, ...]]:
    """Return the model of the first strategy that leaves enough, else of the last that was tried."""
    fallback = bases.settings["confounds_fallback"]
    for strategy in filter(None, (first, fallback)):
        basis, names = bases.get(strategy, with_extra=with_extra, band_hz=band_hz)
        nuisance = Nuisance(strategy=strategy, basis=basis, reduced=strategy != first)
        if basis is not None and basis.shape[1] >= least:
            break
    return nuisance, names


def volumes_to_keep(confounds: Confounds, settings: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the volumes that connectivity is computed of, the same for every model of the run.

    The limits are the strictest of the settings and of the strategies that the settings name, so that models are
    compared on the same data.

    Raises
    ------
    InputError
        If DVARS is asked for and the table has none.
    """
    named = [*settings["confounds"].values(), *settings["confounds_alternative"].values()]
    strategies = [find_strategy(name, settings["confounds_custom"]) for name in named]
    own = np.inf if settings["std_dvars_max"] is None else settings["std_dvars_max"]
    std_dvars_max = min([own, *(strategy.std_dvars_max for strategy in strategies)])
    if np.isfinite(std_dvars_max) and np.isnan(confounds.std_dvars).all():
        raise InputError(
            f"{confounds.path}: the column std_dvars is missing, but volumes with more than {std_dvars_max:g} are to "
            "be censored; choose another strategy than scrubbing, or set functional.std_dvars_max to null."
        )
    return kept_volumes(
        confounds.fd_jenkinson,
        steady=confounds.steady,
        threshold_mm=settings["fd_spike_mm"],
        std_dvars=confounds.std_dvars,
        std_dvars_max=std_dvars_max,
        segment_min=max([settings["segment_min_volumes"], *(strategy.segment_min_volumes for strategy in strategies)]),
    )
