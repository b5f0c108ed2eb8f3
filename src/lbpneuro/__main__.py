"""``python -m lbpneuro``: a step of the workflow by its name, or else the command line."""

from __future__ import annotations

import sys
from importlib import import_module

from lbpneuro.steps import STEPS


def main(argv: list[str]) -> int:
    """Run the step named first in ``argv``, or hand everything to the command line."""
    if argv and argv[0] in STEPS:
        return int(import_module(STEPS[argv[0]]).main(argv[1:]))
    from lbpneuro.cli import main as cli

    return cli(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
