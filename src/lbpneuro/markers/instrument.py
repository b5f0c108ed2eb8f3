"""What a questionnaire is: answers, scores, missing rule, bands and errors, read from one YAML file per tool.

The files hold item numbers and numbers only; the wording of items is under copyright and is not shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from lbpneuro.markers.descriptor import Direction, Evidence, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question: which answers there are and the points each gives; ``hint`` says what the answers mean."""

    name: str
    points: Mapping[int, int]
    hint: str = ""

    @property
    def allowed(self) -> str:
        """The answers in words."""
        values = sorted(self.points)
        text = ", ".join(map(str, values)) if len(values) < 4 else f"{values[0]} to {values[-1]}"
        return f"{text} ({self.hint})" if self.hint else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done about blank items: ``none`` (no score), ``zero`` (they count 0) or ``prorate`` (the person's mean).

    ``blank_max`` is the largest number of blank items that ``prorate`` allows, in each subscale of its own.
    """

    kind: str
    blank_max: int = 0
    source: str = ""
    evidence: Evidence = Evidence.DESIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score of a tool: the answers whose points are summed, or the other scores it is the sum of.

    ``low`` and ``high`` are its ends in its own unit (ODI: percent), ``bands`` are (lowest value, name) in ascending
    order, ``sem`` is its standard error of measurement, NaN where none was found.
    """

    name: str
    items: tuple[str, ...]
    parts: tuple[str, ...]
    low: float
    high: float
    unit: str
    bands: tuple[tuple[float, str], ...]
    bands_source: str
    bands_evidence: Evidence
    sem: float

    def band(self, value: float) -> str | None:
        """Return the name of the band a value lies in; None where the score has no bands or there is no value."""
        names = [name for lowest, name in self.bands if value >= lowest]
        return names[-1] if names else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A questionnaire.

    ``headings`` are the names that spreadsheets give its scores, by score: letters and digits, in lower case.
    """

    tool: str
    marker: str
    title: str
    tier: Tier
    direction: Direction
    direction_source: str
    fact_sheet: str
    doi: str
    evidence: Evidence
    index: str | None
    answers: Mapping[str, Answer]
    scores: Mapping[str, Score]
    rules: Mapping[str, Rule]
    rule_setting: str | None
    versions: tuple[str, ...]
    short_forms: Mapping[str, Mapping[str, Any]]
    derived: Mapping[str, Any]
    straight_lining: str | None
    reversed: tuple[str, ...]
    sem_source: str
    sem_evidence: Evidence | None
    change: Mapping[str, Any]
    licence: str
    headings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbered: int = field(default=0)

    def rule(self, settings: Mapping[str, Any]) -> Rule:
        """Return the missing rule under the settings of the family."""
        return self.rules[settings[self.rule_setting] if self.rule_setting else "default"]

    def column(self, answer: str) -> str:
        """Return the column of ``phenotype/<tool>.tsv`` that holds an answer."""
        return f"{self.tool}_{answer}"


@cache
def instruments() -> dict[str, Instrument]:
    """Return all questionnaires by their tool, in the order of `ORDER`."""
    return {tool: instrument(_read(tool)) for tool in ORDER}


ORDER = ("frebaq", "nrs", "rmdq", "odi", "pcs", "tsk17", "tsk11", "paindetect", "csi")


def _read(tool: str) -> dict[str, Any]:
    import yaml

    text = resources.files("lbpneuro.markers").joinpath("instruments", f"{tool}.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(text, Loader=loader))  # noqa: S506 - both are safe loaders


def instrument(content: Mapping[str, Any]) -> Instrument:
    """Return the questionnaire that a file describes (workflow/schemas/instrument.schema.json)."""
    answers = {answer.name: answer for answer in _answers(content["answers"])}
    sem = content.get("sem", {})
    numbered = content["answers"].get("numbered", {})
    return Instrument(
        tool=content["tool"],
        marker=content.get("marker", content["tool"]),
        title=content["title"],
        tier=Tier(content["role"]),
        direction=Direction(content.get("direction", Direction.NOT_APPLICABLE)),
        direction_source=content.get("direction_source", "").strip(),
        fact_sheet=content.get("fact_sheet", "none: describes the person, to be read beside the markers").strip(),
        doi=content["source"]["doi"],
        evidence=Evidence(content["source"]["evidence"]),
        index=content.get("index"),
        answers=answers,
        scores={name: _score(name, content, answers) for name in content["scores"]},
        rules=_rules(content["missing"]),
        rule_setting=content["missing"].get("setting"),
        versions=tuple(content.get("versions", ())),
        short_forms=content.get("short_forms", {}),
        derived=content.get("derived", {}),
        straight_lining=content.get("straight_lining"),
        reversed=tuple(map(_numbered, numbered.get("reversed", ()))),
        sem_source=sem.get("source", ""),
        sem_evidence=Evidence(sem["evidence"]) if sem else None,
        change=content.get("change", {}),
        licence=content["licence"],
        headings=content.get("headings", {}),
        numbered=numbered.get("count", 0),
    )


def _numbered(number: int) -> str:
    return f"{number:02d}"


def _answers(content: Mapping[str, Any]) -> Iterator[Answer]:
    for name, entry in content.items():
        if name == "numbered":
            low, high = entry["range"]
            for number in range(1, entry["count"] + 1):
                turned = number in entry.get("reversed", ())
                points = {value: low + high - value if turned else value for value in range(low, high + 1)}
                yield Answer(name=_numbered(number), points=points)
        else:
            low, high = entry.get("range", (0, -1))
            own = entry.get("points") or {value: value for value in range(low, high + 1)}
            yield Answer(name=name, points=own, hint=entry.get("hint", ""))


def _score(name: str, content: Mapping[str, Any], answers: Mapping[str, Answer]) -> Score:
    entry, bands, sem = content["scores"][name], content.get("bands", {}).get(name, {}), content.get("sem", {})
    parts = tuple(entry.get("sum_of", ()))
    items = tuple(_items(name, content["scores"], answers))
    low, high = (sum(end(answers[item].points.values()) for item in items) for end in (min, max))
    maximum = entry.get("maximum", high)
    return Score(
        name=name,
        items=items,
        parts=parts,
        low=float(low),
        high=float(maximum),
        unit=entry.get("unit", "1"),
        bands=tuple(sorted((float(lowest), label) for lowest, label in bands.get("from", {}).items())),
        bands_source=bands.get("source", ""),
        bands_evidence=Evidence(bands.get("evidence", Evidence.DESIGN)),
        sem=float(sem["value"]) if sem and name in sem.get("of", [name]) else float("nan"),
    )


def _items(name: str, scores: Mapping[str, Any], answers: Mapping[str, Answer]) -> list[str]:
    """Names of the answers that a score or its parts sum."""
    entry = scores[name]
    if "sum_of" in entry:
        return [item for part in entry["sum_of"] for item in _items(part, scores, answers)]
    if entry["items"] == "all":
        return list(answers)
    return [_numbered(item) if isinstance(item, int) else item for item in entry["items"]]


def _rules(content: Mapping[str, Any]) -> dict[str, Rule]:
    choices = content.get("choices", {"default": content})
    return {
        name: Rule(
            kind=entry["rule"],
            blank_max=entry.get("blank_max", 0),
            source=entry.get("source", ""),
            evidence=Evidence(entry.get("evidence", Evidence.DESIGN)),
        )
        for name, entry in choices.items()
    }
