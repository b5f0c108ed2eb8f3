"""Step ``qcfc``: connectivity matrices of everyone to QC-FC, the relation of head motion and connectivity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lbpneuro.io.files import read_json, write_json, write_tsv
from lbpneuro.io.participants import participants_table
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.tables import write_plain_parquet
from lbpneuro.stats.qcfc import COLUMNS, EDGE_COLUMNS, MEANING, study
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the table of analyses as ``--out``, its sidecar, and the edges beside it."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    table, edges, facts = study(
        options.files,
        root=Path(config["dataset"]["out_dir"]),
        participants=partial(participants_table, Path(config["dataset"]["bids_dir"])),
        settings=config["qcfc"],
        seed=config["run"]["random_seed"],
    )
    write_plain_parquet(options.out.with_name(f"{options.out.stem}_edges.parquet"), edges)
    sidecar = {
        "Description": "Relation of head motion and connectivity over people (QC-FC), per atlas and confound strategy.",
        "Meaning": MEANING,
        **{name: {"Description": text} for name, text in COLUMNS.items()},
        "EdgeColumns": EDGE_COLUMNS,
        **facts,
        "Settings": config["qcfc"],
        "SoftwareVersions": software_versions(),
    }
    write_json(options.out.with_suffix(".json"), sidecar)
    write_tsv(options.out, table)
    log.info("%s: %d analyses, %d edges", options.out.name, len(table), len(edges))
    return 0
