"""Norms of sensory tests: the user's table, and the row that fits a person, a site and a device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.files import read_tsv
from lbpneuro.markers.qst_z import PARAMETERS
from lbpneuro.markers.sensory import Norm

COLUMNS: dict[str, str] = {
    "parameter": "Parameter in the abbreviations of the DFNS protocol: " + ", ".join(PARAMETERS) + ".",
    "site": "Body site, named as in the trial tables; n/a for a parameter that is tested at one site, whichever it is.",
    "sex": "F or M; n/a for both.",
    "age_min": "Youngest (years, inclusive); n/a without limit.",
    "age_max": "Oldest (completed years, inclusive); n/a without limit.",
    "transform": "log10 or none: the scale of mean and sd. It must be that of the parameter in the DFNS protocol.",
    "mean": "Mean on that scale (ppt in kPa, temperatures in degC).",
    "sd": "Standard deviation on that scale.",
    "n": "People.",
    "source": "Publication; starts with `internal` for a study's own controls.",
    "device": "Model of the device (ManufacturersModelName). A norm that names it is not used with another.",
    "probe_cm2": "Area of the probe.",
    "rate": "Rate of the ramp (kPa/s, degC/s).",
}
"""The last three may be absent: a norm that does not say how it was measured gives z-scores that are flagged."""
DEVICE_COLUMNS = ("device", "probe_cm2", "rate")
NUMBERS = ("age_min", "age_max", "mean", "sd", "n", "probe_cm2", "rate")
RELATIVE_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """How a test was done; None where it is not stated, or not the same in all trials."""

    model: str | None = None
    probe_cm2: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NormRow:
    """One row of a table of norms; ``sex`` and ``site`` are n/a for all, ages infinite without limit."""

    parameter: str
    site: str
    sex: str
    age_min: float
    age_max: float
    norm: Norm
    device: Device

    def fits(self, *, age: float, sex: str) -> bool:
        """Return whether the row is of people of this age and sex; an unknown one fits a row for all only."""
        of_age = (self.age_min, self.age_max) == (-math.inf, math.inf) or self.age_min <= math.floor(
            age
        ) <= self.age_max
        return self.sex in ("n/a", sex) and of_age

    def overlaps(self, other: NormRow) -> bool:
        """Return whether there are people for whom both rows hold."""
        same = (self.parameter, self.site, self.device) == (other.parameter, other.site, other.device)
        sexes = self.sex == other.sex or "n/a" in (self.sex, other.sex)
        return same and sexes and self.age_min <= other.age_max and other.age_min <= self.age_max


def read_norms(path: Path) -> list[NormRow]:
    """Return the rows of a table of norms (:data:`COLUMNS`).

    Raises
    ------
    InputError
        Naming file, line and column if a column is absent, an entry is not what it must be, the transform is not that
        of the parameter, or two rows hold for the same people.
    """
    table = read_tsv(path, dtype=str)
    absent = [name for name in COLUMNS if name not in table and name not in DEVICE_COLUMNS]
    if absent:
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: a table of norms needs the columns {', '.join(absent)}; it has {found}.")
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    rows = [_row(row, where=f"{path}, line {line}") for line, row in enumerate(records, start=2)]
    for (one, first), (two, second) in combinations(enumerate(rows, start=2), 2):
        if first.overlaps(second):
            raise InputError(f"{path}: lines {one} and {two} hold for the same people: {first.parameter} {first.site}.")
    return rows


def _row(row: Mapping[Any, Any], *, where: str) -> NormRow:
    number = {name: _number(row.get(name), f"{where}, column {name}") for name in NUMBERS}
    parameter = PARAMETERS.get(str(row["parameter"]))
    if parameter is None:
        known = ", ".join(PARAMETERS)
        raise InputError(f"{where}, column parameter: found {row['parameter']!r}, expected one of {known}.")
    expected = "log10" if parameter.log else "none"
    if row["transform"] != expected:
        raise InputError(
            f"{where}, column transform: {row['parameter']} is {expected} in the DFNS protocol; found "
            f"{row['transform']!r}. Give mean and sd on that scale."
        )
    sex = str(row["sex"] or "n/a").upper()[:1].replace("N", "n/a")
    if sex not in ("F", "M", "n/a"):
        raise InputError(f"{where}, column sex: found {row['sex']!r}, expected F, M or n/a.")
    for name, above in (("mean", -math.inf), ("sd", 0), ("n", 1)):
        if number[name] is None or not number[name] > above:
            raise InputError(f"{where}, column {name}: expected a number above {above:g}, found {row[name]!r}.")
    device = Device(model=row.get("device"), probe_cm2=number["probe_cm2"], rate=number["rate"])
    norm = Norm(
        mean=number["mean"],
        sd=number["sd"],
        n=int(number["n"]),
        source=str(row["source"] or "n/a"),
        device_known=device != Device(),
    )
    return NormRow(
        parameter=str(row["parameter"]),
        site=str(row["site"] or "n/a"),
        sex=sex,
        age_min=-math.inf if number["age_min"] is None else number["age_min"],
        age_max=math.inf if number["age_max"] is None else number["age_max"],
        norm=norm,
        device=device,
    )


def _number(text: str | None, where: str) -> Any:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a number or n/a, found {text!r}.")
    return value


def norm_for(
    rows: Sequence[NormRow], *, parameter: str, site: str, age: float, sex: str, device: Device
) -> Norm | Reason:
    """Return the norm of a parameter at a site for a person (age in years, NaN unknown; sex F, M or n/a), or why not.

    ``no_reference``: the table has none for this site, age and sex; ``no_covariate``: it has, but age or sex is not
    known; ``other_device``: it was measured with another device, probe or rate, or the trial table does not say with
    which.
    """
    here = [row for row in rows if row.parameter == parameter and row.site in (site, "n/a")]
    fitting = [row for row in here if row.fits(age=age, sex=sex)]
    if not fitting:
        unknown = bool(here) and (math.isnan(age) or sex == "n/a")
        return Reason.NO_COVARIATE if unknown else Reason.NO_REFERENCE
    matching = [row for row in fitting if _same_device(row.device, device)]
    return matching[0].norm if matching else Reason.OTHER_DEVICE


def _same_device(norm: Device, used: Device) -> bool:
    """Return whether all that a norm says of its device is said of the one used as well."""
    if norm.model is not None and norm.model != used.model:
        return False
    pairs = ((norm.probe_cm2, used.probe_cm2), (norm.rate, used.rate))
    return all(
        wanted is None or (found is not None and math.isclose(wanted, found, rel_tol=RELATIVE_TOLERANCE))
        for wanted, found in pairs
    )
