"""``lbpneuro trial`` on a simulated trial: from files to tables, plans, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lbpneuro import cli
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.io.tables import LONG_NAME, long_table
from lbpneuro.registry import INDEX_COLUMNS
from lbpneuro.stats.trial import COLUMNS, ESTIMATORS
from lbpneuro.stats.trial_people import ARM_COLUMNS, PEOPLE_COLUMNS

PLAN = """
arm: arm
control: usual_care
covariates: [age, sex]
outcomes:
  nrs.nrs_7d_average: {better: lower, mic: 2, mic_share: 0.3, reliability: 0.8, recovered: 0}
  nrs.nrs_7d_worst:
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """A trial of 60 people as it is simulated, without the trials of its sensory tests."""
    folder = tmp_path_factory.mktemp("simulated") / "trial"
    options = ["--trial", "--participants", "60", "--seed", "2", "--nprocs", "1"]
    assert cli.main(["simulate", str(folder), *options]) == 0
    for person in folder.glob("raw/sub-*"):
        shutil.rmtree(person)
    return folder


@pytest.fixture
def study(simulated: Path, tmp_path: Path) -> Path:
    shutil.copytree(simulated, tmp_path / "trial")
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def run(study: Path, *options: str) -> int:
    return cli.main(["trial", str(study / "trial" / "raw"), *options])


def test_from_files_to_tables(study: Path, capsys) -> None:
    assert run(study, "--plan", str(study / "plan.yaml")) == 0
    said = capsys.readouterr().out
    assert "Intention to treat" in said
    assert "trial_people.tsv" in said
    folder = study / "trial" / "raw"
    for name, columns in (("trial", COLUMNS), ("trial_arms", ARM_COLUMNS), ("trial_people", PEOPLE_COLUMNS)):
        table, sidecar = read_tsv(folder / f"{name}.tsv"), json.loads((folder / f"{name}.json").read_text())
        assert list(table) == list(columns)
        assert set(columns) <= set(sidecar)
        assert len(pd.read_parquet(folder / f"{name}.parquet")) == len(table)
    comparisons = read_tsv(folder / "trial.tsv")
    assert set(comparisons["estimator"]) <= set(ESTIMATORS)
    assert comparisons["outcome"].unique().tolist() == ["nrs.nrs_7d_average", "nrs.nrs_7d_worst"]
    sidecar = json.loads((folder / "trial.json").read_text())
    assert sidecar["Rules"]["nrs.nrs_7d_average"]["recovered"] == 0
    assert sidecar["Plan"]["sessions"] == ["ses-01", "ses-02", "ses-03"]


def test_planted_effects_are_inside_the_intervals(study: Path) -> None:
    assert run(study, "--plan", str(study / "plan.yaml")) == 0
    table = read_tsv(study / "trial" / "raw" / "trial.tsv")
    truth = read_tsv(study / "trial" / "truth_trial.tsv").set_index(["outcome", "session"])["effect"]
    mixed = table[table["estimator"] == "mixed"].set_index(["outcome", "session"])
    assert len(mixed) == 4
    for (outcome, session), found in mixed.iterrows():
        planted = truth[outcome.replace("nrs.nrs_", "pain_nrs__"), session]
        assert planted < -1
        assert found["ci_low"] <= planted <= found["ci_high"]


def test_markers_and_questionnaires_give_the_same(study: Path) -> None:
    """The pain scale as rows of the marker table, where its rules are known, beside the column it came from."""
    folder = study / "trial" / "raw"
    scores = read_tsv(folder / "phenotype" / "nrs.tsv")
    rows = [
        {
            "participant_id": row["participant_id"],
            "session_id": row["session_id"],
            "marker": "pain_nrs",
            "window": "7d_average",
            "value": row["nrs_7d_average"],
            "unit": "1",
            "status": "ok",
        }
        for row in scores.to_dict("records")
    ]
    write_tsv(folder / f"{LONG_NAME}.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    options = ["--arm", "arm", "--control", "usual_care", "--outcome", "pain_nrs", "nrs.nrs_7d_average"]
    assert run(study, *options) == 0
    table = read_tsv(folder / "trial.tsv")
    marker, column = (
        table[table["outcome"] == name].drop(columns=["outcome", "unit"]).reset_index(drop=True)
        for name in ("pain_nrs__7d_average", "nrs.nrs_7d_average")
    )
    pd.testing.assert_frame_equal(marker, column)
    assert "risk_difference" in set(marker["estimator"]), "the important change of the scale is known"
    assert json.loads((folder / "trial.json").read_text())["MarkerTable"]


def test_two_runs_give_the_same_bytes(study: Path) -> None:
    options = ["--plan", str(study / "plan.yaml"), "--ci", "bootstrap"]
    contents = []
    for _ in range(2):
        assert run(study, *options) == 0
        contents.append({path.name: path.read_bytes() for path in (study / "trial" / "raw").glob("trial*")})
    assert contents[0] == contents[1]


def test_options_count_more_than_the_plan(study: Path) -> None:
    more = ["--outcome", "nrs.nrs_7d_average", "--sessions", "01", "03", "--level", "0.9"]
    assert run(study, "--plan", str(study / "plan.yaml"), *more, "--better", "nrs.nrs_7d_average=lower") == 0
    table = read_tsv(study / "trial" / "raw" / "trial.tsv")
    assert set(table["session"]) == {"ses-03"}
    assert set(table["outcome"]) == {"nrs.nrs_7d_average"}
    adjusted = table.set_index("estimator").loc["ancova"]
    assert adjusted["favours"] == ("arm" if adjusted["ci_high"] < 0 else "neither")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "a trial needs arm (--arm COLUMN), control (--control LEVEL), outcomes (--outcome NAME)"),
        (["--arm", "arm", "--control", "placebo", "--outcome", "nrs.nrs_7d_average"], "nobody is 'placebo'"),
        (["--arm", "sex", "--control", "female", "--outcome", "nrs.pain"], "no column pain"),
        (
            ["--arm", "arm", "--control", "usual_care", "--outcome", "nrs.nrs_7d_average", "--sessions", "03"],
            "there is one session",
        ),
        (
            ["--arm", "arm", "--control", "usual_care", "--outcome", "nrs.nrs_7d_average", "--better", "pain=down"],
            "--better pain=down",
        ),
    ],
)
def test_what_is_refused(study: Path, capsys, options: list[str], said: str) -> None:
    assert run(study, *options) == 2
    assert said in capsys.readouterr().err
    assert not list((study / "trial" / "raw").glob("trial*"))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("arm: arm\nkontrol: usual_care\n", "Allowed: arm, control"),
        (
            "outcomes:\n  nrs.nrs_7d_average: {better: down}\n",
            "nrs.nrs_7d_average, better: expected one of lower, higher",
        ),
        ("outcomes:\n  nrs.nrs_7d_average: {sem: 1, reliability: 0.8}\n", "Give sem or reliability, not both."),
        ("- arm\n", "expected keys with their values, found a list"),
        ("arm: [unclosed\n", "expected a YAML file"),
    ],
)
def test_a_plan_of_another_form_is_refused(study: Path, capsys, plan: str, said: str) -> None:
    (study / "plan.yaml").write_text(plan)
    assert run(study, "--plan", str(study / "plan.yaml")) == 2
    error = capsys.readouterr().err
    assert "plan.yaml" in error
    assert said in error
