"""Step ``dynamic-states``: the reference states of a study, learned from the series of all its participants."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.io.dynamics import write_states
from lbpneuro.io.files import read_json
from lbpneuro.io.provenance import dataset_roots
from lbpneuro.steps.command import parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the states; that they cannot be learned is written into their sidecar, and the study goes on."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    write_states(options.out, options.files, config, roots=dataset_roots(config))
    return 0
