"""Small drawings written as SVG by hand: the interval of one value, and the values of all people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from lbpneuro.errors import Reason, Status
from lbpneuro.report.canvas import SERIES
from lbpneuro.report.rows import Row
from lbpneuro.report.words import number

BAR_WIDTH, BAR_HEIGHT = 120.0, 14.0
STRIP_WIDTH, STRIP_ROW, LABEL_WIDTH, COUNT_WIDTH = 430.0, 30.0, 92.0, 74.0
GOLDEN = 0.6180339887498949
FEWEST_FOR_INTERVAL = 5
MOST_DOTS = 120
"""More people than this per group are shown thinned out: every k-th value in order, and both ends."""


def scale_of(row: Row, rows: Iterable[Row]) -> tuple[float, float] | None:
    """Return the range on which the interval of ``row`` is drawn, or None if there is none.

    The bounds of a pure number that has both (a share, a correlation); else the span of the values and intervals of
    the same marker in ``rows``: of the same first level (region, muscle) if that are two or more, or of all levels.
    """
    if row.marker.unit == "1" and all(map(math.isfinite, row.marker.bounds)):
        return row.marker.bounds
    same = [other for other in rows if other.marker is row.marker and math.isfinite(other.value)]
    close = [other for other in same if other.level[:1] == row.level[:1]]
    peers = close if len(close) > 1 else same
    ends = [end for other in peers for end in (other.ci_low, other.ci_high, other.value) if math.isfinite(end)]
    if len(peers) < 2 or max(ends) == min(ends):
        return None
    margin = 0.05 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def interval_bar(row: Row, scale: tuple[float, float] | None) -> Markup:
    """Return the value and interval of ``row`` on ``scale`` as a small SVG; nothing without a value or scale."""
    if scale is None or not math.isfinite(row.value):
        return Markup("")
    low, high = scale
    value, left, right = (
        _along(end, low=low, high=high, width=BAR_WIDTH)
        for end in (row.value, _or(row.ci_low, row), _or(row.ci_high, row))
    )
    middle = BAR_HEIGHT / 2
    zero = (
        _line(_along(0, low=low, high=high, width=BAR_WIDTH), "rule", top=1, bottom=BAR_HEIGHT - 1)
        if low < 0 < high
        else ""
    )
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="bar" viewBox="-4 0 {BAR_WIDTH + 8:g} {BAR_HEIGHT:g}" role="img" aria-label="on a scale from '
        f'{number(low, error=(high - low) / 10)} to {number(high, error=(high - low) / 10)}">'
        f'<rect class="track" x="0" y="{middle - 1.5:g}" width="{BAR_WIDTH:g}" height="3" rx="1.5"/>{zero}'
        f'<rect class="reach" x="{left:.1f}" y="{middle - 2.5:g}" width="{max(right - left, 1):.1f}" height="5" '
        'rx="2.5"/>'
        f'<circle cx="{value:.1f}" cy="{middle:g}" r="3.6"/></svg>'
    )


def _or(end: float, row: Row) -> float:
    return end if math.isfinite(end) else row.value


def _along(value: float, *, low: float, high: float, width: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) * width


def _line(x: float, kind: str, *, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{bottom:g}"/>'


@dataclass(frozen=True, slots=True)
class Strip:
    """The rows of one marker level in one group of people and session; ``series`` chooses the colour of the group."""

    label: str
    rows: Sequence[Row]
    series: int = 0

    @property
    def present(self) -> list[Row]:
        """Rows with a value, by value."""
        return sorted((row for row in self.rows if math.isfinite(row.value)), key=lambda row: row.value)

    @property
    def beyond(self) -> int:
        """How many rows hold a value that is only known to lie beyond a limit; then the others have no mean to show."""
        return sum(Reason.CENSORED_AT_LIMIT in row.reasons for row in self.rows)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of ``values`` and its 95 % interval by Student's t; the interval is NaN for fewer than five."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < FEWEST_FOR_INTERVAL:
        return mean, math.nan, math.nan
    se = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * se
    return mean, mean - reach, mean + reach


def strip_plot(strips: Sequence[Strip]) -> Markup:
    """Return the values of all people, one line per group, with mean and interval, as SVG; nothing without values."""
    values = [row.value for strip in strips for row in strip.present]
    if not values:
        return Markup("")
    ticks = round_ticks(min(values), max(values))
    step = ticks[1] - ticks[0]
    low, high = min(ticks[0], min(values) - 0.1 * step), max(ticks[-1], max(values) + 0.1 * step)
    height = STRIP_ROW * len(strips) + 22
    lines = [_strip(strip, place, low=low, high=high) for place, strip in enumerate(strips)]
    return Markup(  # noqa: S704 - names are escaped where they are set
        f'<svg class="strips" viewBox="0 0 {STRIP_WIDTH:g} {height:g}" role="img" aria-label="{_spoken(strips)}">'
        + _ticks(ticks, low=low, high=high, height=height - 20)
        + "".join(lines)
        + "</svg>"
    )


def _spoken(strips: Sequence[Strip]) -> str:
    texts = []
    for strip in strips:
        values = [row.value for row in strip.present]
        mean, low, high = mean_interval(values) if values and not strip.beyond else (math.nan,) * 3
        error = (high - low) / 4
        texts.append(
            f"{strip.label}: {len(values)} values, mean {number(mean, error=error)}, "
            f"95 % interval {number(low, error=error)} to {number(high, error=error)}, {_absent(strip)} without value"
            + (f", {_empty_beyond(strip)} beyond a limit" if _empty_beyond(strip) else "")
        )
    return str(escape("; ".join(texts)))


def _absent(strip: Strip) -> int:
    return len(strip.rows) - len(strip.present) - _empty_beyond(strip)


def _empty_beyond(strip: Strip) -> int:
    return sum(Reason.CENSORED_AT_LIMIT in row.reasons and not math.isfinite(row.value) for row in strip.rows)


def _x(value: float, *, low: float, high: float) -> float:
    width = STRIP_WIDTH - LABEL_WIDTH - COUNT_WIDTH
    return LABEL_WIDTH + _along(value, low=low, high=high, width=width)


def _ticks(ticks: Sequence[float], *, low: float, high: float, height: float) -> str:
    step = ticks[1] - ticks[0]
    parts = []
    for tick in ticks:
        x = _x(tick, low=low, high=high)
        parts.append(_line(x, "rule", top=2, bottom=height))
        label = number(tick, error=10.1 * step) if step < 1 else number(round(tick, 6))
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height + 14:g}">{label}</text>')
    return "".join(parts)


def _strip(strip: Strip, place: int, *, low: float, high: float) -> str:
    middle = STRIP_ROW * (place + 0.5) + 2
    colour = SERIES[strip.series % len(SERIES)]
    dots = [
        _dot(row, x=_x(row.value, low=low, high=high), y=middle + 14 * ((rank * GOLDEN) % 1 - 0.5))
        for rank, row in enumerate(thinned(strip.present))
    ]
    absent = f'<tspan class="absent"> +{_absent(strip)} ○</tspan>' if _absent(strip) else ""
    absent += f'<tspan class="absent"> +{_empty_beyond(strip)} ⇥</tspan>' if _empty_beyond(strip) else ""
    return (
        f'<g style="--c:{colour}"><text class="name" x="0" y="{middle + 4:g}">{escape(strip.label)}</text>'
        + "".join(dots)
        + _mean(strip, middle, low=low, high=high)
        + f'<text class="count" x="{STRIP_WIDTH:g}" y="{middle + 4:g}">n {len(strip.present)}{absent}</text></g>'
    )


def thinned(rows: Sequence[Row]) -> list[Row]:
    """Return at most about ``MOST_DOTS`` of the rows, evenly by rank, with the first and the last."""
    step = max(1, math.ceil(len(rows) / MOST_DOTS))
    return list(rows) if step == 1 else [*rows[:-1:step], rows[-1]]


def _dot(row: Row, *, x: float, y: float) -> str:
    kind = ' class="flag"' if row.status is Status.FLAG else ""
    session = "" if row.session == "n/a" else f" {row.session}"
    title = f"{escape(row.participant + session)}: {row.shown}"
    return f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{title}</title></circle>'


def _mean(strip: Strip, middle: float, *, low: float, high: float) -> str:
    if not strip.present or strip.beyond:
        return ""
    mean, left, right = mean_interval([row.value for row in strip.present])
    x = _x(mean, low=low, high=high)
    reach = ""
    if math.isfinite(left):
        x_left, x_right = _x(left, low=low, high=high), _x(right, low=low, high=high)
        reach = f'<line class="mean" x1="{x_left:.1f}" x2="{x_right:.1f}" y1="{middle:g}" y2="{middle:g}"/>'
    return reach + f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 9:g}" y2="{middle + 9:g}"/>'


def round_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Return at most ``most`` round numbers from just below ``low`` to just above ``high``, at least two.

    >>> round_ticks(0.12, 0.88)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        low, high = low - 0.1 * (abs(low) or 1.0), low + 0.1 * (abs(low) or 1.0)
    span = high - low
    power = 10 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= most - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(tick * step, 12) for tick in range(first, max(last, first + 1) + 1)]
