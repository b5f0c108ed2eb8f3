"""The table of a reference cohort: what a volume is expected to be at an intracranial volume, age and sex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.participants import participants_table
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tissue import Reference

if TYPE_CHECKING:
    import pandas as pd

COEFFICIENTS = ("intercept", "per_tiv", "per_year", "male")
COVARIANCES = tuple(
    f"cov_{one}__{other}" for place, one in enumerate(COEFFICIENTS) for other in COEFFICIENTS[: place + 1]
)
KEYS = ("method", "marker", "roi", "hemi")
COLUMNS: dict[str, str] = {
    "method": "How the cohort was measured: source, and level of the embedded path. Others are not compared with it.",
    "marker": "gm_total, gm_neocortical or gm_volume.",
    "roi": "Region of gm_volume, else n/a.",
    "hemi": "L or R of gm_volume, else n/a.",
    "n": "People.",
    "tiv_mean": "Mean intracranial volume (mL), subtracted before the fit.",
    "age_mean": "Mean age (years), subtracted before the fit.",
    "residual_sd": "Standard deviation of the people around the fit (mL).",
    "intercept": "Volume expected of a woman of mean intracranial volume and age (mL).",
    "per_tiv": "Change per mL of intracranial volume (mL/mL).",
    "per_year": "Change per year of age (mL/year).",
    "male": "Men less women (mL).",
    **dict.fromkeys(COVARIANCES, "Covariance (HC3) of the two coefficients in its name."),
}
NUMBERS = ("tiv_mean", "age_mean", *COEFFICIENTS, *COVARIANCES)
WOMEN, MEN = ("f", "female", "w", "woman"), ("m", "male", "man")


def read_reference(path: Path) -> dict[Level, Reference]:
    """Return what a reference cohort expects, by (marker, roi, hemi) or (marker,).

    Raises
    ------
    InputError
        Naming file, row and column if a column is absent, a number is none, a row is repeated, or rows were measured by
        different methods.
    """
    table = read_tsv(path, dtype=str)
    absent = [column for column in (*KEYS, "n", *NUMBERS) if column not in table]
    if absent:
        raise InputError(
            f"{path}: expected the table of a reference cohort, but the columns {', '.join(absent)} are absent; "
            "`lbpneuro reference` writes one."
        )
    methods = sorted(set(table["method"].fillna("n/a")))
    if len(methods) != 1:
        raise InputError(f"{path}: expected a cohort measured by one method, found {', '.join(methods) or 'no row'}.")
    found: dict[Level, Reference] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        key = _key(row)
        if key in found:
            raise InputError(f"{path}, row {line}: {' '.join(key)} is there already; keep one row.")
        found[key] = _reference(row, where=f"{path}, row {line}")
    return found


def _key(row: Mapping[Any, Any]) -> Level:
    return tuple(str(row[name]) for name in KEYS[1:] if isinstance(row[name], str) and row[name] != "n/a")


def _reference(row: Mapping[Any, Any], *, where: str) -> Reference:
    number = {name: _number(row[name], f"{where}, column {name}") for name in ("n", *NUMBERS)}
    covariance = np.zeros((len(COEFFICIENTS),) * 2)
    covariance[np.tril_indices(len(COEFFICIENTS))] = [number[name] for name in COVARIANCES]
    return Reference(
        method=str(row["method"]),
        coefficients=np.array([number[name] for name in COEFFICIENTS]),
        covariance=covariance + np.tril(covariance, -1).T,
        tiv_mean=number["tiv_mean"],
        age_mean=number["age_mean"],
        n=int(number["n"]),
    )


def _number(text: Any, where: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{where}: expected a number, found {text!r}; write the table anew with `lbpneuro reference`.")
    return value


def reference_rows(
    fit: tuple[np.ndarray, np.ndarray], levels: Sequence[Level], *, facts: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the table of fits (n_level, 4) and (n_level, 4, 4); ``facts`` are the other columns of every row."""
    import pandas as pd

    lower = np.tril_indices(len(COEFFICIENTS))
    rows = []
    for level, coefficients, covariance, known in zip(levels, *fit, facts, strict=True):
        roi, hemi = level[1:] or (None, None)
        numbers = dict(zip(COEFFICIENTS, coefficients, strict=True))
        numbers |= dict(zip(COVARIANCES, covariance[lower], strict=True))
        rows.append({"marker": level[0], "roi": roi, "hemi": hemi, **known, **numbers})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def age_and_sex(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``age`` (years) and ``male`` (1, or 0 for female) of a table of participants, NaN if unknown.

    Sex is understood as female, f, male or m in any case.
    """
    import pandas as pd

    unknown = pd.Series(np.nan, index=table.index)
    age = pd.to_numeric(table["age"], errors="coerce") if "age" in table else unknown
    sex = table["sex"].astype(str).str.strip().str.lower() if "sex" in table else unknown
    codes = dict.fromkeys(WOMEN, 0.0) | dict.fromkeys(MEN, 1.0)
    return pd.DataFrame({"age": age.astype(float), "male": sex.map(codes).astype(float)}, index=table.index)


def person_facts(config: Mapping[str, Any], participant: str) -> dict[str, Any]:
    """Return the fields of ``Structural`` that adjusted volumes need, for ``sub-<label>``; nothing without a cohort.

    Raises
    ------
    InputError
        If the table of the cohort (``structural.reference``) is not what it must be.
    """
    if not config["structural"]["reference"]:
        return {}
    age, male = person_age_and_sex(config, participant)
    return {"age": age, "male": male, "reference": read_reference(Path(config["structural"]["reference"]))}


def person_age_and_sex(config: Mapping[str, Any], participant: str) -> tuple[float, float]:
    """Return age (years) and sex (1 male, 0 female) of ``sub-<label>`` from participants.tsv; NaN where not known."""
    table = participants_table(Path(config["dataset"]["bids_dir"]), [participant])
    known = age_and_sex(table).iloc[0]
    return float(known["age"]), float(known["male"])
