"""Step ``excitability``: tables of motor-evoked potentials to the rows of thresholds, curves and paired pulses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io import excitability, meps
from lbpneuro.io.config import source_status
from lbpneuro.io.files import write_tsv
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = (
    "Thresholds by penalised logistic regression, recruitment curve by least squares on log amplitudes, paired pulses "
    "as ratio of means"
)


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("excitability", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the trials by muscle and hemisphere; write those by intensity for the report."""
    settings = config["excitability"]
    data = excitability.read_excitability(files, settings)
    tables = [path for key in ("task", "task_active") for path in meps.tables_of_task(files, settings[key])]
    out.written.extend(meps.waveforms_of(tables))
    table = excitability.curve_table(data)
    if len(table):
        write_tsv(out.file("emg", "meps", ".tsv", task=settings["task"], desc="intensities"), table)
    facts = {
        "SourceStatus": source_status("excitability"),
        "Protocols": excitability.protocol_facts(data),
        "Curves": excitability.curve_facts(data),
        "Logistic": excitability.threshold_facts(data),
        "Rejected": excitability.rejection_facts(files, settings),
    }
    return Measured(data=data, method=METHOD, sidecar=facts)
