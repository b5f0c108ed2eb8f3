"""Questionnaires of the simulated people: true scores, answers that vary around them, blanks and straight-lining."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.markers.instrument import Instrument, instruments
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

Answers = dict[str, float]

TOOLS = tuple(tool for tool in instruments() if not instruments()[tool].derived)


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """True scores in points: (mean without pain, mean with pain, SD) of the numbered items, and of ratings.

    ``blank`` is the share of items left out by chance, ``skipper`` that of people who leave out four items of a tool,
    ``straight`` that of people who tick the same answer all the way down the Tampa scale.
    """

    points: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "frebaq": (3.0, 12.0, 3.5),
            "rmdq": (1.0, 11.0, 3.0),
            "odi": (2.5, 17.0, 4.0),
            "pcs": (11.0, 21.0, 6.0),
            "tsk17": (32.0, 40.0, 4.0),
            "paindetect": (2.0, 12.0, 4.0),
            "csi": (22.0, 42.0, 8.0),
        }
    )
    ratings: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "now": (0.3, 4.0, 1.0),
            "24h_average": (0.4, 4.5, 1.0),
            "24h_worst": (0.8, 6.0, 1.0),
            "7d_average": (0.5, 4.8, 1.0),
            "7d_worst": (1.0, 6.8, 1.0),
        }
    )
    blank: float = 0.008
    skipper: float = 0.03
    straight: float = 0.04


SETTINGS = ScaleSettings()


@dataclass(frozen=True, slots=True)
class Filled:
    """One questionnaire of one visit: what was ticked, without the blanks, and what is behind it."""

    complete: Answers
    ticked: Answers
    true: Mapping[str, float]
    straight: bool


def filled(visit: Visit, tool: Instrument, settings: ScaleSettings = SETTINGS) -> Filled:
    """Return a filled-in questionnaire: the person's true score, and what they answer today.

    The total today is the true score plus an error whose SD is the tool's standard error of measurement, rounded and
    kept on the scale; it is dealt out over items of unequal difficulty. Where no such error is known the true score is
    that of the answers of today.
    """
    lasting, passing = visit.lasting(f"scale {tool.tool}"), visit.passing(f"scale {tool.tool}")
    if tool.index == "window":
        complete, true = _ratings(visit, tool, lasting, passing, settings=settings)
        return Filled(complete=complete, ticked=complete, true=true, straight=False)
    level = _true_points(visit, tool, lasting, settings=settings)
    complete = _answers(tool, level, lasting, passing)
    straight = tool.straight_lining == "any" and bool(lasting.random() < settings.straight)
    if straight:
        complete = dict.fromkeys(complete, 3.0)
    ticked = _with_blanks(complete, passing, settings=settings)
    return Filled(complete=complete, ticked=ticked, true=_true(tool, level, complete), straight=straight)


def _true_points(visit: Visit, tool: Instrument, rng: np.random.Generator, *, settings: ScaleSettings) -> float:
    without, with_pain, sd = settings.points[tool.tool]
    mean = without + (with_pain - without) * visit.person.patient
    low, high = _ends(tool)
    return float(np.clip(rng.normal(mean, sd if visit.person.patient else sd / 2), low, high))


def _ends(tool: Instrument) -> tuple[int, int]:
    """Lowest and highest sum of the numbered items."""
    numbered = [answer for name, answer in tool.answers.items() if name.isdigit()]
    low, high = (sum(end(answer.points.values()) for answer in numbered) for end in (min, max))
    return low, high


def _answers(tool: Instrument, level: float, lasting: np.random.Generator, passing: np.random.Generator) -> Answers:
    numbered = {name: answer for name, answer in tool.answers.items() if name.isdigit()}
    score = next(iter(tool.scores.values()))
    sem = (
        0.0
        if math.isnan(score.sem)
        else score.sem * sum(max(a.points.values()) for a in tool.answers.values()) / score.high
    )
    low, high = _ends(tool)
    today = round(float(np.clip(level + passing.normal(0, sem), low, high)))
    points = _dealt(today - low, numbered, lasting, passing)
    ticked: Answers = {}
    for name, answer in tool.answers.items():
        if name in points:
            ticked[name] = float(next(value for value, given in answer.points.items() if given == points[name]))
        else:
            ticked[name] = float(passing.choice(sorted(answer.points)))
    return ticked


def _dealt(
    amount: int, numbered: Mapping[str, Any], lasting: np.random.Generator, passing: np.random.Generator
) -> dict[str, int]:
    """Deal ``amount`` points out over items that differ in how readily they are endorsed."""
    lowest = {name: min(answer.points.values()) for name, answer in numbered.items()}
    room = np.array([max(answer.points.values()) - lowest[name] for name, answer in numbered.items()])
    place = np.repeat(np.arange(room.size), room)
    order = np.argsort(lasting.normal(0, 0.25, room.size)[place] + passing.random(place.size))
    given = np.bincount(place[order[:amount]], minlength=room.size)
    return {name: int(lowest[name] + extra) for name, extra in zip(numbered, given, strict=True)}


def _with_blanks(complete: Answers, rng: np.random.Generator, *, settings: ScaleSettings) -> Answers:
    """Leave out items by chance, and of some people four at once."""
    names = list(complete)
    left_out = rng.random(len(names)) < settings.blank
    if rng.random() < settings.skipper:
        left_out[rng.choice(len(names), min(4, len(names)), replace=False)] = True
    return {name: math.nan if out else complete[name] for name, out in zip(names, left_out, strict=True)}


def _true(tool: Instrument, level: float, complete: Answers) -> dict[str, float]:
    """The value behind each score: the true score where answers vary around one, else the total of all answers."""
    true = {}
    for name, score in tool.scores.items():
        points = sum(tool.answers[item].points[int(complete[item])] for item in score.items)
        factor = score.high / sum(max(tool.answers[item].points.values()) for item in score.items)
        true[name] = factor * (points if math.isnan(score.sem) else level)
    return true


def _ratings(
    visit: Visit,
    tool: Instrument,
    lasting: np.random.Generator,
    passing: np.random.Generator,
    *,
    settings: ScaleSettings,
) -> tuple[Answers, dict[str, float]]:
    today: Answers = {}
    true: dict[str, float] = {}
    for name, (without, with_pain, sd) in settings.ratings.items():
        mean = without + (with_pain - without) * visit.person.patient
        true[name] = float(np.clip(lasting.normal(mean, sd if visit.person.patient else sd / 4), 0, 10))
        error = passing.normal(0, tool.scores[name].sem if visit.person.patient else 0.3)
        today[name] = float(np.clip(round(true[name] + error), 0, 10))
    return today, true


def scale_truth(visit: Visit, settings: ScaleSettings = SETTINGS) -> list[TruthRow]:
    """Return the planted scores of a visit; none of somebody who did not read the questions."""
    rows = []
    for tool in map(instruments().__getitem__, TOOLS):
        sheet = filled(visit, tool, settings)
        for name, value in sheet.true.items():
            levels = {tool.index: name} if tool.index else {}
            rows += [] if sheet.straight else [truth_row(visit, tool.marker, value=value, **levels)]
    return rows


def scale_table(tool: Instrument, visits: Sequence[Visit]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return ``phenotype/<tool>.tsv`` of all visits and its dictionary; the wording of items is not in it."""
    import pandas as pd

    rows = [
        {
            "participant_id": visit.participant_id,
            **({"session_id": visit.session_id} if visit.session_id else {}),
            **{tool.column(name): value for name, value in filled(visit, tool).ticked.items()},
        }
        for visit in visits
    ]
    columns = [tool.column(name) for name in tool.answers]
    return pd.DataFrame(rows).astype(dict.fromkeys(columns, "Int64")), _dictionary(
        tool, with_sessions=bool(visits[0].session)
    )


def _dictionary(tool: Instrument, *, with_sessions: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"Description": tool.title, "TermURL": f"https://doi.org/{tool.doi}"}
    if tool.versions:
        about["Version"] = "2.1a" if "2.1a" in tool.versions else tool.versions[0]
    items = {
        tool.column(name): {
            "Description": f"Item {int(name)}." if name.isdigit() else f"{_words(name)}.",
            "Levels": {str(value): f"{points} points" for value, points in answer.points.items()},
        }
        for name, answer in tool.answers.items()
    }
    who: dict[str, Any] = {"participant_id": {"Description": "Participant."}}
    if with_sessions:
        who["session_id"] = {"Description": "Session."}
    return {"MeasurementToolMetadata": about, **who, **items}


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
