"""Step: the page of one participant, all sessions."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.io.files import read_json
from lbpneuro.report.render import write_participant_page
from lbpneuro.report.visit import read_visits
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the page from the marker tables of the participant's sessions and what the steps left to draw."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    visits = read_visits(
        options.files, participant=options.participant, out_dir=options.out.absolute().parent, config=config
    )
    write_participant_page(options.out, visits, participant=options.participant)
    log.info("%s: %d sessions, %d kB", options.out.name, len(visits), options.out.stat().st_size // 1024)
    return 0
