"""Groups compared where some values lie beyond a limit: no mean is ever taken over a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from lbpneuro.errors import InputError, LbpneuroError
from lbpneuro.io.outcomes import Outcome
from lbpneuro.kernels.censored import gehan_test, tobit
from lbpneuro.kernels.effect_size import effect_interval, groups_of, hedges_g
from lbpneuro.stats.effect_size import mean_difference
from lbpneuro.stats.trial import adjusted_difference

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Row = dict[str, Any]

COLUMNS: dict[str, str] = {
    "outcome": "Column of the wide marker table, or tool.column of a phenotype table.",
    "session": "Session.",
    "group": "Group.",
    "reference": "Group it is compared with; n/a: the row is about the group alone.",
    "estimator": "What was estimated; see EstimatorLevels.",
    "value": "The estimate; of a comparison group minus reference.",
    "se": "Standard error.",
    "ci_low": "Lower limit of the interval.",
    "ci_high": "Upper limit of the interval.",
    "p": "Two-sided p-value; not adjusted for several outcomes.",
    "df": "Degrees of freedom of the t distribution.",
    "n_group": "People of the group with a value or a bound.",
    "n_reference": "People of the reference with a value or a bound.",
    "n_censored": "Of all these, people whose value lies beyond a limit.",
    "unit": "Unit of value, se and interval.",
    "note": "Why there is no value, or what to know of it.",
}
ESTIMATORS: dict[str, str] = {
    "mean": "Mean, Student's t.",
    "mean_tobit": "Mean by maximum likelihood, errors normal, where values lie beyond a limit.",
    "median": "Median by Kaplan-Meier, interval by its complementary log-log limits; n/a where more than half lie "
    "beyond a limit.",
    "difference": "Difference of the means, Welch.",
    "difference_adjusted": "Difference adjusted for covariates, least squares, HC3.",
    "difference_tobit": "Difference by maximum likelihood where values lie beyond a limit, adjusted for covariates.",
    "g": "Hedges' g, interval by the noncentral t.",
    "superiority": "Chance that someone of the group has a larger value than someone of the reference, pairs that "
    "cannot be told counted half; p by Gehan's test.",
    "log_rank": "Chi-squared of the log-rank test, where values lie beyond a limit on one side.",
}
FEWEST = 3
"""Values per group below which nothing is estimated."""
FEW_MEASURED = 8
"""Measured values per group below which the likelihood has little to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Bounds of the values of one outcome at one session: (n_person,) each, and who they belong to."""

    low: Array
    high: Array
    group: NDArray[np.str_]
    covariates: Array

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Where only bounds are known."""
        return np.asarray(self.low != self.high)

    def of(self, name: str) -> NDArray[np.bool_]:
        """Return who belongs to a group."""
        return np.asarray(self.group == name)


def compare(
    table: pd.DataFrame,
    outcomes: Sequence[Outcome],
    *,
    groups: pd.Series,
    reference: str,
    covariates: pd.DataFrame,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return every group alone and against the reference, per outcome and session.

    Parameters
    ----------
    table, outcomes
        Of `lbpneuro.io.outcomes.read_outcomes`.
    groups
        Group of every participant.
    reference
        The group the others are compared with.
    covariates
        By participant; people who lack one are left out of the difference. May have no column.
    level
        Of the intervals.
    """
    import pandas as pd

    rows: list[Row] = []
    order = [reference, *sorted(set(groups) - {reference})]
    for outcome in outcomes:
        own = table[(table["outcome"] == outcome.name) & table["participant_id"].isin(groups.index)]
        for session, at in own.groupby("session_id", sort=True):
            bounded = np.isfinite(at["low"]) | np.isfinite(at["high"])
            sample = _sample(at[bounded], groups, covariates)
            shared = {"outcome": outcome.name, "session": session}
            found = [row for name in order for row in _alone(sample, name, unit=outcome.unit, level=level)]
            for name in order[1:]:
                found += _against(sample, name, reference, unit=outcome.unit, level=level)
            lost = groups.loc[at["participant_id"][~bounded]].value_counts().to_dict()
            rows += [{**shared, **row, "note": _with_lost(row, lost)} for row in found]
    if not rows:
        raise InputError("nobody in a group has a value of these outcomes; check the column of the groups.")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _with_lost(row: Row, lost: dict[Any, int]) -> str | None:
    """Return the note of a row, and how many people are not in it because their limit does not bound the value."""
    count = lost.get(row["group"], 0) + lost.get(row.get("reference"), 0)
    said = [row["note"]] if row.get("note") else []
    said += [f"{count} people are left out, whose limit does not bound this value"] if count else []
    return "; ".join(said) or None


def _sample(table: pd.DataFrame, groups: pd.Series, covariates: pd.DataFrame) -> Sample:
    who = table["participant_id"]
    return Sample(
        low=table["low"].to_numpy(dtype=np.float64),
        high=table["high"].to_numpy(dtype=np.float64),
        group=groups.loc[who].to_numpy(dtype=str),
        covariates=covariates.reindex(who).to_numpy(dtype=np.float64),
    )


# -- one group --------------------------------------------------------------------------------------------------------


def _alone(sample: Sample, name: str, *, unit: str, level: float) -> list[Row]:
    who = sample.of(name)
    low, high = sample.low[who], sample.high[who]
    counts = {"group": name, "n_group": int(who.sum()), "n_censored": int((low != high).sum()), "unit": unit}
    beyond = bool(counts["n_censored"])
    mean = "mean_tobit" if beyond else "mean"
    if who.sum() < FEWEST:
        note = f"{int(who.sum())} people; {FEWEST} are needed"
        return [{**counts, "estimator": name_, "note": note} for name_ in (mean, "median")]
    return [
        {**counts, "estimator": mean, **_mean(low, high, level=level)},
        {**counts, "estimator": "median", **_median(low, high, level=level)},
    ]


def _mean(low: Array, high: Array, *, level: float) -> Row:
    """Return the mean of one group: of measured values by Student's t, else by maximum likelihood."""
    try:
        fit = tobit(low, high, design=np.ones((len(low), 1)))
    except LbpneuroError as error:
        return {"note": str(error)}
    value, se, ci_low, ci_high, _ = fit.contrast([1.0], level=level)
    return {"value": value, "se": se, "ci_low": ci_low, "ci_high": ci_high, "df": fit.df, "note": _few(low, high)}


def _few(low: Array, high: Array) -> str | None:
    measured = int((low == high).sum())
    if measured == len(low) or measured >= FEW_MEASURED:
        return None
    return f"{measured} measured values: the likelihood has little to go on, read median and ranks"


def kaplan_meier_median(low: Array, high: Array, *, level: float) -> tuple[float, float, float]:
    """Return the median and its interval of values beyond a limit on one side (statsmodels); NaN where not reached.

    Left-censored values are turned, so that the limit of detection is treated as the maximum of a device is.

    Raises
    ------
    InputError
        If values lie beyond limits on both sides, or between two.
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    right, left = np.isinf(high), np.isinf(low)
    if (right.any() and left.any()) or ((low != high) & ~right & ~left).any():
        raise InputError("values lie beyond limits on both sides; there is no Kaplan-Meier median")
    sign = -1.0 if left.any() else 1.0
    times, measured = sign * np.where(left, high, low), (low == high).astype(int)
    # statsmodels takes only positive times; the median moves with the shift
    shift = 1.0 - times.min()
    curve = SurvfuncRight(times + shift, measured)
    with np.errstate(all="ignore"):
        ends = curve.quantile_ci(0.5, alpha=1 - level, method="cloglog")
        found = [float(curve.quantile(0.5)), *map(float, ends)]
    value, near, far = (sign * (number - float(shift)) for number in found)
    return (value, near, far) if sign > 0 else (value, far, near)


def _median(low: Array, high: Array, *, level: float) -> Row:
    try:
        value, ci_low, ci_high = kaplan_meier_median(low, high, level=level)
    except InputError as error:
        return {"note": str(error)}
    note = None if np.isfinite(value) else "more than half of the values lie beyond the limit"
    return {"value": value, "ci_low": ci_low, "ci_high": ci_high, "note": note}


# -- two groups -------------------------------------------------------------------------------------------------------


def _against(sample: Sample, name: str, reference: str, *, unit: str, level: float) -> list[Row]:
    who = sample.of(name) | sample.of(reference)
    low, high, first = sample.low[who], sample.high[who], sample.of(name)[who]
    beyond = bool((low != high).any())
    counts: Row = {
        "group": name,
        "reference": reference,
        "n_group": int(first.sum()),
        "n_reference": int((~first).sum()),
        "n_censored": int((low != high).sum()),
    }
    if min(counts["n_group"], counts["n_reference"]) < FEWEST:
        note = f"{counts['n_group']} and {counts['n_reference']} people; {FEWEST} in each are needed"
        return [{**counts, "estimator": "superiority", "unit": "1", "note": note}]
    rows = [_difference(sample, who, first, counts, unit=unit, level=level)]
    if not beyond:
        rows.append({**counts, "estimator": "g", "unit": "1", **_standardised(low[first], low[~first], level=level)})
    ranks = gehan_test(low, high, first=first)
    told = f"{ranks.told:.0%} of the pairs can be told" if beyond else None
    rows.append(
        {**counts, "estimator": "superiority", "unit": "1", "value": ranks.superiority, "p": ranks.p, "note": told}
    )
    if beyond:
        rows.append({**counts, "estimator": "log_rank", "unit": "1", **_log_rank(low, high, first)})
    return rows


def _difference(
    sample: Sample, who: NDArray[np.bool_], first: NDArray[np.bool_], counts: Row, *, unit: str, level: float
) -> Row:
    """Return the difference of the means, adjusted for covariates where there are any; of people who have them."""
    known = np.isfinite(sample.covariates[who]).all(axis=1)
    low, high, first = sample.low[who][known], sample.high[who][known], first[known]
    there = {"n_group": int(first.sum()), "n_reference": int((~first).sum()), "n_censored": int((low != high).sum())}
    beyond, adjusted = bool((low != high).any()), sample.covariates.shape[1] > 0
    estimator = "difference_tobit" if beyond else "difference_adjusted" if adjusted else "difference"
    head = {**counts, **there, "estimator": estimator, "unit": unit}
    if min(there["n_group"], there["n_reference"]) < FEWEST:
        return {**head, "note": f"{FEWEST} people with covariates are needed in each group"}
    design = np.column_stack([np.ones(len(low)), first, sample.covariates[who][known]])
    weights = np.eye(design.shape[1])[1]
    try:
        if beyond:
            fit = tobit(low, high, design=design)
            value, se, ci_low, ci_high, p = fit.contrast(weights, level=level)
            few = _few(low[first], high[first]) or _few(low[~first], high[~first])
            found = {"value": value, "se": se, "ci_low": ci_low, "ci_high": ci_high, "p": p, "df": fit.df, "note": few}
        elif adjusted:
            found = adjusted_difference(low, design, weights, level=level)
        else:
            found = _welch(low[first], low[~first], level=level)
    except LbpneuroError as error:
        found = {"note": str(error)}
    return {**head, **found}


def _welch(first: Array, second: Array, *, level: float) -> Row:
    found = mean_difference(groups_of(first, second), level=level)
    p = 2 * float(scipy.stats.t.sf(abs(found["value"]) / found["se"], found["df"]))
    return {**found, "p": p}


def _standardised(first: Array, second: Array, *, level: float) -> Row:
    try:
        effect = hedges_g(groups_of(first, second))
    except InputError as error:
        return {"note": str(error)}
    low, high = effect_interval(effect, level=level)
    return {"value": float(effect.value), "se": float(effect.se), "ci_low": float(low), "ci_high": float(high)}


def _log_rank(low: Array, high: Array, first: NDArray[np.bool_]) -> Row:
    """Return the log-rank test of values beyond a limit on one side (statsmodels)."""
    from statsmodels.duration.survfunc import survdiff

    right, left = np.isinf(high), np.isinf(low)
    if (right.any() and left.any()) or ((low != high) & ~right & ~left).any():
        return {"note": "values lie beyond limits on both sides; read the superiority"}
    times = -high if left.any() else low
    if not (low == high).any():
        return {"note": "nobody has a measured value"}
    statistic, p = survdiff(times - times.min() + 1.0, (low == high).astype(int), first.astype(int))
    return {"value": float(statistic), "p": float(p)}
