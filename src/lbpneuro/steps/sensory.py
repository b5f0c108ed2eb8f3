"""Step ``sensory``: trial tables of sensory tests to the rows of their markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from lbpneuro.io import sensory
from lbpneuro.io.config import source_status
from lbpneuro.io.files import write_tsv
from lbpneuro.io.provenance import dataset_roots, source_name
from lbpneuro.io.reference_cohort import person_age_and_sex
from lbpneuro.io.sensory_tables import conditioning_table, rating_table, threshold_table
from lbpneuro.markers.sensory import how_scored
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("sensory", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the trials by test; what the pictures of the report show is left in tables."""
    tests = sensory.read_tests(files)
    data = sensory.sensory_data(tests, config["sensory"])
    if config["sensory"]["reference"]:
        age, male = person_age_and_sex(config, out.participant)
        data = sensory.with_norms(data, tests, age=age, male=male)
    tables = {
        ("sites", "thresholds"): threshold_table(data),
        ("trains", "ratings"): rating_table(data),
        ("conditioning", "stimuli"): conditioning_table(data),
    }
    for (desc, suffix), table in tables.items():
        if len(table):
            write_tsv(out.file("beh", suffix, ".tsv", desc=desc), table)
    return Measured(
        data=data,
        method="Means of trials",
        method_of=partial(how_scored, data),
        source=source_name(files, dataset_roots(config)),
        sidecar={
            "SourceStatus": source_status("sensory"),
            "Devices": {task: asdict(sensory.device(trials)) for task, trials in tests.items()},
            "RejectedTrials": {task: trials.n_rejected for task, trials in tests.items()},
            "NotInSettings": sensory.not_in_settings(data),
        },
    )
