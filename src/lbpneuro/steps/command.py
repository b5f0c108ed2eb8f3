"""The command line that all steps share, and the frame of a step that computes a marker family."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbpneuro.errors import LbpneuroError, Reason
from lbpneuro.io.files import expand_manifests, read_json, write_json, write_tsv
from lbpneuro.io.provenance import bids_uri, checksum, dataset_roots, software_versions, source_name
from lbpneuro.io.tables import empty_rows, long_table, marker_rows
from lbpneuro.markers.descriptor import Estimate, Level, evaluate, with_flag
from lbpneuro.registry import INDEX_COLUMNS, family

Config = dict[str, Any]
Row = dict[str, Any]
log = logging.getLogger("lbpneuro")


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a step may write further files of one participant and session."""

    root: Path
    participant: str
    session: str | None = None
    written: list[Path] = field(default_factory=list)

    def file(self, datatype: str, suffix: str, extension: str, **entities: str | None) -> Path:
        """Return a BIDS path below the session's folder, entities in the order given, and note it as an output."""
        parts = [f"{key}-{value}" for key, value in entities.items() if value is not None]
        name = "_".join([self.participant, *([self.session] if self.session else []), *parts, suffix]) + extension
        path = self.root / self.participant / (self.session or "") / datatype / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.written.append(path)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a family step read: the input of the family's marker functions, and how it came about.

    ``method`` describes the rows in a sentence; where that is not the same for all, ``method_of`` returns it by the
    name of the marker and the level.
    """

    data: Any
    method: str
    method_of: Callable[[str, Level], str] | None = None
    source: str | None = None
    sidecar: Mapping[str, Any] = field(default_factory=dict)


Measure = Callable[[list[Path], Config, OutputFolder], Measured]


def parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of the options that every step has."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--in", dest="files", nargs="*", type=Path, default=[], help="input files (BIDS names)")
    arguments.add_argument("--out", type=Path, required=True, help="the file to write")
    arguments.add_argument("--config", type=Path, required=True, help="settings with defaults filled in (JSON)")
    arguments.add_argument("--participant", help="sub-<label>")
    arguments.add_argument("--session", help="ses-<label>")
    arguments.add_argument("--absent", nargs="*", default=[], help="files that the dataset lists but does not hold")
    return arguments


def start_log() -> None:
    """Send log lines to the standard error, which the rule keeps as the log of the job."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s", force=True)


OF_RUNS = {"structural": ("confounds",)}
"""Families that read no more than some files of a BOLD run; these qualify their values, they are not made of them."""


def _measured_files(name: str, paths: Sequence[Path]) -> list[Path]:
    """Return the files whose processing decides what the values of a family are worth."""
    return [path for path in paths if name not in OF_RUNS or not path.name.endswith("_desc-embedded_func.json")]


def family_step(name: str, measure: Measure, argv: Sequence[str]) -> int:
    """Compute the markers of the family ``name`` for one participant and session, and write their rows.

    ``measure`` reads the files. What it refuses with a LbpneuroError becomes rows with the reason, so that the
    study goes on; any other exception is a defect and stops the job.
    """
    start_log()
    options = parser(f"Compute the {name} markers of one participant and session.").parse_args(argv)
    config = read_json(options.config)
    folder = OutputFolder(Path(config["dataset"]["out_dir"]), options.participant, options.session)
    try:
        files = expand_manifests(options.files, of_runs=OF_RUNS.get(name))
        caveat = Reason.DRAFT_PROCESSING if is_draft(_measured_files(name, options.files)) else None
        rows, facts = _measured(
            name, measure, files, config=config, folder=folder, absent=options.absent, caveat=caveat
        )
    except LbpneuroError as error:
        log.error("%s", error)
        who = {"participant": options.participant, "session": options.session}
        rows = empty_rows(family(name), estimate=Estimate.fail(error.reason), config=config, **who)
        facts = {"Error": {"reason": str(error.reason), "message": str(error)}}
        files = list(options.files)
    write_tsv(options.out, long_table(rows, index_columns=INDEX_COLUMNS))
    write_json(options.out.with_suffix(".json"), sidecar(name, files, facts, config=config, folder=folder))
    return 0


def _measured(
    name: str,
    measure: Measure,
    files: list[Path],
    *,
    config: Config,
    folder: OutputFolder,
    absent: Sequence[str],
    caveat: Reason | None,
) -> tuple[list[Row], dict[str, Any]]:
    who: dict[str, Any] = {"participant": folder.participant, "session": folder.session}
    if not files:
        reason = Reason.FILE_MISSING if absent else Reason.NOT_ACQUIRED
        rows = empty_rows(family(name), estimate=Estimate.missing(reason), config=config, **who)
        return rows, {"Absent": sorted(Path(path).name for path in absent)}
    measured = measure(files, config, folder)
    source = measured.source or source_name(files, dataset_roots(config))
    rows = []
    for marker in family(name):
        estimates = evaluate(marker, measured.data, config)
        if caveat:
            estimates = {level: with_flag(estimate, caveat) for level, estimate in estimates.items()}
        method = {level: _method(measured, marker.name, level) for level in estimates}
        rows += marker_rows(marker, estimates, source=source, method=method, **who)
    return rows, {"Source": source, "Method": measured.method, **measured.sidecar}


def _method(measured: Measured, name: str, level: Level) -> str:
    return measured.method_of(name, level) if measured.method_of else measured.method


def is_draft(paths: Sequence[Path]) -> bool:
    """Return whether any of the files was made by the embedded path at its draft level, or are rows of such files."""
    manifests = [path for path in paths if "_desc-embedded_" in path.name]
    rows = [path for path in paths if path.name.endswith("_markers.tsv")]
    return any(read_json(path).get("Level") == "draft" for path in manifests) or any(
        str(Reason.DRAFT_PROCESSING) in path.read_text(encoding="utf-8") for path in rows
    )


def sidecar(
    name: str, files: Sequence[Path], facts: Mapping[str, Any], *, config: Config, folder: OutputFolder
) -> dict[str, Any]:
    """Return the sidecar of a family's rows: inputs with checksums, settings, versions, what else was written."""
    roots = dataset_roots(config)
    return {
        "Description": f"Rows of the {name} markers; columns are described in markers_long.json.",
        "Family": name,
        **facts,
        "Sources": {bids_uri(path, roots): checksum(path) for path in sorted(files) if path.is_file()},
        "Outputs": [path.relative_to(folder.root).as_posix() for path in folder.written if path.exists()],
        "Settings": config[name],
        "SoftwareVersions": software_versions(),
    }
