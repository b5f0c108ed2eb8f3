"""The step from the files of a simulated visit to rows, maps and series."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.index import index_dataset
from lbpneuro.io.plan import make_plan
from lbpneuro.registry import family
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.rating import RatingSettings, set_maps
from lbpneuro.simulate.rating_files import write_rating
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow
from lbpneuro.steps.shift import main

Simulated = tuple[Study, Visit, list[TruthRow]]
VOXEL_MM = 8.0


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """A visit with a rating run that is long enough for no flag."""
    study = Study(root=tmp_path_factory.mktemp("rated"), voxel_mm=VOXEL_MM, rating=RatingSettings(n_time=260, sd=25.0))
    visit = Visit(person(1, seed=4, effect=1.0), 0, 4)
    planted = write_rating(study, visit)
    for folder, kind in ((study.raw, "raw"), (study.fmriprep, "derivative")):
        about = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": kind}
        write_json(folder / "dataset_description.json", about)
    return study, visit, planted


def settings(study: Study, out: Path, **shift: Any) -> dict[str, Any]:
    folders = {"bids_dir": str(study.raw), "out_dir": str(out), "work_dir": str(out / "work")}
    dataset = {**folders, "derivatives": {"fmriprep": str(study.fmriprep)}}
    return resolve(read_config(overrides={"dataset": dataset, "shift": shift}))


def rows_of(config: dict[str, Any], files: list[str], out: Path) -> tuple[Any, dict[str, Any]]:
    write_json(out / "config.json", config)
    target = out / "sub-01" / "func" / "sub-01_desc-shift_markers.tsv"
    arguments = ["--in", *files, "--out", str(target), "--config", str(out / "config.json")]
    assert main([*arguments, "--participant", "sub-01"]) == 0
    table = pd.read_csv(target, sep="\t", na_values="n/a", keep_default_na=False).set_index("marker")
    return table, json.loads(target.with_suffix(".json").read_text())


def planned(config: dict[str, Any], study: Study) -> dict[str, Any]:
    roots = {"raw": study.raw, "fmriprep": study.fmriprep}
    return dict(make_plan(config, roots)["units"]["sub-01"])


def test_from_the_plan_to_rows(simulated: Simulated, tmp_path: Path) -> None:
    study, _, planted = simulated
    config = settings(study, tmp_path)
    unit = planned(config, study)
    names = [Path(path).name for path in unit["files"]["shift"]]
    assert "sub-01_task-rating_stim.tsv.gz" in names
    assert len(names) == 4
    assert unit["files"]["functional"] == []  # a rating run is no resting run
    assert unit["preprocess_func"] == {}
    rows, sidecar = rows_of(config, unit["files"]["shift"], tmp_path)
    assert set(rows.index) == {marker.name for marker in family("shift")}
    for row in planted:
        found = rows.loc[row["marker"]]
        assert found["status"] == "ok", row["marker"]
        assert abs(found["value"] - row["value"]) < 3.5 * found["se"]
    assert rows.loc["rating_sd", "value"] > 10
    assert sidecar["Runs"]["task-rating"]["Rating"] == "sub-01_task-rating_stim.tsv.gz"
    assert len(sidecar["Outputs"]) == 2


def test_the_map_shows_the_response_where_it_was_planted(simulated: Simulated, tmp_path: Path) -> None:
    study, _, planted = simulated
    config = settings(study, tmp_path)
    rows_of(config, planned(config, study)["files"]["shift"], tmp_path)
    found = next((tmp_path / "sub-01" / "func").glob("*_stat-effect_desc-rating_boldmap.nii.gz"))
    effect = np.asarray(nib.load(found).dataobj)
    inside = set_maps(VOXEL_MM)[0] & np.isfinite(effect)
    other = ~set_maps(VOXEL_MM).any(axis=0) & np.isfinite(effect)
    truth = {row["marker"]: row["value"] for row in planted}["shift_pain_beta"]
    assert abs(np.median(effect[inside]) - np.median(effect[other]) - truth) < 0.5 * truth
    series = pd.read_csv(
        tmp_path / "sub-01" / "func" / "sub-01_task-rating_desc-shift_timeseries.tsv", sep="\t", na_values="n/a"
    )
    assert np.corrcoef(series.dropna()[["pain", "pain_fitted"]].T)[0, 1] > 0.2


def test_the_same_files_give_the_same_bytes(simulated: Simulated, tmp_path: Path) -> None:
    study, _, _ = simulated
    written = []
    for name in ("one", "two"):
        config = settings(study, tmp_path / name)
        rows_of(config, planned(config, study)["files"]["shift"], tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name / "sub-01" / "func").glob("*.tsv")})
    assert written[0] == written[1]


def without_rating(files: list[str], folder: Path) -> list[str]:
    return [path for path in files if "_stim." not in path]


def constant_rating(files: list[str], folder: Path) -> list[str]:
    path = folder / "sub-01_task-rating_events.tsv"
    write_tsv(path, pd.DataFrame({"onset": [0.0, 100.0], "duration": [1.0, 1.0], "rating": [40, 41]}))
    return [*without_rating(files, folder), str(path)]


def raw_only(files: list[str], folder: Path) -> list[str]:
    return [str(folder / "sub-01_task-rating_bold.nii.gz")]


def beyond_the_scale(files: list[str], folder: Path) -> list[str]:
    path = folder / "sub-01_task-rating_events.tsv"
    write_tsv(path, pd.DataFrame({"onset": [0.0, 100.0], "duration": [1.0, 1.0], "rating": [40, 410]}))
    return [*without_rating(files, folder), str(path)]


def none(files: list[str], folder: Path) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (without_rating, "fail", "no_rating"),
        (constant_rating, "fail", "constant_rating"),
        (raw_only, "fail", "no_derivative"),
        (beyond_the_scale, "fail", "invalid_input"),
        (none, "missing", "not_acquired"),
    ],
)
def test_what_gives_no_value_gives_a_reason(
    simulated: Simulated,
    tmp_path: Path,
    change: Callable[[list[str], Path], list[str]],
    status: str,
    reason: str,
) -> None:
    study, _, _ = simulated
    config = settings(study, tmp_path)
    files = change(planned(config, study)["files"]["shift"], tmp_path)
    rows, _ = rows_of(config, files, tmp_path)
    index = rows.loc["shift_index"]
    assert (index["status"], index["reason"]) == (status, reason)
    assert np.isnan(index["value"])


def test_the_plan_gives_the_raw_run_where_there_is_no_derivative(simulated: Simulated, tmp_path: Path) -> None:
    study, _, _ = simulated
    config = settings(study, tmp_path)
    unit = dict(make_plan(config, {"raw": study.raw})["units"]["sub-01"])
    assert [Path(path).name for path in unit["files"]["shift"]] == ["sub-01_task-rating_bold.nii.gz"]
    assert unit["preprocess_func"] == {}
    other = settings(study, tmp_path, task="heat")
    assert planned(other, study)["files"]["shift"] == []
    assert index_dataset(study.raw, dataset="raw")
