"""Step: the rows of all families and sessions of a participant-session in one long table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from lbpneuro.io.files import read_json, write_json, write_tsv
from lbpneuro.io.study import DATATYPES
from lbpneuro.io.tables import long_dictionary, participant_table
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Join the rows of the families, in registry order, and write them with their dictionary.

    A family whose job did not finish is not among the inputs; its rows say so. So do those of a family without data.
    What an earlier run wrote of tests and questionnaires that the dataset holds no longer is removed.
    """
    start_log()
    arguments = parser(__doc__ or "")
    arguments.add_argument("--without", nargs="*", default=[], help="families that the dataset has no file of")
    options = arguments.parse_args(argv)
    table = participant_table(
        options.files,
        MARKERS,
        index_columns=INDEX_COLUMNS,
        config=read_json(options.config),
        participant=options.participant,
        session=options.session,
        without=options.without,
    )
    write_tsv(options.out, table)
    write_json(options.out.with_suffix(".json"), long_dictionary(MARKERS, INDEX_COLUMNS))
    remove_left_over(options.out, without=options.without)
    return 0


def remove_left_over(table: Path, *, without: Collection[str]) -> None:
    """Remove the files of families without data beside the table of a session, of those made from behaviour alone.

    These are made again in a second. Those of images are kept: the derivatives may be back in the next run.
    """
    stem = table.name.removesuffix("_markers.tsv")
    for family in without:
        if DATATYPES[family] == "beh":
            for path in sorted((table.parent / "beh").glob(f"{stem}_desc-{family}_*")):
                log.warning("%s is of files that the dataset no longer holds; removed.", path)
                path.unlink()
