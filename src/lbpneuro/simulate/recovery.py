"""How well a run of lbpneuro recovered what was planted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.io.files import read_tsv
from lbpneuro.io.tables import read_cohort_table

if TYPE_CHECKING:
    import pandas as pd

Levels = dict[str, str]

HEADLINES: tuple[tuple[str, str, Levels], ...] = (
    ("gray matter of the DLPFC", "gm_volume", {"roi": "dlpfc"}),
    ("gray matter of the thalamus", "gm_volume", {"roi": "thalamus"}),
    ("PAG-vmPFC connectivity", "pag_vmpfc_z", {}),
    ("overlap of the motor maps", "overlap_min", {}),
    ("homeostatic plasticity", "hp_index", {"block": "post10"}),
    ("remote pressure threshold", "ppt_remote", {}),
    ("temporal summation", "tsp_diff", {}),
    ("disability (RMDQ)", "rmdq", {}),
)
"""The lines of the summary: what it is called, marker, and which of its levels."""

NOT_LEVELS = ("participant_id", "session_id", "marker", "value")
USABLE = (str(Status.OK), str(Status.FLAG))
BOUNDED = str(Reason.CENSORED_AT_LIMIT)


def pair_with_truth(out_dir: str | Path, truth_path: str | Path) -> pd.DataFrame:
    """Return one row per planted value with the value found: the marker table of ``out_dir`` beside truth.tsv.

    Columns are those of the truth, whose value is ``truth``, and ``value``, ``se``, ``ci_low``, ``ci_high``,
    ``status`` and ``reason`` of the marker table; a planted value without a row there has none.

    Raises
    ------
    InputError
        If one of the tables is absent, or no planted value has a row in the marker table.
    """
    found = read_cohort_table(out_dir)
    truth = read_tsv(Path(truth_path), dtype={"session_id": str, "state": str}).rename(columns={"value": "truth"})
    levels = [column for column in truth.columns if column not in (*NOT_LEVELS, "truth") and column in found]
    keys = ["participant_id", "session_id", "marker", *levels]
    columns = [*keys, "value", "se", "ci_low", "ci_high", "status", "reason"]
    planted = found.loc[found["marker"].isin(truth["marker"]), columns]
    left, right = (_with_text_keys(table, keys) for table in (truth, planted))
    both = left.merge(right, on=keys, how="left", validate="one_to_one")
    if both["status"].isna().all():
        raise InputError(
            f"{truth_path}: none of its values is in the marker table of {out_dir}; is it of another study?"
        )
    return both


def _with_text_keys(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The table with text in its key columns, n/a where there was nothing."""
    texts = {key: table[key].astype(object).where(table[key].notna(), "n/a").astype(str) for key in keys}
    return table.assign(**texts)


def recovery_table(out_dir: str | Path, truth_path: str | Path) -> pd.DataFrame:
    """Return how each marker level recovered its planted values.

    Parameters
    ----------
    out_dir
        Output folder of lbpneuro for a simulated study.
    truth_path
        truth.tsv of that study.

    Returns
    -------
    DataFrame
        One row per marker and level: ``n_planted``, ``n`` (values with status ok or flag), ``bias`` (mean of value
        minus truth, in the unit of the marker), ``bias_over_se`` (over the mean standard error), ``rmse``,
        ``coverage`` (share of the 95 % intervals that hold the truth), ``r`` (correlation with the truth over
        participants), ``n_bounds`` (values beyond a limit that are kept as bounds) and ``bounds_hold`` (share of the
        bounds on whose open side the truth lies). NaN where it cannot be computed.
    """
    import pandas as pd

    both = pair_with_truth(out_dir, truth_path)
    levels = [column for column in both.columns[: list(both.columns).index("truth")] if column not in NOT_LEVELS]
    keys = ["marker", *levels]
    rows = [
        {**dict(zip(keys, level, strict=True)), **agreement(group), **bounds_agreement(group)}
        for level, group in both.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows)


def agreement(pairs: pd.DataFrame) -> dict[str, float]:
    """Return the agreement of ``value`` with ``truth`` over the usable rows of ``pairs``."""
    usable = pairs[pairs["status"].isin(USABLE)]
    value, truth, se, low, high = (
        usable[column].to_numpy(dtype=float) for column in ("value", "truth", "se", "ci_low", "ci_high")
    )
    n = len(usable)
    error = value - truth
    bias = float(error.mean()) if n else np.nan
    known = np.isfinite(low) & np.isfinite(high)
    inside = (low <= truth) & (truth <= high)
    return {
        "n_planted": len(pairs),
        "n": n,
        "bias": bias,
        "bias_over_se": bias / float(se[np.isfinite(se)].mean()) if np.isfinite(se).any() else np.nan,
        "rmse": float(np.sqrt(np.mean(error**2))) if n else np.nan,
        "coverage": float(inside[known].mean()) if known.any() else np.nan,
        "r": _correlation(value, truth),
    }


def bounds_agreement(pairs: pd.DataFrame) -> dict[str, float]:
    """Return how many rows of ``pairs`` are bounds of a value beyond a limit, and the share that holds the truth.

    An open side is empty or infinite. A limit that bounds the marker on neither side says nothing, and is not counted.
    """
    censored = pairs["reason"].fillna("").astype(str).str.split(";").map(lambda reasons: BOUNDED in reasons)
    low, high, truth = (pairs.loc[censored, column].to_numpy(dtype=float) for column in ("ci_low", "ci_high", "truth"))
    bounded = np.isfinite(low) | np.isfinite(high)
    above = ~np.isfinite(low) | (low <= truth)
    below = ~np.isfinite(high) | (truth <= high)
    n = int(bounded.sum())
    return {"n_bounds": n, "bounds_hold": float((above & below)[bounded].mean()) if n else np.nan}


def _correlation(value: np.ndarray, truth: np.ndarray) -> float:
    varies = len(value) > 2 and np.ptp(value) > 0 and np.ptp(truth) > 0
    return float(np.corrcoef(value, truth)[0, 1]) if varies else np.nan


def summary(table: pd.DataFrame) -> str:
    """Return plain text on the headline markers of a ``recovery_table`` that the study planted, hemispheres pooled.

    A last line tells of the values beyond a limit of all markers, if there are any.
    """
    chosen = [(title, _chosen(table, marker, levels=levels)) for title, marker, levels in HEADLINES]
    lines = [_line(title, rows) for title, rows in chosen if len(rows)]
    n = int(table["n_bounds"].sum())
    if n:
        held = _weighted(table["bounds_hold"], table["n_bounds"])
        lines.append(f"{'values beyond a limit':<28} {n:>3} bounds: {held:.0%} hold the truth")
    return "\n".join(lines)


def _chosen(table: pd.DataFrame, marker: str, *, levels: Levels) -> pd.DataFrame:
    chosen = table[table["marker"] == marker]
    for column, level in levels.items():
        chosen = chosen[chosen[column] == level]
    return chosen


def _line(title: str, rows: pd.DataFrame) -> str:
    """One line: how many values, and the means over the rows, weighted by their number of values."""
    n, planted = int(rows["n"].sum()), int(rows["n_planted"].sum())
    start = f"{title:<28} {n:>3} of {planted:>3} values"
    parts = [
        ("bias", "bias_over_se", "{:+.2f} SE"),
        ("95 % intervals right", "coverage", "{:.0%}"),
        ("r", "r", "{:.2f}"),
    ]
    means = {name: (form, _weighted(rows[column], rows["n"])) for name, column, form in parts}
    told = [f"{name} {form.format(mean)}" for name, (form, mean) in means.items() if np.isfinite(mean)]
    return f"{start}: {', '.join(told) or 'nothing to compare'}"


def _weighted(values: pd.Series[float], weights: pd.Series[float]) -> float:
    known = values.notna() & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else np.nan
