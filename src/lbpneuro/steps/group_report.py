"""Step: the page of the study."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.report.render import write_group_page
from lbpneuro.report.study import read_study
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the page from the long marker table of the cohort, its participants.tsv, states and QC-FC."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    study = read_study(options.files, group_column="group")
    write_group_page(options.out, study)
    log.info("%s: %d rows, %d kB", options.out.name, len(study.cohort.rows), options.out.stat().st_size // 1024)
    return 0
