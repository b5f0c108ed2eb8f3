"""Step: the page of the study."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.report.cohort import read_cohort
from lbpneuro.report.coupling import read_coupling
from lbpneuro.report.render import write_group_page
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the page from the long marker table of the cohort, its participants.tsv and QC-FC."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    cohort = read_cohort(options.files, group_column="group")
    write_group_page(options.out, cohort, read_coupling(options.files))
    log.info("%s: %d rows, %d kB", options.out.name, len(cohort.rows), options.out.stat().st_size // 1024)
    return 0
