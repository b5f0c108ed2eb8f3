"""What a marker is (``Marker``) and what its function returns (``Estimate``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lbpneuro.errors import Reason, Status

Level = tuple[str, ...]


class Direction(StrEnum):
    """Expected sign of the difference, people with low back pain minus people without."""

    LOWER = "lower"
    HIGHER = "higher"
    CONTESTED = "contested"
    NOT_APPLICABLE = "n/a"


class Tier(StrEnum):
    """The place of a marker in an analysis plan.

    ``covariate`` rows describe the person and are no markers of the nervous system; ``quality`` rows qualify the
    others.
    """

    PRIMARY = "primary"
    SECONDARY = "secondary"
    EXPLORATORY = "exploratory"
    COVARIATE = "covariate"
    QUALITY = "quality"


class Evidence(StrEnum):
    """How far the source of a definition, threshold or direction was verified."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    DESIGN = "design"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A marker value with its uncertainty, or the reasons for its absence.

    ``value``, ``se`` and the limits of the 95 % interval are in the unit of the marker; ``n`` is what the
    marker's ``n_counts`` says. An empty value is NaN, and then ``reasons`` is not empty.
    """

    value: float = math.nan
    se: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    n: float = math.nan
    status: Status = Status.OK
    reasons: tuple[Reason, ...] = ()

    def __post_init__(self) -> None:
        if math.isnan(self.value) and not self.reasons:
            raise ValueError("an empty estimate needs at least one reason")
        if math.isnan(self.value) == (self.status in (Status.OK, Status.FLAG)):
            raise ValueError(f"value {self.value} cannot have status {self.status}")
        if self.status is Status.FLAG and not self.reasons:
            raise ValueError("a flagged estimate needs at least one reason")

    @classmethod
    def of(
        cls,
        value: float,
        *,
        se: float = math.nan,
        ci: tuple[float, float] | None = None,
        n: float = math.nan,
        flags: Sequence[Reason] = (),
    ) -> Estimate:
        """Return a value; without ``ci`` the interval is the normal one, ``value`` -/+ 1.96 ``se``."""
        low, high = ci if ci is not None else (value - 1.959964 * se, value + 1.959964 * se)
        return cls(
            value=float(value),
            se=float(se),
            ci_low=float(low),
            ci_high=float(high),
            n=float(n),
            status=Status.FLAG if flags else Status.OK,
            reasons=by_gravity(flags),
        )

    @classmethod
    def fail(cls, *reasons: Reason, n: float = math.nan) -> Estimate:
        """Return an empty value: the data exist, but do not allow it."""
        return cls(n=float(n), status=Status.FAIL, reasons=by_gravity(reasons))

    @classmethod
    def censored(
        cls, *, low: float = -math.inf, high: float = math.inf, n: float = math.nan, flags: Sequence[Reason] = ()
    ) -> Estimate:
        """Return an empty value of which only bounds are known: a threshold above a device's maximum has ``low`` alone.

        The bounds stand in ``ci_low`` and ``ci_high``, infinite on the open side, so that statistics over people can
        use what is known (docs/decisions/0029-censored-values.md).
        """
        if not low <= high or (math.isinf(low) and math.isinf(high)):
            raise ValueError(f"a censored value needs a finite bound, low <= high; got {low} and {high}")
        reasons = by_gravity((Reason.CENSORED_AT_LIMIT, *flags))
        return cls(ci_low=float(low), ci_high=float(high), n=float(n), status=Status.FAIL, reasons=reasons)

    @classmethod
    def missing(cls, *reasons: Reason) -> Estimate:
        """Return an empty value: there are no data."""
        return cls(status=Status.MISSING, reasons=by_gravity(reasons))


def with_flag(estimate: Estimate, reason: Reason) -> Estimate:
    """Return ``estimate`` with a further caveat: a value becomes flagged, an empty value stays as empty as it was."""
    status = Status.FLAG if estimate.status is Status.OK else estimate.status
    reasons = by_gravity((*estimate.reasons, reason)) if status is Status.FLAG else estimate.reasons
    return replace(estimate, status=status, reasons=reasons)


_GRAVITY = {reason: place for place, reason in enumerate(Reason)}


def by_gravity(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Return the distinct ``reasons`` in the order of the closed list."""
    return tuple(sorted(set(reasons), key=_GRAVITY.__getitem__))


def single(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of a marker that has one value per session."""
    return [()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One row of the registry; everything else about the marker is derived from it.

    ``function`` takes the input of the family (a dataclass of arrays) and returns ``{level: Estimate}``, where a
    level has one entry per name in ``index``; ``levels`` lists the levels expected under a configuration.
    ``doi`` is the source of the definition, ``direction_source`` that of the expected direction; where it is not
    the same at all levels, ``direction_by_level`` gives it by one entry of a level, such as the region; so does
    ``tier_by_level`` for the tier.
    """

    name: str
    long_name: str
    description: str
    unit: str
    family: str
    function: Callable[[Any], Mapping[Level, Estimate]]
    direction: Direction
    tier: Tier
    doi: str
    fact_sheet: str
    n_counts: str
    version: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    index: tuple[str, ...] = ()
    levels: Callable[[Mapping[str, Any]], Sequence[Level]] = field(default=single)
    direction_source: str = ""
    direction_by_level: Mapping[str, Direction] = field(default_factory=dict, hash=False)
    tier_by_level: Mapping[str, Tier] = field(default_factory=dict, hash=False)
    evidence: Evidence = Evidence.DESIGN
    se_method: str = ""

    @property
    def directions(self) -> str:
        """The expected direction in words, with the levels where it differs."""
        exceptions = [f"{entry}: {direction}" for entry, direction in self.direction_by_level.items()]
        return f"{self.direction}" + (f" ({', '.join(exceptions)})" if exceptions else "")

    @property
    def tiers(self) -> str:
        """The tier in words, with the levels where it differs."""
        exceptions = [f"{entry}: {tier}" for entry, tier in self.tier_by_level.items()]
        return f"{self.tier}" + (f" ({', '.join(exceptions)})" if exceptions else "")

    def tier_at(self, level: Level) -> Tier:
        """Return the tier at a level."""
        return next((self.tier_by_level[entry] for entry in level if entry in self.tier_by_level), self.tier)

    def direction_at(self, level: Level) -> Direction:
        """Return the expected direction at a level."""
        own = (self.direction_by_level[entry] for entry in level if entry in self.direction_by_level)
        return next(own, self.direction)


def bounded(estimate: Estimate, bounds: tuple[float, float]) -> Estimate:
    """Return ``estimate``, emptied if its value lies outside ``bounds`` (inclusive)."""
    low, high = bounds
    if math.isnan(estimate.value) or low <= estimate.value <= high:
        return estimate
    return Estimate.fail(Reason.OUT_OF_BOUNDS, *estimate.reasons, n=estimate.n)


def evaluate(marker: Marker, data: Any, config: Mapping[str, Any]) -> dict[Level, Estimate]:
    """Return one estimate for every level of ``marker``: computed, bounded, or empty with its reason."""
    found = marker.function(data)
    absent = Estimate.missing(Reason.NOT_ACQUIRED)
    return {level: bounded(found.get(level, absent), marker.bounds) for level in marker.levels(config)}
