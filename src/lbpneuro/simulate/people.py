"""The people of a simulated study: demographics, pain, and the questionnaires that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.simulate.seeding import generator

if TYPE_CHECKING:
    import pandas as pd

RMDQ_ITEMS = 24


@dataclass(frozen=True, slots=True)
class Person:
    """One participant; ``patient`` is the size of the planted group difference in this person (0: none)."""

    number: int
    group: str
    age: int
    sex: str
    pain_nrs: float
    pain_duration_years: float
    rmdq_items: tuple[int, ...]
    patient: float

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


def person(number: int, *, seed: int, effect: float) -> Person:
    """Return participant ``number`` (1, 2, ...); odd numbers have low back pain."""
    rng = generator(seed, participant=number, what="person")
    pain = number % 2 == 1
    severity = float(np.clip(rng.normal(0.5, 0.2), 0.05, 0.95)) if pain else 0.02
    return Person(
        number=number,
        group="LBP" if pain else "control",
        age=int(np.clip(rng.normal(44, 12), 19, 70)),
        sex=str(rng.choice(["female", "male"])),
        pain_nrs=float(np.round(np.clip(10 * severity + rng.normal(0, 0.7), 1, 10))) if pain else 0.0,
        pain_duration_years=float(np.round(rng.lognormal(1.4, 0.7), 1)) if pain else 0.0,
        rmdq_items=tuple(int(item) for item in rng.random(RMDQ_ITEMS) < severity),
        patient=effect if pain else 0.0,
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
            "rmdq": sum(one.rmdq_items),
        }
        for one in people
    ]
    return pd.DataFrame(rows), PARTICIPANTS_DICTIONARY


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
    "rmdq": {"Description": "Roland-Morris Disability Questionnaire, number of items endorsed (0-24).", "Units": "1"},
}


def rmdq_table(people: Sequence[Person]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return phenotype/rmdq.tsv (items and sum) and its dictionary."""
    import pandas as pd

    names = [f"rmdq_{item:02d}" for item in range(1, RMDQ_ITEMS + 1)]
    rows = [{"participant_id": f"sub-{one.label}", **dict(zip(names, one.rmdq_items, strict=True))} for one in people]
    table = pd.DataFrame(rows)
    table["rmdq"] = table[names].sum(axis=1)
    tool = {
        "Description": "Roland-Morris Disability Questionnaire, 24 items",
        "TermURL": "https://doi.org/10.1097/00007632-198303000-00004",
    }
    levels = {"0": "not endorsed", "1": "endorsed"}
    items = {name: {"Description": f"Item {int(name[-2:])}.", "Levels": levels} for name in names}
    total = {"Description": "Number of items endorsed.", "Units": "1"}
    identity = {"participant_id": {"Description": "Participant."}}
    return table, {"MeasurementToolMetadata": tool, **identity, **items, "rmdq": total}


def nrs_table(people: Sequence[Person]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return phenotype/nrs.tsv (pain now, mean and worst of the week) and its dictionary."""
    import pandas as pd

    rows = [
        {
            "participant_id": f"sub-{one.label}",
            "nrs_now": max(0.0, one.pain_nrs - 1),
            "nrs_mean": one.pain_nrs,
            "nrs_worst": min(10.0, one.pain_nrs + 2) if one.pain_nrs else 0.0,
        }
        for one in people
    ]
    about = {"now": "Pain now", "mean": "Mean pain of the last week", "worst": "Worst pain of the last week"}
    columns = {
        f"nrs_{key}": {"Description": f"{text}, 0 no pain to 10 worst imaginable pain.", "Units": "1"}
        for key, text in about.items()
    }
    tool = {"Description": "Numerical rating scale of pain, 11 points"}
    identity = {"participant_id": {"Description": "Participant."}}
    return pd.DataFrame(rows), {"MeasurementToolMetadata": tool, **identity, **columns}


PHENOTYPES = {"rmdq": rmdq_table, "nrs": nrs_table}
"""The questionnaires of phenotype/: name of the file -> its table and dictionary."""
