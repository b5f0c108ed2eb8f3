"""Writes the excitability runs of a visit: EMG-BIDS with the events of single and paired pulses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.simulate.excitability import TASK, TASK_ACTIVE, excitability_truth, planned, run_signal
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.stimulation_files import write_signal
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

CONTRACTION_UV = 25.0
PERCENT = "percent of the maximum stimulator output"

EVENT_COLUMNS: dict[str, Any] = {
    "trial_type": {"Description": "Kind of the event.", "Levels": {"TMS": "TMS pulse, or pair of pulses"}},
    "block": {
        "Description": "Part of the run.",
        "Levels": {
            "curve": "single pulses of many intensities at rest",
            "paired": "pairs of pulses and their test pulses",
            "amt": "single pulses of several intensities, muscle contracted",
        },
    },
    "stim_type": {"Description": "single or paired; the onset of a pair is that of its first pulse."},
    "isi_ms": {"Description": "Time between the two pulses of a pair.", "Units": "ms"},
    "intensity_mso": {"Description": "Intensity, of a pair that of the second pulse.", "Units": PERCENT},
    "conditioning_mso": {"Description": "Intensity of the first pulse of a pair.", "Units": PERCENT},
    "rmt_mso": {"Description": "Resting motor threshold as determined before.", "Units": PERCENT},
    "amt_mso": {"Description": "Active motor threshold as determined before.", "Units": PERCENT},
    "hemisphere": {"Description": "Stimulated hemisphere.", "Levels": {"L": "left", "R": "right"}},
}


def write_excitability(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the two excitability runs of a visit; return the planted values.

    Nothing is written, and nothing planted, in a study without them.
    """
    if study.excitability is None:
        return []
    for task, contracted in ((TASK, False), (TASK_ACTIVE, True)):
        _write_run(study, visit, task=task, contracted=contracted)
    return excitability_truth(visit, study.excitability)


def _write_run(study: Study, visit: Visit, *, task: str, contracted: bool) -> None:
    settings = study.excitability
    if settings is None:
        return
    emg = replace(study.hand, background_uv=CONTRACTION_UV, contracting=True) if contracted else study.hand
    events = planned(visit, settings, contracted=contracted)
    signal = run_signal(visit, events, emg=emg, settings=settings, contracted=contracted)
    start = write_signal(study, visit, signal, task=task, muscles=(settings.muscle,), settings=emg, protocol={})
    table = events.assign(duration=0.0, trial_type="TMS", hemisphere=settings.hemisphere)
    columns = ["onset", "duration", *EVENT_COLUMNS]
    write_tsv(start.with_name(f"{start.name}_events.tsv"), table[columns])
    write_json(start.with_name(f"{start.name}_events.json"), EVENT_COLUMNS)
