"""The files of a PET scan: which there are, the times of its frames, dose, decay, and what is known of the person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.index import entities
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.pet import HALF_LIFE_S, decay_constant, decay_factors
from lbpneuro.markers.pet import Affinity, plain

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

SCAN_ENTITIES = ("task", "trc", "rec", "run")
TEMPLATE = "MNI152NLin2009cAsym"
CURVES = ("tacs", "timeseries")
ACTIVITY = {"bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9, "nci": 37.0, "uci": 37e3, "µci": 37e3, "mci": 37e6}
PER_VOLUME = ("ml", "cc", "cm3", "cm^3")
YES = {"1", "1.0", "yes", "y", "true"}
GRAM_PER_KG = 1e3
GRAM_LIKE_KG = (20.0, 350.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFiles:
    """The files of one scan, and what its sidecars say.

    ``image`` is in the template (``space`` is its name), in the space of the T1w image ("T1w") or as it was scanned
    ("raw"); ``curves`` is a table of regional curves, which is read where there is no image but a raw one.
    """

    image: Path | None
    space: str
    curves: Path | None
    volumes: Path | None
    confounds: Path | None
    blood: tuple[Path, ...]
    anatomy: tuple[Path, ...]
    metadata: Mapping[str, Any]

    @property
    def main(self) -> Path:
        """The file that the activity is read from."""
        found = self.image if self.from_image else self.curves
        if found is None:
            raise ValueError("a scan has an image or curves")
        return found

    @property
    def from_image(self) -> bool:
        """Whether an image is read, not the table."""
        return self.image is not None and (self.curves is None or self.space != "raw")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Frames:
    """Start and duration (s) of the frames after the injection; ``factor`` makes activity Bq/mL at the injection."""

    start_s: Array
    duration_s: Array
    factor: Array
    decay_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Individual:
    """What participants.tsv says of a person; NaN, unknown and None where it does not."""

    mass_g: float
    affinity: Affinity
    ligand: bool | None
    notes: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------------------- files


def find_scan(files: Sequence[Path], *, bids_dir: Path, settings: Mapping[str, Any]) -> ScanFiles:
    """Return the scan among the files of a session: the first with a TSPO tracer, else the first.

    An image in the template or in the space of the T1w image comes before a table of curves, a raw image last.

    Raises
    ------
    InputError
        With reason ``no_derivative`` if the session has PET files, but neither image nor curves.
    """
    pet = [path for path in sorted(files) if entities(path).get("datatype") == "pet"]
    groups: dict[tuple[str | None, ...], list[Path]] = {}
    for path in pet:
        if _is_activity(path):
            groups.setdefault(_scan(path), []).append(path)
    if not groups:
        names = ", ".join(path.name for path in pet) or "no file"
        raise InputError(
            f"The PET folder holds {names}: expected a *_pet.nii.gz image or a *_tacs.tsv table of curves.",
            reason=Reason.NO_DERIVATIVE,
        )
    anatomy = tuple(path for path in sorted(files) if entities(path).get("datatype") == "anat")
    scans = [_scan_files(own, pet, anatomy=anatomy, bids_dir=bids_dir) for own in groups.values()]
    known = {plain(name) for key in ("tracers", "tracers_without_genotype") for name in settings[key]}
    return next((scan for scan in scans if plain(str(scan.metadata.get("TracerName", ""))) in known), scans[0])


def _is_activity(path: Path) -> bool:
    named = entities(path)
    table = named.get("suffix") in CURVES and named.get("ext") == ".tsv" and named.get("desc") != "confounds"
    return table or _is_image(path)


def _is_image(path: Path) -> bool:
    named = entities(path)
    space = named.get("space")
    wanted = space in (TEMPLATE, "T1w") if space else "desc" not in named
    return named.get("suffix") == "pet" and named.get("ext", "").startswith(".nii") and wanted


def _scan(path: Path) -> tuple[str | None, ...]:
    named = entities(path)
    return tuple(named.get(key) for key in SCAN_ENTITIES)


def _scan_files(own: Sequence[Path], pet: Sequence[Path], *, anatomy: tuple[Path, ...], bids_dir: Path) -> ScanFiles:
    images = sorted((path for path in own if _is_image(path)), key=_image_order)
    tables = sorted((path for path in own if not _is_image(path)), key=_table_order)
    image, curves = next(iter(images), None), next(iter(tables), None)
    named = entities(image) if image else {}
    space = named.get("space", "raw")
    key = _scan(own[0])
    beside = [path for path in pet if _scan(path) == key]
    metadata = {**_raw_metadata(own[0], bids_dir), **(read_metadata(curves) if curves else {})}
    if image is not None:
        metadata |= read_metadata(image)
    return ScanFiles(
        image=image,
        space=space,
        curves=curves,
        volumes=next((path for path in beside if entities(path).get("suffix") == "morph"), None),
        confounds=next((path for path in beside if entities(path).get("desc") == "confounds"), None),
        blood=tuple(path for path in beside if entities(path).get("suffix") in ("blood", "inputfunction")),
        anatomy=anatomy,
        metadata=metadata,
    )


def _image_order(path: Path) -> tuple[int, str]:
    return ({TEMPLATE: 0, "T1w": 1}.get(entities(path).get("space", ""), 2), path.name)


def _table_order(path: Path) -> tuple[bool, bool, bool, str]:
    """Curves without correction for partial volume and of all regions first."""
    named = entities(path)
    corrected = named.get("pvc", "nopvc").lower() not in ("nopvc", "none")
    return (corrected, named.get("suffix") != "tacs", "ref" in named, path.name)


def _raw_metadata(path: Path, bids_dir: Path) -> dict[str, Any]:
    """Return what the sidecars of the raw image say of the scan of a file, whether or not the image was fetched."""
    named = entities(path)
    parts = [f"{key}-{named[key]}" for key in ("sub", "ses", *SCAN_ENTITIES) if key in named]
    folder = bids_dir / "/".join(part for part in parts if part.startswith(("sub-", "ses-"))) / "pet"
    return read_metadata(folder / f"{'_'.join(parts)}_pet.nii.gz")


# ------------------------------------------------------------------------------------------------------------ metadata


def activity_factor(unit: Any, *, where: str) -> float:
    """Return what a concentration in ``unit``, such as kBq/mL, is multiplied with to be in Bq/mL.

    Raises
    ------
    UnitError
        If the unit is absent or no activity per volume.
    """
    activity, slash, volume = str(unit).strip().lower().partition("/")
    if not slash or activity not in ACTIVITY or volume not in PER_VOLUME:
        raise UnitError(f"{where}: expected an activity per volume such as Bq/mL or kBq/mL as Units, found {unit!r}.")
    return ACTIVITY[activity]


def dose_bq(metadata: Mapping[str, Any], *, where: str) -> float:
    """Return InjectedRadioactivity in Bq; NaN if it is not given.

    Raises
    ------
    UnitError
        If InjectedRadioactivityUnits is absent or no unit of radioactivity.
    """
    given = metadata.get("InjectedRadioactivity")
    if given in (None, "n/a"):
        return float("nan")
    unit = metadata.get("InjectedRadioactivityUnits")
    factor = ACTIVITY.get(str(unit).strip().lower())
    if factor is None or isinstance(given, bool) or not isinstance(given, int | float):
        raise UnitError(
            f"{where}: expected InjectedRadioactivity as a number with InjectedRadioactivityUnits such as MBq, found "
            f"{given!r} and {unit!r}."
        )
    return float(given) * factor


def read_frames(metadata: Mapping[str, Any], *, n_frame: int, where: str) -> Frames:
    """Return the frames of a scan from its metadata.

    Parameters
    ----------
    metadata
        ``FrameTimesStart`` and ``FrameDuration`` (s, from TimeZero), ``InjectionStart`` (s, 0 if absent),
        ``TracerRadionuclide``, ``ImageDecayCorrected`` and ``ImageDecayCorrectionTime`` (s, 0 if absent), ``Units``.
    n_frame
        Frames of the image or table.

    Raises
    ------
    InputError
        Naming the field if one is absent, not a number, or has another number of frames.
    UnitError
        If Units is no activity per volume.
    """
    start, duration = (_numbers(metadata, key, where=where) for key in ("FrameTimesStart", "FrameDuration"))
    for key, values in (("FrameTimesStart", start), ("FrameDuration", duration)):
        if len(values) != n_frame:
            raise InputError(
                f"{where}: {key} has {len(values)} entries for {n_frame} frames; one for each is expected."
            )
    if np.any(duration < 0) or np.any(np.diff(start) < 0):
        raise InputError(f"{where}: FrameTimesStart must increase and FrameDuration be positive; check the order.")
    injected = _number(metadata, "InjectionStart", default=0.0, where=where)
    decay = nuclide_decay(metadata, where=where)
    corrected = metadata.get("ImageDecayCorrected")
    if not isinstance(corrected, bool):
        raise InputError(f"{where}: ImageDecayCorrected must be true or false, found {corrected!r}.")
    if corrected:
        to = _number(metadata, "ImageDecayCorrectionTime", default=0.0, where=where)
        factor = np.full(n_frame, np.exp(decay * (to - injected)))
    else:
        factor = decay_factors(start - injected, duration_s=duration, decay_per_s=decay)
    factor = factor * activity_factor(metadata.get("Units"), where=where)
    return Frames(start_s=start - injected, duration_s=duration, factor=factor, decay_per_s=decay)


def nuclide_decay(metadata: Mapping[str, Any], *, where: str) -> float:
    """Return the decay constant (1/s) of TracerRadionuclide, written C11, 11C or C-11."""
    given = str(metadata.get("TracerRadionuclide", "")).upper()
    letters, digits = ("".join(sign for sign in given if test(sign)) for test in (str.isalpha, str.isdigit))
    if letters + digits not in HALF_LIFE_S:
        known = " or ".join(HALF_LIFE_S)
        raise InputError(f"{where}: expected {known} as TracerRadionuclide, found {given or 'nothing'}.")
    return decay_constant(letters + digits)


def _numbers(metadata: Mapping[str, Any], key: str, *, where: str) -> Array:
    given = metadata.get(key)
    listed = given if isinstance(given, list) else [given]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in listed):
        raise InputError(f"{where}: its JSON sidecar must have {key} as a list of numbers (s); found {given!r}.")
    return np.array(listed, dtype=np.float64)


def _number(metadata: Mapping[str, Any], key: str, *, default: float, where: str) -> float:
    return float(_numbers({key: metadata.get(key, default)}, key, where=where)[0])


# -------------------------------------------------------------------------------------------------------------- person


def read_individual(row: pd.Series[Any], settings: Mapping[str, Any]) -> Individual:
    """Return mass, affinity class and medication from a row of participants.tsv.

    A genotype that is none of the codes of ``pet.genotypes`` counts as unknown, with a note; a mass that is no number
    of kilograms as absent, with a note.
    """
    notes: list[str] = []
    mass = _first(row, settings["mass_columns"])
    kg = _as_mass(mass, notes)
    code = _first(row, settings["genotype_columns"])
    affinity = _as_affinity(code, settings["genotypes"], notes)
    ligand = _first(row, settings["ligand_columns"])
    return Individual(
        mass_g=kg * GRAM_PER_KG,
        affinity=affinity,
        ligand=None if ligand is None else str(ligand).strip().lower() in YES,
        notes=tuple(notes),
    )


def _first(row: pd.Series[Any], columns: Sequence[str]) -> Any:
    """Return the entry of the first of ``columns`` that the row has; None without any, or if it is missing."""
    import pandas as pd

    lower = {str(name).lower(): name for name in row.index}
    found = next((lower[name.lower()] for name in columns if name.lower() in lower), None)
    return None if found is None or pd.isna(row[found]) else row[found]


def _as_mass(given: Any, notes: list[str]) -> float:
    if given is None:
        return float("nan")
    try:
        kg = float(given)
    except ValueError:
        kg = float("nan")
    low, high = GRAM_LIKE_KG
    if low <= kg <= high:
        return kg
    notes.append(f"participants.tsv: a body mass of {given} is not between {low:g} and {high:g} kg and was not used.")
    return float("nan")


def _as_affinity(code: Any, genotypes: Mapping[str, Sequence[str]], notes: list[str]) -> Affinity:
    if code is None:
        return Affinity.UNKNOWN
    classes = {known.lower(): name for name, listed in genotypes.items() for known in listed}
    found = classes.get(str(code).strip().lower())
    if found is None:
        notes.append(f"participants.tsv: the genotype {code} is none of the codes of pet.genotypes and is not known.")
        return Affinity.UNKNOWN
    return Affinity(found)


def person_row(table: pd.DataFrame) -> pd.Series[Any]:
    """Return the one row of a person's table."""
    return next(_rows(table))


def _rows(table: pd.DataFrame) -> Iterator[pd.Series[Any]]:
    for _, row in table.iterrows():
        yield row
