"""``lbpneuro import-emg``: a recording of any format becomes EMG-BIDS."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError

EPILOG = """\
formats
  EDF, BDF, BrainVision (.vhdr), EEGLAB (.set), Spike2 32 bit (.smr), MATLAB (.mat: arrays, or what Spike2 exports),
  text (.csv, .tsv, .txt: a column per channel with time_s or time_ms, or --sfreq; a column trial makes epochs).
  Other formats are named with what to export instead.

when the pulses came
  --events FILE with onset (s), onset_ms or sample, and what else is known of each pulse: block, site_id, intensity_mso,
  stim_type, isi_ms, rmt_mso, amt_mso, hemisphere, x_mm, y_mm (a table of these columns is enough for a map); of
  electrical stimuli (withdrawal reflex) stim_mA, train_position, rating; or
  --pulses annotations:TMS      marks of the file whose label matches
  --pulses trigger:CH8          a trigger channel that rises; trigger:CH8:2.5 at 2.5 V
  --pulses epochs               once in every epoch, at --pulse-ms
  With --pulses the rows of --events (without onset) describe the pulses in their order. Of a pair the onset is that of
  its first pulse.

examples
  lbpneuro import-emg map.vhdr --muscle "EMG1=right multifidus_deep" "EMG2=right longissimus" --pulses annotations:S1 \\
      --events sites.tsv --positions brainsight.txt --subject 01 --task motormap --reference bipolar \\
      --placement "fine wires at L5, surface electrodes at L1" --power-line 50 --out study
  lbpneuro import-emg epochs.mat --muscle 1=FDI --units uV --sfreq 3000 --pulse-ms 50 --block pre --subject 01 \\
      --task plasticity --reference belly-tendon --placement "right FDI" --power-line 50 --out study
"""
ABOUT = (
    ("--subject", "LABEL", "participant, without sub-; default: that of the name of FILE, else 01", str),
    (
        "--task",
        "LABEL",
        "task (default: that of the name of FILE, else plasticity or reflex if the events are such, else motormap)",
        str,
    ),
    ("--reference", "TEXT", "where the reference was, e.g. bipolar, belly-tendon, an electrode", str),
    ("--placement", "TEXT", "how the electrodes were placed, in words (or Measured, ChannelSpecific)", str),
    ("--power-line", "HZ", "mains frequency, 50 or 60", float),
)
UNSAID = "n/a"
UNITS = ("uV", "mV", "V")
BOUTS = ("anodal", "cathodal", "itbs", "ctbs", "excitatory", "inhibitory", "sham")


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(
        prog="lbpneuro import-emg",
        description="Write a recording with TMS pulses or electrical stimuli as EMG-BIDS, positions as NIBS-BIDS.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("file", type=Path, metavar="FILE", help="the recording")
    made.add_argument(
        "--muscle",
        nargs="+",
        action="extend",
        required=True,
        metavar="CHANNEL=MUSCLE",
        help="by name or number; other channels are left out",
    )
    made.add_argument(
        "--out", type=Path, required=True, metavar="BIDS_DIR", help="dataset to write into; made if it is not there"
    )
    asked = made.add_argument_group("what EMG-BIDS wants to be said; what is not said is n/a")
    for name, metavar, text, kind in ABOUT:
        asked.add_argument(name, metavar=metavar, help=text, type=kind)
    _add_pulses(made.add_argument_group("pulses and positions"))
    _add_file(made.add_argument_group("what the file does not say"))
    _add_more(made.add_argument_group("more that goes into the dataset"))
    return made


def _add_pulses(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--events", type=Path, metavar="FILE", help="table of pulses, TSV or CSV")
    add("--pulses", metavar="HOW", help="epochs, annotations[:PATTERN] or trigger:CHANNEL[:VOLT]")
    add("--pulse-ms", type=float, metavar="MS", help="the file holds epochs, and this is when in them the pulse comes")
    add("--block", metavar="LABEL", help="block of all pulses of the file, e.g. pre, post10")
    add("--positions", type=Path, metavar="FILE", help="Brainsight .txt, Localite .xml, or a table with site_id, x, y")
    add("--positions-unit", choices=("mm", "cm"), help="of x, y, z in a table")
    add("--frame", metavar="TEXT", help="where the origin of a table of positions is and where its axes point; the cap")


def _add_file(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--units", choices=UNITS, help="unit of the signal")
    add("--sfreq", type=float, metavar="HZ", help="sampling rate")
    add("--variable", metavar="NAME", help="array of a .mat file")
    add("--axes", metavar="A,B", help="axes of an array in their order, out of time, trial, channel")
    add(
        "--amplifier-mv", type=float, metavar="MV", help="range of the amplifier, +-MV; beyond it responses are clipped"
    )


def _add_more(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--session", metavar="LABEL")
    add("--acq", metavar="LABEL")
    add("--run", metavar="INDEX")
    add(
        "--software-filters",
        type=json.loads,
        metavar="JSON",
        help='filters already applied; {"notch": {"Hz": 50}}',
    )
    add("--ground", metavar="TEXT", help="where the ground electrode was")
    add("--manufacturer", metavar="NAME", help="of the amplifier")
    add(
        "--bouts",
        nargs="+",
        choices=BOUTS,
        metavar="BOUT",
        help=f"plasticity: what each bout was, in order: {', '.join(BOUTS)}",
    )
    add("--overwrite", action="store_true", help="replace the recording if it is there")


def main(argv: Sequence[str]) -> int:
    """Write the dataset and say what was written, and what is left to be filled in."""
    options = parser().parse_args(argv)
    from lbpneuro.io import emg_import, vendor_positions
    from lbpneuro.io.config import read_config
    from lbpneuro.io.vendor_emg import read_vendor

    recording = _with_range(read_vendor(options.file, _hints(options)), options.amplifier_mv)
    muscles = emg_import.muscles_of(recording, options.muscle)
    events, left = emg_import.events_table(recording, events=options.events, pulses=options.pulses, block=options.block)
    positions = None
    if options.positions:
        positions = vendor_positions.read_positions(options.positions, unit=options.positions_unit, frame=options.frame)
        events = vendor_positions.assign(events, positions)
    target = _target(options, events)
    written = emg_import.write_recording(
        recording,
        target,
        muscles=muscles,
        events=events,
        positions=positions,
        overwrite=options.overwrite,
    )
    print(
        f"{written.path}: {len(muscles)} channels, {recording.signal.shape[1] / recording.sfreq:.1f} s at "
        f"{recording.sfreq:g} Hz, {written.n_pulse} pulses; largest rounding error {written.error_uv:.2g} uV"
    )
    needed = emg_import.settings_needed(
        recording, list(muscles.values()), events, task=target.task, config=read_config()
    )
    if needed:
        needed.append("Settings stand in a YAML file: lbpneuro BIDS_DIR OUT_DIR participant --config-file FILE.")
    notes = [*written.notes, *_unsaid(options, events, target.task), *needed]
    notes += [f"Columns that are not written: {', '.join(left)}."] if left else []
    for note in notes:
        print(f"note: {note}")
    return 0


def _hints(options: argparse.Namespace) -> Any:
    from lbpneuro.io.vendor_emg import Hints

    return Hints(
        units=options.units,
        sfreq=options.sfreq,
        variable=options.variable,
        axes=tuple(options.axes.split(",")) if options.axes else None,
        pulse_s=None if options.pulse_ms is None else options.pulse_ms / 1e3,
        channels=_channels(options),
    )


def _channels(options: argparse.Namespace) -> tuple[str, ...]:
    """The channels that are asked for by name: of the muscles, and of the trigger."""
    trigger = [options.pulses.split(":")[1]] if (options.pulses or "").startswith("trigger:") else []
    return tuple(dict.fromkeys([*(pair.partition("=")[0] for pair in options.muscle), *trigger]))


def _with_range(recording: Any, millivolts: float | None) -> Any:
    import dataclasses

    if millivolts is None:
        return recording
    if millivolts <= 0:
        raise InputError(f"--amplifier-mv {millivolts:g}: the range is a positive number of mV.")
    return dataclasses.replace(recording, limits=(-millivolts / 1e3, millivolts / 1e3))


def _target(options: argparse.Namespace, events: Any) -> Any:
    """Where the recording goes; what the command does not say, the name of the file or the blocks may."""
    from lbpneuro.io.emg_import import Target, task_of
    from lbpneuro.io.index import entities

    named = entities(options.file.name)
    session = options.session or named.get("ses")
    more = {"EMGGround": options.ground, "Manufacturer": options.manufacturer, "BoutPolarity": options.bouts}
    return Target(
        root=options.out,
        subject=(options.subject or named.get("sub", "01")).removeprefix("sub-"),
        session=session.removeprefix("ses-") if session else None,
        task=(options.task or named.get("task", task_of(events))).removeprefix("task-"),
        acquisition=options.acq or named.get("acq"),
        run=options.run or named.get("run"),
        reference=options.reference or UNSAID,
        placement=options.placement or UNSAID,
        power_line=options.power_line,
        software_filters=options.software_filters or UNSAID,
        more={key: value for key, value in more.items() if value is not None},
    )


COST: Mapping[str, str] = {
    "reference": "EMGReference is n/a: nobody could repeat the recording.",
    "placement": "EMGPlacementSchemeDescription is n/a: nobody could repeat the recording.",
    "power_line": "PowerLineFrequency is n/a: mains hum will not be subtracted.",
    "software_filters": "SoftwareFilters is n/a: a file that was filtered before would not be noticed.",
}
"""What stays unknown where an option is not given, and what that costs."""


def _unsaid(options: argparse.Namespace, events: Any, task: str) -> list[str]:
    """What stays unknown of a recording of a task, and what that costs."""
    from lbpneuro.io.emg_import import ELECTRICAL

    absent = [name for name in COST if getattr(options, name) is None]
    notes = [f"{COST[name]} --{name.replace('_', '-')} states it." for name in absent]
    if ELECTRICAL in events:
        return notes
    placed = options.positions is not None or bool({"x_mm", "grid_x_cm"} & set(events.columns))
    if task == "motormap" and not placed:
        notes.append("The pulses have no place, so there is no map: --positions, or x_mm and y_mm in --events.")
    if task == "plasticity" and "block" not in events:
        notes.append("The pulses have no block: --block, or a column block in --events; or state BoutStartMinutes.")
    if "intensity_mso" not in events:
        notes.append("The pulses have no intensity_mso; a change of the stimulator output would go unnoticed.")
    return notes
