"""Norms from one's own controls: beside pandas, through their file, and the published scores of 39 people."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import main
from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.qst_reference import COLUMNS, Device, norm_for, read_norms
from lbpneuro.io.tables import NUMBER_COLUMNS, long_table, marker_rows
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.markers.qst_z import PARAMETERS, z_estimate
from lbpneuro.markers.sensory import Norm
from lbpneuro.registry import INDEX_COLUMNS, family
from lbpneuro.stats.qst_reference import norms, write_norms

MARKERS = {marker.name: marker for marker in family("sensory")}
DEVICES = {"ppt": {"model": "Algometer", "probe_cm2": 1.0, "rate": 50.0}}
BEYOND = 2.9


def study(n: int = 60, *, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Rows of ``n`` people, of whom the thresholds above 2.9 are known to lie above; and the thresholds themselves."""
    rng = np.random.default_rng(seed)
    true, rows = rng.normal(2.7, 0.2, n), []
    for number, value in enumerate(true):
        who = {"participant": f"sub-{number:02d}", "session": None}
        seen = Estimate.of(value, se=0.02) if value < BEYOND else Estimate.censored(low=BEYOND)
        rows += marker_rows(MARKERS["ppt"], {("hand",): seen}, **who)
        rows += marker_rows(MARKERS["cpt"], {("hand",): Estimate.of(10 + 0.1 * number, se=1.0)}, **who)
        ratios = {("pinprick_256mN",): Estimate.of(2.0 + 0.01 * number, se=0.1), ("heat",): Estimate.of(9.0, se=0.1)}
        rows += marker_rows(MARKERS["tsp_wur"], ratios, **who)
    people = pd.DataFrame({"participant_id": [f"sub-{i:02d}" for i in range(n)], "group": "control", "age": "30"})
    people["sex"] = ["F" if i % 3 else "M" for i in range(n)]
    table = long_table(rows, index_columns=INDEX_COLUMNS)
    text = {name: object for name in table if name not in NUMBER_COLUMNS}  # as it is read from a file
    return table.astype(text), people, true


def made(n: int = 60, *, seed: int = 1) -> pd.DataFrame:
    rows, people, _ = study(n, seed=seed)
    found = norms(rows, people, people=people["participant_id"].tolist(), devices=DEVICES, source="internal: x")
    assert list(found) == list(COLUMNS)
    return found.assign(sex=found["sex"].astype(object).fillna("all")).set_index(["parameter", "sex"])


def test_norms_are_means_and_deviations_on_the_scale_of_the_parameter() -> None:
    table = made(30)
    cold = 10 + 0.1 * np.arange(30)
    row = table.loc[("cpt", "all")]
    assert (row["mean"], row["sd"], row["n"]) == (
        pytest.approx(cold.mean()),
        pytest.approx(cold.std(ddof=1)),
        30,
    )
    assert (row["transform"], row["site"]) == ("none", "hand")
    ratio = np.log10(2.0 + 0.01 * np.arange(30))
    assert table.loc[("wur", "all"), "mean"] == pytest.approx(ratio.mean())
    assert table.loc[("wur", "all"), "transform"] == "log10"
    assert table.loc[("ppt", "all"), "device"] == "Algometer"


def test_a_limit_does_not_pull_the_norm() -> None:
    """With a sixth of the people beyond the limit the naive mean and SD are too small, and ours are not."""
    found, naive = [], []
    for seed in range(80):
        rows, people, true = study(25, seed=seed)
        table = norms(rows, people, people=people["participant_id"].tolist(), devices={}, source="x")
        row = table[table["parameter"] == "ppt"].iloc[0]
        limited = np.minimum(true, BEYOND)
        found.append((row["mean"], row["sd"]))
        naive.append((limited.mean(), limited.std(ddof=1)))
    (mean, sd), (naive_mean, naive_sd) = np.mean(found, axis=0), np.mean(naive, axis=0)
    assert mean == pytest.approx(2.7, abs=0.012)
    assert sd == pytest.approx(0.2, abs=0.012)
    assert naive_mean < mean - 0.008
    assert naive_sd < 0.175


def test_each_sex_has_a_norm_where_both_have_twenty() -> None:
    assert set(made(60).index.get_level_values("sex")) == {"F", "M"}
    assert made(57).loc[("cpt", "all"), "n"] == 57  # 19 men


def test_fewer_than_twenty_people_are_no_norm() -> None:
    with pytest.raises(InputError, match="need 20 people with a sensory test; the group has 19 people, of whom 19"):
        made(19)


def test_through_the_command_and_the_file(tmp_path: Path, capsys) -> None:
    rows, people, _ = study(30)
    write_tsv(tmp_path / "markers_long.tsv", rows)
    write_tsv(tmp_path / "participants.tsv", people)
    for name in ("sub-00", "sub-01"):
        sidecar = tmp_path / name / "beh" / f"{name}_desc-sensory_markers.json"
        sidecar.parent.mkdir(parents=True)
        write_json(sidecar, {"Devices": DEVICES})
    path = tmp_path / "norms.tsv"
    assert main(["reference", str(tmp_path), str(path), "--sensory"]) == 0
    assert "3 norms of 30 to 30 people (group control)" in capsys.readouterr().out
    assert json.loads(path.with_suffix(".json").read_text())["Cohort"]["people"] == 30
    known = read_norms(path)
    used = Device(model="Algometer", probe_cm2=1.0, rate=50.0)
    found = norm_for(known, parameter="ppt", site="hand", age=math.nan, sex="n/a", device=used)
    assert isinstance(found, Norm)
    assert found.source == "internal: group control"
    write_json(tmp_path / "sub-01/beh/sub-01_desc-sensory_markers.json", {"Devices": {"ppt": {"model": "Other"}}})
    with pytest.raises(InputError, match="task ppt was tested with"):
        write_norms(tmp_path, path, column="group", group="control")
    with pytest.raises(InputError, match="no column cohort"):
        write_norms(tmp_path, path, column="cohort", group="control")


@pytest.mark.real
@pytest.mark.parametrize("day", ["", "d2"])
def test_the_published_scores_of_pain_sensitivity_are_reproduced(day: str, real_data) -> None:
    """Column mean_QST_pain_sensitivity of 39 people: mean of the z-scores of cold, heat and pinprick thresholds.

    The norm of that study is the sample itself, day by day; the pinprick threshold is given as a natural logarithm.
    """
    table = pd.read_csv(real_data("rpn_bochum") / "bochum_sample.csv")
    published = table[f"mean_QST_pain_sensitivity{day}"]
    pinprick = f"MPT_log_geom{'ean' + day if day else ''}"
    values = {
        "cpt": table[f"CPT{day}"],
        "hpt": table[f"HPT{day}"],
        "mpt": table[pinprick] / math.log(10),
    }
    scores = []
    for name, column in values.items():
        sample = column[published.notna()].dropna()
        norm = Norm(mean=sample.mean(), sd=sample.std(), n=len(sample), source="internal", device_known=True)
        found = [z_estimate(Estimate.of(value, se=0.0), norm, PARAMETERS[name]) for value in column.fillna(0.0)]
        scores.append(pd.Series([each.value for each in found]).where(column.notna()))
    ours = pd.concat(scores, axis=1).mean(axis=1, skipna=False)
    both = ours.notna() & published.notna()
    assert both.sum() >= 36
    np.testing.assert_allclose(ours[both], published[both], atol=1e-12)
