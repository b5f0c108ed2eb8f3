"""lbpneuro: central-nervous-system markers of low back pain, one trustworthy table per study."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def load_markers(out_dir: str | Path) -> pd.DataFrame:
    """Return the marker table of the output folder ``out_dir``, tidy and typed.

    One row per participant, session, marker and index level, as in ``markers_long.tsv``; text columns that
    come from a closed list (status, marker, index columns ...) are categorical, numbers are float64, and an
    empty value is NaN with its reason beside it.

    Raises
    ------
    lbpneuro.errors.InputError
        If ``out_dir`` holds no marker table.

    Examples
    --------
    >>> table = lbpneuro.load_markers("out")                             # doctest: +SKIP
    >>> table.query("marker == 'overlap_min' and status == 'ok'")        # doctest: +SKIP
    """
    from lbpneuro.io.tables import read_cohort_table

    return read_cohort_table(out_dir)
