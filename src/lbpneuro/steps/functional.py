"""Step ``functional``: preprocessed BOLD runs to the rows of the connectivity markers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.atlases import Atlas, read_atlases
from lbpneuro.io.brainstem import CONTROLS
from lbpneuro.io.dynamics import write_dynamic_series
from lbpneuro.io.maps import map_models, write_scan
from lbpneuro.io.regions import Region, read_regions, require
from lbpneuro.io.run_files import RunFiles, group_runs
from lbpneuro.io.runs import Scan, method_texts, read_scan, run_facts
from lbpneuro.markers.bold import Functional
from lbpneuro.markers.connectivity import row_model
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.edges import wanted_regions
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

log = logging.getLogger("lbpneuro")


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("functional", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Read every run once, write its maps, and return the family's input; a run that cannot be read is left out."""
    settings = config["functional"]
    known = read_regions(Path(settings["rois"]))
    nodes = config["dynamic"]["nodes"]
    wanted = wanted_regions(settings, [(roi, hemi) for roi, hemi in known], nodes=nodes)
    regions = require(known, dict.fromkeys([*wanted, *(level for level in CONTROLS if level in known)]))
    atlases = read_atlases(settings)
    scans: list[Scan] = []
    facts: dict[str, Any] = {}
    refused: list[LbpneuroError] = []
    runs = group_runs(files)
    for run in runs:
        try:
            scans.append(measure_run(run, regions, atlases, known=known, n_runs=len(runs), config=config, out=out))
            facts[run.name] = run_facts(scans[-1])
        except LbpneuroError as error:
            log.error("%s", error)
            refused.append(error)
            facts[run.name] = {"Error": {"reason": str(error.reason), "message": str(error)}}
    if not scans:
        raise refused[0]
    data = Functional(runs=tuple(scan.run for scan in scans), settings=settings, seed=config["run"]["random_seed"])
    texts = method_texts(scans, settings)
    return Measured(
        data=data,
        method=texts["cortical"],
        method_of=lambda name, level: texts[row_model(name, level, settings)],
        sidecar={"Runs": facts, "Methods": {model or "not cleaned": text for model, text in texts.items()}},
    )


def measure_run(
    files: RunFiles,
    regions: Mapping[Level, Region],
    atlases: Sequence[Atlas],
    *,
    known: Mapping[Level, Region],
    n_runs: int,
    config: Config,
    out: OutputFolder,
) -> Scan:
    """Return one run without its voxels, its further outputs written."""
    from threadpoolctl import threadpool_limits

    settings = config["functional"]
    models = map_models(settings, [(roi, hemi) for roi, hemi in regions])
    # the last digits of products in single precision depend on the number of threads
    with threadpool_limits(1, user_api="blas"):
        scan = read_scan(
            files,
            regions=regions,
            atlases=atlases,
            settings=settings,
            map_models=models,
            n_runs=n_runs,
            known=known,
        )
        write_scan(scan, out.file, settings)
        write_dynamic_series(scan.run, config["dynamic"], out.file)
    return scan.without_voxels()
