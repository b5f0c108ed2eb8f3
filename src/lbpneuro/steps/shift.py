"""Step ``shift``: preprocessed rating runs to the rows of the sensory-to-affective shift."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.ratings import group_ratings, rating_facts, read_rating_run, write_rating_scan
from lbpneuro.io.regions import read_regions
from lbpneuro.markers.shift import RatingRun, Ratings
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = (
    "Least squares of the mean signal of sets of regions on the rating convolved with the canonical response and its "
    "derivative, confounds, drift and censored volumes in one model"
)
log = logging.getLogger("lbpneuro")


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("shift", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Read every rating run once, write its outputs, and return the family's input; an unreadable run is left out."""
    settings, functional = config["shift"], config["functional"]
    regions = read_regions(Path(functional["rois"]))
    runs: list[RatingRun] = []
    facts: dict[str, Any] = {}
    refused: list[LbpneuroError] = []
    for each in group_ratings(files, settings):
        try:
            scan = read_rating_run(each, regions=regions, settings=settings, functional=functional)
        except LbpneuroError as error:
            log.error("%s", error)
            refused.append(error)
            facts[each.run.name] = {"Error": {"reason": str(error.reason), "message": str(error)}}
            continue
        write_rating_scan(scan, out.file)
        runs.append(scan.run)
        facts[each.run.name] = rating_facts(scan)
    if not any(not run.control for run in runs) and refused:
        raise refused[0]
    data = Ratings(runs=tuple(runs), settings=settings, gates=functional)
    return Measured(data=data, method=METHOD, sidecar={"Runs": facts})
