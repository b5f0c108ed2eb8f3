"""Step ``reflex``: an EMG recording with electrical stimuli to the rows of the withdrawal reflex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lbpneuro.io import reflexes
from lbpneuro.io.config import source_status
from lbpneuro.io.files import write_tsv
from lbpneuro.io.tables import write_plain_parquet
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "Reflexes by interval peak z and interval z at 1000 Hz; threshold by penalised logistic regression"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("reflex", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the responses of the recording; write them as a table."""
    settings = config["reflex"]
    table, sweeps, facts = reflexes.read_responses(files, settings)
    data = reflexes.reflexes(table, settings)
    write_plain_parquet(out.file("emg", "emg", ".parquet", task=settings["task"], desc="sweeps"), sweeps)
    write_tsv(out.file("emg", "reflex", ".tsv", task=settings["task"], desc="trials"), table)
    return Measured(
        data=data,
        method=METHOD,
        sidecar={
            "SourceStatus": source_status("reflex"),
            "Rejected": reflexes.rejections(table, settings),
            "LogisticWidth": round(data.fit.width, 6) if np.isfinite(data.fit.width) else None,
            **facts,
        },
    )
