"""Slow versions of the gray-matter computations: one voxel and one point at a time."""

from __future__ import annotations

import itertools
import math


def regional_volume(probability, weights, *, voxel_mm3):
    """Volume (mL) of one map within one region."""
    total = 0.0
    for index in itertools.product(*(range(size) for size in probability.shape)):
        if weights[index] != 0:
            total += float(probability[index]) * float(weights[index]) * voxel_mm3
    return total / 1000


def coverage(weights, inside):
    """Share of one region's volume inside a mask."""
    whole = part = 0.0
    for index in itertools.product(*(range(size) for size in weights.shape)):
        whole += float(weights[index])
        part += float(weights[index]) if inside[index] else 0.0
    return part / whole if whole else math.nan


def share_inside(test, *, affine, shape, subsamples):
    """Weights of a region of which ``test(x, y, z)`` says whether a point in mm belongs to it: {index: share}."""
    steps = [(step + 0.5) / subsamples - 0.5 for step in range(subsamples)]
    found = {}
    for index in itertools.product(*(range(size) for size in shape)):
        hits = 0
        for offset in itertools.product(steps, repeat=3):
            voxel = [i + o for i, o in zip(index, offset, strict=True)]
            point = [sum(affine[row][k] * voxel[k] for k in range(3)) + affine[row][3] for row in range(3)]
            hits += bool(test(*point))
        if hits:
            found[index] = hits / subsamples**3
    return found


def segment_distance(point, start, end, *, open_start, open_end):
    """Distance of a point from a segment that may go on beyond its ends."""
    along = [b - a for a, b in zip(start, end, strict=True)]
    position = sum((p - a) * d for p, a, d in zip(point, start, along, strict=True)) / sum(d * d for d in along)
    if not open_start:
        position = max(position, 0.0)
    if not open_end:
        position = min(position, 1.0)
    return math.dist(point, [a + position * d for a, d in zip(start, along, strict=True)])
