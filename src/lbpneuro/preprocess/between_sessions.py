"""Two sessions of a person, from their files to the changes of the labels: reading, registration, labels, gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import load_image
from lbpneuro.io.regions import Name, Region
from lbpneuro.io.transforms import itk_image
from lbpneuro.markers.change import Change
from lbpneuro.preprocess.anatomical import normalise, warp
from lbpneuro.preprocess.anatomy_quality import template_quality
from lbpneuro.preprocess.extraction import working_head
from lbpneuro.preprocess.itk import on_grid
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.longitudinal import (
    COARSE_ROUNDS,
    ROUNDS,
    Session,
    label_changes,
    mean_brain,
    middle_regions,
    session,
    within_person,
)
from lbpneuro.preprocess.progress import stage
from lbpneuro.preprocess.symmetric import Array, Volume
from lbpneuro.preprocess.templates import template

GRID_MM = 1.0
ROUNDS_OF = {"draft": COARSE_ROUNDS, "standard": ROUNDS, "full": ROUNDS}
SIDES = ("L", "R")
PARTS = ("hippocampus_anterior", "acc", "amcc", "pgacc")
"""Labels that are parts of others, which would count twice in the standard error."""
BRAIN = ("whole_brain", "n/a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The numbers of two sessions, and the mean of the brains and the labels (share of every voxel) in their middle."""

    change: Change
    mean: Volume
    labels: dict[Name, Volume]
    affine: Array


def read_session(t1w: Path, mask: Path) -> Session:
    """Return a raw T1w image and a brain mask of it, on any grid in the same place.

    Raises
    ------
    InputError
        If a file is no usable image, or nothing of the mask lies in the image.
    """
    import ants

    image = working_head(t1w, GRID_MM).image
    brain = load_image(mask)
    inside = itk_image((brain.data > 0.5).astype(np.float32), brain.affine)
    return session(image, ants.resample_image_to_target(inside, image, interp_type="nearestNeighbor"))


def compared_regions(regions: Mapping[Name, Region]) -> dict[Name, Region]:
    """Return the labels of both sides: those that are reported, and those the standard error is taken from."""
    return {
        name: one for name, one in regions.items() if one.kind == "label" and name[1] in SIDES and name[0] not in PARTS
    }


def change_between(
    first: Session, second: Session, *, regions: Mapping[Name, Region], level: Level, settings: Mapping[str, Any]
) -> Compared:
    """Return the change of every label from one session to another; to be run inside an ``ants_session``.

    Parameters
    ----------
    first, second
        The sessions; exchanging them changes the signs.
    regions
        Labels, from ``compared_regions``.
    level
        Level of the embedded path: voxels of the registration of the two, and the registration to the template.
    settings
        Section ``change`` of the settings.

    Raises
    ------
    QualityError
        If the two images do not look like one head.
    """
    with stage("registration of the two sessions"):
        within = within_person(first, second, rounds=ROUNDS_OF[level.name])
    brain, target = mean_brain(within), template(level.template_mm, priors=False)
    with stage("normalisation of their mean"):
        to_template, from_template = normalise(brain, target=target, level=level)
    with stage("labels"):
        inside = within.mean > 0
        mask = on_grid(inside.astype(np.float32), brain)
        moved = [warp(image, like=target.brain, transform=to_template) for image in (brain, mask)]
        labels = middle_regions(within, regions, transform=from_template)
    whole = label_changes(within, {BRAIN: inside.astype(np.float32)})[BRAIN]
    change = Change(
        labels=label_changes(within, labels),
        coverage={name: _share_inside(weights, inside) for name, weights in labels.items()},
        brain_percent=whole.percent,
        correlation=within.correlation,
        rigid_mm=within.rigid_mm,
        template_dice=template_quality(*moved, target=target)["template_dice"],
        level=level.name,
        absent=None,
        settings=settings,
    )
    return Compared(change=change, mean=within.mean, labels=labels, affine=within.affine)


def _share_inside(weights: NDArray[np.floating[Any]], inside: NDArray[np.bool_]) -> float:
    """Return the share of a label inside the brain, 0 where it lies outside the grid altogether."""
    total = float(weights.sum(dtype=np.float64))
    return float(weights[inside].sum(dtype=np.float64)) / total if total > 0 else 0.0
