"""Writes the TMS recordings of a visit: EMG-BIDS with events, and NIBS-BIDS (draft 6.3 of BEP037) for the positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import atomic, write_json, write_tsv
from lbpneuro.simulate.emg import EmgSettings, recording
from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.stimulation import (
    BLOCK_MINUTES,
    POLARITY,
    Pulses,
    map_pulses,
    map_truth,
    plasticity_pulses,
    plasticity_truth,
)
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

if TYPE_CHECKING:
    import pandas as pd

PHYSICAL_UV = 32768.0
PLACEMENT_CM: dict[str, tuple[float, float]] = {
    "multifidus_deep": (2.0, 0.0),
    "longissimus": (5.0, 3.0),
    "FDI": (0.0, 0.0),
    "biceps_femoris": (0.0, 0.0),
}
PLACEMENT = {
    "motormap": "Surface electrodes right of the spine: over the multifidus 2 cm lateral to the spinous process of L5, "
    "over the longissimus 5 cm lateral to that of L2; reference 2 cm away along the fibres.",
    "plasticity": "Surface electrodes over the belly of the right first dorsal interosseus; reference on the joint.",
    "excitability": "Surface electrodes over the belly of the right first dorsal interosseus; reference on the joint.",
    "excitabilityactive": "Surface electrodes over the belly of the right first dorsal interosseus; reference on the "
    "joint.",
    "reflex": "Surface electrodes over the short head of the right biceps femoris, 4 cm apart along the fibres.",
}
CONTINUOUS = ("motormap", "reflex")
INSTRUCTIONS = {
    "motormap": "Sit upright and lean forward a little, so that the back muscles contract lightly.",
    "plasticity": "Sit still and keep your right hand relaxed.",
    "excitability": "Sit still and keep your right hand relaxed.",
    "excitabilityactive": "Spread your right index finger lightly, so that the muscle contracts at 10 % of its "
    "strength.",
    "reflex": "Lie still and relaxed; rate the pain of every stimulus.",
}


def write_motor_map(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the mapping run of a visit; return the planted values."""
    pulses = map_pulses(visit, study.motor_map)
    write_run(study, visit, task="motormap", pulses=pulses, settings=study.trunk, protocol={})
    return map_truth(visit, study.motor_map)


def write_plasticity(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the plasticity run of a visit; return the planted values."""
    pulses = plasticity_pulses(visit, study.plasticity)
    protocol = {
        "BoutPolarity": list(POLARITY),
        "BoutDescription": "anodal tDCS of the left motor cortex, 1 mA, 7 min, a gap of 3 min, then 5 min",
        "BlockStartMinutes": dict(BLOCK_MINUTES),
    }
    write_run(study, visit, task="plasticity", pulses=pulses, settings=study.hand, protocol=protocol)
    return plasticity_truth(visit, study.plasticity)


def write_run(
    study: Study, visit: Visit, *, task: str, pulses: Pulses, settings: EmgSettings, protocol: dict[str, Any]
) -> None:
    """Write recording, sidecars, events and positions of one run."""
    signal = recording(visit.passing(f"emg {task}"), pulses, settings=settings)
    start = write_signal(study, visit, signal, task=task, muscles=pulses.muscles, settings=settings, protocol=protocol)
    write_events(start.with_name(f"{start.name}_events"), pulses)
    nibs = study.raw / visit.folder / "nibs"
    write_nibs(nibs, start.name, task=task, pulses=pulses, protocol=protocol, navigated=study.navigated)


def write_signal(
    study: Study,
    visit: Visit,
    signal: Array,
    *,
    task: str,
    muscles: tuple[str, ...],
    settings: EmgSettings,
    protocol: dict[str, Any],
) -> Path:
    """Write a recording with its sidecar, channels and electrodes; return the path that its files begin with."""
    start = study.raw / visit.folder / "emg" / f"{visit.prefix}_task-{task}"
    write_bdf(start.with_name(f"{start.name}_emg.bdf"), signal, muscles=muscles, sfreq=settings.sfreq)
    metadata = {**emg_metadata(task, signal, settings=settings), **protocol}
    write_json(start.with_name(f"{start.name}_emg.json"), metadata)
    write_channels(start.with_name(f"{start.name}_channels.tsv"), muscles)
    write_electrodes(start.parent, visit, task=task, muscles=muscles)
    return start


def write_bdf(path: Path, signal: Array, *, muscles: tuple[str, ...], sfreq: float) -> None:
    """Write ``signal`` (n_muscle, n_sample) in uV as BDF with 24 bits over +-32.8 mV; always the same bytes."""
    import datetime

    import edfio

    limits = (-PHYSICAL_UV, PHYSICAL_UV - PHYSICAL_UV / 2**23)
    signals = [
        edfio.BdfSignal(one, sfreq, label=muscle, physical_dimension="uV", physical_range=limits)
        for one, muscle in zip(signal, muscles, strict=True)
    ]
    when = edfio.Recording(startdate=datetime.date(2021, 7, 9))
    with atomic(path) as temporary:
        edfio.Bdf(signals, recording=when, data_record_duration=1).write(temporary)


def emg_metadata(task: str, signal: Array, *, settings: EmgSettings) -> dict[str, Any]:
    """Return the sidecar of a recording."""
    return {
        "TaskName": task,
        "Instructions": INSTRUCTIONS[task],
        "EMGPlacementScheme": "Other",
        "EMGPlacementSchemeDescription": PLACEMENT[task],
        "EMGReference": "bipolar",
        "EMGGround": "right iliac crest",
        "SamplingFrequency": settings.sfreq,
        "PowerLineFrequency": settings.hum_hz,
        "RecordingType": "continuous" if task in CONTINUOUS else "discontinuous",
        "RecordingDuration": signal.shape[1] / settings.sfreq,
        "SoftwareFilters": "n/a",
        "HardwareFilters": "n/a",
        "EMGChannelCount": len(signal),
        "Manufacturer": "simulated",
    }


def write_channels(path: Path, muscles: tuple[str, ...]) -> None:
    """Write channels.tsv: one bipolar channel per muscle."""
    import pandas as pd

    rows = [
        {
            "name": muscle,
            "type": "EMG",
            "units": "uV",
            "signal_electrode": f"{muscle}_1",
            "reference": f"{muscle}_2",
            "target_muscle": muscle,
            "status": "good",
        }
        for muscle in muscles
    ]
    write_tsv(path, pd.DataFrame(rows))


def write_electrodes(folder: Path, visit: Visit, *, task: str, muscles: tuple[str, ...]) -> None:
    """Write electrodes.tsv and the frame of its coordinates (cm on the skin)."""
    import pandas as pd

    rows = []
    for muscle in muscles:
        x, y = PLACEMENT_CM[muscle]
        rows += [
            {"name": f"{muscle}_{number}", "x": x, "y": y + 2 * (number - 1), "z": 0.0, "coordinate_system": task}
            for number in (1, 2)
        ]
    start = f"{visit.prefix}_task-{task}"
    write_tsv(folder / f"{start}_electrodes.tsv", pd.DataFrame(rows))
    origin = "spinous process of L5" if task == "motormap" else "belly of the muscle"
    description = f"x to the right and y upwards (back) or towards the trunk (limb), in cm from the {origin}."
    write_json(
        folder / f"{visit.prefix}_space-{task}_coordsystem.json",
        {
            "EMGCoordinateSystem": "Other",
            "EMGCoordinateSystemDescription": description,
            "EMGCoordinateUnits": "cm",
        },
    )


EVENT_COLUMNS: dict[str, Any] = {
    "trial_type": {"Description": "Kind of the event.", "Levels": {"TMS": "single TMS pulse"}},
    "nibs_event_id": {"Description": "Stimulus template, a row of the table of the nibs folder."},
    "nibs_position_id": {"Description": "Position of the coil, a row of the markers table of the nibs folder."},
    "site_id": {"Description": "Site of the grid."},
    "block": {
        "Description": "Part of the run.",
        "Levels": {
            "map": "motor map",
            "pre": "before the first bout of stimulation",
            "between": "between the two bouts",
            "post00": "just after the second bout",
            "post10": "10 minutes after the second bout",
            "post20": "20 minutes after the second bout",
        },
    },
    "intensity_mso": {"Description": "Stimulus intensity.", "Units": "percent of the maximum stimulator output"},
}


def write_events(path: Path, pulses: Pulses) -> None:
    """Write events.tsv, one row per pulse, and its dictionary; ``path`` is without extension."""
    import pandas as pd

    names = position_names(pulses)
    table = pd.DataFrame(
        {
            "onset": pulses.onset_s,
            "duration": np.zeros(len(pulses.onset_s)),
            "trial_type": "TMS",
            "nibs_event_id": "single",
            "nibs_position_id": [names[site] for site in pulses.position],
            "site_id": pulses.position + 1,
            "block": pulses.block,
            "intensity_mso": pulses.intensity_mso,
        }
    )
    write_tsv(path.with_name(f"{path.name}.tsv"), table)
    write_json(path.with_name(f"{path.name}.json"), EVENT_COLUMNS)


def position_names(pulses: Pulses) -> list[str]:
    """Return the name of every coil position."""
    return [f"pos{number:02d}" for number in range(1, len(pulses.site_xy_mm) + 1)]


HEAD_RADIUS_MM = 85.0
HEAD_CENTRE_MM = (0.0, -18.0, 12.0)
THRESHOLDS: dict[str, tuple[str, float, float]] = {"motormap": ("aMT", 60.0, 1.2), "plasticity": ("1mV", 58.0, 1.0)}
"""By task: the reference that the intensity was set by, its value (% of the maximum output), and the multiple of it."""
RMT_MSO = {"motormap": None, "plasticity": 48.0}
COLUMNS_OF_STIMULI: dict[str, Any] = {
    "nibs_event_id": {"Description": "Name of the stimulus, to which the events refer."},
    "nibs_type": {"Description": "Kind of stimulation.", "Levels": {"TMS": "transcranial magnetic stimulation"}},
    "stimulator_id": {"Description": "Device, an entry of StimulatorSet."},
    "nibs_element_id": {"Description": "Coil, an entry of ElementSet."},
    "stimulus_shape": {"Description": "Shape of the pulse.", "Levels": {"Monophasic": "monophasic pulse"}},
    "stimulus_intensity": {"Description": "Output of the stimulator.", "Units": "% Maximum Stimulator Output"},
    "pattern1_count": {"Description": "Pulses of one stimulus."},
    "pattern1_interval": {"Description": "Time from one pulse to the next.", "Units": "ms"},
    "intensity_reference": {"Description": "What the intensity was set by, an entry of IntensitySet."},
    "intensity_scaling": {"Description": "Intensity as a multiple of the reference."},
}


def write_nibs(
    folder: Path, start: str, *, task: str, pulses: Pulses, protocol: dict[str, Any], navigated: bool
) -> None:
    """Write stimuli, positions and their frame as draft 6.3 of BEP037 has them."""
    import pandas as pd

    reference, _, factor = THRESHOLDS[task]
    stimulus = {
        "nibs_event_id": "single",
        "nibs_type": "TMS",
        "stimulator_id": "stim1",
        "nibs_element_id": "coil1",
        "stimulus_shape": "Monophasic",
        "stimulus_intensity": pulses.intensity_mso,
        "pattern1_count": 1,
        "pattern1_interval": float("nan"),
        "intensity_reference": reference,
        "intensity_scaling": factor,
    }
    write_tsv(folder / f"{start}_nibs.tsv", pd.DataFrame([stimulus]))
    write_json(folder / f"{start}_nibs.json", {**stimulation_metadata(task, navigated=navigated), **protocol})
    write_tsv(folder / f"{start}_markers.tsv", positions_table(pulses, task, navigated=navigated))
    about = {"nibs_position_id": {"Description": "Name of the position, to which the events refer."}}
    write_json(folder / f"{start}_markers.json", about)
    write_json(folder / f"{start}_coordsystem.json", NAVIGATED_FRAME if navigated else GRID_FRAME)


def stimulation_metadata(task: str, *, navigated: bool) -> dict[str, Any]:
    """Return devices, references of the intensity, and what the columns of the stimuli mean."""
    reference, value, _ = THRESHOLDS[task]
    measured = {reference: value, **({"rMT": RMT_MSO[task]} if RMT_MSO[task] else {})}
    return {
        "NIBSDescription": "Single pulses of TMS over the motor cortex with concurrent EMG.",
        "ConcurrentModalities": ["emg"],
        "StimulatorSet": [{"StimulatorID": "stim1", "Manufacturer": "simulated"}],
        "ElementSet": [{"ElementID": "coil1", "ElementType": "coil", "CoilShape": "figure-of-eight"}],
        "IntensitySet": [
            {"IntensityID": name, "Value": output, "Units": "% Maximum Stimulator Output"}
            for name, output in measured.items()
        ],
        **({"NavigationSystem": {"Navigation": True, "NavigationModelName": "simulated"}} if navigated else {}),
        **COLUMNS_OF_STIMULI,
    }


def positions_table(pulses: Pulses, task: str, *, navigated: bool) -> pd.DataFrame:
    """Return the positions of the coil: on the grid of the cap (x, y), or on the head in the space of an image."""
    import pandas as pd

    places = on_head(pulses.site_xy_mm) if navigated else pulses.site_xy_mm
    axes = {f"position_{axis}": column.round(3) for axis, column in zip("xyz", places.T, strict=False)}
    if navigated:
        for name, vectors in zip(("normal", "direction"), coil_axes(places), strict=True):
            axes |= {f"position_{name}_{axis}": column.round(4) for axis, column in zip("xyz", vectors.T, strict=True)}
    label = {"position_label": "C3"} if task == "plasticity" else {}
    return pd.DataFrame({"nibs_position_id": position_names(pulses), "nibs_element_id": "coil1", **label, **axes})


def on_head(grid_mm: Array) -> Array:
    """Return the places (n, 3; right, front, up) of a grid (n, 2) measured along a round scalp from its vertex."""
    along = np.hypot(*grid_mm.T)
    angle = along / HEAD_RADIUS_MM
    share = np.divide(np.sin(angle) * HEAD_RADIUS_MM, along, out=np.ones_like(along), where=along > 0)
    height = HEAD_RADIUS_MM * np.cos(angle)
    return np.column_stack([grid_mm * share[:, None], height]) + HEAD_CENTRE_MM


def coil_axes(places: Array) -> tuple[Array, Array]:
    """Return the normals (n, 3) of a coil flat on the head, into it, and its directions, 45 degrees to the midline."""
    normal = np.asarray(HEAD_CENTRE_MM) - places
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    across = np.cross(normal, np.sqrt(0.5) * np.array([1.0, 1.0, 0.0]))
    direction = np.cross(across, normal)
    return normal, direction / np.linalg.norm(direction, axis=1, keepdims=True)


GRID_FRAME = {
    "NIBSCoordinateSystem": "Other",
    "NIBSCoordinateUnits": "mm",
    "NIBSCoordinateSystemDescription": "Grid of a cap on the head: origin at the vertex (Cz), x to the right, y to the "
    "front, both along the scalp.",
}
NAVIGATED_FRAME = {
    "NIBSCoordinateSystem": "IndividualMRI",
    "NIBSCoordinateUnits": "mm",
    "NIBSCoordinateSystemDescription": "Scanner coordinates of the participant's T1w image: x to the right, y to the "
    "front, z up.",
}
