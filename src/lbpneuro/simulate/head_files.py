"""A study of raw T1w images alone: one session per planted loss of volume, and the truth behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lbpneuro import __version__
from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json, write_nifti, write_text, write_tsv
from lbpneuro.simulate.anatomy import AnatomySettings
from lbpneuro.simulate.cohort import BIDS_VERSION, each_visit, write_people
from lbpneuro.simulate.heads import check_head, head, head_truth, true_volumes
from lbpneuro.simulate.imaging_files import nifti
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.truth import TruthRow, truth_table

LOSSES = (0.0, 5.0, 10.0)
VOXEL_MM = (0.5, 4.0)

README = """\
Simulated heads (lbpneuro simulate --raw-anat)
==============================================

Nobody took part in this study. Every T1w image is a deformed template brain in a head with skull, scalp, eyes, face and
neck, under a bias field and noise. The sessions of a participant are scans of the same head in another pose, in which
the left DLPFC and the right thalamus have lost as many percent of their volume as truth.tsv, beside this dataset, says.
There are no preprocessed images: the volumes are to be found from these.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStudy:
    """A study of raw T1w images below ``root``; session k has lost ``losses[k]`` % of the planted regions."""

    root: Path
    voxel_mm: float
    losses: tuple[float, ...]
    look: str
    anatomy: AnatomySettings = field(default_factory=AnatomySettings)

    @property
    def raw(self) -> Path:
        """The raw BIDS dataset."""
        return self.root / "raw"


def simulate_heads(
    out: Path,
    *,
    participants: int = 2,
    losses: Sequence[float] = LOSSES,
    seed: int = 1,
    effect: float = 1.0,
    resolution_mm: float = 1.0,
    look: str = "whole",
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write raw T1w images of simulated heads below the folder ``out``: raw/ and truth.tsv, and no derivatives.

    Parameters
    ----------
    out
        Folder of the study; files of an earlier one are replaced.
    participants
        Number of people; odd numbers have low back pain, even ones not.
    losses
        Planted loss of volume (%) of the left DLPFC and the right thalamus in every session, against the same person
        without it. A single one is written without ``ses-``; ``0, 0`` is a scan and a rescan.
    seed
        Equal seeds give equal data, whatever ``jobs`` is.
    effect
        Factor of the planted group differences, which all sessions of a person share; 0 plants none.
    resolution_mm
        Voxel size of the images (0.5 to 4 mm).
    look
        ``whole``, ``defaced`` or ``stripped``.
    jobs
        Number of processes.
    progress
        Called after every session with the number done and in all, and what was written.

    Raises
    ------
    InputError
        If a number or ``look`` makes no sense, or ``out`` cannot be written to.
    """
    _check(participants=participants, losses=losses, jobs=jobs, resolution_mm=resolution_mm)
    for loss in losses:
        check_head(loss=loss, look=look)
    study = HeadStudy(root=Path(out), voxel_mm=float(resolution_mm), losses=tuple(losses), look=look)
    people = [person(number, seed=seed, effect=effect) for number in range(1, participants + 1)]
    numbers = range(1, len(losses) + 1) if len(losses) > 1 else (0,)
    visits = [Visit(one, number, seed) for one in people for number in numbers]
    write_text(study.raw / "README", README)
    title = {"Name": "Simulated heads", "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "License": "CC0"}
    maker = {"GeneratedBy": [{"Name": "lbpneuro simulate", "Version": __version__}]}
    write_json(study.raw / "dataset_description.json", title | maker)
    write_people(study.raw, people)
    rows: list[TruthRow] = []
    for done, planted in enumerate(each_visit(write_head, study, visits, jobs=jobs), start=1):
        rows += planted
        if progress is not None:
            progress(done, len(visits), visits[done - 1].folder)
    write_tsv(study.root / "truth.tsv", truth_table(rows))


def write_head(study: HeadStudy, visit: Visit) -> list[TruthRow]:
    """Write the T1w image of a session; return the planted values."""
    loss = study.losses[max(visit.session - 1, 0)]
    made = head(visit, loss=loss, voxel_mm=study.voxel_mm, look=study.look, settings=study.anatomy)
    path = study.raw / visit.folder / "anat" / f"{visit.prefix}_T1w"
    write_nifti(path.with_name(f"{path.name}.nii.gz"), nifti(made.image * 10, made.grid, dtype=np.int16))
    write_json(path.with_name(f"{path.name}.json"), {"MagneticFieldStrength": 3, "Modality": "MR"})
    volumes = true_volumes(visit, loss=loss, settings=study.anatomy)
    return head_truth(visit, volumes, first=true_volumes(visit, loss=study.losses[0], settings=study.anatomy))


def _check(*, participants: int, losses: Sequence[float], jobs: int, resolution_mm: float) -> None:
    for name, number in (("participants", participants), ("losses", len(losses)), ("jobs", jobs)):
        if number < 1:
            raise InputError(f"`{name}` must be 1 or more; got {number}.")
    if not VOXEL_MM[0] <= resolution_mm <= VOXEL_MM[1]:
        raise InputError(f"`resolution_mm` must be between {VOXEL_MM[0]:g} and {VOXEL_MM[1]:g}; got {resolution_mm:g}.")
