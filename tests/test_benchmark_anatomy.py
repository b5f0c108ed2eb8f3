"""The tables of the anatomical benchmark, and one image measured from end to end."""

from __future__ import annotations

import json

import pytest

from benchmarks import anatomy

ROW = {
    "image": "somebody",
    "level": "draft",
    "cpu_s": 60.4,
    "peak_mb": 800,
    "stages": {"reading": 3.0, "normalisation": 20.0},
    "peaks": {},
    "brain_ml": 1500.4,
    "template_dice": 0.987,
}


def test_rows_are_replaced_by_image_and_level(tmp_path):
    path = tmp_path / "results.json"
    for row in (ROW, ROW | {"level": "standard"}, ROW | {"image": "anybody"}, ROW | {"cpu_s": 50.0}):
        anatomy.keep(row, path)
    rows = json.loads(path.read_text())
    assert [(row["image"], row["level"], row["cpu_s"]) for row in rows] == [
        ("anybody", "draft", 60.4),
        ("somebody", "draft", 50.0),
        ("somebody", "standard", 60.4),
    ]


def test_tables_stand_between_their_marks(tmp_path):
    page = tmp_path / "anatomy.md"
    marks = [
        f"<!-- {name}: {edge} -->"
        for name in ("results", "cost")
        for edge in ("written by python -m benchmarks.anatomy", "end")
    ]
    page.write_text("before\n" + "\nold\n".join(marks) + "\nafter\n")
    failed = {
        "image": "noise",
        "level": "draft",
        "cpu_s": 10.0,
        "peak_mb": 700,
        "stages": {"reading": 1.0},
        "error": "no",
    }
    for _ in range(2):
        anatomy.write_page([ROW, failed], page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("| somebody | draft | 1500 |") == 1
    assert "0.99" in text
    assert "| draft | 2 | 3 | 20 |" in text  # the larger of two medians: with an even number the upper one


def test_an_image_is_called_by_its_data_set_and_person(monkeypatch, tmp_path):
    monkeypatch.setattr(anatomy, "DATA", tmp_path)
    path = tmp_path / "study" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    path.touch()
    assert anatomy.name_of(path) == "study_sub-01"
    assert anatomy.name_of(path.with_name("other.nii.gz").relative_to(tmp_path)) == "study_other"
    assert anatomy.median([]) != anatomy.median([])
    assert anatomy.median([3.0, 1.0, 2.0]) == 2.0


@pytest.mark.slow
def test_a_simulated_head_is_measured(tmp_path):
    path = anatomy.simulated_head(tmp_path)
    row = anatomy.alone(path, level="draft", folder=tmp_path / "kept")
    assert row["cpu_s"] > sum(row["stages"].values()) * 0.9
    assert row["peak_mb"] < 1500
