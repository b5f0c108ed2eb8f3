"""Which source the gray matter of a study comes from: one for everybody, unless the settings allow several."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lbpneuro.errors import ConfigError
from lbpneuro.io.index import Row, matches

TISSUES = ("GM", "WM", "CSF")
MNI = "MNI152NLin2009cAsym"
OTHER_TEMPLATE = "MNI152NLin6Asym"
MIRROR_SPACE = "mirroredT1w"
"""The space of the mirror image of a T1w image, of which x is -x."""
OWN_WAYS = ((MNI, "T1w"), (OTHER_TEMPLATE, "T1w"), ("T1w", MNI), (MNI, MIRROR_SPACE))
"""Transforms that go with maps in a person's own space: from, to."""
ORDER = ("fmriprep", "freesurfer", "fastsurfer", "cat12", "maps", "embedded")
"""Which source goes first where several cover as many sessions; the embedded path only where there is no other."""
EMBEDDED = "embedded"
NAMED = 5

Who = tuple[str, str | None]
Files = Mapping[str, Sequence[Row]]


def available(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the files of every source among the rows of one session, by source."""
    found = {tool: [row for row in rows if row.get("tool") == tool] for tool in ORDER[1:-1]}
    found["fmriprep"] = _fmriprep(rows)
    if found["maps"]:
        found["maps"] += [row for row in rows if _leads(row, f"from-{MNI}_to-T1w")]
    raw = raw_anatomy(rows)
    found[EMBEDDED] = [raw] if raw and raw["exists"] else []
    return {source: found[source] for source in ORDER if found[source]}


def raw_anatomy(rows: Sequence[Row]) -> Row | None:
    """Return the raw T1w image of a session, the first by run, if there is one."""
    raw = [row for row in rows if matches(row, dataset="raw", suffix="T1w") and row["ext"].startswith(".nii")]
    return min(raw, key=lambda row: (int(row.get("run", 0)), row["path"]), default=None)


def choose(
    sessions: Mapping[Who, Files], *, lasting: Mapping[str, set[str]], config: Mapping[str, Any]
) -> dict[Who, str]:
    """Return the source of every session; "" where the chosen source has nothing.

    Parameters
    ----------
    sessions
        What ``available`` returned, by participant and session.
    lasting
        Sources by participant that have one result for all sessions, which counts with the first one.
    config
        All settings.

    Raises
    ------
    ConfigError
        If people would be measured in different ways, naming them.
    """
    settings = config["structural"]
    if settings["source"] != "auto":
        return {who: settings["source"] if settings["source"] in files else "" for who, files in sessions.items()}
    best = _best(sessions)
    left = {who: files for who, files in sessions.items() if best not in files and best not in lasting.get(who[0], ())}
    others = {who: next(iter(files)) for who, files in left.items() if files}
    if others and not settings["allow_mixed_sources"]:
        raise ConfigError(_mixed(best, others, n_best=sum(best in files for files in sessions.values())))
    return {who: best if best in files else others.get(who, "") for who, files in sessions.items()}


def _best(sessions: Mapping[Who, Files]) -> str:
    """Return the source of most sessions; raw images, which anybody may have, only where nothing else is."""
    counts = Counter(source for files in sessions.values() for source in files if source != EMBEDDED)
    return max(counts, key=lambda source: (counts[source], -ORDER.index(source)), default=EMBEDDED)


def _mixed(best: str, others: Mapping[Who, str], *, n_best: int) -> str:
    """Return what to say of sessions that lack the source of most."""
    by_source = defaultdict(list)
    for (sub, ses), source in others.items():
        by_source[source].append(f"sub-{sub}" + (f" ses-{ses}" if ses else ""))
    parts = [f"{_some(names)} only {source}" for source, names in by_source.items()]
    return (
        f"Gray matter would be measured in different ways: {n_best} participant-sessions have {best}, "
        f"{', '.join(parts)}. Values of different sources are not comparable. Set `structural.source: {best}` (the "
        "others then have no value), another source that all have, or `structural.allow_mixed_sources: true`."
    )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more have" if rest > 0 else " have" if len(names) > 1 else " has")


def _fmriprep(rows: Sequence[Row]) -> list[Row]:
    """Return tissue maps with what belongs to them: those in the person's own space, else those of the template."""
    derived = [row for row in rows if row["dataset"] != "raw" and "tool" not in row]
    maps = [row for row in derived if _is_map(row)]
    own = [row for row in maps if row.get("space") is None]
    if own:
        extra = [
            row
            for row in derived
            if _belongs(row, None) or _leads(row, *(f"from-{start}_to-{end}" for start, end in OWN_WAYS))
        ]
        return [*own, *extra]
    for space in (MNI, OTHER_TEMPLATE):
        template = one_per_tissue([row for row in maps if row.get("space") == space])
        if template:
            resolution = template[0].get("res")
            extra = [row for row in derived if _belongs(row, space) and row.get("res") == resolution]
            return [*template, *extra, *(row for row in derived if _leads(row, f"from-T1w_to-{space}"))]
    return []


def _is_map(row: Row) -> bool:
    return (
        matches(row, suffix="probseg", atlas=None, desc=None)
        and row.get("ext") == ".nii.gz"
        and row.get("label") in TISSUES
    )


def _belongs(row: Row, space: str | None) -> bool:
    """Whether a row is the brain mask or the preprocessed head in a space."""
    brain = matches(row, suffix="mask", desc="brain", space=space, datatype="anat")
    head = matches(row, suffix="T1w", desc="preproc", space=space)
    return (brain or head) and row.get("ext") == ".nii.gz"


def _leads(row: Row, *ways: str) -> bool:
    """Whether a row is a transform that leads one of some ways."""
    name = row["path"].rpartition("/")[2]
    return row.get("suffix") == "xfm" and any(way in name for way in ways)


def one_per_tissue(rows: Sequence[Row]) -> list[Row]:
    """Return one map per tissue, at 2 mm where it exists at several resolutions."""
    best: dict[str | None, Row] = {}
    for row in sorted(rows, key=lambda row: (row.get("res") != "2", row["path"])):
        best.setdefault(row.get("label"), row)
    return sorted(best.values(), key=lambda row: row["path"])
