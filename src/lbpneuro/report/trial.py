"""What the group page says of a trial: one line per outcome and follow-up, the arms over time, and what was assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.provenance import checksum
from lbpneuro.report.words import number

NAME = "trial.tsv"
ADJUSTED = ("mmrm", "mixed", "ancova", "ancova_tobit")
"""The adjusted difference that is shown: the first of these that has a value."""
MODEL_WORDS = {
    "mmrm": "mixed model, free covariance",
    "mixed": "mixed model",
    "ancova": "adjusted for baseline",
    "ancova_tobit": "adjusted, with a limit",
}
FAVOURS = {"neither": "the interval holds no difference"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One outcome, follow-up and arm in the words and digits of the page; ``g`` is (value, low, high) or empty.

    ``outcome`` is the column, ``title`` what it is.
    """

    outcome: str
    title: str
    session: str
    arm: str
    control: str
    people: str
    model: str
    adjusted: str
    standardised: str
    responders: str
    verdict: str
    g: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Means and intervals of every arm over the sessions of an outcome; ``band``: the change that error alone gives."""

    title: str
    sessions: Sequence[str]
    arms: Mapping[str, Sequence[tuple[float, ...]]]
    band: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The trial of a study; false without one. ``stale``: the marker table has changed since."""

    lines: tuple[Line, ...] = ()
    courses: tuple[Course, ...] = ()
    said: tuple[str, ...] = ()
    stale: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lines) or self.stale


def read_trial(folder: Path) -> Trial:
    """Return the trial whose tables lie in the output folder; an empty one if there is none."""
    path = folder / NAME
    if not path.is_file():
        return Trial()
    about = read_json(path.with_suffix(".json"))
    table = folder / "markers_long.tsv"
    if about.get("MarkerTable") is not None and table.is_file() and checksum(table) != about["MarkerTable"]:
        return Trial(stale=True, about=about)
    rows = read_tsv(path).to_dict("records")
    if not rows:
        raise InputError(f"{path}: the table is empty; run `lbpneuro trial` again.")
    return Trial(
        lines=_lines(rows, about.get("OutcomeNames", {})),
        courses=_courses(folder, about),
        said=tuple(about.get("IntentionToTreat", ())),
        about=about,
    )


def _lines(rows: Sequence[Mapping[Any, Any]], titles: Mapping[str, str]) -> tuple[Line, ...]:
    groups: dict[tuple[str, str, str], dict[str, Mapping[Any, Any]]] = {}
    for row in rows:
        if row["session"] != "all":
            key = (str(row["outcome"]), str(row["session"]), str(row["arm"]))
            groups.setdefault(key, {})[str(row["estimator"])] = row
    return tuple(_line(key, found, title=titles.get(key[0], key[0])) for key, found in groups.items())


def _line(key: tuple[str, str, str], found: Mapping[str, Mapping[Any, Any]], *, title: str) -> Line:
    model = next((name for name in ADJUSTED if name in found and _known(found[name])), "")
    row = found[model] if model else next(found[name] for name in ADJUSTED if name in found)
    g = found.get("g", {})
    return Line(
        outcome=key[0],
        title=title,
        session=key[1],
        arm=key[2],
        control=str(row["control"]),
        people=f"{number(row['n_arm'])} / {number(row['n_control'])}",
        model=MODEL_WORDS.get(model, ""),
        adjusted=_interval(row, unit=str(row["unit"])),
        standardised=_interval(g) if g else "–",
        responders=str(found["number_needed"]["note"]) if "number_needed" in found else "–",
        verdict=_verdict(row, arm=key[2]),
        g=(float(g["value"]), float(g["ci_low"]), float(g["ci_high"])) if g and _known(g) else (),
    )


def _known(row: Mapping[Any, Any]) -> bool:
    return math.isfinite(float(row["value"]))


def _interval(row: Mapping[Any, Any], *, unit: str = "") -> str:
    if not _known(row):
        return "–"
    error = (float(row["ci_high"]) - float(row["ci_low"])) / 4
    value, low, high = (number(float(row[name]), error=error) for name in ("value", "ci_low", "ci_high"))
    return f"{value} ({low} to {high})" + (f" {unit}" if unit not in ("", "1", "n/a", "nan") else "")


def _verdict(row: Mapping[Any, Any], *, arm: str) -> str:
    if not _known(row):
        return str(row["note"])
    favoured = row["favours"]
    if not isinstance(favoured, str):
        return "it was not said which way is better"
    names = {"arm": f"better with {arm}", "control": f"better with {row['control']}"}
    return names.get(favoured, FAVOURS["neither"])


def _courses(folder: Path, about: Mapping[str, Any]) -> tuple[Course, ...]:
    arms, people = (read_tsv(folder / f"trial_{name}.tsv") for name in ("arms", "people"))
    sessions = about["Plan"]["sessions"]
    courses = []
    for outcome, rows in arms.groupby("outcome", sort=False):
        error = people[people["outcome"] == outcome]["mdc95"]
        means = {
            str(arm): [tuple(map(float, row)) for row in own[["mean", "ci_low", "ci_high"]].to_numpy()]
            for arm, own in rows.groupby("arm", sort=False)
        }
        band = float(error.iloc[0]) if len(error) else math.nan
        title = about.get("OutcomeNames", {}).get(outcome, str(outcome))
        courses.append(Course(title=title, sessions=sessions, arms=means, band=band))
    return tuple(courses)
