"""From a simulated trial to its result behind the whole workflow, and what a changed table of the study reruns."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import main
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.io.qst_reference import COLUMNS
from lbpneuro.simulate.recovery import recovery_table

pytestmark = pytest.mark.slow

OUTCOMES = ["pain_nrs__7d_average", "rmdq", "ppt_remote"]
NORM = ["ppt", None, None, None, None, "log10", 2.6, 0.15, 40, "published", "simulated algometer of centre A"]


def analyse(study: Path, *options: str) -> int:
    given = [str(study / "raw"), str(study / "out"), "participant", "group", "--nprocs", "2"]
    return main([*given, "--skip-bids-validation", *options])


def commands() -> list[list[str]]:
    """The commands of the tutorial in docs/trials.md, as they are written there."""
    page = (Path(__file__).parents[2] / "docs" / "trials.md").read_text()
    tutorial = page.split("## A trial from simulation to result")[1].split("\n## ")[0]
    return [shlex.split(line)[1:] for line in tutorial.splitlines() if line.startswith("    lbpneuro ")]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The trial of the tutorial, simulated and analysed by its commands."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands():
            assert main(command) == 0, command
    return folder / "trial"


def test_effects_that_were_planted_are_found_behind_the_pipeline(study: Path) -> None:
    planted = read_tsv(study / "truth_trial.tsv").set_index(["outcome", "session"])["effect"]
    found = read_tsv(study / "out" / "trial.tsv")
    fitted = found[found["estimator"].isin(["ancova", "ancova_tobit", "mixed", "mmrm"]) & found["value"].notna()]
    assert set(fitted["outcome"]) == set(OUTCOMES)
    for row in fitted.to_dict("records"):
        effect = planted[row["outcome"], row["session"]]
        assert abs(row["value"] - effect) < 3 * row["se"], row
        assert np.sign(row["value"]) == np.sign(effect)
    last = fitted[(fitted["session"] == "ses-03") & fitted["outcome"].isin(["rmdq", "ppt_remote"])]
    assert set(last["favours"]) == {"arm"}
    assert 'id="trial"' in (study / "out" / "group.html").read_text()


def test_values_and_bounds_hold_what_was_planted(study: Path) -> None:
    table = recovery_table(study / "out", study / "truth.tsv").set_index("marker")
    for marker in ("ppt_remote", "rmdq", "tsp_diff"):
        rows = table.loc[[marker]]
        assert (rows["coverage"] > 0.8).all(), marker
    cold = table.loc[["cpt"]]
    assert cold["n_bounds"].sum() > 0
    assert (cold.loc[cold["n_bounds"] > 0, "bounds_hold"] > 0.8).all()


def test_centres_are_compared_and_adjusted_for(study: Path) -> None:
    """The devices differ by a tenth of a log unit, which is found between the centres."""
    assert main(["compare", str(study / "out"), "--by", "centre", "--reference", "A", "--outcome", "ppt_remote"]) == 0
    table = read_tsv(study / "out" / "compare_centre.tsv")
    row = table[table["estimator"] == "difference_tobit"].iloc[0]
    offsets = read_tsv(study / "truth_centres.tsv").set_index(["centre", "marker"])["offset"]
    assert row["ci_low"] <= offsets["B", "ppt_remote"] <= row["ci_high"]


def reruns(study: Path, capfd, *options: str) -> set[str]:
    """The rules that a dry run would run."""
    assert analyse(study, "-n", *options) == 0
    said = capfd.readouterr().out
    return set(re.findall(r"^(\w+) +\d+$", said, flags=re.MULTILINE)) - {"total", "all"}


def test_norms_and_participants_rerun_what_depends_on_them(study: Path, tmp_path: Path, capfd) -> None:
    """Two people of the trial, with norms of the device of one centre; then other norms, then another age."""
    for name in ("participants.tsv", "dataset_description.json"):
        (tmp_path / "raw").mkdir(exist_ok=True)
        shutil.copy(study / "raw" / name, tmp_path / "raw" / name)
    for person in ("sub-01", "sub-03"):
        shutil.copytree(study / "raw" / person / "ses-01" / "beh", tmp_path / "raw" / person / "ses-01" / "beh")
    norms = tmp_path / "norms.tsv"
    write_tsv(norms, pd.DataFrame([NORM], columns=list(COLUMNS)[: len(NORM)]))
    (tmp_path / "norms.yaml").write_text(f"sensory: {{reference: {norms}}}\n")
    options = ["--config-file", str(tmp_path / "norms.yaml")]
    assert analyse(tmp_path, *options) == 0
    capfd.readouterr()
    rows = read_tsv(tmp_path / "out" / "markers_long.tsv").query("marker == 'qst_z' and parameter == 'ppt'")
    scored = rows[rows["site"] == "tibialis"].set_index("participant_id")
    assert np.isfinite(scored.loc["sub-01", "value"])
    assert scored.loc["sub-03", "reason"] == "other_device"
    assert reruns(tmp_path, capfd, *options) == set()
    norms.write_text(norms.read_text().replace("0.15", "0.25"))
    assert "sensory" in reruns(tmp_path, capfd, *options)
    assert analyse(tmp_path, *options) == 0
    again = read_tsv(tmp_path / "out" / "markers_long.tsv").query("marker == 'qst_z' and parameter == 'ppt'")
    changed = again[again["site"] == "tibialis"].set_index("participant_id").loc["sub-01", "value"]
    assert changed == pytest.approx(scored.loc["sub-01", "value"] * 0.15 / 0.25)
    people = tmp_path / "raw" / "participants.tsv"
    people.write_text(people.read_text().replace("female", "male", 1))
    capfd.readouterr()
    assert {"sensory", "cohort_tables", "group_report"} <= reruns(tmp_path, capfd, *options)
