"""Writes the trial tables of the sensory tests of a visit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.trial_schemas import columns
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.sensory import (
    SensorySettings,
    centre_truth,
    cpm_table,
    cpt_table,
    ppt_table,
    sensory_truth,
    tsp_table,
)
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

if TYPE_CHECKING:
    import pandas as pd

TABLES: dict[str, Callable[[Visit, SensorySettings], pd.DataFrame]] = {
    "ppt": ppt_table,
    "cpt": cpt_table,
    "tsp": tsp_table,
    "cpm": cpm_table,
}
DEVICES = {"ppt": "algometer", "cpt": "thermode", "cpm": "algometer"}
SCALE = {"RatingScaleMinimum": 0, "RatingScaleMaximum": 100}


def write_sensory(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the sensory tests of a visit; return the planted values."""
    folder = study.raw / visit.folder / "beh"
    for task, table in TABLES.items():
        path = folder / f"{visit.prefix}_task-{task}_beh.tsv"
        write_tsv(path, table(visit, study.sensory))
        write_json(path.with_suffix(".json"), sidecar(task, study.sensory, centre=visit.person.centre))
    return sensory_truth(visit, study.sensory)


def write_centres(study: Study) -> None:
    """Write truth_centres.tsv: what the devices of each centre add to the thresholds."""
    import pandas as pd

    write_tsv(study.root / "truth_centres.tsv", pd.DataFrame(centre_truth(study.sensory)))


def sidecar(task: str, settings: SensorySettings, *, centre: str = "") -> dict[str, Any]:
    """Return the sidecar of a trial table, with what the contract says of its columns; a centre has its own devices."""
    pressure = {
        "ProbeArea": 1.0,
        "RampRate": 50.0,
        "DeviceMaximum": settings.ppt_maximum_kpa,
        "ManufacturersModelName": "simulated algometer",
    }
    own: dict[str, dict[str, Any]] = {
        "ppt": {**pressure, "value": {"Description": columns("ppt")["value"]["description"], "Units": "kPa"}},
        "cpt": {"CutOff": settings.cpt_cutoff, "BaselineTemperature": 32.0, "RampRate": 1.0, "ProbeArea": 9.0},
        "tsp": {**SCALE, "InterStimulusInterval": 1.0, "ManufacturersModelName": "simulated pinprick"},
        "cpm": {**SCALE, **pressure},
    }
    about = {"TaskName": task, "Manufacturer": "simulated", **own[task]}
    if centre and task in DEVICES:
        about["ManufacturersModelName"] = f"simulated {DEVICES[task]} of centre {centre}"
    return about
