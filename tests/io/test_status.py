"""What became of a study, told from its output alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.status import status_text, study_status
from lbpneuro.io.tables import empty_rows, long_table, marker_rows
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from tests.workflow.study import settings

CASES = {
    "sub-done": (Estimate.of(1.0), "done"),
    "sub-flag": (Estimate.of(1.0, flags=[Reason.LOW_TSNR]), "flagged"),
    "sub-gate": (Estimate.fail(Reason.HIGH_MOTION), "rejected"),
    "sub-bad": (Estimate.fail(Reason.INVALID_INPUT), "failed"),
    "sub-lost": (Estimate.fail(Reason.FILE_MISSING), "failed"),
    "sub-none": (Estimate.missing(Reason.NOT_ACQUIRED), "missing"),
    "sub-link": (Estimate.missing(Reason.FILE_MISSING), "missing"),
    "sub-late": (None, "unfinished"),
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    config = settings(tmp_path)
    folder = tmp_path / "out"
    units = {name: {"participant": name, "session": None, "prefix": name, "folder": name} for name in CASES}
    write_json(folder / "logs" / "plan.json", {"units": units})
    for name, (estimate, _) in CASES.items():
        if estimate is not None:
            rows = empty_rows(MARKERS, participant=name, session=None, estimate=estimate, config=config)
            write_tsv(folder / name / f"{name}_markers.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    message = {"Error": {"reason": "invalid_input", "message": "x.nii.gz: cut off"}}
    write_json(folder / "sub-bad" / "func" / "sub-bad_desc-functional_markers.json", message)
    return folder


def test_every_state_is_told(out: Path) -> None:
    table = study_status(out, MARKERS)
    assert len(table) == len(CASES) * len({marker.family for marker in MARKERS})
    found = table.groupby("participant_id")["state"].unique().str[0].to_dict()
    assert found == {name: state for name, (_, state) in CASES.items()}


def test_the_message_of_a_failed_step_is_shown(out: Path) -> None:
    table = study_status(out, MARKERS)
    row = table[(table["participant_id"] == "sub-bad") & (table["family"] == "functional")].iloc[0]
    assert row["message"] == "x.nii.gz: cut off"
    assert row["reason"] == "invalid_input"


def test_some_values_are_better_than_none(tmp_path: Path, out: Path) -> None:
    plasticity = [marker for marker in MARKERS if marker.family == "plasticity"]
    rows = marker_rows(
        plasticity[0], {("post10",) * len(plasticity[0].index): Estimate.of(1.0)}, participant="sub-gate", session=None
    )
    rows += empty_rows(
        plasticity[1:],
        participant="sub-gate",
        session=None,
        estimate=Estimate.fail(Reason.NO_PRIMING),
        config=settings(tmp_path),
    )
    write_tsv(out / "sub-gate" / "sub-gate_markers.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    table = study_status(out, plasticity)
    assert table.loc[table["participant_id"] == "sub-gate", "state"].item() == "flagged"


@pytest.mark.parametrize("form", ["text", "tsv", "json"])
def test_the_forms(out: Path, form: str) -> None:
    text = status_text(study_status(out, MARKERS), form)
    assert "x.nii.gz: cut off" in text
    if form == "json":
        assert len(json.loads(text)) == len(CASES) * len({marker.family for marker in MARKERS})
    if form == "text":
        assert "sub-done" not in text, "what is done needs no line"


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not \\(yet\\) an output of lbpneuro"):
        study_status(tmp_path, MARKERS)
