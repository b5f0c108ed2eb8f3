"""Every person's change against measurement error, and what became of every arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.outcomes import Outcome
from lbpneuro.kernels.reliable_change import (
    change_classes,
    minimal_detectable_change,
    reliable_change_index,
    standard_error_of_measurement,
)
from lbpneuro.kernels.responders import responders
from lbpneuro.stats.trial_design import Design, Rules, Values

Array = NDArray[np.float64]
Row = dict[str, Any]

ARM_COLUMNS: dict[str, str] = {
    "outcome": "Column of the wide marker table, or tool.column of a phenotype table.",
    "session": "Session.",
    "arm": "Arm.",
    "n_randomised": "People of the arm: the intention-to-treat set.",
    "n": "People with a value, censored ones included.",
    "n_censored": "People whose value lies beyond a limit; there are no mean and standard deviation then.",
    "mean": "Mean.",
    "sd": "Standard deviation (ddof 1).",
    "ci_low": "Lower limit of the 95 % interval of the mean, Student's t.",
    "ci_high": "Upper limit of the 95 % interval of the mean.",
    "mean_change": "Mean change from baseline.",
    "sd_change": "Standard deviation of the change.",
    "responders": "People who improved by the minimal important change and its share.",
    "recovered": "Reliably improved and past the cut-off.",
    "improved": "Reliably improved.",
    "unchanged": "Changed by less than measurement error.",
    "deteriorated": "Reliably worse.",
}
PEOPLE_COLUMNS: dict[str, str] = {
    "participant_id": "Participant.",
    "outcome": "Column of the wide marker table, or tool.column of a phenotype table.",
    "session": "Follow-up.",
    "arm": "Arm.",
    "baseline": "Value at baseline.",
    "value": "Value at follow-up.",
    "change": "Value less baseline.",
    "responder": "1: improved by the minimal important change and its share; 0: not.",
    "rci": "Reliable change index: change over its measurement error.",
    "mdc95": "Change that measurement error alone exceeds in 5 % of people.",
    "change_class": "recovered, improved, unchanged, deteriorated or unknown.",
}


def measurement_error(values: Values, rules: Rules) -> float:
    """Return the standard error of measurement of an outcome: given, or from its reliability; NaN if neither is."""
    if rules.sem is not None:
        return rules.sem
    baseline = values.value[np.isfinite(values.value[:, 0]), 0]
    if rules.reliability is None or len(baseline) < 2:
        return float("nan")
    return float(standard_error_of_measurement(sd=baseline.std(ddof=1), reliability=rules.reliability))


def people_rows(values: Values, outcome: Outcome, design: Design, rules: Rules) -> list[Row]:
    """Return one row per person and follow-up at which something is known."""
    sem = measurement_error(values, rules)
    before = values.value[:, 0]
    rows: list[Row] = []
    for place, session in enumerate(design.sessions[1:], start=1):
        after = values.value[:, place]
        response = _responses(before, after, rules)
        index = reliable_change_index(before, after, sem=sem)
        classes = _classes(before, after, sem, rules)
        rows += [
            {
                "participant_id": design.arms.index[person],
                "outcome": outcome.name,
                "session": session,
                "arm": design.arms.iloc[person],
                "baseline": before[person],
                "value": after[person],
                "change": after[person] - before[person],
                "responder": response[person],
                "rci": index[person],
                "mdc95": float(minimal_detectable_change(sem)),
                "change_class": classes[person],
            }
            for person in np.flatnonzero(values.known[:, place])
        ]
    return rows


def _responses(before: Array, after: Array, rules: Rules) -> Array:
    if not rules.better or (rules.mic is None and not rules.mic_share):
        return np.full(len(before), np.nan)
    rule = {"mic": rules.mic or 0.0, "share": rules.mic_share}
    return responders(before, after, lower_is_better=rules.better == "lower", **rule)


def _classes(before: Array, after: Array, sem: float, rules: Rules) -> Sequence[str | None]:
    if not rules.better or not np.isfinite(sem):
        return [None] * len(before)
    lower = rules.better == "lower"
    return list(change_classes(before, after, sem=sem, lower_is_better=lower, cutoff=rules.recovered))


def arm_rows(values: Values, outcome: Outcome, design: Design, people: Sequence[Row]) -> list[Row]:
    """Return the summary of every arm at every session."""
    rows = []
    for arm in (design.control, *design.treated):
        who = (design.arms == arm).to_numpy()
        for place, session in enumerate(design.sessions):
            own = [row for row in people if row["arm"] == arm and row["session"] == session]
            rows.append(
                {
                    "outcome": outcome.name,
                    "session": session,
                    "arm": arm,
                    "n_randomised": int(who.sum()),
                    "n": int(values.known[who, place].sum()),
                    "n_censored": int(values.censored[who, place].sum()),
                    **_moments(values, who, place),
                    **_tally(own),
                }
            )
    return rows


def _moments(values: Values, who: NDArray[np.bool_], place: int) -> Row:
    """Return mean, interval and change; nothing where a value is censored, for there is no mean of a bound."""
    from scipy import stats

    after = values.value[who, place]
    known = after[np.isfinite(after)]
    if values.censored[who, place].any() or len(known) < 2:
        return {}
    mean, sd = float(known.mean()), float(known.std(ddof=1))
    reach = float(stats.t.isf(0.025, len(known) - 1)) * sd / np.sqrt(len(known))
    found = {"mean": mean, "sd": sd, "ci_low": mean - reach, "ci_high": mean + reach}
    change = after - values.value[who, 0]
    change = change[np.isfinite(change)]
    if place and len(change) > 1:
        found |= {"mean_change": float(change.mean()), "sd_change": float(change.std(ddof=1))}
    return found


def _tally(people: Sequence[Row]) -> Row:
    counts: Row = {}
    if any(np.isfinite(row["responder"]) for row in people):
        counts["responders"] = float(np.nansum([row["responder"] for row in people]))
    if any(row["change_class"] for row in people):
        classes = [row["change_class"] for row in people]
        counts |= {name: float(classes.count(name)) for name in ("recovered", "improved", "unchanged", "deteriorated")}
    return counts
