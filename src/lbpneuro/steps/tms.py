"""Step ``tms``: tables of motor-evoked potentials to the rows of the motor-map markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io import mep_maps, meps
from lbpneuro.io.config import source_status
from lbpneuro.io.files import write_tsv
from lbpneuro.kernels.mep import CLIPPED
from lbpneuro.markers.motor_maps import INTENSITY_APART_MSO, HemisphereMap, MotorMaps, construct
from lbpneuro.markers.tms import OVERLAP_SHARE
from lbpneuro.registry import family
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

if TYPE_CHECKING:
    import pandas as pd

ESTIMATORS = {"fitted": "Smooth map", "plain": "Plain map"}


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("tms", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the maps of the mapping task by hemisphere; write sites and surfaces for the report."""
    settings = config["tms"]
    table, metadata = meps.read_task(files, settings["task"])
    tables = meps.hemispheres(table, settings["hemispheres"])
    grids = {
        hemi: meps.grid(trials, settings["muscles"], path=f"task {settings['task']}, hemisphere {hemi}")
        for hemi, trials in tables.items()
    }
    columns = {hemi: meps.amplitude_column(each, settings["contraction"]) for hemi, each in grids.items()}
    maps = {
        hemi: hemisphere_map(grids[hemi], trials, settings=settings, metadata=metadata)
        for hemi, trials in tables.items()
    }
    data = MotorMaps(maps=maps, settings=settings, seed=config["run"]["random_seed"])
    write_drawables(data, grids, columns, files=files, out=out)
    method = meps.map_method(columns, ESTIMATORS[settings["estimator"]])
    pair = f"{method}; {' and '.join(data.pair).replace('_', ' ')} ({construct(data.pair)})"
    return Measured(
        data=data,
        method=method,
        method_of=lambda name, _: pair if name in PAIR_MARKERS else method,
        sidecar={
            "SourceStatus": source_status("tms"),
            "Amplitude": columns,
            "Layout": {hemi: "walk" if each.walk else "grid" for hemi, each in maps.items()},
            "MusclePair": {"Muscles": list(data.pair), "Construct": construct(data.pair)},
            "CentreOfGravity_mm": mep_maps.centre_facts(data),
            "Rejected": meps.rejections(table, task=settings["task"]),
            **_geometry(grids),
        },
    )


PAIR_MARKERS = {marker.name for marker in family("tms") if marker.index == ("hemi",) or marker is OVERLAP_SHARE}


def write_drawables(
    data: MotorMaps, grids: dict[str, meps.Grid], columns: dict[str, str], *, files: list[Path], out: OutputFolder
) -> None:
    """Write the table of sites and, of maps without a grid, that of the surfaces; name the waveforms."""
    task = data.settings["task"]
    tables = meps.tables_of_task(files, task)
    out.written.extend(meps.waveforms_of(tables))
    sites = [mep_maps.site_waveforms_path(meps.average_path(path)) for path in tables]
    out.written.extend(path for path in sites if path.exists())
    means = mep_maps.site_table(grids, columns, data)
    write_tsv(out.file("emg", "meps", ".tsv", task=task, desc="sitemap"), means)
    if any(each.walk for each in data.maps.values()):
        write_tsv(out.file("emg", "meps", ".tsv", task=task, desc="surface"), mep_maps.surface_table(data))


def _geometry(grids: dict[str, meps.Grid]) -> dict[str, Any]:
    planes = meps.plane_facts(grids)
    return {"TangentPlane": planes} if planes else {}


def hemisphere_map(
    each: meps.Grid, trials: pd.DataFrame, *, settings: dict[str, Any], metadata: dict[str, Any]
) -> HemisphereMap:
    """Return the arrays of one hemisphere with what qualifies them."""
    column = meps.amplitude_column(each, settings["contraction"])
    response, threshold = meps.response_evidence(each, settings["contraction"])
    raw = column == "p2p_uv" or settings["contraction"] == "rest"
    return HemisphereMap(
        muscles=each.muscles,
        amplitude=each.kept_values(column),
        response=response,
        threshold=threshold,
        coords_mm=each.coords_mm,
        unstable=meps.unstable_background(each),
        walk=mep_maps.is_walk(each, settings["layout"]),
        area_threshold=settings["area_rest_uv"] if raw else None,
        crosstalk=meps.has_crosstalk(metadata, each.muscles),
        rejected=meps.rejected_share(trials, "target_muscle"),
        clipped=meps.rejected_share(trials, "target_muscle", reason=CLIPPED),
        intensity_changed=meps.intensity_changed(trials, more_than=INTENSITY_APART_MSO),
        slow=meps.sampled_slowly(metadata),
        tails=frozenset(muscle for muscle in each.muscles if meps.has_artefact_tail(metadata, muscle)),
        other_frame=meps.frames_differ(metadata, each.muscles),
    )
