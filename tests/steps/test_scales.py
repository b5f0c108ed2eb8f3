"""Step ``scales``: phenotype tables to marker rows, also of real studies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.io.plan import load_plan
from lbpneuro.io.tables import read_long
from lbpneuro.steps import scales
from tests.io.test_phenotype import FREBAQ, table
from tests.workflow.study import settings, tree


def run(root: Path, participant: str, session: str | None = None, files=None):
    """Run the step as the workflow does, on the files of the plan; return rows, sidecar and scores."""
    config = settings(root)
    path = root / "config.json"
    path.write_text(json.dumps(config))
    prefix = "_".join(filter(None, (participant, session)))
    files = load_plan(config)["units"][prefix]["files"]["scales"] if files is None else files
    out = Path(config["dataset"]["out_dir"], participant, session or "", "beh", f"{prefix}_desc-scales_markers.tsv")
    who = ["--participant", participant, *(["--session", session] if session else [])]
    assert scales.main(["--in", *map(str, files), "--out", str(out), "--config", str(path), *who]) == 0
    scores = out.with_name(f"{prefix}_desc-scales_scores.tsv")
    rows = read_long(out).set_index("marker")
    return (
        rows,
        json.loads(out.with_suffix(".json").read_text()),
        read_tsv(scores, dtype={"blank_items": str}) if scores.exists() else None,
    )


def test_a_person_from_table_to_rows(tmp_path):
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    table(raw, "frebaq", ["participant_id", *FREBAQ], ["sub-01", 1, 2, 3, 4, 0, 1, 2, 3, "n/a"])
    table(raw, "odi", ["participant_id", *(f"odi_{item:02d}" for item in range(1, 11))], ["sub-01", *[9] * 10])
    rows, sidecar, scores = run(tmp_path, "sub-01")
    assert (rows.loc["frebaq", "value"], rows.loc["frebaq", "n"], rows.loc["frebaq", "reason"]) == (
        18,
        8,
        "items_missing",
    )
    assert rows.loc["frebaq", "method"] == "sum of the items, blanks take the mean of the person"
    assert (rows.loc["odi", "status"], rows.loc["odi", "reason"]) == ("fail", "invalid_input")
    assert "odi.tsv, line 2, column odi_01: expected 0 to 5, found 9" in sidecar["Errors"][0]
    assert rows.loc["csi", "reason"] == "not_acquired"
    assert list(sidecar["Sources"]) == ["bids:raw:phenotype/frebaq.tsv", "bids:raw:phenotype/odi.tsv"]
    (score,) = scores.to_dict("records")
    assert (score["scale"], score["raw_total"], score["prorated_total"], score["blank_items"]) == (
        "frebaq",
        16,
        18,
        "09",
    )


def test_who_has_no_row_is_missing(tmp_path):
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"])
    table(raw, "frebaq", ["participant_id", *FREBAQ], ["sub-01", *[1] * 9])
    rows, _, scores = run(tmp_path, "sub-02")
    assert set(rows["status"]) == {"missing"}
    assert set(rows["reason"]) == {"not_acquired"}
    assert scores is None


def test_sessions_have_their_own_rows_and_undated_tables_count_once(tmp_path):
    raw = tree(tmp_path / "raw", [f"sub-01/ses-{name}/anat/sub-01_ses-{name}_T1w.nii.gz" for name in "ab"])
    dated = [["sub-01", f"ses-{name}", *[score] * 9] for name, score in (("a", 3), ("b", 2), ("c", 1))]
    table(raw, "frebaq", ["participant_id", "session_id", *FREBAQ], *dated)
    table(raw, "tsk17", ["participant_id", "tsk17_total"], ["sub-01", 40])
    found = {name: run(tmp_path, "sub-01", f"ses-{name}")[0] for name in "abc"}
    assert [found[name].loc["frebaq", "value"] for name in "abc"] == [27, 18, 9], "ses-c has questionnaires only"
    assert found["a"].loc["tsk17", "value"] == 40
    assert {found[name].loc["tsk17", "reason"] for name in "bc"} == {"not_acquired"}


def test_a_changed_table_changes_the_plan(tmp_path):
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    assert load_plan(settings(tmp_path))["units"]["sub-01"]["files"]["scales"] == []
    path = table(raw, "frebaq", ["participant_id", *FREBAQ], ["sub-02", *[1] * 9])
    assert load_plan(settings(tmp_path))["units"]["sub-01"]["files"]["scales"] == []
    path.write_text(path.read_text() + "sub-01\t" + "\t".join("1" * 9) + "\n")
    assert load_plan(settings(tmp_path))["units"]["sub-01"]["files"]["scales"] == [str(path)]


def test_a_dangling_table_is_a_missing_file(tmp_path):
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    (raw / "phenotype").mkdir()
    (raw / "phenotype" / "csi.tsv").symlink_to(raw / "annex")
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    assert (unit["files"]["scales"], [Path(path).name for path in unit["absent"]["scales"]]) == ([], ["csi.tsv"])


def test_an_error_of_measurement_of_a_score_that_is_not_there_is_refused(tmp_path):
    from lbpneuro.errors import ConfigError

    with pytest.raises(ConfigError, match=r"`scales.sem`: there is no score odl. Did you mean odi\?"):
        resolve(read_config(overrides={"scales": {"sem": {"odl": 3}}}))


def as_phenotype(root: Path, tool: str, totals: pd.Series) -> list[str]:
    """Write totals of a real table as a phenotype table of people who have a folder each."""
    labels = [f"sub-{number:03d}" for number in range(1, len(totals) + 1)]
    raw = tree(root / "raw", [f"{label}/anat/{label}_T1w.nii.gz" for label in labels])
    (raw / "phenotype").mkdir()
    frame = pd.DataFrame({"participant_id": labels, totals.name: totals})
    frame.to_csv(raw / "phenotype" / f"{tool}.tsv", sep="\t", index=False, na_rep="n/a")
    return labels


@pytest.mark.real
def test_real_tampa_totals_with_gaps(real_data, tmp_path):
    totals = pd.read_csv(real_data("lbp_tables") / "lbp_orig.csv")["Tampascale"].rename("tsk17_total")[:30]
    labels = as_phenotype(tmp_path, "tsk17", totals)
    found = [run(tmp_path, label)[0].loc["tsk17"] for label in labels]
    np.testing.assert_array_equal([row["value"] for row in found], totals)
    gaps = totals.isna().to_numpy()
    assert 0 < gaps.sum() < len(gaps)
    assert {row["reason"] for row, gap in zip(found, gaps, strict=True) if gap} == {"not_acquired"}
    assert {row["se"] for row, gap in zip(found, gaps, strict=True) if not gap} == {3.16}


@pytest.mark.real
def test_real_catastrophising_totals_and_a_column_that_is_not_what_its_name_says(real_data, tmp_path):
    table = pd.read_csv(real_data("rpn_bochum") / "bochum_sample.csv")
    labels = as_phenotype(tmp_path, "pcs", table["pcs_catastrophizing"].rename("pcs_total")[:12])
    known = table["pcs_catastrophizing"].notna()[:12]
    rows = [
        run(tmp_path, label)[0].set_index("subscale", append=True).loc[("pcs", "total"), "value"] for label in labels
    ]
    np.testing.assert_array_equal(np.isfinite(rows), known)
    labels = as_phenotype(tmp_path / "b", "pcs", table["pcs_rumination"].rename("pcs_rumination")[:3])
    rows, sidecar, _ = run(tmp_path / "b", labels[0])
    assert set(rows.loc["pcs", "reason"]) == {"invalid_input"}
    assert "column pcs_rumination: expected 0 to 16, found" in sidecar["Errors"][0]


@pytest.mark.real
def test_scores_in_participants_of_other_studies_are_left_alone(real_data, tmp_path):
    """HADS and BDI of ds002748 are columns of participants.tsv, which no questionnaire is read from."""
    import shutil

    raw = tree(tmp_path / "raw", ["sub-02/anat/sub-02_T1w.nii.gz"])
    shutil.copy(real_data("ds002748_T1_dev") / "participants.tsv", raw / "participants.tsv")
    rows, _, _ = run(tmp_path, "sub-02")
    assert set(rows["reason"]) == {"not_acquired"}
