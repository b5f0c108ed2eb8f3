"""Step ``sensory``: trial tables to rows, norms of the user's own, and the sentence for what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.steps import sensory
from tests.io.test_psychophysics import DEVICE

PPT = """site side trial value unit probe_cm2 rate_kPa_s tolerance_max
lumbar L 1 3.0 kgf/cm2 1 50 10
lumbar L 2 3.2 kgf/cm2 1 50 10
lumbar L 3 3.4 kgf/cm2 1 50 10
hand R 1 10 kgf/cm2 1 50 10
hand R 2 9 kgf/cm2 1 50 10
elbow R 1 9 kgf/cm2 1 50 10
"""
CPT = "site side trial value\nhand L 1 0\nhand L 2 -1\nlumbar L 1 8\nlumbar L 2 10\nlumbar L 3 12\n"
TSP = """modality site trial single r1 r3
pinprick_256mN hand 1 1 2 4
pinprick_256mN hand 2 2 2 5
heat hand 1 n/a 3 6
"""
CPM = """test_stimulus block repeat trial value unit conditioning_rating conditioning_side site
ppt before 1 1 250 kPa n/a n/a hand_R
ppt during 1 1 320 kPa 2 L hand_R
ppt after 1 1 260 kPa n/a L hand_R
ppt before 2 1 252 kPa n/a n/a hand_R
ppt during 2 1 330 kPa 2.5 L hand_R
"""


@pytest.fixture
def study(tmp_path: Path):
    """Write tables, run the step, and return the rows by marker and level, the sidecar, and the folder."""

    def run(tables: dict[str, str], sidecars: dict[str, Any] | None = None, **settings: Any):
        root = tmp_path / "raw"
        (root / "sub-01" / "beh").mkdir(parents=True, exist_ok=True)
        (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
        (root / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t34.5\tF\n")
        files = []
        for task, text in tables.items():
            path = root / "sub-01" / "beh" / f"sub-01_task-{task}_beh.tsv"
            path.write_text(text.replace(" ", "\t"))
            own = {**DEVICE, **({"RatingScaleMaximum": 10} if task in ("tsp", "cpm") else {})}
            path.with_suffix(".json").write_text(json.dumps({**own, **(sidecars or {}).get(task, {})}))
            files.append(str(path))
        dataset = {"bids_dir": str(root), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
        config = tmp_path / "config.json"
        config.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset, "sensory": settings}))))
        out = tmp_path / "out" / "sub-01" / "beh" / "sub-01_desc-sensory_markers.tsv"
        arguments = ["--in", *files, "--out", str(out), "--config", str(config), "--participant", "sub-01"]
        assert sensory.main(arguments) == 0
        table = read_tsv(out)
        index = ["site", "modality", "test_stimulus", "timing", "parameter"]
        level = table[index].fillna("").agg("".join, axis=1)
        return table.set_index([table["marker"], level]), json.loads(out.with_suffix(".json").read_text()), out.parent

    return run


def test_all_tests_of_a_session(study) -> None:
    rows, sidecar, folder = study({"ppt": PPT, "cpt": CPT, "tsp": TSP, "cpm": CPM}, {"cpm": {"PainSide": "L"}})
    assert rows.loc[("ppt", "lumbar"), "value"] == pytest.approx(math.log10(3.2 * 98.0665))
    limited = rows.loc[("ppt_remote", "")]
    assert limited["reason"] == "censored_at_limit;few_trials"
    assert math.isnan(limited["value"])
    assert math.isinf(limited["ci_high"])
    assert rows.loc[("cpt", "lumbar"), "value"] == 10
    assert rows.loc[("cpt", "hand"), "reason"] == "censored_at_limit;few_trials"
    assert rows.loc[("cpt", "hand"), "ci_high"] == 0
    assert rows.loc[("tsp_diff", "pinprick_256mN"), "value"] == 25
    assert rows.loc[("tsp_wur", "pinprick_256mN"), "value"] == pytest.approx(3.25 / 1.5)
    assert rows.loc[("tsp_diff", "heat"), "n"] == 1
    parallel = rows.loc[("cpm_inhibition", "pptparallel")]
    assert (parallel["value"], parallel["unit"], parallel["n"]) == (74, "kPa", 2)
    assert parallel["reason"] == "weak_conditioning;conditioning_at_pain_site"
    assert rows.loc[("cpm_inhibition", "pptsequential"), "value"] == 10
    assert rows.loc[("cpm_inhibition", "heat_ratingparallel"), "unit"] == "points"
    assert rows.loc[("qst_z", "lumbarppt"), "reason"] == "no_reference"
    assert sidecar["NotInSettings"] == {"sensory.sites": ["elbow"]}
    assert sidecar["Devices"]["ppt"] == {"model": "Algometer", "probe_cm2": 1.0, "rate": 50.0}
    sites = read_tsv(folder / "sub-01_desc-sites_thresholds.tsv").set_index(["test", "site", "side"])
    assert sites.loc[("ppt", "hand", "R"), "bound"] == "lower"
    assert sites.loc[("ppt", "hand", "R"), "n_censored"] == 1
    assert sites.loc[("cpt", "lumbar", "L"), "value"] == 10
    ratings = read_tsv(folder / "sub-01_desc-trains_ratings.tsv")
    assert ratings[ratings["modality"] == "heat"]["stimulus"].tolist() == [1, 3]
    stimuli = read_tsv(folder / "sub-01_desc-conditioning_stimuli.tsv")
    assert stimuli.query("timing == 'parallel' and repeat == 2")["value"].tolist() == [252, 330]
    assert set(stimuli["limited"]) == {0}


NORMS = "parameter site sex age_min age_max transform mean sd n source device probe_cm2 rate"
HERE = "ppt lumbar F 30 39 log10 2.6 0.2 40 A_paper Algometer 1 50"


def norms(folder: Path, *rows: str, header: str = NORMS) -> str:
    path = folder / "norms.tsv"
    path.write_text("\n".join([header, *rows]).replace(" ", "\t") + "\n")
    return str(path)


def test_a_norm_of_ones_own(study, tmp_path: Path) -> None:
    table = norms(tmp_path, "ppt lumbar F 20 29 log10 2.2 0.2 40 A_paper Algometer 1 50", HERE)
    rows, _, _ = study({"ppt": PPT}, reference=table)
    found = rows.loc[("qst_z", "lumbarppt")]
    assert found["value"] == pytest.approx((2.6 - math.log10(3.2 * 98.0665)) / 0.2)
    assert found["method"] == "z-score, norm: reference (A_paper)"
    assert rows.loc[("qst_z", "handppt"), "reason"] == "censored_at_limit;few_trials"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (HERE.replace("Algometer", "Another"), "other_device"),
        (HERE.replace("Algometer 1 50", "Algometer 0.5 50"), "other_device"),
        (HERE.replace("Algometer 1 50", "Algometer 1 30"), "other_device"),
        (HERE.replace(" F ", " M "), "no_reference"),
        (HERE.replace("30 39", "40 49"), "no_reference"),
        (HERE.replace("lumbar", "forearm"), "no_reference"),
        (HERE.replace("Algometer 1 50", "n/a n/a n/a"), "device_unknown"),
        (HERE.replace(" F 30 39", " n/a n/a n/a"), None),
    ],
)
def test_what_a_norm_must_match(row: str, reason: str | None, study, tmp_path: Path) -> None:
    rows, _, _ = study({"ppt": PPT}, reference=norms(tmp_path, row))
    found = rows.loc[("qst_z", "lumbarppt"), "reason"]
    assert found == reason or (reason is None and pd.isna(found))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([HERE.replace("log10", "none")], "line 2, column transform: ppt is log10 in the DFNS protocol; found 'none'"),
        ([HERE.replace("ppt", "pptx")], "line 2, column parameter: found 'pptx', expected one of cdt"),
        ([HERE.replace("0.2", "0")], "line 2, column sd: expected a number above 0, found '0'"),
        ([HERE.replace("2.6", "high")], "line 2, column mean: expected a number or n/a, found 'high'"),
        ([HERE.replace(" F ", " x ")], "line 2, column sex: found 'x', expected F, M or n/a"),
        ([HERE, HERE.replace("30 39", "35 44")], "lines 2 and 3 hold for the same people: ppt lumbar"),
    ],
)
def test_a_wrong_table_of_norms_is_refused(rows: list[str], sentence: str, study, tmp_path: Path) -> None:
    table, sidecar, _ = study({"ppt": PPT}, reference=norms(tmp_path, *rows))
    assert sentence in sidecar["Error"]["message"]
    assert (table["status"] == "fail").all()


def test_a_table_of_norms_without_a_column_is_refused(study, tmp_path: Path) -> None:
    table = norms(tmp_path, "ppt lumbar", header="parameter site")
    _, sidecar, _ = study({"ppt": PPT}, reference=table)
    assert "needs the columns sex, age_min" in sidecar["Error"]["message"]


def test_a_broken_table_leaves_rows_with_the_reason(study) -> None:
    rows, sidecar, _ = study({"ppt": PPT.replace("3.0 kgf/cm2", "3.0 psi")})
    assert set(rows["reason"]) == {"invalid_input"}
    assert 'found "psi"' in sidecar["Error"]["message"]
