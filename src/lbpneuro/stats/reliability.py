"""How well the markers of one study repeat between sessions, and which changes exceed the error of measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import Status
from lbpneuro.kernels.reliability import intraclass_correlation, measurement_error
from lbpneuro.registry import INDEX_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "marker": "Marker.",
    **dict.fromkeys(INDEX_COLUMNS, "Level of the marker."),
    "sessions": "Sessions that were compared.",
    "n": "People with a value in both.",
    "mean_change": "Mean of the later minus the earlier session, in the unit of the marker.",
    "icc": "Intraclass correlation of single measurements, absolute agreement: ICC(A,1).",
    "icc_low": "Lower limit of its 95 % interval.",
    "icc_high": "Upper limit of its 95 % interval.",
    "sem": "Standard error of measurement (agreement), in the unit of the marker.",
    "sem_low": "Lower limit of its 95 % interval.",
    "sem_high": "Upper limit of its 95 % interval.",
    "mdc95": "Smallest detectable change of one person: 1.96 sqrt(2) SEM.",
    "mdc95_low": "Lower limit of its 95 % interval.",
    "mdc95_high": "Upper limit of its 95 % interval.",
    "n_beyond": "People whose change exceeds it.",
}
CHANGE_COLUMNS = {
    "participant_id": "Participant.",
    "marker": "Marker.",
    **dict.fromkeys(INDEX_COLUMNS, "Level of the marker."),
    "sessions": "Sessions that were compared.",
    "change": "Later minus earlier session, in the unit of the marker.",
    "mdc95": "Smallest detectable change in this study.",
    "beyond": "1: the change exceeds it.",
}
MEANING = (
    "Sessions of one study are compared as they come: what happened between them (treatment, recovery) counts as "
    "error. "
    "ICC and smallest detectable change describe the measurement only where nothing was meant to change."
)
USABLE = (str(Status.OK), str(Status.FLAG))
PEOPLE_MIN = 3


def reliability(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return agreement per marker level and pair of successive sessions, and the change of every person.

    Parameters
    ----------
    table
        The long marker table of a study. Values with status ok and flag are used.

    Returns
    -------
    agreement, changes
        With the columns of ``COLUMNS`` and ``CHANGE_COLUMNS``; no rows in a study with one session.
    """
    import pandas as pd

    pairs = list(_pairs(table))
    agreement = pd.DataFrame([row for row, _ in pairs], columns=list(COLUMNS))
    changes = [change for _, change in pairs]
    empty = pd.DataFrame(columns=list(CHANGE_COLUMNS))
    return agreement, pd.concat(changes, ignore_index=True)[list(CHANGE_COLUMNS)] if changes else empty


def _pairs(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The comparison of every marker level in every two successive sessions."""
    sessions = sorted(table["session_id"].dropna().unique())
    if len(sessions) < 2:
        return
    used = table[table["status"].isin(USABLE) & table["session_id"].notna()]
    keys = ["marker", *(name for name in INDEX_COLUMNS if name in used)]
    for key, rows in used.groupby(keys, sort=False, dropna=False, observed=True):
        wide = rows.pivot_table(index="participant_id", columns="session_id", values="value", observed=True)
        level = dict(zip(keys, key, strict=True))
        for first, second in pairwise(sessions):
            if {first, second} <= set(wide.columns):
                both = wide[[first, second]].dropna()
                if len(both) >= PEOPLE_MIN:
                    yield _compared(both, {**level, "sessions": f"{first}, {second}"})


def _compared(both: pd.DataFrame, level: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    values = both.to_numpy(dtype=float)
    icc, error = intraclass_correlation(values, kind="2,1"), measurement_error(values)
    change = values[:, 1] - values[:, 0]
    beyond = np.abs(change) > error.mdc95
    numbers = {
        "n": len(both),
        "mean_change": float(change.mean()),
        "icc": icc.icc,
        "icc_low": icc.ci_low,
        "icc_high": icc.ci_high,
        "sem": error.sem,
        "sem_low": error.sem_low,
        "sem_high": error.sem_high,
        "mdc95": error.mdc95,
        "mdc95_low": error.mdc95_interval[0],
        "mdc95_high": error.mdc95_interval[1],
        "n_beyond": int(beyond.sum()),
    }
    people = both.reset_index()[["participant_id"]].assign(
        **level, change=change, mdc95=error.mdc95, beyond=beyond.astype(int)
    )
    return {**level, **numbers}, people.reindex(columns=list(CHANGE_COLUMNS))


def sentence(agreement: pd.DataFrame, *, markers: Sequence[str]) -> str:
    """Return how many marker levels were compared, in words, and the median agreement of some ``markers``."""
    if agreement.empty:
        return "No marker was measured in two sessions of at least three people."
    chosen = agreement[agreement["marker"].isin(markers)]
    median = float(chosen["icc"].median()) if len(chosen) else float("nan")
    text = f"{len(agreement)} comparisons of {agreement['marker'].nunique()} markers between successive sessions"
    return f"{text}; median ICC(A,1) of primary markers {median:.2f}." if np.isfinite(median) else f"{text}."
