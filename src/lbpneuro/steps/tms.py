"""Step ``tms``: tables of motor-evoked potentials to the rows of the motor-map markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io import meps
from lbpneuro.io.files import write_tsv
from lbpneuro.kernels.mep import CLIPPED
from lbpneuro.markers.tms import INTENSITY_APART_MSO, HemisphereMap, MotorMaps
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

if TYPE_CHECKING:
    import pandas as pd


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("tms", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the maps of the mapping task by hemisphere; write the site means for the report."""
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
    out.written.extend(meps.average_of(meps.tables_of_task(files, settings["task"])))
    write_tsv(out.file("emg", "meps", ".tsv", task=settings["task"], desc="sitemap"), meps.site_table(grids, columns))
    return Measured(
        data=data,
        method=meps.map_method(columns),
        sidecar={"SourceStatus": meps.source_status("tms"), "Amplitude": columns, **_geometry(grids)},
    )


def _geometry(grids: dict[str, meps.Grid]) -> dict[str, Any]:
    planes = meps.plane_facts(grids)
    return {"TangentPlane": planes} if planes else {}


def hemisphere_map(
    each: meps.Grid, trials: pd.DataFrame, *, settings: dict[str, Any], metadata: dict[str, Any]
) -> HemisphereMap:
    """Return the arrays of one hemisphere with what qualifies them."""
    column = meps.amplitude_column(each, settings["contraction"])
    response, threshold = meps.response_evidence(each, settings["contraction"])
    return HemisphereMap(
        muscles=each.muscles,
        amplitude=each.kept_values(column),
        response=response,
        threshold=threshold,
        coords_mm=each.coords_mm,
        unstable=meps.unstable_background(each),
        crosstalk=meps.has_crosstalk(metadata, each.muscles),
        rejected=meps.rejected_share(trials, "target_muscle"),
        clipped=meps.rejected_share(trials, "target_muscle", reason=CLIPPED),
        intensity_changed=meps.intensity_changed(trials, more_than=INTENSITY_APART_MSO),
        slow=meps.sampled_slowly(metadata),
        other_frame=meps.frames_differ(metadata, each.muscles),
    )
