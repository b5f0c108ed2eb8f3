"""Step: the marker tables of the cohort, long and wide, as TSV, JSON dictionary and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.files import read_json, write_json, write_tsv
from lbpneuro.io.participants import participants_table
from lbpneuro.io.plan import load_plan
from lbpneuro.io.tables import (
    LONG_NAME,
    WIDE_NAME,
    cohort_table,
    data_dictionary,
    long_dictionary,
    wide_table,
    write_parquet,
)
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from lbpneuro.steps.command import parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the cohort tables from the participants' tables; who has none gets rows that say so."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    plan, out = load_plan(config), Path(config["dataset"]["out_dir"])
    table = cohort_table(options.files, plan, MARKERS, index_columns=INDEX_COLUMNS, config=config)
    wide = wide_table(table, MARKERS)
    write_tsv(out / "participants.tsv", participants_table(Path(config["dataset"]["bids_dir"]), plan["participants"]))
    write_parquet(out / f"{WIDE_NAME}.parquet", table)
    write_json(out / f"{LONG_NAME}.json", long_dictionary(MARKERS, INDEX_COLUMNS))
    write_json(out / f"{WIDE_NAME}.json", data_dictionary(wide, MARKERS))
    write_tsv(out / f"{WIDE_NAME}.tsv", wide)
    write_tsv(options.out, table)
    return 0
