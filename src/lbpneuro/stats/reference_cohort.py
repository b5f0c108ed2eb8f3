"""A reference cohort from one's own controls: volumes regressed on intracranial volume, age and sex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError, QualityError, Status
from lbpneuro.io.files import read_tsv, write_json, write_tsv
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.reference_cohort import COEFFICIENTS, COLUMNS, age_and_sex, reference_rows
from lbpneuro.io.tables import LONG_NAME, read_long
from lbpneuro.kernels.regression import ols_hc3
from lbpneuro.markers.descriptor import Level

if TYPE_CHECKING:
    import pandas as pd

FITTED = ("gm_total", "gm_neocortical", "gm_volume")
USABLE = (str(Status.OK), str(Status.FLAG))
LEAST_PEOPLE = 10
FEW_PEOPLE = 30


def write_reference(out_dir: Path, path: Path, *, column: str, group: str) -> str:
    """Write the table of a reference cohort from the people of a group, with its sidecar; return what it holds.

    Parameters
    ----------
    out_dir
        Output folder with ``markers_long.tsv`` and ``participants.tsv``.
    path
        The table to write.
    column, group
        The cohort are the participants with this value in this column.

    Raises
    ------
    InputError
        If a table or the column is absent, nobody is in the group, or as in :func:`reference_table`.
    """
    participants = read_tsv(out_dir / "participants.tsv")
    if column not in participants:
        known = ", ".join(map(str, participants.columns))
        raise InputError(f"{out_dir / 'participants.tsv'}: there is no column {column}, but {known}.")
    people = participants.loc[participants[column].astype(str) == group, "participant_id"].astype(str).tolist()
    if not people:
        found = ", ".join(sorted(set(participants[column].dropna().astype(str))))
        raise InputError(
            f"{out_dir / 'participants.tsv'}: nobody has the {column} {group}; found {found or 'nothing'}."
        )
    table = reference_table(read_long(out_dir / f"{LONG_NAME}.tsv"), participants, people=people)
    sidecar = {
        "Description": "Reference cohort for adjusted gray-matter volumes: ordinary least squares, covariance HC3.",
        "Cohort": {"column": column, "group": group, "people": len(people)},
        **{name: {"Description": text} for name, text in COLUMNS.items()},
        "SoftwareVersions": software_versions(),
    }
    write_tsv(path, table)
    write_json(path.with_suffix(".json"), sidecar)
    fewest = int(table["n"].min())
    few = f" With fewer than {FEW_PEOPLE} people its errors are large." if fewest < FEW_PEOPLE else ""
    return (
        f"{path}: {len(table)} volumes of {fewest} to {int(table['n'].max())} people, {table['method'].iloc[0]}.{few}"
    )


def reference_table(rows: pd.DataFrame, participants: pd.DataFrame, *, people: Sequence[str]) -> pd.DataFrame:
    """Return the table of a reference cohort.

    Parameters
    ----------
    rows
        Long marker table of a study; values with status ok or flag are used, of each person's first session.
    participants
        participants.tsv with ``age`` and ``sex``.
    people
        Who belongs to the cohort.

    Returns
    -------
    DataFrame
        Columns of :data:`lbpneuro.io.reference_cohort.COLUMNS`, one row per marker and region that enough people have.

    Raises
    ------
    InputError
        If the cohort was measured by more than one method, or fewer than 10 people have volumes, age and sex.
    QualityError
        If the regressors depend on each other, for example because all are women.
    """
    chosen = _first_sessions(rows[rows["participant_id"].isin(people) & rows["status"].isin(USABLE)])
    method = _method(chosen[chosen["marker"].isin(FITTED)])
    covariates = age_and_sex(participants.set_index("participant_id"))
    covariates["tiv"] = chosen[chosen["marker"] == "tiv"].set_index("participant_id")["value"]
    covariates = covariates.dropna()
    fits, levels, facts = [], [], []
    for level, group in _levels(chosen):
        values = group.set_index("participant_id")["value"].astype(float)
        shared = values.index.intersection(covariates.index)
        if len(shared) < LEAST_PEOPLE:
            continue
        fit, known = _fit(values.loc[shared].to_numpy(), covariates.loc[shared], level=level)
        fits.append(fit)
        levels.append(level)
        facts.append({"method": method, "n": len(shared), **known})
    if not fits:
        raise InputError(
            f"A reference cohort needs {LEAST_PEOPLE} people with gray-matter volumes, age and sex (participants.tsv); "
            f"of {len(people)} people, {chosen['participant_id'].nunique()} have volumes and {len(covariates)} all."
        )
    coefficients, covariances = (np.array([fit[part] for fit in fits]) for part in (0, 1))
    return reference_rows((coefficients, covariances), levels, facts=facts)


def _fit(
    values: np.ndarray, covariates: pd.DataFrame, *, level: Level
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Return coefficients and covariance of one volume, and the means and the spread of the cohort."""
    tiv, age, male = (covariates[name].to_numpy() for name in ("tiv", "age", "male"))
    design = np.column_stack([np.ones(len(values)), tiv - tiv.mean(), age - age.mean(), male])
    try:
        coefficients, covariance = ols_hc3(values[:, np.newaxis], design=design)
    except QualityError as error:
        raise QualityError(f"Reference cohort, {' '.join(level)}: {error}", reason=error.reason) from error
    left = values - design @ coefficients[0]
    spread = float(np.sqrt(left @ left / (len(values) - len(COEFFICIENTS))))
    known = {"tiv_mean": tiv.mean(), "age_mean": age.mean(), "residual_sd": spread}
    return (coefficients[0], covariance[0]), known


def _levels(rows: pd.DataFrame) -> list[tuple[Level, pd.DataFrame]]:
    """Return the volumes by (marker,) or (marker, roi, hemi), in the order of the table."""
    wanted = rows[rows["marker"].isin(FITTED)]
    keyed = wanted.assign(roi=wanted["roi"].fillna("n/a"), hemi=wanted["hemi"].fillna("n/a"))
    found = keyed.groupby(["marker", "roi", "hemi"], sort=False)
    return [(tuple(str(part) for part in key if part != "n/a"), group) for key, group in found]


def _first_sessions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first session of every person."""
    sessions = rows["session_id"].fillna("").astype(str)
    return rows[sessions == sessions.groupby(rows["participant_id"]).transform("min")]


def _method(rows: pd.DataFrame) -> str:
    """Return how the rows were measured: what their column ``method`` says before the colon."""
    methods = sorted({str(text).split(":")[0] for text in rows["method"].dropna()})
    if len(methods) > 1:
        raise InputError(f"A reference cohort must be measured by one method; found {', '.join(methods)}.")
    return methods[0] if methods else "n/a"
