"""A head of known volumes with the file names of fMRIPrep: an ellipsoid of equal tissue shares."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np

LPS = np.diag([-1.0, -1.0, 1.0])
CENTRE_MM = np.array([2.0, -15.0, 6.0])
RADII_MM = np.array([82.0, 95.0, 80.0])
SHARES = {"GM": 0.45, "WM": 0.35, "CSF": 0.2}
SCALE = np.array([1.04, 0.97, 1.02])  # template mm per mm of this head
SHIFT_MM = np.array([3.0, -2.0, 4.0])
TO_T1W = "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5"


def grid(voxel_mm=5.0, reach_mm=110.0):
    """Affine and shape of the T1w image; the first axis runs from right to left and is centred on the midline."""
    size = int(2 * reach_mm / voxel_mm)
    affine = np.diag([-voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = [voxel_mm * (size - 1) / 2, -reach_mm - 15, -reach_mm]
    return affine, (size, size, size)


def ellipsoid(affine, shape):
    """Where the brain is (n_x, n_y, n_z)."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    return np.linalg.norm((points - CENTRE_MM) / RADII_MM, axis=-1) < 1


def write_head(folder, *, voxel_mm=5.0, tissues=("GM", "WM", "CSF"), transform=True, mask=True):
    """Write tissue maps, brain mask and transform; return the files in order."""
    folder.mkdir(parents=True, exist_ok=True)
    affine, shape = grid(voxel_mm)
    inside = ellipsoid(affine, shape)
    for tissue in tissues:
        save(inside * np.float32(SHARES[tissue]), affine, folder / f"sub-01_label-{tissue}_probseg.nii.gz")
    if mask:
        save(inside.astype(np.uint8), affine, folder / "sub-01_desc-brain_mask.nii.gz")
    if transform:
        write_transform(folder / TO_T1W)
    return sorted(folder.iterdir())


def save(data, affine, path):
    nib.save(nib.Nifti1Image(data, affine), path)


def write_transform(path):
    """Write the affine from T1w points to template points as an ITK composite."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    import ants

    parts = [
        ants.create_ants_transform(
            "AffineTransform", dimension=3, precision="float", matrix=np.diag(SCALE), translation=LPS @ SHIFT_MM
        ),
        ants.create_ants_transform("AffineTransform", dimension=3, precision="float", matrix=np.eye(3)),
    ]
    ants.write_transform(ants.compose_ants_transforms(parts), str(path))
