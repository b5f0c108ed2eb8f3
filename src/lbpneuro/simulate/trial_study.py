"""A two-arm trial as a lab would record it: sensory tests and questionnaires at every session, with known effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro import __version__
from lbpneuro.io.files import write_json, write_text, write_tsv
from lbpneuro.io.tables import wide_name
from lbpneuro.markers.instrument import instruments
from lbpneuro.registry import MARKERS
from lbpneuro.simulate.blood import blood_truth
from lbpneuro.simulate.cohort import BIDS_VERSION, check_centres, each_visit, write_people, write_phenotype
from lbpneuro.simulate.people import Person, Visit, person
from lbpneuro.simulate.scales import filled, scale_truth
from lbpneuro.simulate.sensory import sensory_truth
from lbpneuro.simulate.sensory_files import write_centres, write_sensory
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow, truth_table

if TYPE_CHECKING:
    import pandas as pd

CONTROL, TREATED = "usual_care", "education"
README = """\
Simulated trial of low back pain (lbpneuro simulate --trial)
============================================================

Nobody took part in this study. Two arms (participants.tsv), three sessions, of which the first is the baseline.
Everybody has low back pain that eases, in the arm "education" more than in the arm "usual_care"; sensory tests and
questionnaires ease with it. Who still had much pain at the second session may miss the third.

- beh: pressure and cold pain thresholds, temporal summation, conditioned pain modulation, a row per trial.
- phenotype: questionnaires, a column per item.

Beside this dataset: truth.tsv, every planted value; truth_trial.tsv, the mean effect of the treatment on every marker;
with several centres truth_centres.tsv, what the devices of each add.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How much of what low back pain does is left at each session of an arm; the first is the baseline.

    ``spread`` is the standard deviation between people at follow-up. ``dropout`` is the chance to miss the last session
    of somebody whose pain of the week before is noted as 8 at the session before; it falls to 0 at a pain of 4, so that
    data are missing at random given what was noted.
    """

    control: tuple[float, ...] = (1.0, 0.85, 0.75)
    treated: tuple[float, ...] = (1.0, 0.55, 0.40)
    spread: float = 0.12
    dropout: float = 0.6

    def scaled(self, effect: float) -> Course:
        """Return the course with the difference of the arms multiplied by ``effect``."""
        pairs = zip(self.control, self.treated, strict=True)
        return replace(self, treated=tuple(without + effect * (given - without) for without, given in pairs))

    def left(self, visit: Visit, arm: str) -> float:
        """Return how much is left of somebody in an arm at a visit."""
        place = visit.session - 1
        mean = (self.treated if arm == TREATED else self.control)[place]
        return float(np.clip(mean + self.spread * visit.passing("course").standard_normal() * (place > 0), 0.05, 1.5))


def arm_of(one: Person) -> str:
    """Return the arm of a person: neighbours are in different ones, so that centres are balanced."""
    return TREATED if one.number % 2 == 0 else CONTROL


def visit_of(one: Person, session: int, *, arm: str, course: Course, seed: int) -> Visit:
    """Return the visit of a person at a session (1, 2, ...), were they in ``arm``."""
    visit = Visit(one, session, seed)
    return replace(visit, person=replace(one, patient=course.left(visit, arm)))


def simulate_trial(
    out: Path, *, people: int = 80, seed: int = 1, effect: float = 1.0, centres: int = 2, jobs: int = 1
) -> None:
    """Write a trial below the folder ``out``: the BIDS dataset raw/, truth.tsv, truth_trial.tsv, truth_centres.tsv.

    Parameters
    ----------
    out
        Folder of the study.
    people
        How many; every other one is treated.
    seed
        Equal seeds give equal data.
    effect
        Factor of the difference between the arms; 0 is the null.
    centres
        Number of study sites with devices of their own (1 or 2).
    jobs
        Number of processes.
    """
    check_centres(centres)
    study, course = Study(root=Path(out), voxel_mm=4.0), Course().scaled(effect)
    persons = [person(number, seed=seed, effect=1.0, pain=True, centres=centres) for number in range(1, people + 1)]
    visits = [visit for one in persons for visit in attended(one, course, seed=seed)]
    write_json(study.raw / "dataset_description.json", _description())
    write_text(study.raw / "README", README)
    write_people(study.raw, persons, more=_arms(persons))
    write_phenotype(study.raw / "phenotype", visits)
    rows = [row for planted in each_visit(write_visit, study, visits, jobs=jobs) for row in planted]
    write_tsv(study.root / "truth.tsv", truth_table(rows))
    write_tsv(study.root / "truth_trial.tsv", mean_effects(persons, course, seed=seed))
    if centres > 1:
        write_centres(study)


def attended(one: Person, course: Course, *, seed: int) -> list[Visit]:
    """Return the visits that a person came to."""
    sessions = range(1, len(course.control) + 1)
    visits = [visit_of(one, session, arm=arm_of(one), course=course, seed=seed) for session in sessions]
    before = visits[-2]
    pain = filled(before, instruments()["nrs"]).ticked["7d_average"]
    gone = before.passing("dropout").random() < course.dropout * np.clip((pain - 4) / 4, 0, 1)
    return visits[:-1] if gone else visits


def write_visit(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the tests of a visit; return what was planted in it, the questionnaires included."""
    return [*write_sensory(study, visit), *scale_truth(visit), *blood_truth(visit)]


def mean_effects(people: Sequence[Person], course: Course, *, seed: int) -> pd.DataFrame:
    """Return the mean over the people of what they have if treated less what they have if not, by outcome and session.

    It is the effect that the adjusted difference of the trial estimates; every person is simulated in both arms.
    """
    import pandas as pd

    rows = []
    for session in range(2, len(course.control) + 1):
        found: dict[str, list[float]] = {}
        for one in people:
            both = [
                _planted(visit_of(one, session, arm=arm, course=course, seed=seed), Study(root=Path(), voxel_mm=4.0))
                for arm in (TREATED, CONTROL)
            ]
            for name in both[0].keys() & both[1].keys():
                found.setdefault(name, []).append(both[0][name] - both[1][name])
        where = {"session": f"ses-{session:02d}", "arm": TREATED, "control": CONTROL}
        rows += [{"outcome": name, **where, "effect": np.mean(values)} for name, values in sorted(found.items())]
    return pd.DataFrame(rows)


def _planted(visit: Visit, study: Study) -> dict[str, float]:
    """What is true of a visit, by the column of the wide marker table."""
    index = {marker.name: marker.index for marker in MARKERS}
    rows = [*sensory_truth(visit, study.sensory), *scale_truth(visit), *blood_truth(visit)]
    return {
        wide_name(row["marker"], [row.get(name, "n/a") for name in index[row["marker"]]]): row["value"] for row in rows
    }


def _arms(people: Sequence[Person]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    levels = {CONTROL: "usual care", TREATED: "pain neuroscience education"}
    about = {"Description": "Arm of the randomisation.", "Levels": levels}
    return {"arm": [arm_of(one) for one in people]}, {"arm": about}


def _description() -> dict[str, Any]:
    maker = {"Name": "lbpneuro simulate", "Version": __version__}
    about = {"Name": "Simulated trial of low back pain", "BIDSVersion": BIDS_VERSION, "DatasetType": "raw"}
    return {**about, "License": "CC0", "GeneratedBy": [maker]}
