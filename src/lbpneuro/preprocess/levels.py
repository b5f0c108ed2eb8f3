"""The processing levels of the embedded path: one row of numbers each, no branches elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from lbpneuro.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a processing level fixes; lengths are in mm.

    ``anat_mm`` is the grid on which the T1w image is segmented and coregistered, ``template_mm`` that of the
    template and of the normalised BOLD series (a whole number, so that the grid is a subset of the 1-mm one).
    """

    name: str
    anat_mm: float
    template_mm: int
    bias_iterations: tuple[int, ...] = (50, 50, 50, 50)
    bias_shrink: int = 4
    extraction_iterations: tuple[int, ...] = (40, 20, 10)
    normalisation: str = "antsRegistrationSyNQuickRepro[s]"
    prior_weight: float = 0.25
    realign_iterations: int = 12
    realign_smoothing_mm: float = 5.0


LEVELS = {level.name: level for level in (Level(name="draft", anat_mm=3.0, template_mm=3),)}


def level(name: str) -> Level:
    """Return the processing level ``name``; ConfigError if there is none."""
    if name not in LEVELS:
        raise ConfigError(f"preprocess.level must be one of {', '.join(LEVELS)}; got {name!r}.")
    return LEVELS[name]
