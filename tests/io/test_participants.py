"""participants.tsv as labs have it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lbpneuro.io.participants import participants_problems, participants_table

PEOPLE = ["sub-01", "sub-02"]


def listed(folder: Path, text: str) -> Path:
    (folder / "participants.tsv").write_text(text)
    return folder


def test_everybody_of_the_study_has_a_row_in_its_order(tmp_path: Path) -> None:
    listed(tmp_path, "participant_id\tage\nsub-02\t50\nsub-03\t60\nsub-01\t40\n")
    table = participants_table(tmp_path, PEOPLE)
    assert table["participant_id"].tolist() == PEOPLE
    assert table["age"].tolist() == [40, 50]
    assert participants_problems(tmp_path, PEOPLE) == []


def test_a_person_listed_twice_with_two_ages_has_none(tmp_path: Path) -> None:
    listed(tmp_path, "participant_id\tage\nsub-01\t40\nsub-02\t50\nsub-01\t41\n")
    table = participants_table(tmp_path, PEOPLE)
    assert len(table) == 2
    assert pd.isna(table["age"].iloc[0])
    assert table["age"].iloc[1] == 50
    (problem,) = participants_problems(tmp_path, PEOPLE)
    assert "sub-01 is listed in rows 2, 4; keep one row" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no participant is listed"),
        ("participant_id\tage\n", "no participant is listed"),
        ("participant_id\tage\nsub-01\t40\n", "sub-02 are not listed"),
        ("name\tage\nsub-01\t40\n", "no participant is listed"),
    ],
)
def test_what_is_wrong_is_said_and_the_study_goes_on(tmp_path: Path, text: str, said: str) -> None:
    listed(tmp_path, text)
    assert participants_table(tmp_path, PEOPLE)["participant_id"].tolist() == PEOPLE
    (problem,) = participants_problems(tmp_path, PEOPLE)
    assert said in problem
    assert str(tmp_path / "participants.tsv") in problem


def test_no_file_at_all(tmp_path: Path) -> None:
    assert participants_table(tmp_path, PEOPLE)["participant_id"].tolist() == PEOPLE
    assert "there is no such file" in participants_problems(tmp_path, PEOPLE)[0]


@pytest.mark.real
def test_a_real_table_with_an_empty_last_row(tmp_path: Path, real_data) -> None:
    import tarfile

    with tarfile.open(real_data("trees_dev") / "ds000208.tar.xz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (root,) = tmp_path.iterdir()
    people = sorted(path.name for path in root.glob("sub-*"))
    table = participants_table(root, people)
    assert len(table) == 76
    assert "% Analsesia VAS" in table
    assert participants_problems(root, people) == []
