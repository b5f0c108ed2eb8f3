"""Writes the reflex run of a visit: EMG-BIDS with the events of electrical stimuli."""

from __future__ import annotations

from typing import Any

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.reflex import TASK, planned, reflex_truth, run_signal
from lbpneuro.simulate.stimulation_files import write_signal
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

EVENT_COLUMNS: dict[str, Any] = {
    "trial_type": {"Description": "Kind of the event.", "Levels": {"electrical": "electrical stimulus of the nerve"}},
    "stim_mA": {"Description": "Intensity of the stimulus.", "Units": "mA"},
    "rating": {"Description": "Pain of the stimulus, 0 (none) to 100 (worst imaginable).", "Units": "1"},
    "train_position": {"Description": "Place of the stimulus in a train, from 1; n/a for single stimuli."},
}


def write_reflex(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the reflex run of a visit; return the planted values.

    Nothing is written, and nothing planted, in a study without it.
    """
    settings = study.reflex
    if settings is None:
        return []
    events = planned(visit, settings)
    signal = run_signal(visit, events, emg=study.leg, settings=settings)
    start = write_signal(study, visit, signal, task=TASK, muscles=(settings.muscle,), settings=study.leg, protocol={})
    table = events.assign(duration=0.0, trial_type="electrical")[["onset", "duration", *EVENT_COLUMNS]]
    write_tsv(start.with_name(f"{start.name}_events.tsv"), table)
    write_json(start.with_name(f"{start.name}_events.json"), EVENT_COLUMNS)
    return reflex_truth(visit, settings)
