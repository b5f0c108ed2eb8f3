"""Step ``tms``: trial tables to marker rows and the table of site means."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv, write_json
from lbpneuro.io.mep_maps import SITE_COLUMNS, SURFACE_COLUMNS
from lbpneuro.io.meps import COLUMNS
from lbpneuro.registry import family
from lbpneuro.steps import meps, tms
from tests.oracles import neurophysiology as oracle

MUSCLES = ("multifidus_deep", "longissimus")


def settings(tmp_path, **changes):
    dataset = {"bids_dir": str(tmp_path / "raw"), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
    path = tmp_path / "config.json"
    overrides = {"dataset": dataset, "tms": {"bootstrap": 200, **changes}}
    path.write_text(json.dumps(resolve(read_config(None, overrides))))
    return path


def rows_of(tables, config, tmp_path):
    out = tmp_path / "out" / "sub-01" / "emg" / "sub-01_desc-tms_markers.tsv"
    arguments = ["--in", *map(str, tables), "--out", str(out), "--config", str(config), "--participant", "sub-01"]
    assert tms.main(arguments) == 0
    return read_tsv(out), json.loads(out.with_suffix(".json").read_text())


def lab_table(tmp_path, *, seed=0, order=None):
    rng = np.random.default_rng(seed)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=5, log_sd=0.4)
    rows = [
        {"trial": 100 * site + trial, "muscle": muscle, "site": f"s{site:02d}", "x_mm": x, "y_mm": y, "p2p_uv": value}
        for site, (x, y) in enumerate(coords)
        for trial in range(5)
        for muscle, value in zip(MUSCLES, trials[:, site, trial], strict=True)
    ]
    table = pd.DataFrame(rows)
    path = tmp_path / "raw" / "sub-01" / "emg" / "sub-01_task-motormap_meps.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    (table if order is None else table.iloc[order(len(table))]).to_csv(path, sep="\t", index=False)
    return path


def test_table_of_a_lab(tmp_path):
    rows, sidecar = rows_of([lab_table(tmp_path)], settings(tmp_path), tmp_path)
    expected = {marker.name: len(marker.levels(read_config())) for marker in family("tms")}
    assert rows["marker"].value_counts().to_dict() == expected
    one_sided = rows["marker"].str.endswith("_asymmetry")
    assert rows.loc[~one_sided, "value"].notna().all()
    assert set(rows.loc[one_sided, "reason"]) == {"not_acquired"}
    assert set(rows["hemi"].dropna()) == {"L"}
    assert sidecar["Amplitude"] == {"L": "p2p_uv"}
    assert sidecar["Outputs"] == ["sub-01/emg/sub-01_task-motormap_desc-sitemap_meps.tsv"]
    sites = read_tsv(tmp_path / "out" / sidecar["Outputs"][0])
    assert list(sites.columns) == list(SITE_COLUMNS)
    assert len(sites) == 84
    assert sites.groupby("muscle")["share"].max().tolist() == [1, 1]


def test_order_of_the_rows_does_not_matter(tmp_path):
    config = settings(tmp_path)
    one, _ = rows_of([lab_table(tmp_path)], config, tmp_path)
    shuffled = lab_table(tmp_path, order=np.random.default_rng(1).permutation)
    other, _ = rows_of([shuffled], config, tmp_path)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_recording_to_rows(tmp_path):
    sites = tuple((-10.0 * x, 10.0 * y) for x in range(1, 6) for y in range(-2, 3))
    centre = {"multifidus_deep": (-30, -5), "longissimus": (-30, 5)}

    def amplitude(muscle, site, _):
        distance = np.hypot(*np.subtract(sites[site], centre[muscle]))
        return 900 * np.exp(-((distance / 14) ** 2))

    files = oracle.write_emg_run(tmp_path / "raw", sites=sites, trials=4, amplitude=amplitude, background_uv=15.0)
    config = settings(tmp_path)
    table = tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-motormap_desc-trials_meps.tsv"
    assert meps.main(["--in", *map(str, files), "--out", str(table), "--config", str(config)]) == 0
    rows, sidecar = rows_of([table], config, tmp_path)
    found = rows.set_index(["marker", "muscle"])
    assert sidecar["Amplitude"] == {"L": "shape_uv"}
    assert "sub-01/emg/sub-01_task-motormap_desc-average_emg.tsv" in sidecar["Outputs"]
    assert "sub-01/emg/sub-01_task-motormap_desc-sweeps_emg.parquet" in sidecar["Outputs"]
    for muscle, (x, y) in centre.items():
        assert found.loc[("cog_x", muscle), "value"] == pytest.approx(x, abs=2)
        assert found.loc[("cog_y", muscle), "value"] == pytest.approx(y, abs=2)
    assert 0.4 < rows.loc[rows["marker"] == "overlap_min", "value"].item() < 0.9


def test_recordings_of_one_muscle_each(tmp_path):
    """Two runs on the same cap, a muscle in each: both have a map, and these an overlap; what is absent is said."""
    sites = tuple((-10.0 * x, 10.0 * y) for x in range(1, 6) for y in range(-2, 3))

    def amplitude(_muscle, site, _block):
        return 900 * np.exp(-((np.hypot(*np.add(sites[site], (30, 0))) / 14) ** 2))

    config, tables = settings(tmp_path), []
    for muscle in MUSCLES:
        short = muscle.split("_")[0]
        files = oracle.write_emg_run(
            tmp_path / "raw" / short,
            muscles=(muscle,),
            sites=sites,
            trials=4,
            amplitude=amplitude,
            background_uv=15.0,
        )
        frame = {"NIBSCoordinateUnits": "mm", "NIBSCoordinateSystem": "cap 1"}
        (files[3].parent / "sub-01_task-motormap_coordsystem.json").write_text(json.dumps(frame))
        table = tmp_path / "out" / "sub-01" / "emg" / f"sub-01_task-motormap_acq-{short}_desc-trials_meps.tsv"
        assert meps.main(["--in", *map(str, files), "--out", str(table), "--config", str(config)]) == 0
        (other,) = set(MUSCLES) - {muscle}
        assert f"Not recorded: {other}" in json.loads(table.with_suffix(".json").read_text())["Warnings"][0]
        tables.append(table)
    rows, _ = rows_of(tables, config, tmp_path)
    found = rows.set_index("marker")["value"]
    assert found["map_area"].notna().all()
    assert found["overlap_min"] == pytest.approx(1, abs=0.1)


def test_quality_of_the_trials_reaches_the_rows(tmp_path):
    path = lab_table(tmp_path)
    table = pd.read_csv(path, sep="\t")
    deep = table["muscle"] == MUSCLES[0]
    some = table["trial"] % 100 < 2  # two of five pulses at every site
    table = table.assign(reject=(deep & some).astype(int), reject_reason="background_off_level")
    facts = {"SamplingFrequency": 1500, "ArtefactTail": {MUSCLES[0]: 0.4, MUSCLES[1]: 0.6}}
    path.with_suffix(".json").write_text(json.dumps(facts))
    table.to_csv(path, sep="\t", index=False)
    rows, _ = rows_of([path], settings(tmp_path), tmp_path)
    areas = rows[rows["marker"] == "map_area"].set_index("muscle")["reason"]
    assert "many_rejected" in areas[MUSCLES[0]]
    assert "many_rejected" not in areas[MUSCLES[1]]
    assert areas.str.contains("low_sampling_rate").all()
    assert areas.str.contains("artefact_tail").to_dict() == {MUSCLES[0]: False, MUSCLES[1]: True}
    table.assign(reject_reason="clipped").to_csv(path, sep="\t", index=False)
    rows, _ = rows_of([path], settings(tmp_path), tmp_path)
    areas = rows[rows["marker"] == "map_area"].set_index("muscle")["reason"]
    assert areas[MUSCLES[0]] == "clipped"
    assert "clipped" not in areas[MUSCLES[1]]
    table.assign(intensity_mso=[60.0] * 300 + [70.0] * (len(table) - 300)).to_csv(path, sep="\t", index=False)
    rows, _ = rows_of([path], settings(tmp_path), tmp_path)
    counts = rows["marker"].str.startswith("map_sites_") | rows["marker"].str.endswith("_asymmetry")
    assert set(rows.loc[~counts, "reason"]) == {"intensity_changed"}


def test_error_of_the_recording_reaches_the_rows(tmp_path):
    table = tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-motormap_desc-trials_meps.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("\t".join(COLUMNS) + "\n")
    write_json(table.with_suffix(".json"), {"Error": {"reason": "file_missing", "message": "no events"}})
    rows, sidecar = rows_of([table], settings(tmp_path), tmp_path)
    assert set(rows["status"]) == {"fail"}
    assert set(rows["reason"]) == {"file_missing"}
    assert sidecar["Error"]["message"] == "no events"


def test_other_task_is_not_acquired(tmp_path):
    path = lab_table(tmp_path)
    other = path.rename(path.with_name("sub-01_task-plasticity_meps.tsv"))
    rows, sidecar = rows_of([other], settings(tmp_path), tmp_path)
    assert set(rows["status"]) == {"missing"}
    assert set(rows["reason"]) == {"not_acquired"}
    assert sidecar["Method"] == "Smooth map"


def test_hemisphere_that_was_not_mapped_is_not_acquired(tmp_path):
    table = lab_table(tmp_path)
    content = pd.read_csv(table, sep="\t")
    content.assign(hemisphere="L").to_csv(table, sep="\t", index=False)
    rows, _ = rows_of([table], settings(tmp_path, hemispheres=["L", "R"]), tmp_path)
    reasons = rows.dropna(subset="hemi").groupby("hemi")["reason"].agg(set)
    assert reasons["R"] == {"not_acquired"}
    assert "not_acquired" not in reasons["L"]


def test_walk_of_a_lab(tmp_path):
    rng = np.random.default_rng(0)
    coords = rng.uniform(-30, 30, (80, 2)) - [30, 0]
    means = 400 * np.stack([np.exp(-((coords - [x, 0]) ** 2).sum(axis=1) / 288) for x in (-35, -25)])
    trials = oracle.planted_trials(rng, means, n_trial=1, log_sd=0.3)[..., 0]
    rows = [
        {"trial": number, "muscle": muscle, "x_mm": x, "y_mm": y, "p2p_uv": value}
        for number, (x, y) in enumerate(coords)
        for muscle, value in zip(MUSCLES, trials[:, number], strict=True)
    ]
    path = lab_table(tmp_path)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    found, sidecar = rows_of([path], settings(tmp_path, lattice=16), tmp_path)
    assert sidecar["Layout"] == {"L": "walk"}
    surface = read_tsv(tmp_path / "out" / sidecar["Outputs"][1])
    assert list(surface.columns) == list(SURFACE_COLUMNS)
    assert (surface["sd_uv"] > 0).all()
    x = found[found["marker"] == "cog_x"].set_index("muscle")["value"]
    assert x[MUSCLES[0]] == pytest.approx(-35, abs=3)
    assert x[MUSCLES[1]] == pytest.approx(-25, abs=3)
    plain, _ = rows_of([path], settings(tmp_path, lattice=16, estimator="plain"), tmp_path)
    assert plain["method"].str.startswith("Plain map").all()


def test_the_pair_and_its_construct_are_named(tmp_path):
    path = lab_table(tmp_path)
    table = pd.read_csv(path, sep="\t")
    named = {MUSCLES[0]: "erector_spinae_L5", MUSCLES[1]: "erector_spinae_L3"}
    table.assign(muscle=table["muscle"].map(named)).to_csv(path, sep="\t", index=False)
    rows, sidecar = rows_of([path], settings(tmp_path, muscles=list(named.values())), tmp_path)
    assert sidecar["MusclePair"]["Construct"] == "one muscle at two levels of the spine"
    methods = rows.groupby("marker")["method"].first()
    assert "erector spinae L3 and erector spinae L5 (one muscle at two levels" in methods["overlap_min"]
    assert "erector" not in methods["map_area"]
    assert "other_construct" in rows.loc[rows["marker"] == "overlap_min", "reason"].item()


def test_sites_carry_the_fit_and_the_peaks(tmp_path):
    _, sidecar = rows_of([lab_table(tmp_path)], settings(tmp_path), tmp_path)
    sites = read_tsv(tmp_path / "out" / sidecar["Outputs"][0])
    assert np.corrcoef(sites["fitted_uv"], sites["mean_uv"])[0, 1] > 0.9
    strict = sites[sites["strict_peak"] == 1]
    assert strict["support"].between(0, 1).all()
    assert set(strict["muscle"]) == set(MUSCLES)
    assert sites.loc[sites["strict_peak"] == 0, "support"].isna().all()
    centre = sidecar["CentreOfGravity_mm"]["L"][MUSCLES[0]]
    assert np.linalg.eigvalsh(centre["Covariance"]).min() > 0


@pytest.mark.parametrize(
    ("frames", "known"), [((None, None), False), (("cap 1", "cap 2"), False), (("cap 1", "cap 1"), True)]
)
def test_muscles_that_were_recorded_one_after_the_other(tmp_path, frames, known):
    """Their maps stand; what compares them needs the same frame."""
    whole = pd.read_csv(lab_table(tmp_path), sep="\t")
    tables = []
    for muscle, frame in zip(MUSCLES, frames, strict=True):
        path = tmp_path / "raw" / "sub-01" / "emg" / f"sub-01_task-motormap_acq-{muscle.split('_')[0]}_meps.tsv"
        whole[whole["muscle"] == muscle].to_csv(path, sep="\t", index=False)
        path.with_suffix(".json").write_text(json.dumps({"CoordinateFrame": frame} if frame else {}))
        tables.append(path)
    rows, _ = rows_of(tables, settings(tmp_path), tmp_path)
    by_marker = rows.set_index("marker")
    assert by_marker.loc["map_area", "value"].notna().all()
    assert by_marker.loc["cog_x", "value"].notna().all()
    overlap = by_marker.loc["overlap_min"]
    assert pd.notna(overlap["value"]) is known
    assert ("other_frame" in str(overlap["reason"])) is not known
