"""Step: the rows of all families and sessions of a participant-session in one long table."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.tables import join_rows, long_dictionary
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from lbpneuro.steps.command import parser, start_log


def main(argv: Sequence[str]) -> int:
    """Join the rows of the families, in registry order, and write them with their dictionary."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    write_tsv(options.out, join_rows(options.files, MARKERS, index_columns=INDEX_COLUMNS))
    write_json(options.out.with_suffix(".json"), long_dictionary(MARKERS, INDEX_COLUMNS))
    return 0
