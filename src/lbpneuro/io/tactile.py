"""The tests of touch and left/right judgement of one session, from their trial tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.psychophysics import FILE_RUN, Trials, read_task
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tactile import Named, Pictures, Tactile, Touches, TwoPoint, is_fitted

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("lbpneuro")

UNKNOWN = "n/a"
Settings = Mapping[str, Any]


def read_tactile(files: Sequence[Path], settings: Settings) -> tuple[Tactile, list[str]]:
    """Return the tests of one session, and what is wrong with those that cannot be used, in words.

    What is wrong with one test leaves the others as they are.
    """
    found: dict[str, Any] = {}
    faults: dict[str, Reason] = {}
    problems: list[str] = []
    for task, (name, shape) in SHAPES.items():
        try:
            trials = read_task(files, task)
            if trials is not None:
                found[name] = shape(trials, settings)
        except InputError as error:
            log.error("%s", error)
            faults[task] = error.reason
            problems.append(str(error))
    return Tactile(settings=settings, faults=faults, **found), problems


def _placed(trials: Trials, settings: Settings, *, by: Mapping[str, str]) -> dict[Level, pd.DataFrame]:
    """Return the trials of the site of the settings by the columns ``by``, {column: key of the settings}.

    Raises
    ------
    InputError
        If nothing was tested at the site, or at a side or axis that the settings do not name.
    """
    table = trials.table
    if table["site"].notna().any():
        sites = sorted(set(table["site"].dropna()))
        table = table[table["site"] == settings["site"]]
        if table.empty:
            raise InputError(
                f"task {trials.task}: nothing was tested at the site {settings['site']}; there is {', '.join(sites)}. "
                "Set tactile.site."
            )
    table = table.assign(**{column: table[column].fillna(UNKNOWN) for column in by})
    for column, key in by.items():
        other = sorted(set(table[column]) - set(settings[key]))
        if other:
            raise InputError(
                f"task {trials.task}: {column} {', '.join(other)} is not among those of the settings (tactile.{key}: "
                f"{', '.join(settings[key])}); add it there, or fill the column."
            )
    return {tuple(map(str, level)): own for level, own in table.groupby(list(by), sort=True)}


def two_point(trials: Trials, settings: Settings) -> dict[Level, TwoPoint]:
    """Return two-point discrimination by side and axis; trials without an answer are left out."""
    places = _placed(trials, settings, by={"side": "sides", "axis": "axes"})
    return {level: _two_point(table) for level, table in places.items()}


def _two_point(table: pd.DataFrame) -> TwoPoint:
    answered = table[table["response"].notna()]
    caught = (answered["catch"] == 1) | (answered["distance_mm"] == 0)
    own = answered[~caught]
    run = own.groupby([FILE_RUN, "run"], sort=False).ngroup()
    way = own["direction"].map({"asc": 1.0, "desc": 0.0})
    told = way if way.notna().any() else own.groupby(run)["distance_mm"].transform(_way)
    return TwoPoint(
        distance=own["distance_mm"].to_numpy(dtype=np.float64),
        response=own["response"].to_numpy(dtype=np.int64),
        run=np.asarray(run, dtype=np.int64),
        ascending=np.asarray(told, dtype=np.float64),
        catches=int(caught.sum()),
        false_alarms=int((answered["response"][caught] == 2).sum()),
    )


def _way(distance: pd.Series) -> float:
    """1 if the distances of a run never fall, 0 if they never rise, NaN otherwise or where they stay."""
    steps = np.diff(distance.to_numpy(dtype=np.float64))
    if not steps.any():
        return np.nan
    return 1.0 if (steps >= 0).all() else 0.0 if (steps <= 0).all() else np.nan


def graph(trials: Trials, settings: Settings) -> dict[Level, Named]:
    """Return how many figures were named wrongly, by side; no answer is an error."""
    options = trials.metadata.get("NumberOfOptions")
    places = _placed(trials, settings, by={"side": "sides"})
    return {level: Named(errors=_wrong(table), n=len(table), options=options) for level, table in places.items()}


def _wrong(table: pd.DataFrame) -> int:
    told = table["correct"].notna()
    same = table["stimulus"].str.casefold() == table["response"].str.casefold()
    right = (table["correct"] == 1).where(told, same)
    return int((~right.astype(bool)).sum())


def touches(trials: Trials, settings: Settings) -> dict[Level, Touches]:
    """Return touched and perceived points by side, and how many fields were named wrongly."""
    return {level: _touches(table) for level, table in _placed(trials, settings, by={"side": "sides"}).items()}


def _touches(table: pd.DataFrame) -> Touches:
    points = {
        name: table[[f"{name}_x_mm", f"{name}_y_mm"]].to_numpy(dtype=np.float64) for name in ("actual", "perceived")
    }
    gridded = table[table["actual_field"].notna()]
    wrong = gridded["actual_field"] != gridded["perceived_field"]
    return Touches(**points, fields=Named(errors=int(wrong.sum()), n=len(gridded)))


def pictures(trials: Trials, settings: Settings) -> Pictures:
    """Return the left/right judgements within the limits of time; those too fast, too slow or not given are out."""
    table, part = trials.table, settings["body_part"]
    if part is not None:
        table = table[table["body_part"] == part]
        if table.empty:
            raise InputError(f"task {trials.task}: there are no pictures of {part}; set tactile.body_part.")
    low, high = settings["rt_ms"]
    valid = table["response"].notna() & table["rt_ms"].between(low, high)
    own = table[valid]
    return Pictures(
        time_ms=own["rt_ms"].to_numpy(dtype=np.float64),
        correct=(own["response"] == own["stimulus_side"]).to_numpy(dtype=bool),
        excluded=int((~valid).sum()),
    )


SHAPES: Mapping[str, tuple[str, Callable[[Trials, Settings], Any]]] = {
    "tpd": ("two_point", two_point),
    "graph": ("graph", graph),
    "loc": ("touches", touches),
    "laterality": ("pictures", pictures),
}


def methods(tests: Tactile) -> Callable[[str, Level], str]:
    """Return how a value came about, by the name of its marker and the level."""
    fit = f"psychometric function ({tests.settings['function']}, lapse rate {tests.settings['lapse']:g})"
    said = {
        "tpd_fit": fit,
        "lrj_accuracy": "share of the judgements within the limits of time",
        "lrj_rt": "median of right judgements",
        "lrj_inverse_efficiency": "median of right judgements over the share of right ones",
    }
    kinds = {
        "tpd": "mean of ascending and descending runs",
        "graph": "count of errors",
        "loc": "named minus touched points",
    }

    def method(marker: str, level: Level) -> str:
        points = tests.two_point.get(level)
        if marker == "tpd" and points is not None and is_fitted(points, tests.settings):
            return fit
        return said.get(marker, kinds.get(marker.split("_")[0], "from the trials"))

    return method
