"""Phenotype tables: the row of a person, items by name, and what is refused with file, line and column."""

from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path

import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.config import read_config
from lbpneuro.io.phenotype import read_phenotype, read_sheet, read_sheets
from lbpneuro.io.phenotype_plan import index_phenotype, phenotype_state
from lbpneuro.markers.instrument import instruments

SETTINGS = read_config()["scales"]
FREBAQ = [f"frebaq_{item:02d}" for item in range(1, 10)]
RMDQ = [f"rmdq_{item:02d}" for item in range(1, 25)]


def table(folder: Path, tool: str, columns, *rows, **sidecar) -> Path:
    path = folder / "phenotype" / f"{tool}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    if sidecar:
        path.with_suffix(".json").write_text(json.dumps({"MeasurementToolMetadata": sidecar}))
    return path


def sheet(path: Path, participant: str = "sub-01", session: str | None = None, **settings):
    tool = instruments()[path.stem]
    return read_sheet(path, tool, participant=participant, session=session, settings={**SETTINGS, **settings})


def refusal(path: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        sheet(path, **options)
    return str(caught.value)


def test_answers_totals_and_version_of_a_person(tmp_path):
    path = table(
        tmp_path,
        "odi",
        ["participant_id", *(f"odi_{item}" for item in range(1, 11)), "odi_total", "age"],
        ["sub-02", *[5] * 10, 100, 30],
        ["sub-01", *[1] * 9, "n/a", 20, 40],
        Version="2.1a",
        Description="ODI",
    )
    found = sheet(path)
    assert found.answers["01"] == 1
    assert math.isnan(found.answers["10"])
    assert (found.totals, found.version) == ({"total": 20.0}, "2.1a")
    assert found.source.endswith("odi.tsv, line 3")


def test_labels_without_prefix_blank_lines_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "phenotype" / "frebaq.tsv"
    path.parent.mkdir()
    header, values = "\t".join(["Participant_ID", *FREBAQ]), "\t".join(["01", *"123401230"])
    path.write_bytes(f"﻿{header}\r\n\r\n{values}\r\n".encode())
    assert list(sheet(path).answers.values()) == [1, 2, 3, 4, 0, 1, 2, 3, 0]
    assert sheet(path).source.endswith("line 3")


def test_who_has_no_row_or_answered_nothing_was_not_asked(tmp_path):
    path = table(tmp_path, "frebaq", ["participant_id", *FREBAQ], ["sub-01", *["n/a"] * 9])
    assert sheet(path) is Reason.NOT_ACQUIRED
    assert sheet(path, "sub-02") is Reason.NOT_ACQUIRED


def test_each_session_has_its_row(tmp_path):
    rows = [["sub-01", "ses-a", *[0] * 9], ["sub-01", "b", *[2] * 9]]
    path = table(tmp_path, "frebaq", ["participant_id", "session_id", *FREBAQ], *rows)
    assert sheet(path, session="ses-b").answers["03"] == 2
    assert sheet(path, session="ses-c") is Reason.NOT_ACQUIRED
    assert "lines 2, 3: sub-01 has 2 rows" in refusal(path)


def test_a_doubled_row_is_refused_with_its_lines(tmp_path):
    path = table(
        tmp_path,
        "frebaq",
        ["participant_id", *FREBAQ],
        ["sub-01", *[0] * 9],
        ["sub-02", *[1] * 9],
        ["sub-01", *[0] * 9],
    )
    assert "frebaq.tsv, lines 2, 4: sub-01 has 2 rows; there must be one" in refusal(path)
    assert sheet(path, "sub-02").answers["01"] == 1, "the others go on"


def test_a_row_without_its_session_is_refused(tmp_path):
    path = table(tmp_path, "frebaq", ["participant_id", "session_id", *FREBAQ], ["sub-01", "n/a", *[0] * 9])
    assert "line 2: session_id of sub-01 is empty" in refusal(path, session="ses-a")


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("5", "expected 0 to 4, found 5"),
        ("2.5", "expected 0 to 4, found 2.5"),
        ("-1", "found -1"),
        ("often", "expected a number, found 'often'"),
        ("inf", "expected a number, found 'inf'"),
    ],
)
def test_an_answer_that_is_not_allowed_is_named(tmp_path, bad, found):
    path = table(tmp_path, "frebaq", ["participant_id", *FREBAQ], ["sub-01", *[1] * 6, bad, 1, 1])
    message = refusal(path)
    assert "frebaq.tsv, line 2, column frebaq_07" in message
    assert found in message


def test_the_picture_of_paindetect_is_asked_for_and_not_its_points(tmp_path):
    items = [f"paindetect_{item:02d}" for item in range(1, 8)]
    path = table(
        tmp_path,
        "paindetect",
        ["participant_id", *items, "paindetect_course", "paindetect_radiation"],
        ["sub-01", *[1] * 7, -1, 1],
    )
    assert "column paindetect_course: expected 1 to 4 (the picture" in refusal(path)


def test_totals_alone_and_their_range(tmp_path):
    path = table(
        tmp_path, "tsk17", ["participant_id", "tsk17_total"], ["sub-01", 39.0], ["sub-02", "n/a"], ["sub-03", 12]
    )
    assert sheet(path).totals == {"total": 39.0}
    assert sheet(path, "sub-02") is Reason.NOT_ACQUIRED
    assert "column tsk17_total: expected 17 to 68, found 12" in refusal(path, participant="sub-03")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([*FREBAQ, "frebaq_10"], "column frebaq_10: Fremantle Back Awareness Questionnaire has the items 1 to 9"),
        (FREBAQ[:-2], "the columns frebaq_08, frebaq_09 of"),
        ([*FREBAQ, "frebaq_1"], "frebaq_01 and frebaq_1 are the same item"),
        ([*FREBAQ, "FreBAQ_01"], "the column frebaq_01 is there twice"),
    ],
)
def test_columns_that_cannot_be_right_are_named(tmp_path, columns, said):
    assert said in refusal(table(tmp_path, "frebaq", ["participant_id", *columns], ["sub-01", *[1] * len(columns)]))


def test_a_table_without_people_is_refused(tmp_path):
    assert "there is no column participant_id" in refusal(
        table(tmp_path, "frebaq", ["id", *FREBAQ], ["sub-01", *[1] * 9])
    )


def test_the_short_form_of_the_rmdq_is_taken_on_request_only(tmp_path):
    path = table(tmp_path, "rmdq", ["participant_id", *RMDQ[:23]], ["sub-01", *[1] * 23])
    assert "form with 23 items" in refusal(path)
    assert sheet(path, rmdq_23=True).form == "23"
    whole = table(tmp_path, "rmdq", ["participant_id", *RMDQ], ["sub-01", *[1] * 23, "n/a"])
    assert sheet(whole, rmdq_23=True).form is None, "a blank is no absent item"


def test_a_version_nobody_knows_is_refused_and_one_of_the_row_goes_first(tmp_path):
    columns = ["participant_id", "odi_total", "odi_version"]
    path = table(tmp_path, "odi", columns, ["sub-01", 30, "1.0"], ["sub-02", 30, "7"], Version="2.1a")
    assert sheet(path).version == "1.0"
    assert "version 7 of Oswestry Disability Index is not known" in refusal(path, participant="sub-02")


def test_one_bad_table_leaves_the_others(tmp_path):
    good = table(tmp_path, "frebaq", ["participant_id", *FREBAQ], ["sub-01", *[1] * 9])
    bad = table(tmp_path, "tsk17", ["participant_id", "tsk17_total"], ["sub-01", "high"])
    other = table(tmp_path, "hads", ["participant_id", "hads_01"], ["sub-01", 1])
    sheets, problems = read_sheets([good, bad, other], participant="sub-01", session=None, settings=SETTINGS)
    assert set(sheets) == {"frebaq", "tsk17"}
    assert sheets["tsk17"] is Reason.INVALID_INPUT
    (problem,) = problems
    assert "tsk17.tsv, line 2, column tsk17_total" in problem


# --- whose rows there are ------------------------------------------------------------------------------------------


def listed(root, *known, labels=("01", "02")):
    rows = index_phenotype(
        root, known=[{"sub": label, **({"ses": ses} if ses else {})} for label, ses in known], labels=labels
    )
    return {(Path(row["path"]).stem, row["sub"], row.get("ses"), row["exists"]) for row in rows}


def test_rows_are_listed_by_person_and_session(tmp_path):
    table(
        tmp_path,
        "tsk17",
        ["participant_id", "session_id", "tsk17_total"],
        ["sub-01", "ses-a", 30],
        ["01", "ses-b", 31],
        ["sub-09", "a", 3],
    )
    table(tmp_path, "pcs", ["participant_id", "pcs_total"], ["sub-01", 3])
    table(tmp_path, "hads", ["participant_id"], ["sub-01"])
    assert listed(tmp_path, ("01", "a"), ("02", None)) == {
        ("tsk17", "01", "a", True),
        ("tsk17", "01", "b", True),
        ("pcs", "01", None, True),
    }


def test_who_has_no_sessions_elsewhere_has_none_here(tmp_path):
    table(
        tmp_path,
        "tsk17",
        ["participant_id", "session_id", "tsk17_total"],
        ["sub-01", "ses-a", 30],
        ["sub-01", "ses-b", 31],
    )
    assert listed(tmp_path, ("01", None)) == {("tsk17", "01", None, True)}


def test_a_broken_or_dangling_table_is_listed_for_everybody(tmp_path):
    table(tmp_path, "odi", ["who"], ["sub-01"])
    (tmp_path / "phenotype" / "csi.tsv").symlink_to(tmp_path / "annex")
    everybody = {("odi", label, None, True) for label in ("01", "02")} | {
        ("csi", label, None, False) for label in ("01", "02")
    }
    assert listed(tmp_path, ("01", None)) == everybody


def test_a_changed_table_is_seen(tmp_path):
    assert phenotype_state(tmp_path) == []
    path = table(tmp_path, "pcs", ["participant_id", "pcs_total"], ["sub-01", 3])
    before = phenotype_state(tmp_path)
    path.write_text(path.read_text() + "sub-02\t4\n")
    assert phenotype_state(tmp_path) != before


# --- real tables ---------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_phenotype_tables_of_another_study_are_read_and_left_alone(real_data, tmp_path):
    with tarfile.open(real_data("trees_dev") / "bids-examples_pheno004.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "pheno004"
    found = read_phenotype(root / "phenotype" / "ace.tsv")
    assert list(found["participant_id"])[:2] == ["sub-01", "sub-03"]
    assert index_phenotype(root, known=[], labels=["01", "03"]) == [], "none of these tools is ours"
