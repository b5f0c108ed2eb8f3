"""Which files the comparison of a session with the first one of the person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.io.index import Row, matches
from lbpneuro.io.structural_plan import raw_anatomy


def compared_files(
    sessions: Sequence[Sequence[Row]], manifests: Sequence[Mapping[str, Any]], *, config: Mapping[str, Any]
) -> list[list[Row]]:
    """Return the files of the step for every session of a person, in the order of the sessions.

    A session with a raw T1w image gets that and, if an earlier session has one as well, those of the first such
    session: image and brain mask of both. Without an earlier image it gets its own alone, and the step says so.

    Parameters
    ----------
    sessions
        Rows of the index of every session.
    manifests
        Jobs of the embedded anatomy of every session by their manifest; empty where the study takes its anatomy from
        somewhere else.
    config
        All settings.
    """
    images = [raw_anatomy(rows) for rows in sessions]
    found: list[list[Row]] = []
    start: list[Row] = []
    for rows, image, jobs in zip(sessions, images, manifests, strict=True):
        own = [image] if image else []
        if not image or not image["exists"] or not config["change"]["enabled"]:
            found.append(own)
            continue
        complete = [*own, *_mask(rows, jobs)]
        found.append([*start, *complete] if start else own)
        start = start or complete
    return found


def _mask(rows: Sequence[Row], jobs: Mapping[str, Any]) -> list[Row]:
    """Return what has the brain mask of a session: the manifest of its embedded anatomy, or fMRIPrep's mask.

    A mask of fMRIPrep lies on the raw image only where the session has one image and a mask of its own; several are
    averaged in another place.
    """
    if jobs:
        return [{"path": path, "exists": True} for path in sorted(jobs)]
    raw = [row for row in rows if matches(row, dataset="raw", suffix="T1w") and str(row["ext"]).startswith(".nii")]
    masks = [row for row in rows if _is_mask(row)]
    return masks[:1] if len(raw) == 1 else []


def _is_mask(row: Row) -> bool:
    derived = row["dataset"] != "raw" and row.get("datatype") == "anat" and row.get("ses") is not None
    own = matches(row, suffix="mask", desc="brain", space=None) and "tool" not in row
    return derived and own and row["exists"] and Path(row["path"]).name.endswith((".nii", ".nii.gz"))
