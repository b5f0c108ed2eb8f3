"""A simulated study: raw BIDS, fMRIPrep-shaped derivatives and the truth behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from lbpneuro import __version__
from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json, write_text, write_tsv
from lbpneuro.markers.instrument import instruments
from lbpneuro.simulate.blood import blood_table, blood_truth
from lbpneuro.simulate.excitability import ExcitabilitySettings
from lbpneuro.simulate.excitability_files import write_excitability
from lbpneuro.simulate.imaging_files import write_imaging
from lbpneuro.simulate.people import CENTRES, Person, Visit, participants_table, person
from lbpneuro.simulate.pet import PetSettings
from lbpneuro.simulate.pet_files import pet_columns, write_pet
from lbpneuro.simulate.rating import RatingSettings
from lbpneuro.simulate.rating_files import write_rating
from lbpneuro.simulate.reflex import ReflexSettings
from lbpneuro.simulate.reflex_files import write_reflex
from lbpneuro.simulate.scales import TOOLS, scale_table, scale_truth
from lbpneuro.simulate.sensory_files import write_centres, write_sensory
from lbpneuro.simulate.stimulation_files import write_motor_map, write_plasticity
from lbpneuro.simulate.structural_files import WRITERS
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.tactile import write_tactile, write_tactile_sidecars
from lbpneuro.simulate.truth import TruthRow, truth_table

ModalityWriter = Callable[[Study, Visit], list[TruthRow]]
Columns = tuple[dict[str, list[Any]], dict[str, Any]]

MODALITIES: tuple[ModalityWriter, ...] = (
    write_imaging,
    write_rating,
    write_motor_map,
    write_plasticity,
    write_excitability,
    write_reflex,
    write_pet,
    write_sensory,
    write_tactile,
)
"""What is measured at a visit: each writes its files and returns the values it planted. A new test is added here."""

BIDS_VERSION = "1.11.0"
VOXEL_MM = (1.0, 8.0)

README = """\
Simulated study of low back pain (lbpneuro simulate)
====================================================

Nobody took part in this study. All data are random numbers around known values, made to try, teach and test the
computation of markers; every value that the markers aim at is in truth.tsv, beside this dataset.

- anat: T1w-like image of a deformed template brain inside a shell of skull and scalp. There is no face and no neck.
- func: resting state with eyes open; the brain alone, moved by the recorded head motion to first order. A study made
  with ratings also has a run in which back pain is rated all the time (task-rating).
- pet: dynamic PET with a TSPO tracer and arterial blood, in a study made with PET.
- emg: surface EMG of two back muscles during a TMS map (task-motormap), and of a hand muscle before, between and
  after two bouts of excitatory stimulation (task-plasticity; the pauses between the blocks were not recorded).
  A study made with excitability has runs with thresholds, a recruitment curve and paired pulses, too
  (task-excitability, task-excitabilityactive), one made with the reflex electrical stimuli of the sural nerve with the
  EMG of the biceps femoris (task-reflex).
- nibs: stimuli and coil positions after draft 6.3 of BEP037, which is not part of BIDS yet.
- beh: trials of pressure and cold pain thresholds (task-ppt, task-cpt), temporal summation (task-tsp) and conditioned
  pain modulation (task-cpm). Two examiners test, B finds higher pressure thresholds; the truth is that of the examiner.
  In a study of several centres (participants.tsv) the devices of each shift the thresholds of pressure and cold, by
  what truth_centres.tsv says; truth.tsv is what its own devices would find.
- beh: two-point discrimination, graphaesthesia, localisation of touch, left/right judgement, a row per trial.
- phenotype: questionnaires, a column per item.
"""


def simulate_cohort(
    out: Path,
    *,
    participants: int = 20,
    sessions: int = 1,
    seed: int = 1,
    effect: float = 1.0,
    resolution_mm: float = 4.0,
    more: Collection[str] = (),
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write a simulated study below the folder ``out``: raw/, fmriprep/ and truth.tsv.

    Parameters
    ----------
    out
        Folder of the study; files of an earlier one are replaced.
    participants
        Number of people; odd numbers have low back pain, even ones not.
    sessions
        Visits per person; a single one is written without ``ses-``.
    seed
        Equal seeds give equal data, whatever ``jobs`` is; participant 3 is the same in a cohort of any size.
    effect
        Factor of all planted group differences; 0 plants none.
    resolution_mm
        Voxel size of the images (1 to 8 mm); the BOLD runs are never finer than 2 mm.
    more
        What everybody has besides: ``excitability``, thresholds, recruitment curve and paired pulses; ``reflex``,
        single stimuli and trains that evoke the withdrawal reflex; ``ratings``, a second run in which pain is rated
        (twice the time and size of the images); ``pet``, a dynamic TSPO-PET scan with arterial blood, body mass and
        genotype; ``centres``, two study sites instead of one, whose devices shift the thresholds of the sensory tests;
        ``cat12``, ``freesurfer`` and ``fastsurfer``, what these programs would have made of the T1w images, each in a
        folder of its own.
    jobs
        Number of processes.
    progress
        Called after every visit with the number of visits done and in all, and what was written, as ``sub-01/ses-01``.

    Raises
    ------
    InputError
        If a number makes no sense, or ``out`` cannot be written to.
    """
    _check(participants=participants, sessions=sessions, jobs=jobs, resolution_mm=resolution_mm)
    study = Study(
        root=Path(out),
        voxel_mm=float(resolution_mm),
        rating=RatingSettings() if "ratings" in more else None,
        excitability=ExcitabilitySettings() if "excitability" in more else None,
        reflex=ReflexSettings() if "reflex" in more else None,
        pet=PetSettings() if "pet" in more else None,
        structural=tuple(program for program in WRITERS if program in more),
    )
    centres = len(CENTRES) if "centres" in more else 1
    people = [person(number, seed=seed, effect=effect, centres=centres) for number in range(1, participants + 1)]
    numbers = range(1, sessions + 1) if sessions > 1 else (0,)
    visits = [Visit(one, number, seed) for one in people for number in numbers]
    write_descriptions(study)
    write_people(study.raw, people, more=pet_columns(people, seed=seed) if study.pet else None)
    write_phenotype(study.raw / "phenotype", visits)
    write_tactile_sidecars(study.raw, visits[0])
    rows: list[TruthRow] = []
    for done, planted in enumerate(each_visit(write_visit, study, visits, jobs=jobs), start=1):
        rows += planted
        if progress is not None:
            progress(done, len(visits), visits[done - 1].folder)
    write_tsv(study.root / "truth.tsv", truth_table(rows))
    if centres > 1:
        write_centres(study)


def check_centres(centres: int) -> None:
    """Raise InputError unless there are as many centres."""
    if not 1 <= centres <= len(CENTRES):
        raise InputError(f"`centres` must be between 1 and {len(CENTRES)}; got {centres}.")


def _check(*, participants: int, sessions: int, jobs: int, resolution_mm: float) -> None:
    for name, number in (("participants", participants), ("sessions", sessions), ("jobs", jobs)):
        if number < 1:
            raise InputError(f"`{name}` must be 1 or more; got {number}.")
    if not VOXEL_MM[0] <= resolution_mm <= VOXEL_MM[1]:
        raise InputError(f"`resolution_mm` must be between {VOXEL_MM[0]:g} and {VOXEL_MM[1]:g}; got {resolution_mm:g}.")


def each_visit(
    write: Callable[[Any, Visit], list[TruthRow]], study: Any, visits: Sequence[Visit], *, jobs: int
) -> Iterator[list[TruthRow]]:
    """Call ``write(study, visit)`` for all visits, in this process or in several; yield what it returns, in order.

    With one thread for linear algebra: its sums depend on the number of threads in the last digit, and several
    processes with several threads each would be slower than either.
    """
    if jobs == 1:
        yield from (_alone(write, study, visit) for visit in visits)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(visits)), mp_context=context) as pool:
        yield from pool.map(_alone, [write] * len(visits), [study] * len(visits), visits)


def _alone(write: Callable[[Any, Visit], list[TruthRow]], study: Any, visit: Visit) -> list[TruthRow]:
    import scipy.linalg  # noqa: F401  # its own BLAS can be limited only once it is loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return write(study, visit)


def write_visit(study: Study, visit: Visit) -> list[TruthRow]:
    """Write everything measured at one visit; return the planted values."""
    return [*(row for write in MODALITIES for row in write(study, visit)), *scale_truth(visit), *blood_truth(visit)]


def write_descriptions(study: Study) -> None:
    """Write what makes the two folders BIDS datasets."""
    maker = {"Name": "lbpneuro simulate", "Version": __version__}
    raw: dict[str, Any] = {"DatasetType": "raw", "GeneratedBy": [maker], "License": "CC0"}
    derived: dict[str, Any] = {
        "DatasetType": "derivative",
        "GeneratedBy": [{**maker, "Description": "the outputs of fMRIPrep that lbpneuro reads"}],
        "SourceDatasets": [{"URL": "../raw"}],
        "DatasetLinks": {"raw": "../raw"},
        "License": "CC0",
    }
    for folder, title, fields in ((study.raw, "raw data", raw), (study.fmriprep, "preprocessed images", derived)):
        name = f"Simulated study of low back pain, {title}"
        write_json(folder / "dataset_description.json", {"Name": name, "BIDSVersion": BIDS_VERSION, **fields})
        write_text(folder / "README", README)
    write_text(study.raw / ".bidsignore", "nibs\n")
    write_text(study.fmriprep / ".bidsignore", "*_xfm.*\n*_boldref.nii.gz\n*_timeseries.*\n")


def write_people(raw: Path, people: Sequence[Person], *, more: Columns | None = None) -> None:
    """Write participants, with ``more`` columns, and their dictionary."""
    who, about = participants_table(people)
    columns, described = more or ({}, {})
    write_tsv(raw / "participants.tsv", who.assign(**columns))
    write_json(raw / "participants.json", {**about, **described})


def write_phenotype(folder: Path, visits: Sequence[Visit]) -> None:
    """Write the questionnaires and blood values of all visits, and their dictionaries."""
    tables = {name: scale_table(instruments()[name], visits) for name in TOOLS}
    for name, (table, about) in {**tables, "inflammation": blood_table(visits)}.items():
        write_tsv(folder / f"{name}.tsv", table)
        write_json(folder / f"{name}.json", about)
