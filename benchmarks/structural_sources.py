"""How long the gray matter of one person takes to read from every source, and how far own and template space agree.

``python -m benchmarks.structural_sources --mm 1`` simulates one head at 1 mm (two minutes), reads it as fMRIPrep,
CAT12, FreeSurfer and FastSurfer would have left it, and prints a table. Imports are not counted. The fields of the
transforms have 1 mm, as those of fMRIPrep have (``--field-mm``).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.structural_sources import read
from lbpneuro.markers.tissue import Structural
from lbpneuro.simulate.anatomy import AnatomySettings, anatomy
from lbpneuro.simulate.grids import mni_grid, sample_all
from lbpneuro.simulate.imaging_files import write_derived_anatomy
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.structural_files import WRITERS, write_structural
from lbpneuro.simulate.transforms import PointMap

TIMES = 3


def simulate(root: Path, voxel_mm: float, *, field_mm: float) -> None:
    """Write one head as every program leaves it."""
    visit = Visit(person(1, seed=1, effect=1.0), 0, 1)
    head = anatomy(visit, voxel_mm=voxel_mm, settings=AnatomySettings())
    finer = {name: refined(getattr(head, name), field_mm) for name in ("to_template", "from_template")}
    write_derived_anatomy(root / "fmriprep" / visit.folder / "anat", visit, head=replace(head, **finer))
    for program in WRITERS:
        write_structural(root / program, program, visit, head=head)


def refined(way: PointMap, field_mm: float) -> PointMap:
    """Return a map of points whose field lies on the grid of the template with voxels of ``field_mm``."""
    grid = mni_grid(field_mm)
    field = np.stack(sample_all(way.displacement, grid.points(), grid=way.grid)).reshape(3, *grid.shape)
    return replace(way, displacement=field.astype(np.float32), grid=grid)


def sources(root: Path) -> dict[str, list[Path]]:
    """The files of every source."""
    maps = [path for path in _files(root / "fmriprep") if path.suffix != ".json"]
    return {
        "fmriprep, own space": [path for path in maps if "_space-" not in path.name],
        "fmriprep, template space": [path for path in maps if "_space-" in path.name or "from-T1w" in path.name],
        **{program: [path for path in _files(root / program) if path.suffix != ".mgz"] for program in WRITERS},
    }


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def timed(files: Sequence[Path], config: Mapping[str, Any]) -> tuple[float, Structural]:
    """The least CPU time (s) of some readings, and what was read."""
    seconds = []
    for _ in range(TIMES):
        start = process_time()
        data = read(files, config).data
        seconds.append(process_time() - start)
    return min(seconds), data


def table(root: Path) -> str:
    """The table, and the largest difference of a region between own and template space."""
    dataset = {name: str(root) for name in ("bids_dir", "out_dir", "work_dir")}
    config = resolve(read_config(overrides={"dataset": {**dataset, "derivatives": {}}}))
    found = {name: timed(files, config) for name, files in sources(root).items()}
    lines = ["| source | CPU s | TIV mL | gray matter mL | DLPFC L mL | thalamus L mL |", "|---|---|---|---|---|---|"]
    for name, (seconds, data) in found.items():
        regions = (data.regions[roi, "L"].volume_ml for roi in ("dlpfc", "thalamus"))
        numbers = [f"{number:.2f}" for number in (seconds, data.tiv_ml, data.gm_ml, *regions)]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    own, template = (data for _, data in list(found.values())[:2])
    worst = max(abs(template.regions[at].volume_ml / own.regions[at].volume_ml - 1) for at in own.regions)
    return "\n".join([*lines, "", f"Own and template space differ by {100 * worst:.2f} % at most in a region."])


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.structural_sources", description=__doc__)
    parser.add_argument("--mm", type=float, default=2.0, help="voxel size of the head (2)")
    parser.add_argument("--field-mm", type=float, default=1.0, help="voxel size of the fields of the transforms (1)")
    parser.add_argument("--folder", type=Path, help="keep the files here (a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        if not (root / "fmriprep").is_dir():
            simulate(root, options.mm, field_mm=options.field_mm)
        print(table(root))


if __name__ == "__main__":
    main()
