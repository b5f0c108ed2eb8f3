"""Which files the PET step of a session reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.index import Row, matches

MNI = "MNI152NLin2009cAsym"
ALIGNED = (MNI, "T1w")
TABLES = ("tacs", "timeseries")
BESIDE = ("blood", "inputfunction", "morph")


def pet_files(
    own: Sequence[Row], shared: Sequence[Row], manifests: Sequence[Row], *, raw: Path
) -> tuple[list[Row], bool]:
    """Return the files of the PET step, and whether it needs the anatomy that the embedded path makes.

    The raw image is read only where there is neither an image in the template or in the T1w space nor a table
    of curves. An image in the space of the T1w image needs the transform from the template, a raw one the
    preprocessed T1w image as well. Where no activity is there, only what the dataset lists without holding it is
    returned.

    Parameters
    ----------
    own, shared
        Rows of the index of this session, and of no session.
    manifests
        What the embedded path writes for the anatomy of this person.
    raw
        Root of the raw dataset, where participants.tsv lies.
    """
    pet = [row for row in own if row.get("datatype") == "pet"]
    images = [row for row in pet if row["dataset"] != "raw" and _is_image(row) and row.get("space") in ALIGNED]
    tables = [row for row in pet if row["dataset"] != "raw" and _is_table(row)]
    scanned = [row for row in pet if row["dataset"] == "raw" and _is_image(row) and row.get("space") is None]
    activity = _there([*images, *tables]) or _there(scanned)
    if not activity:
        return [*images, *tables, *scanned], False
    beside = [row for row in pet if _is_table_beside(row)]
    people = {"path": str(raw / "participants.tsv"), "exists": (raw / "participants.tsv").is_file()}
    files = [*activity, *_there(beside), *_there([people])]
    if all(_is_table(row) or row.get("space") == MNI for row in activity):
        return files, False
    anatomy = _there(list({row["path"]: row for row in [*own, *shared] if _is_anatomy(row)}.values()))
    if any(_is_way(row) for row in anatomy):
        return [*files, *anatomy], False
    return [*files, *manifests], bool(manifests)


def _there(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["exists"]]


def _is_image(row: Row) -> bool:
    return row.get("suffix") == "pet" and str(row.get("ext")).startswith(".nii")


def _is_table(row: Row) -> bool:
    return row.get("suffix") in TABLES and row.get("ext") == ".tsv" and row.get("desc") != "confounds"


def _is_table_beside(row: Row) -> bool:
    confounds = row.get("desc") == "confounds" and row["dataset"] != "raw"
    return row.get("ext") == ".tsv" and (confounds or row.get("suffix") in BESIDE)


def _is_way(row: Row) -> bool:
    return row.get("suffix") == "xfm" and f"_from-{MNI}_to-T1w_" in Path(row["path"]).name


def _is_anatomy(row: Row) -> bool:
    """Whether a row is the transform from the template, the preprocessed T1w image or its brain mask."""
    if row["dataset"] == "raw" or row.get("datatype") != "anat":
        return False
    head = matches(row, suffix="T1w", desc="preproc", space=None) and str(row.get("ext")).startswith(".nii")
    mask = matches(row, suffix="mask", desc="brain", space=None) and str(row.get("ext")).startswith(".nii")
    return _is_way(row) or head or mask
