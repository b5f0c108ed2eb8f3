"""Step ``scales``: phenotype tables to the rows of questionnaires and clinical variables of one session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.blood import TABLE, blood_or_reason
from lbpneuro.io.files import write_tsv
from lbpneuro.io.phenotype import read_sheets
from lbpneuro.io.scores import methods, score_table
from lbpneuro.markers.scales import Phenotype
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "Sum of the points of the items; blanks by the missing rule of each questionnaire"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("scales", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return what the phenotype tables say of this person, and write the scores with what they were made of."""
    settings = config["scales"]
    sheets, problems = read_sheets(files, participant=out.participant, session=out.session, settings=settings)
    tables = [path for path in files if path.stem == TABLE]
    blood = blood_or_reason(tables, participant=out.participant, session=out.session, problems=problems)
    data = Phenotype(sheets=sheets, settings=settings, blood=blood)
    write_tsv(out.file("beh", "scores", ".tsv", desc="scales"), score_table(data))
    facts = {"Errors": problems} if problems else {}
    return Measured(data=data, method=METHOD, method_of=methods(data), source="phenotype", sidecar=facts)
