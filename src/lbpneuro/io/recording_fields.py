"""What a recording of TMS has to say, and what is lost where it does not: the source of the table in the docs.

Every row is checked by taking the field away and running the steps (tests/io/test_recording_fields.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lbpneuro.errors import Reason


class Cost(StrEnum):
    """What the absence of a field costs."""

    ALL = "no value of the run"
    SOME = "some values are missing or flagged"
    SILENT = "a fault goes unnoticed"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingField:
    """A field of a file: which markers lose by its absence, how, and with which reason in the marker table.

    ``task`` is the run in which it was tried; ``bids`` says whether EMG-BIDS requires it all the same.
    """

    file: str
    name: str
    task: str
    cost: Cost
    reason: Reason | None
    without: str
    bids: bool = False


MAP, BOUTS = "motormap", "plasticity"
EVENTS, CHANNELS, SIDECAR = "*_events.tsv", "*_channels.tsv", "*_emg.json"
MARKERS, FRAME, STIMULI = "*_markers.tsv", "*_coordsystem.json", "*_nibs.tsv, *_nibs.json"
TRIALS, TRIALS_JSON = "*_meps.tsv", "*_meps.json"

RECORDING_FIELDS: tuple[RecordingField, ...] = (
    RecordingField(
        file=SIDECAR,
        name="SamplingFrequency",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="The rate of the signal file counts; a sidecar that contradicts it is refused.",
        bids=True,
    ),
    RecordingField(
        file=SIDECAR,
        name="PowerLineFrequency",
        task=MAP,
        cost=Cost.SILENT,
        reason=None,
        without="Mains hum is not subtracted; it adds to backgrounds and to small responses.",
        bids=True,
    ),
    RecordingField(
        file=SIDECAR,
        name="EMGReference",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="Not used in a computation; nobody can repeat the recording without it.",
        bids=True,
    ),
    RecordingField(
        file=SIDECAR,
        name="EMGPlacementScheme",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="As the reference.",
        bids=True,
    ),
    RecordingField(
        file=SIDECAR,
        name="BoutPolarity",
        task=BOUTS,
        cost=Cost.SOME,
        reason=Reason.PROTOCOL_ASSUMED,
        without="The bouts are taken to be those of the settings (`plasticity.bouts`), and every index is flagged.",
    ),
    RecordingField(
        file=CHANNELS,
        name="the file",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.FILE_MISSING,
        without="Nobody knows which channel is which muscle.",
        bids=True,
    ),
    RecordingField(
        file=CHANNELS,
        name="units",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A unit is never guessed.",
        bids=True,
    ),
    RecordingField(
        file=CHANNELS,
        name="target_muscle",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="Nobody knows which channel is which muscle.",
    ),
    RecordingField(
        file=EVENTS,
        name="the file",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.FILE_MISSING,
        without="Without events there is no response.",
    ),
    RecordingField(
        file=EVENTS,
        name="onset",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="Without events there is no response.",
        bids=True,
    ),
    RecordingField(
        file=EVENTS,
        name="trial_type",
        task=MAP,
        cost=Cost.SILENT,
        reason=None,
        without="Every row is taken for a TMS pulse.",
    ),
    RecordingField(
        file=EVENTS,
        name="nibs_position_id",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A map needs the place of every pulse (also as site_id, or x_mm and y_mm).",
    ),
    RecordingField(
        file=EVENTS,
        name="block",
        task=BOUTS,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="Plasticity compares blocks: pre, between, post00, post10, post20.",
    ),
    RecordingField(
        file=EVENTS,
        name="intensity_mso",
        task=MAP,
        cost=Cost.SILENT,
        reason=None,
        without="A change of the stimulator output goes unnoticed. That of the stimuli in nibs/ stands in for it.",
    ),
    RecordingField(
        file=EVENTS,
        name="hemisphere",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="The side of the position counts: x > 0 is right; without positions that of the settings.",
    ),
    RecordingField(
        file=MARKERS,
        name="the file",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A map needs the place of every pulse.",
    ),
    RecordingField(
        file=MARKERS,
        name="position_z",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="The positions lie on a grid. Navigated ones need it: x and y alone are seen from above.",
    ),
    RecordingField(
        file=MARKERS,
        name="position_normal_x, position_normal_y, position_normal_z",
        task=MAP,
        cost=Cost.SILENT,
        reason=None,
        without="Pulses with a tilted coil are not left out (`mep.coil`). Of navigated runs only.",
    ),
    RecordingField(
        file=MARKERS,
        name="position_direction_x, position_direction_y, position_direction_z",
        task=MAP,
        cost=Cost.SILENT,
        reason=None,
        without="Pulses with a turned coil are not left out (`mep.coil`). Of navigated runs only.",
    ),
    RecordingField(
        file=FRAME,
        name="NIBSCoordinateUnits",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A unit is never guessed; one that contradicts the numbers is refused.",
    ),
    RecordingField(
        file=FRAME,
        name="NIBSCoordinateSystem",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="Two muscles recorded in different runs have no overlap (other_frame).",
    ),
    RecordingField(
        file=STIMULI,
        name="the file",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="Thresholds and the interval of pairs are not known, unless the events state them.",
    ),
    RecordingField(
        file=TRIALS,
        name="p2p_uV",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="Also as p2p_mV, or as p2p or amplitude with its unit in the JSON file.",
    ),
    RecordingField(
        file=TRIALS,
        name="site_id",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="Sites are named by their coordinates.",
    ),
    RecordingField(
        file=TRIALS,
        name="x_mm, y_mm",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A map needs places (also x_cm, y_cm, or x, y with their unit in the JSON file).",
    ),
    RecordingField(
        file=TRIALS,
        name="target_muscle",
        task=MAP,
        cost=Cost.ALL,
        reason=Reason.INVALID_INPUT,
        without="A map is of a muscle. A plasticity table without muscles is taken to be of that of the settings.",
    ),
    RecordingField(
        file=TRIALS,
        name="trial",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="The rows of a muscle at a site are numbered; those of two muscles belong together in their order.",
    ),
    RecordingField(
        file=TRIALS,
        name="reject",
        task=MAP,
        cost=Cost.NOTHING,
        reason=None,
        without="All trials are used.",
    ),
    RecordingField(
        file=TRIALS_JSON,
        name="BoutPolarity",
        task=BOUTS,
        cost=Cost.SOME,
        reason=Reason.PROTOCOL_ASSUMED,
        without="As in the sidecar of a recording.",
    ),
)
