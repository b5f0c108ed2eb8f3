"""Step ``pet``: a TSPO-PET scan to the rows of uptake, uptake ratios and distribution volumes."""

from __future__ import annotations

from pathlib import Path

from lbpneuro.io.participants import participants_table
from lbpneuro.io.pet import find_scan, person_row, read_individual
from lbpneuro.io.pet_scan import assemble, scan_facts, write_scan
from lbpneuro.io.regions import read_regions
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.pet import in_anatomy
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = (
    "Activity corrected for decay to the injection, averaged over the window; ratios of regional means, without "
    "correction for partial volume"
)


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("pet", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Read the scan and the person's row, write curves and ratio map, and return the family's input."""
    settings, bids_dir = config["pet"], Path(config["dataset"]["bids_dir"])
    scan = find_scan(files, bids_dir=bids_dir, settings=settings)
    individual = read_individual(person_row(participants_table(bids_dir, [out.participant])), settings)
    regions = read_regions(Path(config["functional"]["rois"]))
    with ants_session():
        found = assemble(scan, individual, regions=regions, settings=settings, align=in_anatomy)
    write_scan(found, out.file)
    return Measured(data=found.data, method=METHOD, sidecar=scan_facts(found, individual))
