"""Numbers of a two-arm trial with known effects: people who differ, get better, and drop out for what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialModel:
    """What is true of an outcome.

    ``y_ij = mean_j + person_i + j slope_i + effect_j [treated] + visit_ij``; people vary by ``sd_person`` and
    ``sd_slope``, visits by ``sd_visit``.

    Attributes
    ----------
    mean, sd_visit, effect
        Per session; the first is the baseline, whose effect is 0.
    sd_person
        Standard deviation of what lasts.
    sd_slope
        Standard deviation of what a person gains from session to session.
    dropout
        Chance to miss every later session after a session at which the value lay above its mean by one standard
        deviation; none for a value at the mean or below, so that data are missing at random given what was seen.
    """

    mean: Sequence[float] = (6.0, 5.0, 4.5)
    effect: Sequence[float] = (0.0, -1.0, -1.5)
    sd_person: float = 1.5
    sd_visit: Sequence[float] = (1.0, 1.2, 1.6)
    sd_slope: float = 0.0
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
    values = values + rng.normal(0, 1, (people, 1)) * truth.sd_slope * np.arange(values.shape[1])
    for session in range(1, values.shape[1] - 1):
        worse = np.nan_to_num((values[:, session] - truth.mean[session]) / sd[session])
        gone = chance[:, session] < truth.dropout * np.clip(worse, 0, 1)
        values[gone, session + 1 :] = np.nan
    return treated, values
