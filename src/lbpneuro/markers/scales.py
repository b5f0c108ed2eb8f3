"""Questionnaires and clinical variables: body image, pain, disability, catastrophising, fear of movement.

All but body image are covariates: they describe the person, and markers are read against them. What a questionnaire
consists of is data (``instruments/*.yaml``); here is how answers become a score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.scales import Total, all_the_same, item_total, sum_of
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier, single
from lbpneuro.markers.instrument import Instrument, Rule, Score, instruments

TITLE = "Body image, questionnaires and clinical variables"

REACH = 1.959964
AGREE = 1e-6
"""A given total that differs by more than this from that of the items is flagged."""
NOT_A_MARKER = "none: describes the person, to be read beside the markers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The answers of one person to one questionnaire.

    ``answers`` are those ticked, by name, NaN where blank; ``totals`` are scores that came beside or without items.
    ``form`` names the short form that was used, ``source`` the file and row.
    """

    answers: Mapping[str, float] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    version: str | None = None
    form: str | None = None
    source: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing was answered and no total is given."""
        return not any(math.isfinite(value) for value in (*self.answers.values(), *self.totals.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """A concentration in blood: a ``value``, or that it lies below ``high`` or above ``low``, all in one unit."""

    value: float = math.nan
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Phenotype:
    """What is known of one person in one session: a sheet per tool, or why there is none that can be used."""

    sheets: Mapping[str, Sheet | Reason]
    settings: Mapping[str, Any]
    blood: Mapping[str, Concentration] | Reason = field(default_factory=dict)

    def sheet(self, tool: Instrument) -> Sheet | Reason:
        """Return the sheet of a tool, taken from the answers to a longer form where it has none of its own."""
        own = self.sheets.get(tool.tool, Reason.NOT_ACQUIRED)
        if own is not Reason.NOT_ACQUIRED or not tool.derived:
            return own
        longer = self.sheets.get(tool.derived["tool"], Reason.NOT_ACQUIRED)
        return derived(tool, longer) if isinstance(longer, Sheet) else longer


def derived(tool: Instrument, longer: Sheet) -> Sheet | Reason:
    """Return the sheet of a short form: those answers of the longer one that it has, numbered anew."""
    if not longer.answers:
        return Reason.NOT_IN_SOURCE
    chosen = [longer.answers[f"{number:02d}"] for number in tool.derived["items"]]
    source = f"{longer.source}, items of {tool.derived['tool']}"
    return Sheet(answers=dict(zip(tool.answers, chosen, strict=True)), source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One score of one person and what it was made of; ``total`` is in points, None where only a total was given."""

    score: Score
    rule: Rule
    total: Total | None
    blank: tuple[str, ...]
    estimate: Estimate
    version: str | None

    @property
    def band(self) -> str | None:
        """The band the value lies in."""
        return self.score.band(self.estimate.value)


def scored(tool: Instrument, phenotype: Phenotype) -> dict[str, Scored]:
    """Return the scores of a tool by name; none without a usable sheet.

    A score is the sum of the points of its items under the missing rule, brought to the ends of the scale; without
    items it is the total that was given. Its standard error is ``sqrt(SEM^2 + SE^2 of the blanks)``, with the standard
    error of measurement of the tool or of the settings (``scales.sem``); NaN where that is not known. The interval is
    cut at the ends of the scale.
    """
    sheet = phenotype.sheet(tool)
    if not isinstance(sheet, Sheet):
        return {}
    return {name: _scored(tool, score, sheet, phenotype.settings) for name, score in tool.scores.items()}


def _scored(tool: Instrument, score: Score, sheet: Sheet, settings: Mapping[str, Any]) -> Scored:
    asked = asked_items(tool, score, sheet)
    ticked = np.array([sheet.answers.get(item, math.nan) for item in asked])
    blank = tuple(item for item, value in zip(asked, ticked, strict=True) if math.isnan(value))
    rule, sem = tool.rule(settings), _sem(tool, score, settings)
    if len(blank) == len(asked):
        total, blank, estimate = None, (), _given(score, sheet, sem=sem)
    else:
        total = _total(tool, score, sheet)
        factor = score.high / sum(max(tool.answers[item].points.values()) for item in asked)
        estimate = _from_items(tool, score, sheet, ticked=ticked, total=total, rule=rule, factor=factor, sem=sem)
    return Scored(score=score, rule=rule, total=total, blank=blank, estimate=estimate, version=sheet.version)


def asked_items(tool: Instrument, score: Score, sheet: Sheet) -> list[str]:
    """Return the items of a score that the form which was used has."""
    count = tool.short_forms[sheet.form]["count"] if sheet.form else tool.numbered
    return [item for item in score.items if not item.isdigit() or int(item) <= count]


def score_name(tool: Instrument, score: str) -> str:
    """Return the name of a score among those of all tools: ``odi``, ``pcs_rumination``."""
    return tool.tool if score == "total" else f"{tool.tool}_{score}"


def score_names() -> list[str]:
    """Return the names of all scores."""
    return [score_name(tool, score) for tool in instruments().values() for score in tool.scores]


def _sem(tool: Instrument, score: Score, settings: Mapping[str, Any]) -> float:
    return float(settings["sem"].get(score_name(tool, score.name), score.sem))


def _given(score: Score, sheet: Sheet, *, sem: float) -> Estimate:
    """A total that came without its items."""
    value = sheet.totals.get(score.name, math.nan)
    return _estimate(score, value, se=sem) if math.isfinite(value) else Estimate.missing(Reason.NOT_ACQUIRED)


def _total(tool: Instrument, score: Score, sheet: Sheet) -> Total:
    if score.parts:
        return sum_of([_total(tool, tool.scores[part], sheet) for part in score.parts])
    asked = asked_items(tool, score, sheet)
    ticked = {item: sheet.answers.get(item, math.nan) for item in asked}
    points = [
        tool.answers[item].points[int(value)] if math.isfinite(value) else math.nan for item, value in ticked.items()
    ]
    return item_total(np.array(points, dtype=float))


def _allowed(tool: Instrument, score: Score, sheet: Sheet, *, rule: Rule) -> bool:
    """Whether the missing rule gives a score, which each subscale must allow."""
    if score.parts:
        return all(_allowed(tool, tool.scores[part], sheet, rule=rule) for part in score.parts)
    return rule.kind == "zero" or _total(tool, score, sheet).blank <= rule.blank_max


def _from_items(
    tool: Instrument,
    score: Score,
    sheet: Sheet,
    *,
    ticked: NDArray[np.float64],
    total: Total,
    rule: Rule,
    factor: float,
    sem: float,
) -> Estimate:
    if not _allowed(tool, score, sheet, rule=rule):
        return Estimate.fail(Reason.TOO_FEW_ITEMS, n=total.answered)
    prorated = rule.kind == "prorate"
    value = factor * (total.prorated if prorated else total.raw)
    given = sheet.totals.get(score.name, math.nan)
    flags = {
        Reason.ITEMS_MISSING: total.blank > 0,
        Reason.STRAIGHT_LINING: _straight(tool, ticked),
        Reason.TOTAL_DIFFERS: total.blank == 0 and abs(given - value) > AGREE,
    }
    errors = [error for error in (sem, factor * total.se_blank if prorated else 0.0) if error > 0]
    se = math.hypot(*errors) if errors else math.nan
    return _estimate(score, value, se=se, n=total.answered, flags=[flag for flag, applies in flags.items() if applies])


def _straight(tool: Instrument, ticked: NDArray[np.float64]) -> bool:
    """Whether somebody ticked the same answer all the way down, where that means something."""
    if tool.straight_lining is None or not all_the_same(ticked):
        return False
    lowest = min(tool.answers["01"].points)
    return tool.straight_lining == "any" or float(np.nanmax(ticked)) > lowest


def _estimate(
    score: Score, value: float, *, se: float, n: float = math.nan, flags: list[Reason] | None = None
) -> Estimate:
    ci = (max(score.low, value - REACH * se), min(score.high, value + REACH * se)) if math.isfinite(se) else None
    return Estimate.of(value, se=se, ci=ci, n=n, flags=flags or ())


def _function(tool: Instrument) -> Callable[[Phenotype], Mapping[Level, Estimate]]:
    def scores(phenotype: Phenotype) -> Mapping[Level, Estimate]:
        """Return the scores of the questionnaire; unit of the scale. See :func:`scored`."""
        sheet = phenotype.sheet(tool)
        if isinstance(sheet, Reason):
            empty = Estimate.missing(sheet) if sheet is Reason.NOT_ACQUIRED else Estimate.fail(sheet)
            return dict.fromkeys(_levels(tool), empty)
        return {_level(tool, name): each.estimate for name, each in scored(tool, phenotype).items()}

    return scores


def _level(tool: Instrument, score: str) -> Level:
    return (score,) if tool.index else ()


def _levels(tool: Instrument) -> list[Level]:
    return [_level(tool, name) for name in tool.scores]


def _marker(tool: Instrument) -> Marker:
    first = next(iter(tool.scores.values()))
    return Marker(
        name=tool.marker,
        long_name=tool.title,
        description=" ".join(_described(tool)),
        unit=first.unit,
        family="scales",
        function=_function(tool),
        direction=tool.direction,
        direction_source=tool.direction_source,
        tier=tool.tier,
        doi=tool.doi,
        fact_sheet=tool.fact_sheet,
        n_counts="items answered",
        version="1",
        bounds=(first.low, first.high),
        index=(tool.index,) if tool.index else (),
        levels=(lambda _config: _levels(tool)) if tool.index else single,
        evidence=tool.evidence,
        se_method=_error(tool),
    )


def _described(tool: Instrument) -> list[str]:
    """What the data dictionary says of a questionnaire."""
    several = {f"{score.name} {score.low:g} to {score.high:g}" for score in tool.scores.values()}
    first = next(iter(tool.scores.values()))
    ends = (
        f"{first.low:g} to {first.high:g}"
        if tool.index == "window"
        else ", ".join(sorted(several)).replace("total ", "")
    )
    said = [f"{tool.title}: {ends}."]
    if tool.reversed:
        said.append(f"Items {', '.join(str(int(item)) for item in tool.reversed)} are reversed.")
    said += [_rule_words(name, rule) for name, rule in tool.rules.items()]
    for score in tool.scores.values():
        if score.bands:
            bands = ", ".join(f"from {lowest:g} {name}" for lowest, name in score.bands)
            said.append(f"Bands: {bands} ({score.bands_source}, {score.bands_evidence}).")
    if tool.change:
        share = f" or {100 * tool.change['share']:g} %" if "share" in tool.change else ""
        said.append(
            f"Minimal important change {tool.change['important']:g}{share} ({tool.change['source']}, "
            f"{tool.change['evidence']})."
        )
    return said


def _rule_words(name: str, rule: Rule) -> str:
    words = {
        "none": "no score with a blank item",
        "zero": "a blank item counts 0",
        "prorate": f"blank items take the person's mean, up to {rule.blank_max}",
    }
    choice = "" if name == "default" else f" ({name})"
    return f"Missing rule{choice}: {words[rule.kind]} ({rule.evidence})."


def _error(tool: Instrument) -> str:
    if tool.sem_evidence is None:
        return "uncertainty of prorated blanks; no standard error of measurement was found, scales.sem takes your own"
    errors = sorted({f"{score.sem:g}" for score in tool.scores.values() if math.isfinite(score.sem)})
    return (
        f"standard error of measurement {', '.join(errors)} ({tool.sem_source}; {tool.sem_evidence}) and that of "
        "prorated blanks; scales.sem takes your own"
    )


SCALE_MARKERS: tuple[Marker, ...] = tuple(_marker(tool) for tool in instruments().values())


def _checked(tool: Instrument) -> list[str]:
    """The names of the scores that may have blank items."""
    if tool.index == "window":
        return []
    return [score_name(tool, name) for name in tool.scores]


def _about_items(pick: Callable[[Total], float]) -> Callable[[Phenotype], dict[Level, Estimate]]:
    def function(phenotype: Phenotype) -> dict[Level, Estimate]:
        """Return what the answered items tell, per score; in points before any rule, or a number of items."""
        found: dict[Level, Estimate] = {}
        for tool in instruments().values():
            totals = [each.total for each in scored(tool, phenotype).values()]
            for name, total in zip(_checked(tool), totals, strict=False):
                if total is not None:
                    value = pick(total)
                    found[name,] = Estimate.of(value, ci=(math.nan, math.nan), n=total.answered)
        return found

    return function


def _scale_levels(_config: Mapping[str, Any]) -> list[Level]:
    return [(name,) for tool in instruments().values() for name in _checked(tool)]


def _check(name: str, title: str, description: str, pick: Callable[[Total], float]) -> Marker:
    return Marker(
        name=name,
        long_name=title,
        description=description,
        unit="1",
        family="scales",
        function=_about_items(pick),
        direction=Direction.NOT_APPLICABLE,
        tier=Tier.QUALITY,
        doi="",
        fact_sheet=NOT_A_MARKER,
        n_counts="items answered",
        version="1",
        index=("scale",),
        levels=_scale_levels,
        evidence=Evidence.DESIGN,
    )


SCALE_ITEMS_MISSING = _check(
    "scale_items_missing",
    "Blank items",
    "Number of items that were asked and not answered.",
    lambda total: float(total.blank),
)
SCALE_RAW_TOTAL = _check(
    "scale_raw_total",
    "Raw total",
    "Sum of the points of the answered items, a blank counting 0, before any missing rule or change of unit.",
    lambda total: total.raw,
)
SCALE_PRORATED_TOTAL = _check(
    "scale_prorated_total",
    "Prorated total",
    "Sum of the points with every blank replaced by the person's mean, whatever the missing rule says.",
    lambda total: total.prorated,
)

NEUROPATHIC = ("neuropathic component unlikely", "unclear", "neuropathic component likely")


def neuropathic_component(phenotype: Phenotype) -> dict[Level, Estimate]:
    """Return the band of painDETECT: 0 unlikely (up to 12), 1 unclear (13 to 18), 2 likely (19 and more)."""
    found = scored(instruments()["paindetect"], phenotype).get("total")
    if found is None:
        return {(): paindetect(phenotype)[()]}
    if found.band is None:
        return {(): found.estimate}
    return {(): Estimate.of(NEUROPATHIC.index(found.band), ci=(math.nan, math.nan), n=found.estimate.n)}


paindetect = next(marker.function for marker in SCALE_MARKERS if marker.name == "paindetect")

NEUROPATHIC_COMPONENT = Marker(
    name="neuropathic_component",
    long_name="Neuropathic component",
    description=(
        "Class of the painDETECT score: 0 a neuropathic component is unlikely (up to 12), 1 unclear (13 to 18), "
        "2 likely (19 and more). A screening class for analyses, not a diagnosis."
    ),
    unit="1",
    family="scales",
    function=neuropathic_component,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.COVARIATE,
    doi="10.1185/030079906X132488",
    fact_sheet=NOT_A_MARKER,
    n_counts="items answered",
    version="1",
    bounds=(0, 2),
    evidence=Evidence.VERIFIED,
    se_method="none: a class",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substance:
    """A marker of inflammation in blood."""

    title: str
    unit: str


BLOOD: Mapping[str, Substance] = {
    "crp": Substance(title="C-reactive protein", unit="mg/L"),
    "il6": Substance(title="Interleukin-6", unit="pg/mL"),
    "tnf": Substance(title="Tumour necrosis factor alpha", unit="pg/mL"),
}


def _blood_function(name: str) -> Callable[[Phenotype], Mapping[Level, Estimate]]:
    def concentration(phenotype: Phenotype) -> Mapping[Level, Estimate]:
        """Return the concentration in blood; below or above what the assay can tell only a bound."""
        if isinstance(phenotype.blood, Reason):
            return {(): Estimate.fail(phenotype.blood)}
        found = phenotype.blood.get(name)
        if found is None:
            return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
        if math.isnan(found.value):
            return {(): Estimate.censored(low=found.low, high=found.high)}
        return {(): Estimate.of(found.value, ci=(math.nan, math.nan))}

    return concentration


def _blood_marker(name: str, substance: Substance) -> Marker:
    return Marker(
        name=name,
        long_name=f"{substance.title} in blood",
        description=(
            f"{substance.title} in peripheral blood: a covariate, no marker of the nervous system. Below the limit of "
            "detection the value is empty (censored_at_limit) and ci_high is the limit; it is never replaced by one."
        ),
        unit=substance.unit,
        family="scales",
        function=_blood_function(name),
        direction=Direction.NOT_APPLICABLE,
        tier=Tier.COVARIATE,
        doi="",
        fact_sheet=NOT_A_MARKER,
        n_counts="samples (not counted)",
        version="1",
        bounds=(0.0, math.inf),
        evidence=Evidence.DESIGN,
        se_method="none: one sample tells neither the error of the assay nor the variation from day to day",
    )


BLOOD_MARKERS: tuple[Marker, ...] = tuple(_blood_marker(name, substance) for name, substance in BLOOD.items())

MARKERS: tuple[Marker, ...] = (
    *SCALE_MARKERS,
    NEUROPATHIC_COMPONENT,
    *BLOOD_MARKERS,
    SCALE_ITEMS_MISSING,
    SCALE_RAW_TOTAL,
    SCALE_PRORATED_TOTAL,
)
