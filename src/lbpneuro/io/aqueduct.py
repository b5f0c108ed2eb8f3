"""The regions around the aqueduct, moved to where the aqueduct of the person is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lbpneuro.io.images import Image
from lbpneuro.io.regions import Name, Region
from lbpneuro.kernels.aqueduct import Axis, aqueduct_axis, axis_at

TUBE = "tube"
VOXEL_MAX_MM = 2.0
VOXEL_TOLERANCE_MM = 0.05
DISTANCE_MAX_MM = 4.0
CONTRAST_MIN = 0.25
log = logging.getLogger("lbpneuro")


def own_aqueduct(regions: Mapping[Name, Region], csf: Image | None) -> tuple[dict[Name, Region], dict[str, Any]]:
    """Return regions whose tubes follow the aqueduct of the person, where a CSF map shows it; and what was done.

    All tubes share the axis of the template, which is replaced at the heights of its vertices. The template axis stays
    where there is no CSF map, its voxels are larger than 2 mm, the map shows no clear aqueduct (contrast below 0.25: in
    noisy maps the axis found is then farther from the truth than that of the template), or the axis found is more than
    4 mm from that of the template.

    Parameters
    ----------
    regions
        By (roi, hemi).
    csf
        CSF probability in the space of the regions.

    Returns
    -------
    regions
        All of them, in their order.
    facts
        ``AqueductAxis``: ``own`` or ``template``; ``AqueductNote`` says why not its own; distance and contrast.
    """
    tubes = [name for name, region in regions.items() if region.kind == TUBE]
    if not tubes:
        return dict(regions), {}
    if csf is None:
        return dict(regions), {"AqueductAxis": "template", "AqueductNote": "no CSF map"}
    voxel_mm = float(np.linalg.norm(csf.affine[:3, :3], axis=0).max())
    if voxel_mm > VOXEL_MAX_MM + VOXEL_TOLERANCE_MM:
        note = f"the voxels of the CSF map are {voxel_mm:g} mm, more than {VOXEL_MAX_MM:g} mm"
        return dict(regions), {"AqueductAxis": "template", "AqueductNote": note}
    axis = aqueduct_axis(csf.data, affine=csf.affine, template=regions[tubes[0]].points)
    facts = {"AqueductDistanceMm": round(axis.distance_mm, 2), "AqueductContrast": round(axis.contrast, 3)}
    note = _objection(axis)
    if note:
        log.warning("%s: the axis of the template is used, for %s.", csf.path, note)
        return dict(regions), {"AqueductAxis": "template", "AqueductNote": note, **facts}
    moved = {name: along(region, axis) if region.kind == TUBE else region for name, region in regions.items()}
    return moved, {"AqueductAxis": "own", **facts}


def along(region: Region, axis: Axis) -> Region:
    """Return a tube along an axis, its vertices at the heights where they were."""
    return replace(region, points=axis_at(axis.points, height_mm=region.points[:, 2]))


def _objection(axis: Axis) -> str:
    if axis.contrast < CONTRAST_MIN:
        return f"the CSF map shows no aqueduct (contrast {axis.contrast:.2f}, at least {CONTRAST_MIN:g} is needed)"
    if axis.distance_mm > DISTANCE_MAX_MM:
        return (
            f"the aqueduct found is {axis.distance_mm:.1f} mm from that of the template, more than "
            f"{DISTANCE_MAX_MM:g} mm"
        )
    return ""
