"""Which phenotype tables hold a row of whom: dataset-level files as inputs of the sessions they describe."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from lbpneuro.errors import InputError
from lbpneuro.io.index import Row
from lbpneuro.io.phenotype import PERSON, SESSION, label_of, read_phenotype
from lbpneuro.markers.instrument import ORDER

FOLDER, SUFFIX = "phenotype", "phenotype"
TABLES = (*ORDER, "inflammation")


def phenotype_tables(root: Path) -> list[Path]:
    """Return the phenotype tables of a dataset that are read, whether they are there or dangling links."""
    paths = (root / FOLDER / f"{name}.tsv" for name in TABLES)
    return [path for path in paths if path.is_symlink() or path.is_file()]


def phenotype_state(root: Path) -> list[tuple[str, int, int]]:
    """Return what tells that a table was changed, which may give somebody another session."""
    states = [(path.name, path.stat()) for path in phenotype_tables(root) if path.exists()]
    return [(name, state.st_mtime_ns, state.st_size) for name, state in states]


def index_phenotype(root: Path, *, known: Iterable[Row], labels: Collection[str]) -> list[Row]:
    """Return a row per table, person and session that it has a row of, in the form of the index of files.

    Only people of the study, ``labels``, are listed. Who has no session in the ``known`` rows has none here either,
    and a table without ``session_id`` names none: it counts with the first session of a person. What cannot be read is
    listed for everybody, so that the step says why.
    """
    with_sessions = {row["sub"] for row in known if row.get("ses")}
    rows: list[Row] = []
    for path in phenotype_tables(root):
        for label, session in _people(path, labels):
            row: Row = {"sub": label, "dataset": "raw", "suffix": SUFFIX, "datatype": FOLDER, "ext": ".tsv"}
            named = {"ses": session} if session and label in with_sessions else {}
            rows.append({**row, **named, "path": str(path), "exists": path.exists()})
    return list({(row["path"], row["sub"], row.get("ses")): row for row in rows}.values())


def _people(path: Path, labels: Collection[str]) -> list[tuple[str, str | None]]:
    everybody: list[tuple[str, str | None]] = [(label, None) for label in sorted(labels)]
    try:
        table = read_phenotype(path) if path.exists() else None
    except InputError:
        return everybody
    if table is None:
        return everybody
    sessions = table[SESSION] if SESSION in table else [None] * len(table)
    people = zip(table[PERSON].map(lambda cell: label_of(cell, "sub")), sessions, strict=True)
    return [(str(label), label_of(session, "ses")) for label, session in people if label in labels]
