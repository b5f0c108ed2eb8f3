"""What improvement means: what the plan says, and where it is silent what is known of the questionnaire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbpneuro.io.outcomes import Outcome
from lbpneuro.markers.instrument import Instrument, Score, instruments
from lbpneuro.stats.trial_design import Rules


def outcome_rules(entries: Mapping[str, Mapping[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, Rules]:
    """Return what improvement means per outcome.

    Parameters
    ----------
    entries
        Of the plan, by outcome; one under the name of a marker holds for all its levels. What an entry gives counts
        more than what is known.
    outcomes
        What is analysed.
    """
    rules = {}
    for outcome in outcomes:
        entry = entries.get(outcome.name) or entries.get(outcome.name.split("__")[0]) or {}
        known = known_rules(outcome.name)
        if "reliability" in entry:
            known.pop("sem", None)
        rules[outcome.name] = Rules(**{"better": outcome.better, **known, **entry})
    return rules


def known_rules(name: str) -> dict[str, Any]:
    """Return direction, minimal important change, measurement error and cut-off of a questionnaire's score.

    Every questionnaire here scores more for worse. The numbers and their sources are those of
    ``markers/instruments/*.yaml``; empty for anything else.
    """
    found = _score(name)
    if found is None:
        return {}
    tool, score = found
    change = tool.change
    numbers = {
        "mic": change.get("important"),
        "mic_share": change.get("share"),
        "recovered": change.get("recovered"),
        "sem": score.sem if score.sem == score.sem else None,
    }
    sources = [f"change {change['source']}"] if change else []
    sources += [f"measurement error {tool.sem_source}"] if numbers["sem"] is not None else []
    known = {key: value for key, value in numbers.items() if value is not None}
    return {"better": "lower", **known, "source": "; ".join(sources)}


def _score(name: str) -> tuple[Instrument, Score] | None:
    """Return the score that an outcome is: ``pain_nrs__7d_average``, ``rmdq``, or ``nrs.nrs_7d_average``."""
    marker, _, level = name.partition("__")
    tool_name, _, column = name.partition(".")
    for tool in instruments().values():
        if marker == tool.marker:
            wanted = level or next(iter(tool.scores))
        elif tool_name == tool.tool and column:
            wanted = column.removeprefix(f"{tool.tool}_")
        else:
            continue
        return (tool, tool.scores[wanted]) if wanted in tool.scores else None
    return None
