"""Step ``functional``: preprocessed BOLD runs to the rows of the connectivity markers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.maps import write_scan
from lbpneuro.io.regions import Region, read_regions, require
from lbpneuro.io.runs import RunFiles, Scan, group_runs, method_text, read_scan, run_facts
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.functional import ROIS, Functional
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

log = logging.getLogger("lbpneuro")


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("functional", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Read every run once, write its maps, and return the family's input; a run that cannot be read is left out."""
    settings = config["functional"]
    regions = require(read_regions(Path(settings["rois"])), [(roi, "n/a") for roi in ROIS])
    scans: list[Scan] = []
    facts: dict[str, Any] = {}
    refused: list[LbpneuroError] = []
    runs = group_runs(files)
    for run in runs:
        try:
            scans.append(measure_run(run, regions, n_runs=len(runs), settings=settings, out=out))
            facts[run.name] = run_facts(scans[-1])
        except LbpneuroError as error:
            log.error("%s", error)
            refused.append(error)
            facts[run.name] = {"Error": {"reason": str(error.reason), "message": str(error)}}
    if not scans:
        raise refused[0]
    data = Functional(runs=tuple(scan.run for scan in scans), settings=settings)
    return Measured(data=data, method=method_text(scans, settings), sidecar={"Runs": facts})


def measure_run(
    files: RunFiles, regions: Mapping[Level, Region], *, n_runs: int, settings: Mapping[str, Any], out: OutputFolder
) -> Scan:
    """Return one run without its voxels, its further outputs written."""
    scan = read_scan(files, regions=regions, settings=settings, n_runs=n_runs)
    write_scan(scan, out.file)
    return scan.without_voxels()
