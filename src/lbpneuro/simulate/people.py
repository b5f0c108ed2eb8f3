"""The people of a simulated study: demographics and pain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.simulate.seeding import generator

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Person:
    """One participant; ``patient`` is the size of the planted group difference in this person (0: none).

    ``centre`` is where they are tested, by its name, empty in a study of one centre.
    """

    number: int
    group: str
    age: int
    sex: str
    pain_nrs: float
    pain_duration_years: float
    patient: float
    centre: str = ""

    @property
    def label(self) -> str:
        """Label of the participant without ``sub-``."""
        return f"{self.number:02d}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One person in one session; ``session`` is 0 in a study without sessions, else 1, 2, ..."""

    person: Person
    session: int
    seed: int

    @property
    def participant_id(self) -> str:
        """``sub-01``."""
        return f"sub-{self.person.label}"

    @property
    def session_id(self) -> str | None:
        """``ses-01``, or None in a study without sessions."""
        return f"ses-{self.session:02d}" if self.session else None

    @property
    def folder(self) -> str:
        """``sub-01`` or ``sub-01/ses-01``."""
        return "/".join(filter(None, (self.participant_id, self.session_id)))

    @property
    def prefix(self) -> str:
        """``sub-01`` or ``sub-01_ses-01``."""
        return "_".join(filter(None, (self.participant_id, self.session_id)))

    def lasting(self, what: str) -> np.random.Generator:
        """Return the generator of ``what`` in this person, the same in every session."""
        return generator(self.seed, participant=self.person.number, what=what)

    def passing(self, what: str) -> np.random.Generator:
        """Return the generator of ``what`` in this session."""
        return generator(self.seed, participant=self.person.number, session=self.session + 1, what=what)


CENTRES = ("A", "B")


def person(number: int, *, seed: int, effect: float, pain: bool | None = None, centres: int = 1) -> Person:
    """Return participant ``number`` (1, 2, ...); odd numbers have low back pain, unless ``pain`` says who has.

    Of several ``centres`` each gets a pair of neighbours in turn, so that all have as many patients as controls.
    """
    rng = generator(seed, participant=number, what="person")
    pain = number % 2 == 1 if pain is None else pain
    severity = float(np.clip(rng.normal(0.5, 0.2), 0.05, 0.95)) if pain else 0.02
    return Person(
        number=number,
        group="LBP" if pain else "control",
        age=int(np.clip(rng.normal(44, 12), 19, 70)),
        sex=str(rng.choice(["female", "male"])),
        pain_nrs=float(np.round(np.clip(10 * severity + rng.normal(0, 0.7), 1, 10))) if pain else 0.0,
        pain_duration_years=float(np.round(rng.lognormal(1.4, 0.7), 1)) if pain else 0.0,
        patient=effect if pain else 0.0,
        centre=CENTRES[(number - 1) // 2 % centres] if centres > 1 else "",
    )


def participants_table(people: Sequence[Person]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return participants.tsv and its dictionary."""
    import pandas as pd

    rows = [
        {
            "participant_id": f"sub-{one.label}",
            "group": one.group,
            "age": one.age,
            "sex": one.sex,
            "pain_nrs": one.pain_nrs,
            "pain_duration_years": one.pain_duration_years,
            **({"centre": one.centre} if one.centre else {}),
        }
        for one in people
    ]
    table = pd.DataFrame(rows)
    return table, {str(name): PARTICIPANTS_DICTIONARY[str(name)] for name in table}


PARTICIPANTS_DICTIONARY: dict[str, Any] = {
    "participant_id": {"Description": "Participant."},
    "group": {
        "Description": "Study group.",
        "Levels": {"LBP": "chronic low back pain", "control": "no low back pain"},
    },
    "age": {"Description": "Age.", "Units": "year"},
    "sex": {"Description": "Sex.", "Levels": {"female": "female", "male": "male"}},
    "pain_nrs": {"Description": "Mean pain of the last week, numerical rating scale from 0 to 10.", "Units": "1"},
    "pain_duration_years": {"Description": "Time since the onset of low back pain; 0 without pain.", "Units": "year"},
    "centre": {"Description": "Where the person was tested; each centre has devices of its own."},
}
