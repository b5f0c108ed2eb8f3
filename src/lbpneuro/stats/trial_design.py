"""Who was randomised to what and measured when, and what improvement means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.outcomes import Outcome
from lbpneuro.stats.effect_size import Intervals

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

FEWEST = 5
"""People per arm below which nothing is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What improvement means for one outcome.

    Attributes
    ----------
    better
        ``lower``, ``higher``, or empty where nobody knows.
    mic, mic_share
        Minimal important change, absolute and as a share of the baseline; both must be reached.
    sem
        Standard error of measurement.
    reliability
        Instead of ``sem``: intraclass correlation, with the standard deviation at baseline of this study.
    recovered
        Cut-off beyond which a person counts as well.
    source
        Where the numbers come from.
    """

    better: str = ""
    mic: float | None = None
    mic_share: float = 0.0
    sem: float | None = None
    reliability: float | None = None
    recovered: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Who was randomised to what, when they were measured, and how to estimate.

    Attributes
    ----------
    arms
        Arm of every randomised person, by participant: the intention-to-treat set.
    control
        The arm the others are compared with.
    sessions
        In their order; the first is the baseline.
    covariates
        By participant; may have no column.
    how
        Intervals of effect sizes: noncentral_t, wald or bootstrap.
    seed, resamples
        Of the bootstrap.
    """

    arms: pd.Series
    control: str
    sessions: Sequence[str]
    covariates: pd.DataFrame
    how: Intervals = field(default_factory=Intervals)
    seed: int = 1
    resamples: int = 2000

    @property
    def treated(self) -> list[str]:
        """The other arms, by name."""
        return sorted(set(self.arms) - {self.control})


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One outcome of everybody: (n_person, n_session), in the order of the arms and sessions; NaN where unknown."""

    value: Array
    low: Array
    high: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where something is known of a value."""
        return np.isfinite(self.low) | np.isfinite(self.high)

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Where a value lies beyond a limit, whether or not that bounds it."""
        return np.asarray(~np.isnan(self.low) & ~np.isfinite(self.value))

    @property
    def unbounded(self) -> NDArray[np.bool_]:
        """Where a value lies beyond a limit that does not bound it."""
        return np.asarray(self.censored & ~self.known)


def check_design(design: Design) -> None:
    """Raise InputError if there is one session, or an arm has fewer than five people."""
    if len(design.sessions) < 2:
        raise InputError(
            f"there is one session, {', '.join(design.sessions)}, and so no change; a trial needs a baseline and a "
            "follow-up. Two groups at one time are compared by `lbpneuro compare`."
        )
    counts = design.arms.value_counts()
    small = counts[counts < FEWEST]
    if len(small):
        raise InputError(
            f"arm {small.index[0]} has {small.iloc[0]} people; {FEWEST} or more are needed. Leave the arm out of the "
            "column, or join it to another."
        )


def check_values(values: Values, outcome: Outcome, design: Design) -> None:
    """Raise InputError if nobody has a baseline, or nobody a follow-up."""
    if not values.known[:, 0].any():
        raise InputError(
            f"{outcome.name}: nobody has a value at baseline ({design.sessions[0]}); name the sessions in their order, "
            "the baseline first, or leave this outcome out."
        )
    if not values.known[:, 1:].any():
        raise InputError(f"{outcome.name}: nobody has a value at follow-up ({', '.join(design.sessions[1:])}).")


def values_of(table: pd.DataFrame, design: Design) -> Values:
    """Return the values of one outcome by person and session of the design."""
    parts = {}
    for name in ("value", "low", "high"):
        wide = table.pivot(index="participant_id", columns="session_id", values=name)
        parts[name] = wide.reindex(index=design.arms.index, columns=list(design.sessions)).to_numpy(dtype=np.float64)
    return Values(**parts)
