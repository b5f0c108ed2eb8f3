"""Finds what FreeSurfer, FastSurfer and CAT12 wrote, whose folders are no BIDS datasets, and maps by a pattern.

Only names are looked at. A row is like that of :mod:`lbpneuro.io.index`, with the program as ``tool``.
"""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lbpneuro.errors import ConfigError
from lbpneuro.io.freesurfer import DK, DKT, MAPPED, SEGMENTATIONS, SIDES, VOLUMES, program_of
from lbpneuro.io.index import Row

SUBJECT = re.compile(r"sub-(?P<sub>[a-zA-Z0-9]+)")
SESSION = re.compile(r"ses-(?P<ses>[a-zA-Z0-9]+)")
SUBJECT_FOLDER = re.compile(
    r"(?:sub-)?(?P<sub>[a-zA-Z0-9]+)(?:_ses-(?P<ses>[a-zA-Z0-9]+))?(?:_\w.*?)?(?P<long>\.long\..+)?"
)
TEMPLATES_OF_FREESURFER = "fsaverage"
BASE = ("base-tps", "base-tps.fastsurfer")
STATISTICS = (*SEGMENTATIONS, *(f"{side}.{kind}" for side in SIDES for kind in (DK, DKT, MAPPED)))
SURFACES = tuple(f"{side}.{kind}" for side in SIDES for kind in (DK, DKT, MAPPED))

CAT12_MAP = re.compile(r"(?P<kind>mwmwp|mwp)(?P<tissue>[123])(?P<stem>.+?)\.nii(?:\.gz)?")
CAT12_XML = re.compile(r"(?P<kind>cat|catROIs)_(?P<stem>.+)\.xml")
REALIGNED = re.compile(r"r(?=sub-)")
CAT12_FOLDERS = ("mri", "report", "label", "anat")
VARIANTS = ("ageing", "plasticity", "single")
"""Ways in which CAT12 handles time points, the one that is preferred first."""


def index_results(root: Path, *, dataset: str, known: Collection[str]) -> list[Row]:
    """Return the rows of the results of FreeSurfer, FastSurfer or CAT12 below a folder; empty if it holds none.

    Parameters
    ----------
    root
        Folder of subjects (FreeSurfer, FastSurfer), or a folder in or below which CAT12 wrote, in ``mri/``, ``report/``
        and ``label/`` or in ``anat/``.
    dataset
        Name of the dataset.
    known
        Labels of the participants; a folder whose name has no ``sub-`` counts only if it is one of them.

    Returns
    -------
    list
        The files to read, for every participant and session once: of a participant with longitudinal results only
        these, of several images of a session those of the first by name.
    """
    return [*_surfer_rows(root, dataset, known), *_cat12_rows(root, dataset)]


def index_maps(pattern: str) -> list[Row]:
    """Return the rows of the gray-matter maps that a glob pattern names.

    Raises
    ------
    ConfigError
        If there is none, one has no ``sub-<label>`` in name or folder, or there are two for a session.
    """
    rows: dict[tuple[str, str | None], Row] = {}
    for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207  # a pattern with folders, from the root on
        who = _who(Path(name))
        if who is None:
            raise ConfigError(
                f"setting `structural.gm_maps.pattern`: {name} has no sub-<label> in its name or folders."
            )
        if who in rows:
            raise ConfigError(
                f"setting `structural.gm_maps.pattern`: {rows[who]['path']} and {name} are maps of one session; "
                "make the pattern narrower."
            )
        rows[who] = _row(Path(name), who, dataset="maps", tool="maps")
    if not rows:
        raise ConfigError(f"setting `structural.gm_maps.pattern`: there is no file {pattern}; check the pattern.")
    return list(rows.values())


def _row(path: Path, who: tuple[str, str | None], *, dataset: str, tool: str) -> Row:
    sub, ses = who
    row: Row = {"sub": sub, "datatype": "anat", "tool": tool, "dataset": dataset, "path": str(path)}
    return {**row, "exists": path.exists(), **({"ses": ses} if ses else {})}


def _who(path: Path) -> tuple[str, str | None] | None:
    """Return participant and session that a name tells, or else the folders."""
    for text in (path.name, path.as_posix()):
        if found := SUBJECT.search(text):
            session = SESSION.search(text)
            return found["sub"], session["ses"] if session else None
    return None


def _folders(root: Path) -> list[Path]:
    with os.scandir(root) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


# -- FreeSurfer and FastSurfer ----------------------------------------------------------------------------------------


def _surfer_rows(root: Path, dataset: str, known: Collection[str]) -> Iterator[Row]:
    """Yield the files of all subject folders, of a participant with longitudinal ones only those."""
    folders: dict[tuple[str, str | None, bool], Path] = {}
    for folder in _subject_folders(root):
        session_folder = folder.name.startswith("ses-")
        name = f"{folder.parent.name}_{folder.name}" if session_folder else folder.name
        found = SUBJECT_FOLDER.fullmatch(name)
        if found is None or name.startswith(TEMPLATES_OF_FREESURFER) or _is_base(folder):
            continue
        if name.startswith("sub-") or found["sub"] in known:
            folders.setdefault((found["sub"], found["ses"], found["long"] is not None), folder)
    longitudinal = {sub for sub, _, over_time in folders if over_time}
    for (sub, ses, over_time), folder in folders.items():
        if over_time or sub not in longitudinal:
            files = _surfer_files(folder)
            tool = program_of(path.name for path in files)
            yield from (_row(path, (sub, ses), dataset=dataset, tool=str(tool)) for path in files if tool)


def _subject_folders(root: Path) -> Iterator[Path]:
    """Yield the folders that may be subjects: below the root, or one level deeper for each session."""
    for folder in _folders(root):
        if _is_subject(folder):
            yield folder
        elif folder.name.startswith("sub-"):
            yield from (deeper for deeper in folder.glob("ses-*") if _is_subject(deeper))


def _is_subject(folder: Path) -> bool:
    return (folder / "stats").is_dir() or any((folder / "mri" / name).exists() for name in VOLUMES)


def _is_base(folder: Path) -> bool:
    """Whether a folder holds the template of a participant over time, which is no time point."""
    return any((folder / name).exists() for name in BASE)


def _surfer_files(folder: Path) -> list[Path]:
    """Return the files to read: the statistics, and the label volume only for what these leave out."""
    there = [folder / "stats" / name for name in STATISTICS if (folder / "stats" / name).exists()]
    names = {path.name for path in there}
    whole = names & set(SEGMENTATIONS) and (names & set(SURFACES) or any("aseg+DKT" in name for name in names))
    volumes = [] if whole else [folder / "mri" / name for name in VOLUMES if (folder / "mri" / name).exists()]
    nuclei = sorted((folder / "mri").glob("ThalamicNuclei*volumes.txt"))
    return [*there, *volumes[:1], *nuclei[:1]]


# -- CAT12 ------------------------------------------------------------------------------------------------------------


def _cat12_rows(root: Path, dataset: str) -> Iterator[Row]:
    """Yield the files of every participant and session: those of one image, handled over time in one way."""
    stems: dict[tuple[str, str | None], dict[str, dict[str, list[Path]]]] = defaultdict(lambda: defaultdict(dict))
    xml: dict[str, list[Path]] = defaultdict(list)
    for path in _cat12_files(root):
        if found := CAT12_MAP.fullmatch(path.name):
            who = _who(path)
            if who:
                variant = _variant(found["kind"], found["stem"])
                stems[who][variant].setdefault(found["stem"], []).append(path)
        elif found := CAT12_XML.fullmatch(path.name):
            xml[found["stem"]].append(path)
    for who, chosen in _one_variant(stems):
        stem = min(chosen)
        if any(CAT12_MAP.fullmatch(path.name)["tissue"] == "1" for path in chosen[stem]):  # type: ignore[index]
            files = [*chosen[stem], *(path for path in xml[stem] if who == _who(path))]
            yield from (_row(path, who, dataset=dataset, tool="cat12") for path in sorted(files))


def _one_variant(
    stems: dict[tuple[str, str | None], dict[str, dict[str, list[Path]]]],
) -> Iterator[tuple[tuple[str, str | None], dict[str, list[Path]]]]:
    """Yield the images of every session, of a participant always those handled over time in the same way."""
    variants: dict[str, set[str]] = defaultdict(set)
    for (sub, _), found in stems.items():
        variants[sub] |= set(found)
    for (sub, ses), found in stems.items():
        variant = min(variants[sub], key=VARIANTS.index)
        if variant in found:
            yield (sub, ses), found[variant]


def _variant(kind: str, stem: str) -> str:
    if kind == "mwmwp":
        return "ageing"
    return "plasticity" if REALIGNED.match(stem) else "single"


def _cat12_files(root: Path) -> Iterator[Path]:
    """Yield the files in the folders where CAT12 writes: flat, per participant or session, inside ``anat`` or not."""
    for folder in _below(root, depth=4):
        if folder.name in CAT12_FOLDERS or folder == root:
            with os.scandir(folder) as entries:
                yield from sorted(Path(entry.path) for entry in entries if entry.name.startswith(("mw", "cat")))


def _below(root: Path, *, depth: int) -> Iterator[Path]:
    """Yield a folder and what CAT12 may have put in or below it."""
    yield root
    if depth:
        for folder in _folders(root):
            if folder.name in CAT12_FOLDERS or folder.name.startswith(("sub-", "ses-")):
                yield from _below(folder, depth=depth - 1)


def folders_to_watch(root: Path) -> Iterable[Path]:
    """Return the folders outside those of participants in which results may appear."""
    return [root / name for name in CAT12_FOLDERS if (root / name).is_dir()]
