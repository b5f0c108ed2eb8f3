"""Markers of inflammation in the blood of the simulated people, with limits of detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.markers.scales import BLOOD
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

MEDIANS = {"crp": 1.1, "il6": 1.5, "tnf": 7.0}
LOG_SD, SHIFT = 0.8, 0.2
LIMITS = {"crp": 0.3, "il6": 0.7, "tnf": 2.0}


def concentration(visit: Visit, name: str) -> float:
    """Return the true concentration of a substance at a visit, in the unit of its marker."""
    person = visit.lasting(f"blood {name}").normal(SHIFT * visit.person.patient, LOG_SD)
    return float(MEDIANS[name] * np.exp(person + visit.passing(f"blood {name}").normal(0, 0.3)))


def blood_truth(visit: Visit) -> list[TruthRow]:
    """Return the planted concentrations of a visit."""
    return [truth_row(visit, name, value=concentration(visit, name)) for name in BLOOD]


def blood_table(visits: Sequence[Visit]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return ``phenotype/inflammation.tsv`` and its dictionary, which has the limits of detection.

    Readings below the limit are in the table, as analysers report them: they are no values.
    """
    import pandas as pd

    rows = [
        {
            "participant_id": visit.participant_id,
            **({"session_id": visit.session_id} if visit.session_id else {}),
            **{name: concentration(visit, name) for name in BLOOD},
        }
        for visit in visits
    ]
    columns = {
        name: {"Description": f"{each.title}.", "Units": each.unit, "LimitOfDetection": LIMITS[name]}
        for name, each in BLOOD.items()
    }
    session = {"session_id": {"Description": "Session."}} if visits[0].session_id else {}
    tool = {"MeasurementToolMetadata": {"Description": "Markers of inflammation in peripheral blood"}}
    return pd.DataFrame(rows), {**tool, "participant_id": {"Description": "Participant."}, **session, **columns}
