"""Step ``tactile``: trial tables of tests of touch and left/right judgement to marker rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.tactile import methods, read_tactile
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "From the trials of each test"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("tactile", measure, argv)


def measure(files: list[Path], config: Config, _out: OutputFolder) -> Measured:
    """Return the tests of the session."""
    tests, problems = read_tactile(files, config["tactile"])
    facts = {"Errors": problems} if problems else {}
    return Measured(data=tests, method=METHOD, method_of=methods(tests), sidecar=facts)
