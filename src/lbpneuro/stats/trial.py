"""Outcomes of a trial: adjusted differences, mixed models, effect sizes, responders and reliable change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, LbpneuroError
from lbpneuro.io.outcomes import Outcome
from lbpneuro.kernels.censored import tobit
from lbpneuro.kernels.effect_size import (
    bootstrap_interval,
    cohen_d,
    glass_delta,
    groups_of,
    hedges_g,
)
from lbpneuro.stats.effect_size import Intervals, sizes_of_counts, sizes_of_means
from lbpneuro.stats.mixed import Mixed, fit_mixed
from lbpneuro.stats.trial_design import FEWEST, Design, Rules, Values, check_design, check_values, values_of
from lbpneuro.stats.trial_people import ARM_COLUMNS, PEOPLE_COLUMNS, arm_rows, people_rows

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Row = dict[str, Any]

COLUMNS: dict[str, str] = {
    "outcome": "Column of the wide marker table, or tool.column of a phenotype table.",
    "session": "Follow-up; all: every follow-up together.",
    "arm": "Treated arm.",
    "control": "Arm it is compared with.",
    "estimator": "What was estimated; see EstimatorLevels.",
    "value": "Arm minus control.",
    "se": "Standard error; empty where the interval is not made from one.",
    "ci_low": "Lower limit of the interval.",
    "ci_high": "Upper limit of the interval.",
    "p": "Two-sided p-value; not adjusted for several outcomes.",
    "df": "Degrees of freedom of the t distribution.",
    "n_arm": "People of the arm in the estimate.",
    "n_control": "People of the control arm in the estimate.",
    "unit": "Unit of value, se and interval.",
    "favours": "arm or control, where the interval excludes no difference; neither; n/a: direction unknown.",
    "note": "Why there is no value, or what to know of it.",
}
ESTIMATORS: dict[str, str] = {
    "difference": "Difference of the means at follow-up, Welch.",
    "ancova": "Difference at follow-up adjusted for baseline and covariates, least squares, HC3 errors.",
    "ancova_tobit": "The same by maximum likelihood where values lie beyond a limit.",
    "mixed": "Difference at one follow-up from the mixed model of all follow-ups: time x arm, baseline x time, "
    "covariates, a random intercept per person, REML; missing follow-ups at random given what was seen.",
    "mmrm": "The same with a free (unstructured) covariance of the follow-ups in the place of the random intercept.",
    "mixed_average": "Mean of these differences over the follow-ups.",
    "time_by_arm": "Test that the difference is the same at all follow-ups (Wald chi-squared in value).",
    "d": "Cohen's d at follow-up.",
    "g": "Hedges' g at follow-up.",
    "glass_delta": "Glass's delta at follow-up, standard deviation of the control arm.",
    "d_change": "Difference of the changes over the standard deviation of the change.",
    "dppc2": "Difference of the changes over the standard deviation at baseline, corrected (Morris).",
    "risk_difference": "Difference of the shares of responders among people with a follow-up, Newcombe.",
    "risk_difference_missing_no": "The same among all randomised, people without follow-up taken as no responders.",
    "risk_ratio": "Ratio of these shares among people with a follow-up.",
    "number_needed": "Number needed to treat for one more responder; negative: harm. Limits may pass infinity.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The three tables of a trial: comparisons, arms and people."""

    comparisons: pd.DataFrame
    arms: pd.DataFrame
    people: pd.DataFrame


def analyse(table: pd.DataFrame, outcomes: Sequence[Outcome], *, design: Design, rules: Mapping[str, Rules]) -> Result:
    """Return the analysis of a trial.

    Parameters
    ----------
    table
        Values as `lbpneuro.io.outcomes.read_outcomes` returns them.
    outcomes
        What they are.
    design
        Arms, sessions, covariates, intervals.
    rules
        Per outcome what improvement means; of one without rules the differences are estimated all the same.

    Raises
    ------
    InputError
        If there is no follow-up, nobody has a baseline, or an arm has fewer than five people.
    """
    import pandas as pd

    check_design(design)
    comparisons: list[Row] = []
    arms: list[Row] = []
    people: list[Row] = []
    for outcome in outcomes:
        values = values_of(table[table["outcome"] == outcome.name], design)
        check_values(values, outcome, design)
        own = rules.get(outcome.name, Rules(better=outcome.better))
        persons = people_rows(values, outcome, design, own)
        people += persons
        arms += arm_rows(values, outcome, design, persons)
        comparisons += _comparisons(values, outcome, design, own, persons)
    return Result(
        comparisons=pd.DataFrame(comparisons, columns=list(COLUMNS)),
        arms=pd.DataFrame(arms, columns=list(ARM_COLUMNS)),
        people=pd.DataFrame(people, columns=list(PEOPLE_COLUMNS)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One treated arm against the control, of one outcome at one follow-up; ``first`` and ``second`` are who."""

    outcome: Outcome
    rules: Rules
    session: str
    arm: str
    control: str
    first: NDArray[np.bool_]
    second: NDArray[np.bool_]

    @property
    def both(self) -> NDArray[np.bool_]:
        """Who belongs to one of the two arms."""
        return np.asarray(self.first | self.second)

    def row(self, estimator: str, found: Mapping[str, Any], *, n: Sequence[float], unit: str = "1") -> Row:
        """Return a row of the table of comparisons."""
        numbers = {name: found.get(name) for name in ("value", "se", "ci_low", "ci_high", "p", "df", "note")}
        return {
            "outcome": self.outcome.name,
            "session": self.session,
            "arm": self.arm,
            "control": self.control,
            "estimator": estimator,
            **numbers,
            "n_arm": n[0],
            "n_control": n[1],
            "unit": unit,
            "favours": favours(estimator, found, better=self.rules.better),
        }


def favours(estimator: str, found: Mapping[str, Any], *, better: str) -> str | None:
    """Return which arm an interval speaks for: ``arm``, ``control``, ``neither``; None where nobody can tell."""
    low, high = found.get("ci_low"), found.get("ci_high")
    if low is None or high is None or not better or estimator in ("number_needed", "time_by_arm"):
        return None
    null = 1.0 if estimator == "risk_ratio" else 0.0
    if not (low > null or high < null):
        return "neither"
    # more responders are better whatever the outcome
    up = better == "higher" or estimator.startswith("risk_")
    return "arm" if (low > null) == up else "control"


def _comparisons(values: Values, outcome: Outcome, design: Design, rules: Rules, people: Sequence[Row]) -> list[Row]:
    rows = []
    mixed, free = _mixed(values, design), _mixed(values, design, free=True)
    for arm in design.treated:
        over_time = Contrast(
            outcome=outcome,
            rules=rules,
            session="all",
            arm=arm,
            control=design.control,
            first=(design.arms == arm).to_numpy(),
            second=(design.arms == design.control).to_numpy(),
        )
        for place, session in enumerate(design.sessions[1:], start=1):
            contrast = replace(over_time, session=session)
            rows += _adjusted(values, place, contrast, design)
            for name, model in (("mixed", mixed), ("mmrm", free)):
                rows.append(_of_mixed(name, contrast, model, design.treated.index(arm), place - 1))
            rows += _standardised(values, place, contrast, design)
            rows += _shares(contrast, people, level=design.how.level)
        rows += _over_time(over_time, mixed, design.treated.index(arm))
    return rows


def _both(values: Values, place: int, contrast: Contrast) -> tuple[NDArray[np.bool_], list[float]]:
    """Return who of everybody has baseline and follow-up, and their number in the two arms."""
    there = values.known[:, 0] & values.known[:, place]
    return there, [float((there & who).sum()) for who in (contrast.first, contrast.second)]


def _adjusted(values: Values, place: int, contrast: Contrast, design: Design) -> list[Row]:
    """Return the adjusted difference: of people with baseline, follow-up and covariates."""
    there, n = _both(values, place, contrast)
    covariates = design.covariates.reindex(design.arms.index).to_numpy(dtype=np.float64)
    there = there & np.isfinite(covariates).all(axis=1)
    n = [float((there & who).sum()) for who in (contrast.first, contrast.second)]
    unit = contrast.outcome.unit
    beyond = values.censored[:, place].any()  # of all arms, for one model holds them all
    name = "ancova_tobit" if beyond else "ancova"
    if note := _not_adjusted(values, place, n):
        return [contrast.row(name, {"note": note}, n=n, unit=unit)]
    columns = [np.ones(len(there)), *((design.arms == arm).to_numpy(dtype=float) for arm in design.treated)]
    x = np.column_stack([*columns, values.value[:, 0], covariates])[there]
    weights = np.zeros(x.shape[1])
    weights[1 + design.treated.index(contrast.arm)] = 1.0
    low, high = values.low[there, place], values.high[there, place]
    try:
        if beyond:
            found = _tobit(low, high, x, weights, level=design.how.level)
        else:
            found = adjusted_difference(low, x, weights, level=design.how.level)
    except (LbpneuroError, np.linalg.LinAlgError) as error:
        found = {"note": str(error)}
    return [contrast.row(name, found, n=n, unit=unit)]


def _not_adjusted(values: Values, place: int, n: Sequence[float]) -> str | None:
    """Return why there is no adjusted difference, if there is none."""
    if min(n) < FEWEST:
        return _few(n)
    if values.censored[:, 0].any():
        return "baselines lie beyond a limit, and cannot be adjusted for"
    if values.unbounded[:, place].any():
        return "values lie beyond a limit that does not bound them, and cannot be compared without them"
    return None


def _few(n: Iterable[float]) -> str:
    counts = " and ".join(f"{count:g}" for count in n)
    return f"{counts} people in the two arms; {FEWEST} in each are needed"


def adjusted_difference(y: Array, design: Array, weights: Array, *, level: float) -> Row:
    """Return a weighted sum of least-squares coefficients with HC3 errors and Student's t (statsmodels).

    Parameters
    ----------
    y : (n_person,)
    design : (n_person, n_column)
    weights : (n_column,)
    level
        Of the interval.

    Raises
    ------
    InputError
        If the columns depend on each other.
    """
    import statsmodels.api as sm

    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError("baseline, arm and covariates depend on each other; leave a covariate out")
    fit = sm.OLS(y, design).fit(cov_type="HC3", use_t=True)
    test = fit.t_test(weights)
    low, high = test.conf_int(alpha=1 - level)[0]
    return {
        "value": float(np.squeeze(test.effect)),
        "se": float(np.squeeze(test.sd)),
        "ci_low": float(low),
        "ci_high": float(high),
        "p": float(test.pvalue),
        "df": float(fit.df_resid),
    }


def _tobit(low: Array, high: Array, x: Array, weights: Array, *, level: float) -> Row:
    fit = tobit(low, high, design=x)
    value, se, ci_low, ci_high, p = fit.contrast(weights, level=level)
    beyond = int(np.count_nonzero(low != high))
    note = f"{beyond} of {len(low)} values lie beyond a limit"
    return {"value": value, "se": se, "ci_low": ci_low, "ci_high": ci_high, "p": p, "df": fit.df, "note": note}


def _mixed(values: Values, design: Design, *, free: bool = False) -> Mixed | str:
    """Return the mixed model of all follow-ups, or why there is none."""
    if len(design.sessions) < 3:
        return "one follow-up: the mixed model is the adjusted difference"
    if values.censored.any():
        return "values lie beyond a limit; a mixed model would average them"
    arms = np.array([design.arms == arm for arm in design.treated], dtype=np.float64).T
    covariates = design.covariates.reindex(design.arms.index).to_numpy(dtype=np.float64)
    return fit_mixed(
        values.value, arms=np.asarray(arms, dtype=np.float64), covariates=covariates, level=design.how.level, free=free
    )


def _of_mixed(name: str, contrast: Contrast, mixed: Mixed | str, arm: int, follow: int) -> Row:
    unit = contrast.outcome.unit
    if isinstance(mixed, str):
        return contrast.row(name, {"note": mixed}, n=(np.nan, np.nan), unit=unit)
    n = mixed.people(contrast.first, contrast.second)
    return contrast.row(name, mixed.at(arm, follow), n=n, unit=unit)


def _over_time(contrast: Contrast, mixed: Mixed | str, arm: int) -> list[Row]:
    if isinstance(mixed, str):
        return []
    n = mixed.people(contrast.first, contrast.second)
    average = contrast.row("mixed_average", mixed.average(arm), n=n, unit=contrast.outcome.unit)
    return [average, contrast.row("time_by_arm", mixed.interaction(arm), n=n)]


def _standardised(values: Values, place: int, contrast: Contrast, design: Design) -> list[Row]:
    """Return the difference of the means and the effect sizes; of change those of people with both values."""
    both, n_both = _both(values, place, contrast)
    there = values.known[:, place]
    n = [float((there & who).sum()) for who in (contrast.first, contrast.second)]
    if min(n) < FEWEST or values.censored[contrast.both, place].any():
        note = _few(n) if min(n) < FEWEST else "values lie beyond a limit; there is no mean of a bound"
        return [contrast.row(name, {"note": note}, n=n) for name in ("difference", "g")]
    try:
        found = sizes_of_means(_groups(values.value[:, place], there, contrast), how=_closed(design.how))
        change = _sizes_of_change(values, place, contrast, both, design)
    except InputError as error:
        return [contrast.row(name, {"note": str(error)}, n=n) for name in ("difference", "g")]
    if design.how.method == "bootstrap":
        found |= _bootstrapped(values, place, contrast, there, design)
    difference = found.pop("difference")
    rows = [contrast.row("difference", difference, n=n, unit=contrast.outcome.unit)]
    rows += [contrast.row(name, size, n=n) for name, size in found.items()]
    return rows + [contrast.row(name, size, n=n_both) for name, size in change.items()]


def _closed(how: Intervals) -> Intervals:
    return Intervals(level=how.level) if how.method == "bootstrap" else how


def _groups(column: Array, there: NDArray[np.bool_], contrast: Contrast) -> Any:
    return groups_of(column[there & contrast.first], column[there & contrast.second])


def _sizes_of_change(
    values: Values, place: int, contrast: Contrast, both: NDArray[np.bool_], design: Design
) -> dict[str, Row]:
    """Return d of change and dppc2 of the people with both values, with the correlation seen in each arm."""
    if (
        min((both & who).sum() for who in (contrast.first, contrast.second)) < FEWEST
        or values.censored[contrast.both, 0].any()
    ):
        return {}
    before, after = (_groups(values.value[:, when], both, contrast) for when in (0, place))
    r = [
        np.corrcoef(values.value[both & who][:, [0, place]], rowvar=False)[0, 1]
        for who in (contrast.first, contrast.second)
    ]
    found = sizes_of_means(after, before=before, r=np.array(r), how=_closed(design.how))
    return {name: found[name] for name in ("d_change", "dppc2")}


EFFECTS: dict[str, Callable[[Array, Array], Any]] = {
    "d": lambda first, second: cohen_d(groups_of(first, second)).value,
    "g": lambda first, second: hedges_g(groups_of(first, second)).value,
    "glass_delta": lambda first, second: glass_delta(groups_of(first, second)).value,
}


def _bootstrapped(
    values: Values, place: int, contrast: Contrast, there: NDArray[np.bool_], design: Design
) -> dict[str, Row]:
    """Return the effect sizes at follow-up with bootstrap intervals; each has its own stream of random numbers."""
    samples = [values.value[there & who, place] for who in (contrast.first, contrast.second)]
    found = {}
    for name, effect in EFFECTS.items():
        rng = np.random.default_rng([design.seed, place, *(contrast.outcome.name + contrast.arm + name).encode()])
        low, high = bootstrap_interval(
            *samples, effect=effect, rng=rng, n_resamples=design.resamples, level=design.how.level
        )
        found[name] = {"value": float(effect(*samples)), "ci_low": low, "ci_high": high, "note": "bootstrap interval"}
    return found


def _shares(contrast: Contrast, people: Sequence[Row], *, level: float) -> list[Row]:
    """Return how the shares of responders differ; nothing without a rule for responders."""
    own = [row for row in people if row["session"] == contrast.session and np.isfinite(row["responder"])]
    sides = [[row["responder"] for row in own if row["arm"] == arm] for arm in (contrast.arm, contrast.control)]
    n = [float(len(side)) for side in sides]
    if min(n) < FEWEST:
        return []
    count = [float(sum(side)) for side in sides]
    seen = sizes_of_counts(count, n=n, level=level)
    randomised = [float(contrast.first.sum()), float(contrast.second.sum())]
    strict = sizes_of_counts(count, n=randomised, level=level)["risk_difference"]
    needed = seen["number_needed"]
    return [
        contrast.row("risk_difference", seen["risk_difference"], n=n),
        contrast.row("risk_difference_missing_no", strict, n=randomised),
        contrast.row("risk_ratio", seen["risk_ratio"], n=n),
        contrast.row("number_needed", {**needed, "note": needed["text"]}, n=n),
    ]


def intention_to_treat(result: Result, design: Design) -> list[str]:
    """Return sentences that say who was randomised and who was analysed, per arm, and what is assumed of the rest."""
    randomised = ", ".join(f"{arm} {count}" for arm, count in design.arms.value_counts().sort_index().items())
    last = result.arms[result.arms["session"] == design.sessions[-1]]
    seen = "; ".join(
        f"{outcome}: " + ", ".join(f"{row.arm} {row.n}" for row in rows.itertuples())
        for outcome, rows in last.groupby("outcome", sort=False)
    )
    assumed = (
        "The mixed model uses everybody with a baseline and a follow-up, and takes missing follow-ups as missing at "
        "random given baseline, arm, covariates and the other follow-ups. The adjusted difference uses people with a "
        "baseline and that follow-up. Nobody's value is imputed."
    )
    return [
        f"Intention to treat: everybody is analysed in the arm of their randomisation ({randomised}).",
        f"Values at {design.sessions[-1]}: {seen}.",
        assumed,
    ]
