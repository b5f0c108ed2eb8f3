"""Weights of regions as an image."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from lbpneuro.io.region_grid import GridRegions, volume_weights


def regions(weights) -> GridRegions:
    return GridRegions(
        names=tuple((name, "n/a") for name in "abc"[: len(weights)]),
        weights=sparse.csr_array(np.asarray(weights, dtype=np.float32)),
        whole=np.ones(len(weights)),
        csf_excluded=np.zeros(len(weights), dtype=bool),
    )


def test_weights_as_an_image_by_hand():
    """Voxels of the mask in the order of a file: (1, 0, 0) before (0, 1, 0)."""
    mask = np.zeros((2, 2, 1), dtype=bool)
    mask[1, 0, 0] = mask[0, 1, 0] = True
    found = volume_weights(regions([[0.25, 1.0], [0.0, 0.5]]), mask=mask)
    assert found.shape == (2, 2, 1, 2)
    assert found.flags.f_contiguous
    assert found[..., 0, 0].tolist() == [[0, 1.0], [0.25, 0]]
    assert found[..., 0, 1].tolist() == [[0, 0.5], [0, 0]]


def test_regions_that_lie_elsewhere_are_empty_images():
    mask = np.ones((2, 3, 1), dtype=bool)
    assert not volume_weights(regions(np.zeros((3, 6))), mask=mask).any()
    assert volume_weights(regions(np.zeros((0, 6))), mask=mask).shape == (2, 3, 1, 0)
