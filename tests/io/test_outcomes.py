"""Outcomes, groups, covariates and the order of sessions: what is understood, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import ConfigError, InputError
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.outcomes import (
    chosen_group,
    read_covariates,
    read_groups,
    read_outcomes,
    session_order,
    with_bounds,
)
from lbpneuro.io.tables import LONG_NAME, long_table
from lbpneuro.registry import INDEX_COLUMNS


def marker_row(person: int, value: float, *, session: str | None = None, **more) -> dict:
    fixed = {"participant_id": f"sub-{person:02d}", "session_id": session, "marker": "gm_volume", "unit": "mL"}
    return {**fixed, "roi": "dlpfc", "hemi": "L", "status": "ok", "value": value, **more}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    censored = {"status": "fail", "reason": "censored_at_limit;few_trials"}
    rows = [
        marker_row(1, 5.0, ci_low=4.0, ci_high=6.0),
        marker_row(2, np.nan, ci_low=8.0, **censored),
        marker_row(3, np.nan, ci_low=-np.inf, ci_high=2.0, **censored),
        marker_row(4, np.nan, status="missing", reason="not_acquired"),
        marker_row(5, 3.0, ci_low=3.0, ci_high=np.inf, status="flag", reason="censored_at_limit"),
        marker_row(1, 6.0, roi="thalamus"),
    ]
    write_tsv(tmp_path / f"{LONG_NAME}.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    people = pd.DataFrame(
        {
            "participant_id": [f"sub-{number:02d}" for number in range(1, 6)],
            "group": ["lbp", "lbp", "control", "control", None],
            "sex": ["F", "M", "F", None, "M"],
            "age": [40.0, 41, 42, np.nan, 44],
        }
    )
    write_tsv(tmp_path / "participants.tsv", people)
    pain = pd.DataFrame({"participant_id": ["sub-01", "sub-02"], "session_id": ["ses-1", "ses-1"], "nrs_now": [3, 7]})
    write_tsv(tmp_path / "phenotype" / "nrs.tsv", pain)
    write_json(tmp_path / "phenotype" / "nrs.json", {"nrs_now": {"LongName": "Pain now", "Units": "1"}})
    return tmp_path


def test_measured_and_censored_values(study: Path) -> None:
    table, outcomes = read_outcomes(study, ["gm_volume__dlpfc__L"])
    found = {row["participant_id"]: (row["value"], row["low"], row["high"]) for row in table.to_dict("records")}
    assert list(found) == ["sub-01", "sub-02", "sub-03", "sub-05"], "nothing is known of the fourth"
    assert found["sub-01"] == (5, 5, 5), "an interval of a measured value is no bound"
    assert found["sub-02"][1:] == (8, np.inf)
    assert found["sub-03"][1:] == (-np.inf, 2)
    assert found["sub-05"][1:] == (3, np.inf)
    assert all(np.isnan(found[who][0]) for who in ("sub-02", "sub-03", "sub-05"))
    assert outcomes[0].better == "higher", "less gray matter goes with low back pain"
    assert (outcomes[0].unit, set(table["session_id"])) == ("mL", {"n/a"})


def test_a_marker_name_stands_for_all_its_levels(study: Path) -> None:
    _, outcomes = read_outcomes(study, ["gm_volume"])
    assert [outcome.name for outcome in outcomes] == ["gm_volume__dlpfc__L", "gm_volume__thalamus__L"]


def test_a_column_of_a_questionnaire(study: Path) -> None:
    table, outcomes = read_outcomes(study, ["nrs.nrs_now", "gm_volume__thalamus__L"])
    assert (outcomes[0].label, outcomes[0].better) == ("Pain now", "")
    assert table[table["outcome"] == "nrs.nrs_now"]["value"].tolist() == [3, 7]


def test_questionnaires_of_the_dataset_that_was_analysed(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_json(out / "logs" / "config.json", {"dataset": {"bids_dir": str(study)}})
    table, _ = read_outcomes(out, ["nrs.nrs_now"])
    assert len(table) == 2


def test_markers_of_another_version_are_left_out(study: Path) -> None:
    from lbpneuro.io.tables import read_long

    table = read_long(study / f"{LONG_NAME}.tsv")
    table.loc[0, "marker"] = "no_longer_there"
    assert len(with_bounds(table)) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gm_volum__dlpfc__L", "Did you mean gm_volume__dlpfc__L"),
        ("xyz", "There are gm_volume__dlpfc__L"),
        ("nrs.nrs_nwo", "no column nrs_nwo. Did you mean nrs_now"),
        ("nsr.nrs_now", "no table nsr.tsv. Did you mean nrs"),
    ],
)
def test_an_unknown_outcome_is_named_with_what_is_near(study: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_outcomes(study, [name])


def test_a_folder_without_markers_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="participant group"):
        read_outcomes(tmp_path, ["gm_volume"])


def test_text_and_double_rows_in_a_questionnaire_are_named(study: Path) -> None:
    path = study / "phenotype" / "nrs.tsv"
    path.write_text("participant_id\tnrs_now\nsub-01\t3\nsub-02\tseven\n")
    with pytest.raises(InputError, match=r"row 3, column nrs_now: expected a number, found 'seven'"):
        read_outcomes(study, ["nrs.nrs_now"])
    path.write_text("participant_id\tnrs_now\nsub-01\t3\nsub-01\t4\n")
    with pytest.raises(InputError, match="rows 2, 3: sub-01 has several rows"):
        read_outcomes(study, ["nrs.nrs_now"])
    path.write_text("who\tnrs_now\nsub-01\t3\n")
    with pytest.raises(InputError, match="no column participant_id"):
        read_outcomes(study, ["nrs.nrs_now"])


def test_groups(study: Path) -> None:
    groups = read_groups(study, "group")
    assert groups.to_dict() == {"sub-01": "lbp", "sub-02": "lbp", "sub-03": "control", "sub-04": "control"}
    assert chosen_group(groups, "control", column="group") == "control"
    with pytest.raises(InputError, match="nobody is 'healthy'; found control, lbp"):
        chosen_group(groups, "healthy", column="group")
    with pytest.raises(InputError, match=r"no column grp\. Did you mean group"):
        read_groups(study, "grp")
    path = study / "participants.tsv"
    path.write_text("participant_id\tgroup\nsub-01\ta\nsub-02\ta\n")
    with pytest.raises(InputError, match="two groups or more"):
        read_groups(study, "group")
    path.write_text("participant_id\tgroup\nsub-01\ta\nsub-01\tb\n")
    with pytest.raises(InputError, match="sub-01 is listed more than once"):
        read_groups(study, "group")


def test_covariates(study: Path) -> None:
    table = read_covariates(study, ["age", "sex"])
    assert list(table) == ["age", "sex[M]"]
    assert table["sex[M]"].tolist()[:3] == [0, 1, 0]
    assert np.isnan(table.loc["sub-04"]).all()
    assert read_covariates(study, []).shape == (5, 0)
    with pytest.raises(InputError, match=r"no column agee\. Did you mean age"):
        read_covariates(study, ["agee"])


def test_order_of_sessions() -> None:
    assert session_order(["ses-10", "ses-2", "ses-2"], []) == ["ses-2", "ses-10"]
    assert session_order(["ses-week18", "ses-week0"], []) == ["ses-week0", "ses-week18"]
    assert session_order(["ses-post", "ses-pre"], ["pre", "ses-post"]) == ["ses-pre", "ses-post"]
    assert session_order(["n/a"], []) == ["n/a"]
    with pytest.raises(ConfigError, match=r"cannot be told from ses-post, ses-pre.*--sessions post pre"):
        session_order(["ses-post", "ses-pre"], [])
    with pytest.raises(ConfigError, match="cannot be told"):
        session_order(["ses-day1", "ses-week2"], [])
    with pytest.raises(ConfigError, match="nobody has a value in ses-three"):
        session_order(["ses-1"], ["1", "three"])
    with pytest.raises(ConfigError, match="a session twice"):
        session_order(["ses-1", "ses-2"], ["1", "ses-1"])


def test_a_table_in_memory_whose_text_is_all_empty() -> None:
    """Such columns are numbers to pandas: no level, no reason, and everything is measured."""
    rows = [{"participant_id": f"sub-{n}", "marker": "ppt_remote", "value": 2.0 + n, "ci_low": 2.0} for n in range(2)]
    table = pd.DataFrame(rows, columns=["participant_id", "marker", "value", "ci_low", "ci_high", "site", "reason"])
    table = table.astype({"site": float, "reason": float})
    found = with_bounds(table)
    assert found["column"].tolist() == ["ppt_remote"] * 2
    assert found[["low", "high"]].to_numpy().tolist() == [[2.0, 2.0], [3.0, 3.0]]
    assert with_bounds(table.iloc[:0]).empty
