"""Files made for tests, and the one file among outputs."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from lbpneuro.io.composites import TransformRecord, write_composite
from lbpneuro.io.transforms import LPS


def content(path: Path) -> bytes:
    """What a file holds, unpacked: igzip packs the same bytes in another way once in many hundred times."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def shifting(path: Path, mm: Sequence[float]) -> Path:
    """A transform that takes the points of the run to the template by adding ``mm``."""
    parameters = np.concatenate([np.eye(3).ravel(), LPS @ np.asarray(mm)])
    record = TransformRecord(kind="AffineTransform_double_3_3", parameters=parameters, fixed=np.zeros(3))
    write_composite(path, [record])
    return path


def blocks(path: Path, like: Path, mask: Path) -> Path:
    """A label image of eight blocks of whole voxels inside the mask."""
    image, inside = nib.load(like), np.asarray(nib.load(mask).dataobj) > 0
    at = np.argwhere(inside)
    middle = np.median(at, axis=0)
    labels = np.zeros(inside.shape, dtype=np.int16)
    labels[tuple(at.T)] = 1 + (at > middle) @ [1, 2, 4]
    nib.save(nib.Nifti1Image(labels, image.affine), path)
    return path


def matrices(root: Path, name: str) -> pd.DataFrame:
    """The one matrix of an atlas."""
    (path,) = (root / "out").rglob(f"*_atlas-{name}_*relmat.tsv")
    return pd.read_csv(path, sep="\t", na_values="n/a")
