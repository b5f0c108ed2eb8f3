"""QC-FC edge by edge with library calls, as slow and plain as can be."""

from __future__ import annotations

import numpy as np


def partial_correlation(quality: np.ndarray, values: np.ndarray, covariates: np.ndarray) -> float:
    """Correlation of what two least-squares fits leave, people without a value left out."""
    known = np.isfinite(values)
    design = np.column_stack([np.ones(known.sum()), covariates[known]])
    left = [each - design @ np.linalg.lstsq(design, each, rcond=None)[0] for each in (quality[known], values[known])]
    return float(np.corrcoef(left)[0, 1])


def without_each(quality: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Correlations with each person deleted from the arrays."""
    return np.array(
        [
            [np.corrcoef(np.delete(quality, person), np.delete(edge, person))[0, 1] for edge in edges.T]
            for person in range(len(quality))
        ]
    )
