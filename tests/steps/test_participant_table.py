"""The table of a session: rows of families without data, and what an earlier run left of them."""

from __future__ import annotations

from pathlib import Path

from lbpneuro.io.files import write_json
from lbpneuro.io.tables import read_long
from lbpneuro.registry import FAMILIES
from lbpneuro.steps import participant_table
from tests.workflow.study import settings


def test_what_is_left_of_tests_that_the_dataset_holds_no_longer_is_removed(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", settings(tmp_path))
    folder = tmp_path / "out" / "sub-01" / "ses-1"
    left = [
        folder / "beh" / f"sub-01_ses-1_desc-scales_{name}" for name in ("markers.tsv", "markers.json", "scores.tsv")
    ]
    kept = [
        folder / "beh" / "sub-01_ses-1_desc-sensory_markers.tsv",
        folder / "func" / "sub-01_ses-1_desc-functional_markers.tsv",
        folder / "beh" / "sub-01_ses-10_desc-scales_markers.tsv",
    ]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of an earlier run\n")
    table = folder / "sub-01_ses-1_markers.tsv"
    without = [name for name in FAMILIES if name != "sensory"]
    who = ["--config", str(tmp_path / "config.json"), "--participant", "sub-01", "--session", "ses-1"]
    assert participant_table.main(["--out", str(table), *who, "--without", *without]) == 0
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    reasons = read_long(table).groupby("marker")["reason"].unique()
    assert list(reasons["rmdq"]) == ["not_acquired"]
    assert list(reasons["ppt_local"]) == ["step_failed"]
