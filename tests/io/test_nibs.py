"""NIBS-BIDS: three versions of the draft, single pulses and pairs, positions with their units."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io import emg, nibs
from tests.oracles.neurophysiology import write_emg_run

INTENSITIES = [
    {"IntensityID": "rMT", "Value": 50, "Units": "% Maximum Stimulator Output"},
    {"IntensityID": "aMT", "Value": 41, "Units": "% Maximum Stimulator Output"},
    {"IntensityID": "1mV", "Value": 58, "Units": "% Maximum Stimulator Output"},
]


def write(folder, kind, name, rows, sidecar=None):
    path = folder / "sub-01" / kind / f"sub-01_task-sici_{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    if sidecar is not None:
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def sici(folder, *, event="nibs_event_id", position="nibs_position_id", units="ms"):
    """The example of the draft: single test pulses and pairs of 2 ms."""
    events = [["onset", "duration", event, position], [1, "n/a", "spTMS", "M1_L"], [6, "n/a", "SICI", "M1_L"]]
    stimuli = [
        [event, "nibs_type", "stimulus_intensity", "pattern1_count", "pattern1_interval", "pattern1_intensity"],
        ["spTMS", "TMS", 58, "n/a", "n/a", "n/a"],
        ["SICI", "TMS", "n/a", 2, 2 if units == "ms" else 0.002, "35|58"],
    ]
    described = {"IntensitySet": INTENSITIES, "pattern1_interval": {"Units": units}}
    places = [[position, "position_label"], ["M1_L", "C3"]]
    return [
        write(folder, "emg", "events", events),
        write(folder, "nibs", "nibs", stimuli, described),
        write(folder, "nibs", "markers", places),
    ]


def pulses_of(files):
    stimulation = nibs.read_stimulation(files, events=files[0])
    pulses = emg.read_pulses(files[0], duration=100.0, draft=stimulation.draft)
    return nibs.describe_pulses(pulses, stimulation, origin=files[0]), stimulation


@pytest.mark.parametrize(("event", "position"), [("nibs_event_id", "nibs_position_id"), ("event_id", "position_id")])
@pytest.mark.parametrize("units", ["ms", "s"])
def test_single_pulses_and_pairs(tmp_path, event, position, units):
    pulses, stimulation = pulses_of(sici(tmp_path, event=event, position=position, units=units))
    assert pulses["stim_type"].tolist() == ["single", "paired"]
    assert pulses["isi_ms"].fillna(0).tolist() == pytest.approx([0, 2])
    assert pulses["onset"].tolist() == pytest.approx([1, 6.002])
    assert pulses["intensity_mso"].tolist() == [58, 58]
    assert set(pulses["rmt_mso"]) == {50}
    assert set(pulses["amt_mso"]) == {41}
    assert set(pulses["hemisphere"]) == {"L"}
    current = event.startswith("nibs")
    assert stimulation.facts()["NIBSDraft"] == ("6.3" if current else "6.3, before the prefix nibs_")
    assert ("NIBSNotes" in stimulation.facts()) is not current


def test_draft_6_2(tmp_path):
    """Positions are named by the stimulus, thresholds are columns."""
    events = [["onset", "duration", "event_id"], [1, 0, "single"], [6, 0, "paired"]]
    header = ["event_id", "target_id", "pulses_in_event", "pulse_repetition_interval", "pulse_intensity_mso"]
    stimuli = [
        [*header, "rmt_intensity_mso", "amt_intensity_mso"],
        ["single", "left_M1", 1, "n/a", 50, 40, 35],
        ["paired", "left_M1", 2, 3, 50, 40, 35],
    ]
    places = [["target_id", "target_x", "target_y", "target_z"], ["left_M1", -4, 1, 7]]
    files = [
        write(tmp_path, "emg", "events", events),
        write(tmp_path, "nibs", "nibs", stimuli, {"pulse_repetition_interval": {"Units": "ms"}}),
        write(tmp_path, "nibs", "markers", places),
    ]
    write(tmp_path, "nibs", "coordsystem", []).with_suffix(".json").write_text('{"NIBSCoordinateUnits": "cm"}')
    pulses, stimulation = pulses_of(files)
    assert stimulation.draft.version == "6.2"
    assert pulses["isi_ms"].fillna(0).tolist() == [0, 3]
    assert pulses[["intensity_mso", "rmt_mso", "amt_mso"]].drop_duplicates().to_numpy().tolist() == [[50, 40, 35]]
    assert pulses[["x_mm", "y_mm", "z_mm"]].iloc[0].tolist() == [-40, 10, 70]
    assert pulses["site_id"].tolist() == ["left_M1"] * 2


def test_what_the_events_state_counts(tmp_path):
    files = sici(tmp_path)
    rows = [
        ["onset", "nibs_event_id", "nibs_position_id", "intensity_mso", "hemisphere"],
        [1, "spTMS", "M1_L", 63, "R"],
    ]
    write(tmp_path, "emg", "events", rows)
    pulses, _ = pulses_of(files)
    assert (pulses["intensity_mso"].item(), pulses["hemisphere"].item(), pulses["rmt_mso"].item()) == (63, "R", 50)


def test_intensity_from_its_reference(tmp_path):
    rows = [
        ["nibs_event_id", "intensity_reference", "intensity_scaling"],
        ["spTMS", "rMT", 1.2],
        ["SICI", "rMT|1mV", "0.7|1"],
    ]
    files = sici(tmp_path)
    write(tmp_path, "nibs", "nibs", rows, {"IntensitySet": INTENSITIES})
    assert pulses_of(files)[0]["intensity_mso"].tolist() == pytest.approx([60, 58])


def test_intensity_in_another_unit_is_not_percent(tmp_path):
    files = sici(tmp_path)
    sidecar = {"stimulus_intensity": {"Units": "A/us"}, "pattern1_interval": {"Units": "ms"}}
    files[1].with_suffix(".json").write_text(json.dumps(sidecar))
    pulses, _ = pulses_of(files)
    assert pulses["intensity_mso"].isna().all()
    assert pulses["rmt_mso"].isna().all()


@pytest.mark.parametrize(
    ("units", "message"), [(None, "has no unit; state s or ms"), ("samples", "the unit 'samples'")]
)
def test_interval_needs_its_unit(tmp_path, units, message):
    files = sici(tmp_path)
    files[1].with_suffix(".json").write_text(json.dumps({"pattern1_interval": {"Units": units}} if units else {}))
    with pytest.raises(UnitError, match=message):
        pulses_of(files)


def test_interval_as_frequency(tmp_path):
    files = sici(tmp_path)
    write(
        tmp_path,
        "nibs",
        "nibs",
        [["nibs_event_id", "pattern1_count", "pattern1_frequency"], ["spTMS", 1, "n/a"], ["SICI", 2, 10]],
    )
    assert pulses_of(files)[0]["isi_ms"].fillna(0).tolist() == [0, 100]


def test_trains_are_an_intervention(tmp_path):
    files = sici(tmp_path)
    header = ["nibs_event_id", "pattern1_count", "pattern1_frequency", "pattern2_count"]
    write(tmp_path, "nibs", "nibs", [header, ["spTMS", 1, "n/a", "n/a"], ["SICI", 3, 50, 200]])
    assert pulses_of(files)[0]["nibs_event_id"].tolist() == ["spTMS"]


def test_peripheral_stimuli_are_no_pulses(tmp_path):
    files = sici(tmp_path)
    write(tmp_path, "nibs", "nibs", [["nibs_event_id", "nibs_type"], ["spTMS", "TMS"], ["SICI", "PNS"]])
    assert pulses_of(files)[0]["nibs_event_id"].tolist() == ["spTMS"]


def test_stimulus_that_is_not_listed(tmp_path):
    files = sici(tmp_path)
    write(tmp_path, "nibs", "nibs", [["nibs_event_id", "pattern1_count"], ["spTMS", 1]])
    with pytest.raises(InputError, match=r"name the stimulus SICI, which is not in the table of stimuli \(spTMS\)"):
        pulses_of(files)


@pytest.mark.parametrize(
    ("second", "message"), [("spTMS", "spTMS is listed more than once"), ("n/a", "a row has no identifier")]
)
def test_stimuli_have_names_of_their_own(tmp_path, second, message):
    files = sici(tmp_path)
    write(tmp_path, "nibs", "nibs", [["nibs_event_id", "pattern1_count"], ["spTMS", 1], [second, 1]])
    with pytest.raises(InputError, match=message):
        pulses_of(files)


# -------------------------------------------------------------------------------------------------------- positions


def placed(tmp_path, **options):
    *files, markers = write_emg_run(tmp_path, **options)
    return files, markers


def read_positions(files, markers):
    return nibs.read_stimulation([*files, markers], events=files[2])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "names",
    [("x", "y", "z"), tuple(f"position_{axis}" for axis in "xyz"), tuple(f"position_coil_{axis}" for axis in "xyz")],
)
def test_positions_in_millimetres(tmp_path, names):
    files, markers = placed(tmp_path, sites=((-3.0, 1.0), (-4.0, 1.0)), coordinate_unit="cm")
    edit(markers, "x\ty\tz", "\t".join(names))
    stimulation = read_positions(files, markers)
    assert stimulation.positions["x_mm"].tolist() == [-30, -40]
    assert stimulation.positions["site_id"].tolist() == ["p0", "p1"]
    assert (f"columns {names[0]}, {names[1]}" in " ".join(stimulation.notes)) is (names[0] != "position_x")


def test_stimulated_point_is_preferred_to_the_coil(tmp_path):
    files, markers = placed(tmp_path)
    edit(markers, "x\ty\tz", "position_coil_x\tposition_coil_y\tz\tposition_x\tposition_y")
    edit(markers, "-30.0\t10.0\t0", "-50\t12\t0\t-28\t9")
    positions = read_positions(files, markers).positions
    assert positions[["x_mm", "y_mm"]].to_numpy().tolist() == [[-28, 9]]


def test_positions_too_large_for_centimetres(tmp_path):
    files, markers = placed(tmp_path, coordinate_unit="cm")
    with pytest.raises(UnitError, match=r"unit is cm, but a coordinate is 30; .* probably in mm"):
        read_positions(files, markers)


def test_grid_in_centimetres_said_to_be_millimetres(tmp_path):
    sites = tuple((-float(x), float(y)) for x in range(1, 7) for y in range(7))
    files, markers = placed(tmp_path, sites=sites, trials=1)
    with pytest.raises(UnitError, match=r"42 sites are 1 mm apart .* probably in cm"):
        read_positions(files, markers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "have no unit"),
        ({"NIBSCoordinateUnits": "inch"}, "the unit 'inch'"),
        ({"FiducialsCoordinateUnits": "mm"}, "have no unit"),
    ],
)
def test_positions_without_a_known_unit(tmp_path, content, message):
    files, markers = placed(tmp_path)
    frame = markers.with_name(markers.name.replace("_markers.tsv", "_coordsystem.json"))
    frame.write_text(json.dumps(content))
    with pytest.raises(UnitError, match=message):
        read_positions(files, markers)


def test_coordinate_system_is_inherited(tmp_path):
    files, markers = placed(tmp_path)
    own = markers.with_name(markers.name.replace("_markers.tsv", "_coordsystem.json"))
    own.rename(tmp_path / "sub-01" / "sub-01_coordsystem.json")
    other = own.with_name("sub-01_task-other_coordsystem.json")
    other.write_text('{"NIBSCoordinateUnits": "cm"}')
    assert read_positions(files, markers).positions["x_mm"].tolist() == [-30]


def test_one_of_several_coordinate_systems_must_be_that_of_the_positions(tmp_path):
    files, markers = placed(tmp_path)
    own = markers.with_name(markers.name.replace("_markers.tsv", "_coordsystem.json"))
    own.rename(own.with_name("sub-01_space-cap_coordsystem.json"))
    assert read_positions(files, markers).positions["x_mm"].tolist() == [-30]
    own.with_name("sub-01_space-head_coordsystem.json").write_text("{}")
    with pytest.raises(InputError, match="2 coordinate systems lie beside it"):
        read_positions(files, markers)


def test_frame_has_a_name(tmp_path):
    files, markers = placed(tmp_path)
    frame = markers.with_name(markers.name.replace("_markers.tsv", "_coordsystem.json"))
    assert nibs.coordinate_frame(markers) is None
    frame.write_text(
        '{"NIBSCoordinateSystem": "Other", "NIBSCoordinateSystemDescription": "cap 2", "NIBSCoordinateUnits": "mm"}'
    )
    assert read_positions(files, markers).facts()["CoordinateFrame"] == "Other: cap 2"


def test_position_named_twice(tmp_path):
    files, markers = placed(tmp_path, sites=((-30.0, 10.0), (-40.0, 10.0)))
    edit(markers, "p1", "p0")
    with pytest.raises(InputError, match="p0 is listed more than once"):
        read_positions(files, markers)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\ty\t", "\tlateral\t", "no position has coordinates; expected position_x and position_y"),
        ("nibs_position_id", "place", "column nibs_position_id is absent .* target_id"),
        ("-30.0", "left", "row 2, column x: expected a number or n/a, found 'left'"),
    ],
)
def test_positions_need_their_columns(tmp_path, old, new, message):
    files, markers = placed(tmp_path)
    edit(markers, old, new)
    with pytest.raises(InputError, match=message):
        read_positions(files, markers)


@pytest.mark.parametrize(("name", "more"), [("elsewhere", ""), ("p0|p1", "Positions of several coils")])
def test_pulse_at_an_unknown_position(tmp_path, name, more):
    files, markers = placed(tmp_path)
    edit(files[2], "p0", name)
    with pytest.raises(InputError, match=f"which is not listed.*{more}"):
        pulses_of([files[2], markers])


@pytest.mark.parametrize(("label", "side"), [("C3", "L"), ("FC4", "R"), ("Cz", None), ("M1_hand", None), ("n/a", None)])
def test_side_of_a_place_of_the_10_20_system(tmp_path, label, side):
    files = sici(tmp_path)
    edit(files[2], "C3", label)
    found = pulses_of(files)[0]["hemisphere"][0]
    assert (found if isinstance(found, str) else None) == side


def test_pulses_without_a_nibs_folder(tmp_path):
    files, _ = placed(tmp_path)
    edit(files[2], "nibs_position_id", "site")
    pulses, stimulation = pulses_of([files[2]])
    assert stimulation.draft is None
    assert stimulation.facts() == {}
    assert pulses["x_mm"].isna().all()
    assert pulses["site_id"].tolist() == ["p0"] * 6


def test_positions_of_the_run_and_of_the_events(tmp_path):
    """Coordinates that the events give of a pulse are nearer than those of its position."""
    files, markers = placed(tmp_path, sites=((-30.0, 10.0), (-40.0, 10.0)), trials=1)
    table = pd.read_csv(files[2], sep="\t").assign(x_mm=[-33.0, np.nan], y_mm=[11.0, np.nan])
    table.to_csv(files[2], sep="\t", index=False, na_rep="n/a")
    pulses, _ = pulses_of([files[2], markers])
    assert pulses["x_mm"].tolist() == [-33, -40]


@pytest.mark.parametrize("form", ["position_{}_{}", "{}_{}"])
def test_axes_of_the_coil_go_with_the_positions(tmp_path, form):
    """Names of the current draft and of the one before; an axis with a component missing is none."""
    files = sici(tmp_path)
    columns = [form.format(name, axis) for name in ("normal", "direction") for axis in "xyz"]
    rows = [["nibs_position_id", "position_label", *columns[:5]], ["M1_L", "C3", 0.6, 0, -0.8, 1, 0]]
    files[2] = write(tmp_path, "nibs", "markers", rows)
    pulses, _ = pulses_of(files)
    assert pulses[["normal_x", "normal_y", "normal_z"]].to_numpy().tolist() == [[0.6, 0, -0.8]] * 2
    assert pulses[["direction_x", "direction_z"]].isna().all(axis=None)


POSE = "[[-1, 0, 0, -41], [0, 0.8, 0.6, 12], [0, 0.6, -0.8, 70], [0, 0, 0, 1]]"


@pytest.mark.parametrize("text", [POSE, POSE.replace("[", "").replace("]", "").replace(",", "|"), "n/a"])
def test_pose_of_the_coil_gives_place_and_axes(tmp_path, text):
    """A 4 x 4 matrix as nested lists or between bars; its fourth column is the place, its third the normal."""
    files = sici(tmp_path)
    rows = [["nibs_position_id", "position_label", "position_coil_transform"], ["M1_L", "C3", text], ["M2", "C4", POSE]]
    files[2] = write(tmp_path, "nibs", "markers", rows)
    write(tmp_path, "nibs", "coordsystem", []).with_suffix(".json").write_text('{"NIBSCoordinateUnits": "cm"}')
    with pytest.raises(UnitError, match="unit is cm"):
        pulses_of(files)
    write(tmp_path, "nibs", "coordsystem", []).with_suffix(".json").write_text('{"NIBSCoordinateUnits": "mm"}')
    pulses, stimulation = pulses_of(files)
    columns = [*(f"{axis}_mm" for axis in "xyz"), *nibs.AXIS_COLUMNS]
    expected = [np.nan] * 9 if text == "n/a" else [-41, 12, 70, 0, 0.6, -0.8, 0, 0.8, 0.6]
    np.testing.assert_allclose(pulses[columns].iloc[0].astype(float), expected)
    assert "position_coil_transform" in stimulation.notes[0]


def test_columns_of_their_own_come_before_the_pose(tmp_path):
    files = sici(tmp_path)
    columns = ["position_coil_transform", *(f"position_normal_{axis}" for axis in "xyz")]
    files[2] = write(
        tmp_path, "nibs", "markers", [["nibs_position_id", "x_mm", "y_mm", *columns], ["M1_L", -30, 10, POSE, 0, 0, 1]]
    )
    write(tmp_path, "nibs", "coordsystem", []).with_suffix(".json").write_text('{"NIBSCoordinateUnits": "mm"}')
    pulses, _ = pulses_of(files)
    assert pulses[["normal_x", "normal_y", "normal_z"]].iloc[0].tolist() == [0, 0, 1]
    assert pulses[["direction_x", "direction_y", "direction_z"]].iloc[0].tolist() == [0, 0.8, 0.6]
    assert pulses["x_mm"].iloc[0] == -30


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 0 0 0 0 1 0 0 0 0 1 0", "16 numbers"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 one", "16 numbers"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 -41 12 70 1", "transpose it"),
        ("1 0 0 -41 0 1 0 12 0 0 1 70 0 0 0 2", "rotation and place"),
    ],
)
def test_what_is_no_pose_is_refused(tmp_path, text, what):
    files = sici(tmp_path)
    files[2] = write(tmp_path, "nibs", "markers", [["nibs_position_id", "position_coil_transform"], ["M1_L", text]])
    with pytest.raises(InputError, match=rf"markers.tsv: row 2, column position_coil_transform: .*{what}"):
        pulses_of(files)
