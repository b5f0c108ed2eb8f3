"""Groups of a study compared, from a folder to a table with its dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.outcomes import chosen_group, read_covariates, read_groups, read_outcomes, with_bounds
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.tables import LONG_NAME, read_long, write_plain_parquet
from lbpneuro.stats.censored import COLUMNS, ESTIMATORS, compare
from lbpneuro.stats.trial_files import plain

if TYPE_CHECKING:
    import pandas as pd

MEANING = (
    "A value beyond a limit (threshold above the maximum of a device, concentration below detection) is used as a "
    "bound, never as a number: means and differences come from a likelihood (Tobit), medians from Kaplan-Meier, ranks "
    "from Gehan's test. Groups that were not randomised differ in more than their name; a difference is an association."
)


def run_compare(
    folder: Path, *, by: str, reference: str, names: Sequence[str], covariates: Sequence[str], level: float
) -> tuple[pd.DataFrame, Path]:
    """Compare the groups of a study, write ``compare_<by>.tsv`` with dictionary and Parquet; return table and path.

    Parameters
    ----------
    folder
        Output folder of lbpneuro, or a BIDS dataset with ``phenotype/``.
    by, reference
        Column of participants.tsv, and the group the others are compared with.
    names
        Outcomes; empty: all markers of which someone's value lies beyond a limit.
    covariates
        Columns of participants.tsv to adjust differences for.
    level
        Of the intervals.

    Raises
    ------
    InputError
        If column, group, outcome or covariate is not there.
    """
    groups = read_groups(folder, by)
    reference = chosen_group(groups, reference, column=by)
    table, outcomes = read_outcomes(folder, list(names) or censored_outcomes(folder))
    adjusted = read_covariates(folder, covariates)
    found = compare(table, outcomes, groups=groups, reference=reference, covariates=adjusted, level=level)
    path = folder / f"compare_{by}.tsv"
    dictionary = {
        "Description": f"Groups of the column {by} compared.",
        "Meaning": MEANING,
        **{name: {"Description": text} for name, text in COLUMNS.items()},
        "Covariates": list(covariates),
        "Level": level,
        "SoftwareVersions": software_versions(),
    }
    dictionary["estimator"] = {"Description": COLUMNS["estimator"], "Levels": ESTIMATORS}
    write_json(path.with_suffix(".json"), dictionary)
    write_plain_parquet(path.with_suffix(".parquet"), plain(found))
    write_tsv(path, found)
    return found, path


def censored_outcomes(folder: Path) -> list[str]:
    """Return the markers of which someone's value lies beyond a limit, in the order of the table."""
    path = folder / f"{LONG_NAME}.tsv"
    if not path.is_file():
        raise InputError(f"{folder}: name outcomes (--outcome); without {LONG_NAME}.tsv there is no list of them.")
    table = with_bounds(read_long(path))
    found = list(dict.fromkeys(table["column"][~np.isfinite(table["value"])]))
    if not found:
        raise InputError(f"{path}: no value lies beyond a limit; name the outcomes to compare (--outcome).")
    return found
