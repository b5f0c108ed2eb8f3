"""Connectivity markers of one participant and session from preprocessed BOLD runs."""

from __future__ import annotations

import logging
from pathlib import Path

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.maps import write_scan
from lbpneuro.io.provenance import dataset_roots, source_name
from lbpneuro.io.regions import Region, read_regions
from lbpneuro.io.runs import RunFiles, Scan, group_runs, method_text, read_scan, run_facts
from lbpneuro.markers.functional import Functional
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

log = logging.getLogger("lbpneuro")


def main(argv: list[str]) -> int:
    """Write the rows of the family ``functional``."""
    return family_step("functional", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Read every run once, write its maps, and return the family's input; a run that cannot be read is left out."""
    regions = read_regions(Path(config["functional"]["rois"]))
    scans, facts = [], {}
    errors: list[LbpneuroError] = []
    for run_files in group_runs(files):
        try:
            scan = _measured_run(run_files, regions, config=config, out=out)
            scans.append(scan.without_voxels())
            facts[run_files.name] = run_facts(scan)
        except LbpneuroError as error:
            log.error("%s", error)
            errors.append(error)
            facts[run_files.name] = {"Error": {"reason": str(error.reason), "message": str(error)}}
    if not scans:
        raise errors[0]
    data = Functional(runs=tuple(scan.run for scan in scans), settings=config["functional"])
    source = source_name(files, dataset_roots(config))
    return Measured(data=data, source=source, method=method_text(scans, config["functional"]), sidecar={"Runs": facts})


def _measured_run(
    files: RunFiles, regions: dict[tuple[str, ...], Region], *, config: Config, out: OutputFolder
) -> Scan:
    """Return one run, its further outputs written."""
    draft = source_name([files.bold], dataset_roots(config)) == "embedded" and config["preprocess"]["level"] == "draft"
    scan = read_scan(files, regions=regions, settings=config["functional"], draft=draft)
    write_scan(scan, out.file)
    return scan
