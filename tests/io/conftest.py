"""A simulated head and what four programs would have made of it, written once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from lbpneuro.io.regions import read_regions
from lbpneuro.io.resources import default_config
from lbpneuro.simulate.anatomy import Anatomy, AnatomySettings, anatomy
from lbpneuro.simulate.imaging_files import write_derived_anatomy
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.structural_files import write_structural


class SimulatedHead(NamedTuple):
    root: Path
    visit: Visit
    head: Anatomy

    def files(self, program: str) -> list[Path]:
        """The files of a program, sidecars left out."""
        return sorted(path for path in (self.root / program).rglob("*") if path.is_file() and path.suffix != ".json")


@pytest.fixture(scope="session")
def simulated_head(tmp_path_factory) -> SimulatedHead:
    root = tmp_path_factory.mktemp("simulated")
    visit = Visit(person(1, seed=1, effect=1.0), 0, 1)
    head = anatomy(visit, voxel_mm=4.0, settings=AnatomySettings())
    write_derived_anatomy(root / "fmriprep" / visit.folder / "anat", visit, head=head)
    for program in ("cat12", "freesurfer", "fastsurfer"):
        write_structural(root / program, program, visit, head=head)
    return SimulatedHead(root, visit, head)


@pytest.fixture(scope="session")
def shipped_regions():
    return read_regions(default_config().parent / "rois.tsv", look_up=False)
