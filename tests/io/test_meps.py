"""Tables of motor-evoked potentials: ours, and those that labs bring."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, LbpneuroError, Reason, UnitError
from lbpneuro.io import emg, meps
from lbpneuro.io.config import source_status
from lbpneuro.kernels import mep, mep_timing
from lbpneuro.simulate.emg import response_shape
from tests.oracles import neurophysiology as oracle

MUSCLES = ["multifidus_deep", "longissimus"]


def table(tmp_path, rows, *, sidecar=None, name="sub-01_task-motormap_meps.tsv"):
    path = tmp_path / "sub-01" / "emg" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    if sidecar is not None:
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def map_rows(n_site=3, n_trial=2):
    header = ["trial", "muscle", "site", "x", "y", "p2p_uV"]
    numbered = [
        [trial, muscle, f"s{site}", -site, 1, 100 * site + trial]
        for site in range(n_site)
        for trial in range(1, n_trial + 1)
        for muscle in MUSCLES
    ]
    return [header, *numbered]


def test_plain_table_of_a_lab(tmp_path):
    path = table(tmp_path, map_rows(), sidecar={"x": {"Units": "cm"}, "y": {"Units": "cm"}})
    read, metadata = meps.read_meps(path)
    assert list(read.columns) == list(meps.COLUMNS)
    assert read["x_mm"].tolist()[-1] == -20
    assert read["reject"].tolist() == [0] * 12
    assert metadata["x"]["Units"] == "cm"


def test_the_least_that_a_table_needs(tmp_path):
    """Columns in any case, no trial, no hemisphere, muscles by other names."""
    rows = [["Site", "X_mm", "Y_mm", "Target_Muscle", "p2p_uV"]]
    rows += [
        [f"s{site}", -10 * site, 10, muscle, 100 * site + number]
        for site in (1, 2)
        for number in range(3)
        for muscle in ("deep multifidus", "Longissimus")
    ]
    read, _ = meps.read_meps(table(tmp_path, rows))
    assert set(read["target_muscle"]) == set(MUSCLES)
    assert set(read["hemisphere"]) == {"L"}
    each = meps.grid(read, MUSCLES, path="here")
    np.testing.assert_array_equal(each.columns["p2p_uv"][0], [[200, 201, 202], [100, 101, 102]])
    np.testing.assert_array_equal(each.columns["p2p_uv"][0], each.columns["p2p_uv"][1])


def test_columns_of_other_families_are_kept(tmp_path):
    header = ["trial", "block", "stim_type", "isi_ms", "rmt_mso", "amt_mso", "p2p_uV", "bg_mean_uV", "area_uVms"]
    read, _ = meps.read_meps(table(tmp_path, [header, [1, "sici", "paired", 2.5, 50, 40, 300, 1.5, 900]]))
    row = read.iloc[0]
    assert (row["stim_type"], row["block"]) == ("paired", "sici")
    assert row[["isi_ms", "rmt_mso", "amt_mso", "bg_mean_uv", "area_uvms"]].tolist() == [2.5, 50, 40, 1.5, 900]


@pytest.mark.parametrize(
    ("column", "units", "value"),
    [("p2p_mV", None, 0.3), ("amplitude", "mV", 0.3), ("p2p", "uV", 300), ("mep_V", None, 3e-4)],
)
def test_amplitudes_in_other_units(tmp_path, column, units, value):
    rows = [["block", column], ["pre", value]]
    read, _ = meps.read_meps(table(tmp_path, rows, sidecar={column: {"Units": units}} if units else None))
    assert read["p2p_uv"].item() == pytest.approx(300)


@pytest.mark.parametrize(("units", "message"), [(None, "no unit"), ("au", "the unit 'au'")])
def test_amplitudes_need_a_unit(tmp_path, units, message):
    sidecar = {"amplitude": {"Units": units}} if units else None
    with pytest.raises(UnitError, match=f"column amplitude have {message}; name it p2p_uv or p2p_mv"):
        meps.read_meps(table(tmp_path, [["block", "amplitude"], ["pre", 0.3]], sidecar=sidecar))


def test_trials_are_numbered_all_or_none(tmp_path):
    rows = [["trial", "block", "p2p_uv"], [1, "pre", 100], ["n/a", "pre", 200]]
    with pytest.raises(InputError, match="row 3 has no trial, others do"):
        meps.read_meps(table(tmp_path, rows))


@pytest.mark.parametrize(("text", "hemi"), [("left", "L"), ("RH", "R"), ("R", "R")])
def test_hemispheres_by_other_names(tmp_path, text, hemi):
    rows = [["block", "hemi", "p2p_uv"], ["pre", text, 100]]
    assert meps.read_meps(table(tmp_path, rows))[0]["hemisphere"].tolist() == [hemi]
    with pytest.raises(InputError, match="row 2, column hemisphere: expected L or R, found 'both'"):
        meps.read_meps(table(tmp_path, [rows[0], ["pre", "both", 100]]))


def test_grid_in_centimetres_said_to_be_millimetres(tmp_path):
    rows = [["x_mm", "y_mm", "p2p_uv"], *([-x, y, 100] for x in range(1, 7) for y in range(7))]
    with pytest.raises(UnitError, match="42 sites are 1 mm apart"):
        meps.read_meps(table(tmp_path, rows))


def navigated(tmp_path, *, tilt=40.0):
    """A grid of 6 x 7 sites on a plane that leans to the left, as navigation gives it."""
    angle = np.deg2rad(tilt)
    rows = [["x_mm", "y_mm", "z_mm", "target_muscle", "p2p_uV"]]
    rows += [
        [round(x * np.cos(angle), 4), y, round(60 + x * np.sin(angle), 4), muscle, 100 + x]
        for x in range(-60, 0, 10)
        for y in range(-30, 40, 10)
        for muscle in MUSCLES
    ]
    return table(tmp_path, rows)


def test_navigated_sites_are_laid_flat(tmp_path):
    read, _ = meps.read_meps(navigated(tmp_path))
    each = meps.grid(read, MUSCLES, path="here")
    assert sorted(set(np.diff(np.unique(each.coords_mm[:, 0].round(2))).round(2))) == [10]
    assert sorted(set(np.diff(np.unique(each.coords_mm[:, 1].round(2))).round(2))) == [10]
    facts = meps.plane_facts({"L": each})["L"]
    assert facts["DistanceRms_mm"] == pytest.approx(0, abs=0.01)
    assert facts["Right"] == pytest.approx([np.cos(np.deg2rad(40)), 0, np.sin(np.deg2rad(40))], abs=1e-3)
    level = meps.grid(meps.read_meps(navigated(tmp_path, tilt=0))[0], MUSCLES, path="here")
    assert level.plane is None
    np.testing.assert_allclose(each.columns["p2p_uv"], level.columns["p2p_uv"])


def test_height_of_all_sites_or_of_none(tmp_path):
    read, _ = meps.read_meps(navigated(tmp_path))
    read.loc[read["site_id"] == read["site_id"][0], "z_mm"] = np.nan
    with pytest.raises(InputError, match="1 sites have no z, others do"):
        meps.grid(read, MUSCLES, path="here")


def runs_of_one_muscle_each(tmp_path, frames):
    paths = []
    for muscle, frame in zip(MUSCLES, frames, strict=True):
        rows = [
            ["site", "x_mm", "y_mm", "target_muscle", "p2p_uV"],
            ["a", -30, 0, muscle, 100],
            ["b", -20, 0, muscle, 50],
        ]
        sidecar = {"CoordinateFrame": frame} if frame else None
        paths.append(table(tmp_path, rows, sidecar=sidecar, name=f"sub-01_task-motormap_acq-{muscle[:4]}_meps.tsv"))
    return paths


@pytest.mark.parametrize(
    ("frames", "differ"),
    [(("cap 1", "cap 1"), False), (("cap 1", "cap 2"), True), (("cap 1", None), True), ((None, None), True)],
)
def test_muscles_of_different_runs_need_one_frame(tmp_path, frames, differ):
    _, metadata = meps.read_task(runs_of_one_muscle_each(tmp_path, frames), "motormap")
    assert meps.frames_differ(metadata, MUSCLES) is differ
    assert not meps.frames_differ(metadata, MUSCLES[:1])
    assert not meps.frames_differ({}, MUSCLES)


def test_muscles_of_the_same_run_are_in_one_frame(tmp_path):
    paths = runs_of_one_muscle_each(tmp_path, (None, None))
    both = [["site", "x_mm", "y_mm", "target_muscle", "p2p_uV"], *(["a", -30, 0, muscle, 100] for muscle in MUSCLES)]
    _, metadata = meps.read_task([*paths, table(tmp_path, both)], "motormap")
    assert not meps.frames_differ(metadata, MUSCLES)


def test_devices_that_record_the_same_run(tmp_path):
    """Two amplifiers, one muscle each: the pulses are the same, and so is the frame."""
    paths = []
    for device, muscle in zip("ab", MUSCLES, strict=True):
        rows = [["trial", "site", "x_mm", "y_mm", "target_muscle", "p2p_uV"], [1, "s", -30, 0, muscle, 100]]
        paths.append(table(tmp_path, rows, name=f"sub-01_task-motormap_recording-{device}_meps.tsv"))
    read, metadata = meps.read_task(paths, "motormap")
    assert read["trial"].nunique() == 1
    assert not meps.frames_differ(metadata, MUSCLES)


def test_the_muscle_opposite_to_the_stimulated_hemisphere(tmp_path):
    rows = pd.DataFrame({"channel": ["r", "l", "o"] * 3, "hemisphere": ["L"] * 3 + ["R"] * 3 + [None] * 3})
    channels = [
        emg.Channel(name=name, muscle=muscle, scale=1.0, limits=(-1, 1), side=side)
        for name, muscle, side in (("r", "multifidus", "R"), ("l", "multifidus", "L"), ("o", "longissimus", "R"))
    ]
    kept = meps.contralateral(rows, channels)
    assert kept["channel"].tolist() == ["r", "o", "l", "o", "r", "l", "o"]
    assert kept.index.tolist() == [0, 2, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("sidecar", "message"), [(None, "have no unit"), ({"x": {"Units": "cm"}}, "have no unit")])
def test_coordinates_need_a_unit(tmp_path, sidecar, message):
    with pytest.raises(UnitError, match=message):
        meps.read_meps(table(tmp_path, map_rows(), sidecar=sidecar))


def test_coordinates_in_the_name_of_the_column(tmp_path):
    rows = [["trial", "x_cm", "y_mm", "p2p_uv"], [1, -3, 20, 100]]
    read, _ = meps.read_meps(table(tmp_path, rows))
    assert (read["x_mm"].item(), read["y_mm"].item(), read["site_id"].item()) == (-30, 20, "-30_20")


def test_coordinates_too_large_for_their_unit(tmp_path):
    rows = [["trial", "x_cm", "y_cm", "p2p_uv"], [1, -30, 20, 100]]
    with pytest.raises(UnitError, match="unit is cm, but a coordinate is 30"):
        meps.read_meps(table(tmp_path, rows))


def test_columns_that_are_needed(tmp_path):
    with pytest.raises(InputError, match=r"columns p2p_uv, block \(or site, x, y\) are absent.* It has trial, latency"):
        meps.read_meps(table(tmp_path, [["trial", "latency"], [1, 20]]))


def test_text_where_a_number_belongs(tmp_path):
    rows = [["trial", "block", "p2p_uv"], [1, "pre", 100], [2, "pre", "none"]]
    with pytest.raises(InputError, match="row 3, column p2p_uv: expected a number or n/a, found 'none'"):
        meps.read_meps(table(tmp_path, rows))


def test_empty_table(tmp_path):
    with pytest.raises(InputError, match="has no trial"):
        meps.read_meps(table(tmp_path, [["trial", "block", "p2p_uv"]]))


def test_error_of_the_step_before_is_raised_again(tmp_path):
    path = table(tmp_path, [list(meps.COLUMNS)], sidecar={"Error": {"reason": "file_missing", "message": "no events"}})
    with pytest.raises(LbpneuroError, match="no events") as caught:
        meps.read_meps(path)
    assert caught.value.reason == Reason.FILE_MISSING


def test_tables_of_the_task(tmp_path):
    rows = [["trial", "block", "p2p_uv"], [1, "pre", 100]]
    names = ["sub-01_task-motormap_run-1_meps.tsv", "sub-01_task-plasticity_meps.tsv", "sub-01_meps.tsv"]
    paths = [table(tmp_path, rows, name=name) for name in names]
    assert [path.name for path in meps.tables_of_task(paths, "motormap")] == sorted([names[0], names[2]])
    read, metadata = meps.read_task(paths[:2], "rest")
    assert read.empty
    assert metadata == {}
    assert meps.hemispheres(read, ["L"]) == {}
    assert meps.block_amplitudes(read, "FDI", path="here") == ({}, {})
    assert not meps.intensity_changed(read)


def test_a_task_by_another_name_is_said(tmp_path, caplog):
    rows = [["site", "x_mm", "y_mm", "p2p_uv"], ["a", -30, 10, 100]]
    path = table(tmp_path, rows, name="sub-01_task-mapping_desc-trials_meps.tsv")
    read, _ = meps.read_task([path], "motormap")
    assert read.empty
    assert "no trial table of task motormap, but of mapping" in caplog.text
    caplog.clear()
    meps.read_task([], "motormap")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("first", "longest", "hum"), [(-0.35, 0.0, 50.0), (-0.1, 0.0, 50.0), (-0.09, 0.0, None), (-0.2, 0.15, None)]
)
def test_hum_needs_time_before_the_pulse_to_be_fitted_on(first, longest, hum):
    settings = mep.MepSettings(
        windows=[(0.015, 0.05)],
        background=(-0.105, -0.005),
        blank=(-0.002, 0.005),
        band=None,
        hum=50.0,
        correction="linear",
    )
    assert meps.with_fitted_hum(settings, np.arange(first, 0.1, 0.0005), longest=longest).hum == hum


def test_runs_of_a_task_are_joined(tmp_path):
    rows = [["trial", "block", "p2p_uv"], [1, "pre", 100], [2, "pre", 200]]
    facts = (
        {"SamplingFrequency": 2000, "ArtefactTail": {"FDI": 0.7}},
        {"SamplingFrequency": 4000, "ArtefactTail": {"FDI": 0.1, "APB": 0.2}},
    )
    paths = [
        table(tmp_path, rows, name=f"sub-01_task-plasticity_run-{run}_meps.tsv", sidecar=own)
        for run, own in enumerate(facts, start=1)
    ]
    read, metadata = meps.read_task(paths, "plasticity")
    assert len(read) == 4
    assert read["trial"].nunique() == 4
    assert metadata["SamplingFrequency"] == 2000
    assert metadata["ArtefactTail"] == {"FDI": 0.7, "APB": 0.2}


def test_grid_holds_the_same_pulse_in_all_muscles(tmp_path):
    rows = map_rows()
    header, body = rows[0], rows[1:]
    shuffled = [header, *(body[i] for i in np.random.default_rng(0).permutation(len(body)))]
    unit = {"x": {"Units": "cm"}, "y": {"Units": "cm"}}
    read, _ = meps.read_meps(table(tmp_path, shuffled, sidecar=unit))
    grid = meps.grid(read, MUSCLES, path="here")
    assert grid.muscles == tuple(MUSCLES)
    np.testing.assert_array_equal(grid.coords_mm, [[-20, 10], [-10, 10], [0, 10]])
    np.testing.assert_array_equal(grid.columns["p2p_uv"][0], [[201, 202], [101, 102], [1, 2]])
    np.testing.assert_array_equal(grid.columns["p2p_uv"][0], grid.columns["p2p_uv"][1])
    assert grid.kept.all()


def test_rejected_trials_are_not_kept(tmp_path):
    read, _ = meps.read_meps(table(tmp_path, map_rows(), sidecar={"x": {"Units": "cm"}, "y": {"Units": "cm"}}))
    read.loc[0, "reject"] = 1
    values = meps.grid(read, MUSCLES, path="here").kept_values("p2p_uv")
    assert np.isnan(values[0, 2, 0])
    assert np.isfinite(values[1]).all()


def test_pulse_listed_twice(tmp_path):
    rows = map_rows()
    unit = {"x": {"Units": "cm"}, "y": {"Units": "cm"}}
    read, _ = meps.read_meps(table(tmp_path, [*rows, rows[1]], sidecar=unit))
    with pytest.raises(InputError, match="trial 1 at site s0 is listed twice"):
        meps.grid(read, MUSCLES, path="here")


def test_map_needs_positions(tmp_path):
    rows = [["trial", "muscle", "site", "p2p_uv"], [1, "longissimus", "s1", 100]]
    read, _ = meps.read_meps(table(tmp_path, rows))
    with pytest.raises(InputError, match="a map needs rows of multifidus_deep, longissimus with site, x and y"):
        meps.grid(read, MUSCLES, path="here")


def plain_grid(**columns):
    shape = (2, 3, 4)
    values = {name: np.full(shape, np.nan) for name in meps.VALUES} | columns
    return meps.Grid(
        muscles=tuple(MUSCLES),
        sites=("a", "b", "c"),
        coords_mm=np.zeros((3, 2)),
        columns=values,
        kept=np.ones(shape, dtype=bool),
    )


def test_measure_of_the_map():
    full = plain_grid(**{name: np.ones((2, 3, 4)) for name in meps.VALUES})
    assert meps.amplitude_column(full, "active") == "shape_uv"
    assert meps.amplitude_column(full, "rest") == "p2p_corr_uv"
    plain = plain_grid(p2p_uv=np.ones((2, 3, 4)))
    assert meps.amplitude_column(plain, "active") == meps.amplitude_column(plain, "rest") == "p2p_uv"


def test_evidence_of_a_response():
    rng = np.random.default_rng(0)
    background = 20 + rng.standard_normal((2, 3, 4))
    active = plain_grid(rms_uv=background + 5, bg_rms_uv=background, p2p_uv=np.ones((2, 3, 4)))
    excess, threshold = meps.response_evidence(active, "active")
    np.testing.assert_allclose(excess, 5)
    np.testing.assert_allclose(threshold, 3 * background.reshape(2, -1).std(axis=1, ddof=1))
    values, threshold = meps.response_evidence(active, "rest")
    assert (values == 1).all()
    assert (threshold == 50).all()


def test_unstable_background():
    background = np.ones((2, 3, 4)) * 20
    background[1, :, ::2] = 60
    assert meps.unstable_background(plain_grid(bg_rms_uv=background)).tolist() == [False, True]
    assert meps.unstable_background(plain_grid()).tolist() == [False, False]


def test_crosstalk_of_the_pair():
    pairs = {
        "BackgroundCrossCorrelation": [{"Muscles": ["FDI", "APB"], "Peak": 0.9}, {"Muscles": MUSCLES, "Peak": 0.4}]
    }
    assert meps.has_crosstalk(pairs, MUSCLES[::-1])
    assert not meps.has_crosstalk(pairs, MUSCLES, limit=0.5)
    assert not meps.has_crosstalk({}, MUSCLES)
    assert not meps.has_crosstalk({"BackgroundCrossCorrelation": [{"Muscles": MUSCLES, "Peak": None}]}, MUSCLES)


def test_several_runs_are_as_good_as_the_worst(tmp_path):
    rows = [["trial", "block", "p2p_uv"], [1, "pre", 100], [2, "pre", 200]]
    crosstalk = [{"Muscles": MUSCLES, "Peak": 0.4}]
    sidecars = ({"SamplingFrequency": 1500, "BackgroundCrossCorrelation": crosstalk}, {"SamplingFrequency": 4000})
    paths = [
        table(tmp_path, rows, sidecar=sidecar, name=f"sub-01_task-plasticity_run-{run}_meps.tsv")
        for run, sidecar in enumerate(sidecars, start=1)
    ]
    _, metadata = meps.read_task(paths, "plasticity")
    assert meps.sampled_slowly(metadata)
    assert meps.has_crosstalk(metadata, MUSCLES)
    _, metadata = meps.read_task(paths[1:], "plasticity")
    assert not meps.sampled_slowly(metadata)
    assert not meps.sampled_slowly({})
    assert not meps.sampled_slowly({"SamplingFrequency": 2000})


def test_share_of_rejected_pulses():
    rows = pd.DataFrame(
        {
            "target_muscle": ["FDI"] * 4 + ["APB"],
            "reject": [1, 1, 0, 0, 0],
            "reject_reason": ["clipped", "background_high", None, None, None],
        }
    )
    assert meps.rejected_share(rows, "target_muscle") == {"APB": 0.0, "FDI": 0.5}
    assert meps.rejected_share(rows, "target_muscle", reason="clipped") == {"APB": 0.0, "FDI": 0.25}


def test_hemispheres():
    rows = pd.DataFrame({"hemisphere": ["L", "R", "L"]})
    assert {hemi: len(part) for hemi, part in meps.hemispheres(rows, ["L", "R"]).items()} == {"L": 2, "R": 1}
    unnamed = pd.DataFrame({"hemisphere": [None, None]})
    assert list(meps.hemispheres(unnamed, ["R"])) == ["R"]
    with pytest.raises(InputError, match=r"pulses are over no hemisphere, but `tms.hemispheres` asks for L, R"):
        meps.hemispheres(unnamed, ["L", "R"])
    with pytest.raises(InputError, match=r"over L, R, but .* or the sign of x") as caught:
        meps.hemispheres(rows, ["B"])
    assert caught.value.reason == Reason.NOT_ACQUIRED


def test_blocks_of_a_muscle(tmp_path):
    rows = [["trial", "block", "p2p_uv", "reject"], [1, "pre", 100, 0], [2, "pre", 200, 1], [3, "post10", 300, 0]]
    read, _ = meps.read_meps(table(tmp_path, rows))
    amplitudes, delivered = meps.block_amplitudes(read, "FDI", path="here")
    assert amplitudes["pre"].tolist() == [100]
    assert delivered == {"pre": 2, "post10": 1}
    named = read.assign(target_muscle="APB")
    with pytest.raises(InputError, match="no trial of muscle 'FDI'; the table has APB"):
        meps.block_amplitudes(named, "FDI", path="here")
    with pytest.raises(InputError, match="name no block"):
        meps.block_amplitudes(read.assign(block=None), "FDI", path="here")


def test_intensity():
    assert not meps.intensity_changed(pd.DataFrame({"intensity_mso": [np.nan, np.nan]}))
    assert not meps.intensity_changed(pd.DataFrame({"intensity_mso": [60.0, 60.0]}))
    assert meps.intensity_changed(pd.DataFrame({"intensity_mso": [60.0, 64.0]}))
    for other, changed in ((62.0, False), (62.5, True)):
        assert meps.intensity_changed(pd.DataFrame({"intensity_mso": [60.0, other]}), more_than=2.0) == changed


def test_every_column_and_threshold_is_documented():
    assert set(meps.column_dictionary()) == set(meps.COLUMNS)
    assert set(source_status("mep").values()) <= {"verified", "unverified", "design"}
    assert source_status("mep")["bandpass_hz"] == "unverified"


def test_every_measure_stands_in_its_own_column_in_microvolts():
    """Two pulses, two channels; every measure has numbers of its own."""
    names = ("p2p", "p2p_corrected", "rms", "background_rms", "rms_corrected", "shape", "background_mean", "area")
    names += ("latency", "silent_period")
    values = {name: (10 * place + np.arange(4.0).reshape(2, 2)) * 1e-6 for place, name in enumerate(names, start=1)}
    responses = mep.Responses(
        times=np.arange(3.0),
        epochs=np.zeros((2, 2, 3)),
        unfiltered=np.zeros((2, 2, 3)),
        **values,
        silent_reason=np.array([["", "no_silence"], ["", ""]]),
        tail=np.zeros((2, 2), dtype=bool),
        spans=np.ones((2, 3), dtype=bool),
        rejected=np.array([["", "clipped"], ["", ""]]),
    )
    pulses = pd.DataFrame({"onset": [1.0, 2.0], "x_mm": [-30.0, -20.0], "site_id": ["a", "b"]}).reindex(
        columns=["onset", *meps.OF_PULSES]
    )
    channels = [emg.Channel(name=name, muscle=name.upper(), scale=1.0, limits=(-1, 1)) for name in ("m", "l")]
    pulses = pulses.assign(coil_fault=[None, "coil_tilted"])
    table = meps.trial_table(pulses, channels, responses=responses)
    assert table["trial"].tolist() == [1, 1, 2, 2]
    assert table["target_muscle"].tolist() == ["M", "L", "M", "L"]
    assert table["x_mm"].tolist() == [-30, -30, -20, -20]
    columns = ("p2p_uv", "p2p_corr_uv", "rms_uv", "bg_rms_uv", "rms_corr_uv", "shape_uv", "bg_mean_uv")
    for place, name in enumerate(columns, start=1):
        np.testing.assert_allclose(table[name], 10 * place + np.arange(4), err_msg=name)
    np.testing.assert_allclose(table["area_uvms"], (80 + np.arange(4)) * 1e3)
    np.testing.assert_allclose(table["latency_ms"], (90 + np.arange(4)) * 1e-3)
    np.testing.assert_allclose(table["silent_period_ms"], (100 + np.arange(4)) * 1e-3)
    assert table["silent_period_reason"].fillna("").tolist() == ["", "no_silence", "", ""]
    assert table["reject"].tolist() == [0, 1, 1, 1]
    assert table["reject_reason"].fillna("").tolist() == ["", "clipped", "coil_tilted", "coil_tilted"]


def test_methods_are_words():
    assert meps.map_method({"L": "shape_uv", "R": "p2p_uv"}, "Smooth map").endswith(
        "in each trial or the peak-to-peak amplitude"
    )
    assert set(meps.AMPLITUDE_WORDS) >= {name for names in meps.PREFERENCES.values() for name in names}


@pytest.mark.parametrize("sfreq", [1000.0, 2000.0, 5000.0])
def test_intervals_of_the_average_onset_hold_it(sfreq):
    """80 people, 20 responses of 300 uV that scatter by 0.4 ms; the onset of endless trials without noise is inside."""
    rng = np.random.default_rng(12)
    n_person, n = 80, 20
    times = np.arange(round(-0.11 * sfreq), round(0.06 * sfreq) + 1) / sfreq
    hertz = np.fft.rfftfreq(times.size, 1 / sfreq)
    noise = np.fft.irfft(
        np.fft.rfft(rng.standard_normal((n, n_person, times.size))) * oracle.muscle_gain(hertz), times.size
    )
    begins = 0.022 + rng.uniform(0, 0.001, n_person)
    each = begins + 0.0004 * rng.standard_normal((n, n_person))
    size = 300e-6 * np.exp(0.5 * rng.standard_normal((n, n_person)))
    epochs = 2e-6 * noise / noise.std() + size[..., None] * response_shape(times - each[..., None], 0.010)
    window = mep_timing.within(times, (0.015, 0.05))
    draws = rng.multinomial(n, np.full(n, 1 / n), size=100) / n
    onsets = mep_timing.average_latency(
        epochs,
        times,
        masks=np.repeat(window[None], n_person, axis=0),
        background=(-0.105, -0.005),
        weights=np.concatenate([np.full((1, n), 1 / n), draws]),
    )
    endless = response_shape(times - 0.022 - 0.0004 * rng.standard_normal((4000, 1)), 0.010)[:, None]
    lag = mep_timing.average_latency(endless, times, masks=window[None], background=(-0.105, -0.005)).item() - 0.022
    found = [meps._spread(one[0] * 1e3, one[1:] * 1e3, n=n, spacing=1e3 / sfreq) for one in onsets.T]
    inside = [each["Low_ms"] <= (at + lag) * 1e3 <= each["High_ms"] for each, at in zip(found, begins, strict=True)]
    assert np.mean(inside) > 0.87
    assert min(each["High_ms"] - each["Low_ms"] for each in found) > 0.4 * 1e3 / sfreq
