"""The processing levels of the embedded path: one row of numbers each, no branches elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from lbpneuro.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a processing level fixes; lengths are in mm.

    ``anat_mm`` is the grid on which the T1w image is segmented, ``extraction_mm`` the one on which its brain is found,
    ``template_mm`` the grid of the template that it is registered to, and ``maps_mm`` that of the maps and of the
    normalised BOLD series in template space (grids of the template are subsets of its 1-mm one, so their spacing is a
    whole number). The bias field is estimated on voxels of ``head_bias_mm``, once more inside the brain on those of
    ``bias_spacing_mm``. Iterations of the registrations are given from the coarsest to the finest resolution, each
    half as coarse as the one before, the last that of the grid; ``gradient_step`` is the largest displacement (voxels)
    of one iteration of the registration to the template.
    """

    name: str
    anat_mm: float
    extraction_mm: int
    template_mm: int
    maps_mm: int
    bias_iterations: tuple[int, ...] = (50, 50, 50)
    head_bias_mm: float = 12.0
    bias_spacing_mm: float = 4.0
    extraction_iterations: tuple[int, ...] = (40, 20, 10)
    normalisation_iterations: tuple[int, ...] = (100, 70, 50, 10)
    gradient_step: float = 0.5
    prior_weight: float = 0.25
    realign_iterations: int = 12
    realign_smoothing_mm: float = 5.0


_ROWS = (
    Level(name="draft", anat_mm=3.0, extraction_mm=3, template_mm=3, maps_mm=3, bias_spacing_mm=6.0),
    Level(
        name="standard",
        anat_mm=1.0,
        extraction_mm=3,
        template_mm=2,
        maps_mm=2,
        normalisation_iterations=(100, 70, 50, 20),
    ),
    Level(name="full", anat_mm=1.0, extraction_mm=3, template_mm=1, maps_mm=2),
)
LEVELS = {level.name: level for level in _ROWS}


def level(name: str) -> Level:
    """Return the processing level ``name``; ConfigError if there is none."""
    if name not in LEVELS:
        raise ConfigError(f"preprocess.level must be one of {', '.join(LEVELS)}; got {name!r}.")
    return LEVELS[name]
