"""Metadata by the inheritance principle."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json
from lbpneuro.io.sidecars import read_metadata
from tests.workflow.study import tree

BOLD = "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-1_bold.nii.gz"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tree(tmp_path / "raw", [BOLD])


def test_nearer_sidecars_stand_over_farther_ones(raw: Path) -> None:
    write_json(raw / "task-rest_bold.json", {"RepetitionTime": 1.0, "EchoTime": 0.03, "FlipAngle": 70})
    write_json(raw / "sub-01" / "sub-01_task-rest_bold.json", {"RepetitionTime": 2.0, "EchoTime": 0.04})
    write_json(raw / BOLD.replace(".nii.gz", ".json"), {"RepetitionTime": 3.0})
    assert read_metadata(raw / BOLD) == {"RepetitionTime": 3.0, "EchoTime": 0.04, "FlipAngle": 70}


def test_sidecars_of_others_are_not_taken(raw: Path) -> None:
    for name in ("task-nback_bold.json", "task-rest_run-2_bold.json", "task-rest_T1w.json", "bold.json"):
        write_json(raw / name, {name: 1})
    assert read_metadata(raw / BOLD) == {"bold.json": 1}


def test_no_sidecar_is_no_metadata(raw: Path) -> None:
    assert read_metadata(raw / BOLD) == {}


def test_a_sidecar_above_the_dataset_is_not_taken(raw: Path) -> None:
    write_json(raw.parent / "bold.json", {"RepetitionTime": 9})
    assert read_metadata(raw / BOLD) == {}


def test_a_sidecar_written_later_is_seen(raw: Path) -> None:
    assert read_metadata(raw / BOLD) == {}
    write_json(raw / "bold.json", {"RepetitionTime": 2.0})
    assert read_metadata(raw / BOLD) == {"RepetitionTime": 2.0}


def test_a_broken_sidecar_is_named(raw: Path) -> None:
    (raw / "task-rest_bold.json").write_text("{RepetitionTime: 2")
    with pytest.raises(InputError, match=r"task-rest_bold.json: expected a JSON file"):
        read_metadata(raw / BOLD)


def test_a_tree_without_description_is_read_up_to_the_participant(tmp_path: Path) -> None:
    path = tmp_path / BOLD
    path.parent.mkdir(parents=True)
    path.touch()
    write_json(tmp_path / "task-rest_bold.json", {"RepetitionTime": 2.5})
    write_json(tmp_path / "sub-01" / "sub-01_task-rest_bold.json", {"EchoTime": 0.03})
    assert read_metadata(path) == {"RepetitionTime": 2.5, "EchoTime": 0.03}
