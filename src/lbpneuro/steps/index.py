"""Step: index the datasets and plan the work, or find that nothing changed."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.io.files import read_json
from lbpneuro.io.plan import load_plan
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Bring the cached plan up to date; its path is told by ``--out``."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    plan = load_plan(read_json(options.config))
    log.info("%d participants, %d sessions", len(plan["participants"]), len(plan["units"]))
    return 0
