"""Figure of the questionnaires: scores on their scales with bands, blank items, and the course over sessions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lbpneuro.io.files import read_tsv
from lbpneuro.markers.instrument import Instrument, Score, instruments
from lbpneuro.report.canvas import BLUE, INK, MUTED, ORANGE, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import Row
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_IN, HEAD_IN = 0.62, 0.35
TRACK, ITEMS = 0.62, 0.2
DETECTABLE = 1.959964 * math.sqrt(2)
"""Times the standard error of measurement: the smallest change that is beyond the error of two measurements."""


def plot_scale_scores(visit: Visit) -> Drawing:
    """Draw every score on its scale with its bands and blank items; to the right its course, if there is one."""
    table = read_tsv(visit.file("scales", desc="scales", suffix="scores", ext=".tsv"), dtype={"blank_items": str})
    drawn = [found for record in table.to_dict("records") if (found := _found(visit, record))]
    if not drawn:
        raise AbsentError(visit.absence("scales"))
    courses = [_course(visit, tool, score) for tool, score, _, _ in drawn]
    several = any(len(course) > 1 for course in courses)
    with line_style():
        figure = new_figure(height=HEAD_IN + ROW_IN * len(drawn))
        panels = _panels(figure, len(drawn), several=several)
        for place, (tool, score, row, record) in enumerate(drawn):
            _scale(panels[place][0], tool, score, row, record=record)
            if several:
                _over_time(panels[place][1], courses[place], score, first=place == 0, last=place == len(drawn) - 1)
        return Drawing(as_svg(figure), note=_note(drawn))


def _panels(figure: Figure, lines: int, *, several: bool) -> Any:
    widths = {"width_ratios": [3.2, 1]} if several else {}
    return figure.subplots(lines, 2 if several else 1, squeeze=False, **widths)  # type: ignore[call-overload]


Found = tuple[Instrument, Score, Row, Mapping[Any, Any]]


def _found(visit: Visit, record: Mapping[Any, Any]) -> Found | None:
    """The row of the marker table that belongs to a row of the table of scores, if there is anything to draw."""
    tool = instruments()[record["scale"]]
    row = _row(visit, tool, record["score"])
    if row is None or (math.isnan(row.value) and not isinstance(record["blank_items"], str)):
        return None
    return tool, tool.scores[record["score"]], row, record


def _row(visit: Visit, tool: Instrument, score: str) -> Row | None:
    return visit.row(tool.marker, *([score] if tool.index else []))


def _course(visit: Visit, tool: Instrument, score: Score) -> list[Row]:
    rows = visit.course(tool.marker, *([score.name] if tool.index else []))
    return [row for row in rows if math.isfinite(row.value)]


def _scale(panel: Axes, tool: Instrument, score: Score, row: Row, *, record: Mapping[Any, Any]) -> None:
    """One score: the scale in its bands, the value with its interval, and a box per item."""
    span = score.high - score.low
    panel.set(xlim=(score.low - 0.02 * span, score.high + 0.02 * span), ylim=(0, 1.25))
    edges = [*(lowest for lowest, _ in score.bands), score.high] if score.bands else [score.low, score.high]
    for place, (left, right) in enumerate(pairwise(edges)):
        panel.barh(TRACK, right - left, left=left, height=0.2, color=RULE, alpha=(0.35, 0.75)[place % 2], linewidth=0)
    if math.isfinite(row.ci_low):
        panel.plot([row.ci_low, row.ci_high], [TRACK, TRACK], color=BLUE, linewidth=3.5, alpha=0.35)
    if math.isfinite(row.value):
        panel.plot(row.value, TRACK, "o", color=BLUE, markersize=6)
    panel.text(0, 1.0, _title(tool, score), transform=panel.transAxes, ha="left", va="top", color=INK, fontsize=8.5)
    panel.text(1, 1.0, _reading(score, row), transform=panel.transAxes, ha="right", va="top", color=INK, fontsize=8.5)
    _boxes(panel, score, record, span=span)
    panel.set_yticks([])
    panel.set_xticks([score.low, score.high], [f"{score.low:g}", f"{score.high:g}"], fontsize=7.5)
    panel.tick_params(length=0, pad=1)
    for side in ("left", "bottom"):
        panel.spines[side].set_visible(False)


def _boxes(panel: Axes, score: Score, record: Mapping[Any, Any], *, span: float) -> None:
    """A box per item, hollow where it was left blank."""
    if not math.isfinite(record["items"]) or len(score.items) == 1:
        return
    blank = str(record["blank_items"]).split(";")
    step = span / len(score.items)
    for place, item in enumerate(score.items):
        empty = item in blank
        look: dict[str, Any] = {"facecolor": "none" if empty else MUTED, "edgecolor": ORANGE if empty else "none"}
        panel.barh(ITEMS, 0.7 * step, left=score.low + (place + 0.15) * step, height=0.14, linewidth=1.2, **look)


def _title(tool: Instrument, score: Score) -> str:
    return tool.title if score.name == "total" else f"{tool.title}: {score.name.replace('_', ' ')}"


def _reading(score: Score, row: Row) -> str:
    if math.isnan(row.value):
        return row.why
    band = score.band(row.value)
    return f"{number(row.value, error=row.error)}{row.unit and ' ' + row.unit}" + (f", {band}" if band else "")


def _over_time(panel: Axes, course: Sequence[Row], score: Score, *, first: bool, last: bool) -> None:
    """The scores of all sessions so far; the band around the first is what the error of two measurements explains."""
    panel.set(ylim=(score.low, score.high), xlim=(-0.4, max(len(course) - 0.6, 0.6)))
    panel.set_yticks([])
    panel.set_xticks([])
    if len(course) > 1:
        start, sem = course[0].value, course[0].se
        if math.isfinite(sem):
            panel.axhspan(start - DETECTABLE * sem, start + DETECTABLE * sem, color=RULE, alpha=0.5, linewidth=0)
        panel.plot(range(len(course)), [row.value for row in course], "o-", color=BLUE, markersize=4)
    if first:
        panel.set_title("course", fontsize=8.5)
    if last and len(course) > 1:
        names = [row.session.removeprefix("ses-") for row in course]
        panel.set_xticks(range(len(course)), names, fontsize=7.5)


def _note(drawn: Sequence[Found]) -> str:
    blank = [
        f"{_title(tool, score)}: {record['blank_items'].replace(';', ', ')}"
        for tool, score, _, record in drawn
        if isinstance(record["blank_items"], str)
    ]
    return f"Blank items: {'; '.join(blank)}." if blank else ""
