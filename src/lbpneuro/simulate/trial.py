"""A two-arm trial with known effects: people who differ, get better, and drop out for reasons that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import write_json, write_tsv

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

ARMS = ("usual_care", "education")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialModel:
    """What is true of an outcome.

    ``y_ij = mean_j + person_i + effect_j [treated] + visit_ij``; people vary by ``sd_person``, visits by ``sd_visit``.

    Attributes
    ----------
    mean, sd_visit, effect
        Per session; the first is the baseline, whose effect is 0.
    sd_person
        Standard deviation of what lasts.
    dropout
        Chance to miss every later session after a session at which the value lay above its mean by one standard
        deviation; none for a value at the mean or below, so that data are missing at random given what was seen.
    """

    mean: Sequence[float] = (6.0, 5.0, 4.5)
    effect: Sequence[float] = (0.0, -1.0, -1.5)
    sd_person: float = 1.5
    sd_visit: Sequence[float] = (1.0, 1.2, 1.6)
    dropout: float = 0.0


def draw_trial(
    rng: np.random.Generator, *, people: int, model: TrialModel | None = None
) -> tuple[NDArray[np.bool_], Array]:
    """Return who is treated (n_person,), every other one, and the values (n_person, n_session), NaN after dropout."""
    truth = model or TrialModel()
    treated = np.arange(people) % 2 == 1
    lasting = rng.normal(0, truth.sd_person, (people, 1))
    values = np.asarray(truth.mean) + treated[:, np.newaxis] * np.asarray(truth.effect) + lasting
    values = values + rng.normal(0, 1, values.shape) * np.asarray(truth.sd_visit)
    sd = np.hypot(truth.sd_person, np.asarray(truth.sd_visit))
    chance = rng.random(values.shape)
    for session in range(1, values.shape[1] - 1):
        worse = np.nan_to_num((values[:, session] - truth.mean[session]) / sd[session])
        gone = chance[:, session] < truth.dropout * np.clip(worse, 0, 1)
        values[gone, session + 1 :] = np.nan
    return treated, values


SESSIONS = ("ses-week0", "ses-week18", "ses-week52")
PAIN = TrialModel(dropout=0.5)
DISABILITY = TrialModel(
    mean=(12.0, 9.0, 8.0), effect=(0.0, -2.0, -3.0), sd_person=3.0, sd_visit=(2.0, 3.0, 3.0), dropout=0.5
)
SCALES = {"nrs": ("nrs_7d_average", PAIN, 10), "rmdq": ("rmdq_total", DISABILITY, 24)}
"""Per questionnaire the column, what is true, and the largest score."""


def simulate_trial(out: Path, *, people: int = 80, seed: int = 1, effect: float = 1.0) -> None:
    """Write a BIDS dataset of questionnaires: participants.tsv, phenotype/nrs.tsv and rmdq.tsv, and truth.tsv.

    Scores are whole numbers within their scale, so that what is recovered of an effect is a few percent smaller than
    what was planted; ``effect`` scales all effects, 0 is the null.
    """
    import pandas as pd

    rng = np.random.default_rng([seed, 20])
    who = [f"sub-{number + 1:03d}" for number in range(people)]
    age, sex = rng.normal(45, 11, people).round().clip(18, 80), rng.choice(["F", "M"], people)
    truth = []
    for tool, (column, model, largest) in SCALES.items():
        scaled = TrialModel(
            mean=model.mean,
            effect=tuple(effect * each for each in model.effect),
            sd_person=model.sd_person,
            sd_visit=model.sd_visit,
            dropout=model.dropout,
        )
        treated, values = draw_trial(rng, people=people, model=scaled)
        _write_scores(out / "phenotype" / f"{tool}.tsv", column, who, values.round().clip(0, largest))
        truth += [
            {"outcome": f"{tool}.{column}", "session": session, "arm": ARMS[1], "control": ARMS[0], "effect": planted}
            for session, planted in zip(SESSIONS[1:], scaled.effect[1:], strict=True)
        ]
    arms = [ARMS[int(flag)] for flag in treated]
    table = pd.DataFrame({"participant_id": who, "age": age.astype(int), "sex": sex, "arm": arms})
    write_json(
        out / "participants.json",
        {"arm": {"Description": "Arm of the randomisation", "Levels": dict.fromkeys(ARMS, "")}},
    )
    write_json(out / "dataset_description.json", {"Name": "Simulated trial", "BIDSVersion": "1.10.0"})
    write_tsv(out / "participants.tsv", table)
    write_tsv(out / "truth.tsv", pd.DataFrame(truth))


def _write_scores(path: Path, column: str, who: Sequence[str], values: Array) -> None:
    import pandas as pd

    rows: list[pd.DataFrame] = [
        pd.DataFrame({"participant_id": who, "session_id": session, column: values[:, place]})
        for place, session in enumerate(SESSIONS)
    ]
    table = pd.concat(rows).sort_values(["participant_id", "session_id"], kind="stable").dropna(subset=column)
    write_json(path.with_suffix(".json"), {column: {"Description": "Score", "Units": "1"}})
    write_tsv(path, table)
