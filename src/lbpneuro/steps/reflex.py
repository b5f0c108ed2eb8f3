"""Step ``reflex``: an EMG recording with electrical stimuli to the rows of the withdrawal reflex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io import meps, reflexes
from lbpneuro.io.files import write_tsv
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "Reflexes by interval peak z and interval z at 1000 Hz; threshold by penalised logistic regression"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("reflex", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the responses of the recording; write them as a table."""
    settings = config["reflex"]
    table, facts = reflexes.read_responses(files, settings)
    write_tsv(out.file("emg", "reflex", ".tsv", task=settings["task"], desc="trials"), table)
    return Measured(
        data=reflexes.reflexes(table, settings),
        method=METHOD,
        sidecar={
            "SourceStatus": meps.source_status("reflex"),
            "Rejected": reflexes.rejections(table, settings),
            **facts,
        },
    )
