"""Spreadsheets to BIDS tables: what is understood, what is refused with its place, and that nothing half is left."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lbpneuro import cli
from lbpneuro.errors import ConfigError, InputError
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.import_table import preview, read_mapping, understand, write_understood
from lbpneuro.io.mapping_draft import Draft, draft_mapping, write_draft
from lbpneuro.io.psychophysics import read_trials
from lbpneuro.io.spreadsheet import read_spreadsheet, same_number

WIDE = """Code;Visit;Age;Sex;PPT_lumbar_L_1;PPT_lumbar_L_2;PPT_tibialis_R_1;Tampa;Notes
P-7;1;41;1;250,5;260;410;39;x
P-7;2;41;1;300;-99;455;35;
P-12;1;38;2;198,25;201;n/a;44;late
"""
MAPPING = {
    "decimal": ",",
    "missing": [-99],
    "participant": {"column": "Code", "remove": "P-", "pad": 3},
    "session": {"column": "Visit", "values": {1: "baseline", 2: "week18"}},
    "participants": {"columns": {"Age": "age", "Sex": "sex"}, "values": {"sex": {1: "M", 2: "F"}}},
    "phenotype": [{"tool": "tsk17", "columns": {"Tampa": "tsk17_total"}}],
    "trials": [
        {
            "task": "ppt",
            "pattern": "PPT_(?P<site>[a-z]+)_(?P<side>[LR])_(?P<trial>[0-9])",
            "constants": {"unit": "kPa"},
            "sidecar": {"DeviceMaximum": 600},
        }
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tests.csv"
    path.write_text(WIDE, encoding="utf-8")
    return path


def made(understood, path: str) -> pd.DataFrame:
    return next(each.table for each in understood.tables if each.path == path)


def test_wide_spreadsheet(file: Path) -> None:
    found = understand(file, MAPPING)
    assert (found.rows, found.people, found.unused) == (3, 2, ["Notes"])
    paths = [each.path for each in found.tables]
    assert paths == [
        "sub-007/ses-baseline/beh/sub-007_ses-baseline_task-ppt_beh.tsv",
        "sub-007/ses-week18/beh/sub-007_ses-week18_task-ppt_beh.tsv",
        "sub-012/ses-baseline/beh/sub-012_ses-baseline_task-ppt_beh.tsv",
        "phenotype/tsk17.tsv",
        "participants.tsv",
    ]
    first = made(found, paths[0])
    assert first["value"].tolist() == ["250.5", "260", "410"]
    assert first[["site", "side", "trial"]].iloc[2].tolist() == ["tibialis", "R", "1"]
    assert made(found, paths[1])["trial"].tolist() == ["1", "1"], "-99 is no trial"
    assert made(found, "phenotype/tsk17.tsv").to_numpy().tolist() == [
        ["sub-007", "ses-baseline", "39"],
        ["sub-007", "ses-week18", "35"],
        ["sub-012", "ses-baseline", "44"],
    ]
    assert made(found, "participants.tsv").to_numpy().tolist() == [["sub-007", "41", "M"], ["sub-012", "38", "F"]]


def test_what_is_written_is_what_the_readers_read(file: Path, tmp_path: Path) -> None:
    write_understood(understand(file, MAPPING), tmp_path / "study")
    table = tmp_path / "study" / "sub-012" / "ses-baseline" / "beh" / "sub-012_ses-baseline_task-ppt_beh.tsv"
    trials = read_trials(table)
    assert trials.table["value"].tolist() == [198.25, 201]
    assert trials.table["tolerance_max"].tolist() == [600, 600]
    assert read_json(table.with_suffix(".json"))["Sources"] == ["tests.csv"]
    assert read_json(tmp_path / "study" / "dataset_description.json")["DatasetType"] == "raw"
    assert not list((tmp_path / "study").glob(".import_*"))


def test_a_workbook_gives_the_same(file: Path, tmp_path: Path) -> None:
    sheet = read_spreadsheet(file, MAPPING).table
    numbers = sheet.apply(lambda column: pd.to_numeric(column.str.replace(",", "."), errors="coerce"))
    mixed = numbers.where(numbers.notna(), sheet)
    book = tmp_path / "tests.xlsx"
    with pd.ExcelWriter(book, engine="openpyxl") as writer:
        pd.DataFrame({"a": [1]}).to_excel(writer, sheet_name="about", index=False)
        mixed.to_excel(writer, sheet_name="data", index=False, startrow=2)
    found = understand(book, {**MAPPING, "sheet": "data", "header_row": 3})
    expected = understand(file, MAPPING)
    assert [each.path for each in found.tables] == [each.path for each in expected.tables]
    for one, other in zip(found.tables, expected.tables, strict=True):
        pd.testing.assert_frame_equal(one.table, other.table)
    with pytest.raises(InputError, match="no sheet 'Data', but about, data"):
        understand(book, {**MAPPING, "sheet": "Data"})
    with pytest.raises(InputError, match="expected a workbook"):
        understand(book, {**MAPPING, "sheet": 7})


def test_one_row_per_trial(tmp_path: Path) -> None:
    path = tmp_path / "long.tsv"
    path.write_text("who\tnr\tOrt\tSeite\tSchwelle\n1\t1\tRücken\tli\t240\n1\t2\tRücken\tli\t250\n2\t1\tRücken\tre\t\n")
    entry = {
        "task": "ppt",
        "fields": {"trial": "nr", "site": "Ort", "side": "Seite", "value": "Schwelle"},
        "values": {"site": {"Rücken": "lumbar"}, "side": {"li": "L", "re": "R"}},
        "constants": {"unit": "kPa"},
    }
    found = understand(path, {"participant": {"column": "who", "pad": 2}, "trials": [entry]})
    assert [each.path for each in found.tables][:2] == [
        "sub-01/beh/sub-01_task-ppt_beh.tsv",
        "sub-02/beh/sub-02_task-ppt_beh.tsv",
    ]
    assert found.tables[0].table[["site", "side", "trial", "value"]].to_numpy().tolist() == [
        ["lumbar", "L", "1", "240"],
        ["lumbar", "L", "2", "250"],
    ]


def test_several_columns_of_one_trial_share_a_row(tmp_path: Path) -> None:
    path = tmp_path / "tsp.csv"
    path.write_text("id,T1r1,T1r2,T1r3\nA,20,30,45\n")
    columns = {
        f"T1r{number}": {"site": "forearm", "modality": "pinprick_256mN", "trial": 1, "field": f"r{number}"}
        for number in (1, 2, 3)
    }
    entry = {"task": "tsp", "columns": columns, "sidecar": {"RatingScaleMaximum": 100, "InterStimulusInterval": 1.0}}
    found = understand(path, {"participant": {"column": "id"}, "trials": [entry]})
    table = found.tables[0].table
    assert len(table) == 1
    assert table[["r1", "r2", "r3"]].iloc[0].tolist() == ["20", "30", "45"]


def test_sessions_in_columns_and_people_by_row(tmp_path: Path) -> None:
    path = tmp_path / "pain.csv"
    path.write_text("before,after\n6,4\n7,\n")
    entries = [
        {"tool": "nrs", "columns": {"before": "nrs_now"}, "session": {"constant": "pre"}},
        {"tool": "nrs", "columns": {"after": "nrs_now"}, "session": {"constant": "post"}},
    ]
    found = understand(path, {"participant": {"row_number": True, "pad": 2}, "phenotype": entries})
    assert made(found, "phenotype/nrs.tsv").to_numpy().tolist() == [
        ["sub-01", "ses-post", "4"],
        ["sub-01", "ses-pre", "6"],
        ["sub-02", "ses-pre", "7"],
    ]


def test_the_preview_says_what_was_understood(file: Path) -> None:
    said = preview(understand(file, {**MAPPING, "ignore": []}))
    assert "3 rows, 2 people" in said
    assert "PPT_lumbar_L_1    ->  ppt: value of site lumbar, side L, trial 1" in said
    assert "Tampa             ->  tsk17: tsk17_total" in said
    assert "NOT USED: Notes" in said
    assert "and 2 more: 7 rows" in said
    assert "DeviceMaximum 600" in said
    assert "NOT USED: none" in preview(understand(file, {**MAPPING, "ignore": ["Notes"]}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("250,5", "250.5", r"row 2, column 'PPT_lumbar_L_1': expected a number, found '250\.5'\. Set `decimal: '\.'"),
        ("260", "hoch", "row 2, column 'PPT_lumbar_L_2': expected a number, found 'hoch'"),
        ("P-12;1;38;2", "P-12;3;38;2", "row 4, column 'Visit': '3' is not among the values"),
        ("P-7;2", "P-7;1", "rows 2, 3: sub-007 ses-baseline has 2 rows with task ppt"),
        ("P-12;1", ";1", "row 4, column 'Code': nobody is named"),
        ("P-12;1", "P-12;", "row 4, column 'Visit': the session is empty"),
        ("P-7;2;41", "P-7;2;42", "rows 2, 3, column 'Age': sub-007 has several values"),
        ("P-12", "P7", r"'P-7' \(row 2\), 'P7' \(row 4\) all become sub-007"),
        ("455;35", "455;99", "row 3, tsk17_total: expected 17 to 68, found 99"),
        ("410;39", "-410;39", "task ppt of sub-007 ses-baseline: line 4, column value"),
        ("Code;", "Kode;", "no column 'Code'. Did you mean Kode"),
        ("Notes", "Tampa", "the column 'Tampa' is there twice"),
        ("Notes", "", "column 9 has cells but no name"),
        ("198,25", "198;25", "row 4: 10 cells where the header has 9"),
    ],
)
def test_a_wrong_cell_is_named_with_row_and_column(file: Path, old: str, new: str, said: str) -> None:
    assert old in WIDE
    file.write_text(WIDE.replace(old, new, 1), encoding="utf-8")
    mapping = {**MAPPING, "participant": {"column": "Code", "remove": "P", "pad": 3}} if new == "P7" else MAPPING
    with pytest.raises(InputError, match=said) as caught:
        understand(file, mapping)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trials": [{**MAPPING["trials"][0], "pattern": "CPT_.*"}]}, "no column matches 'CPT_"),
        ({"trials": [{**MAPPING["trials"][0], "pattern": "PPT_("}]}, "no regular expression"),
        ({"trials": [{**MAPPING["trials"][0], "constants": {"units": "kPa"}}]}, "there is no column 'units'"),
        ({"trials": [{**MAPPING["trials"][0], "constants": {"unit": "psi"}}]}, "psi"),
        ({"trials": [{"task": "ppt", "columns": {"Tampa": {"site": "x", "trial": 1}}}]}, "the unit is absent"),
        (
            {"trials": [{**MAPPING["trials"][0], "values": {"site": {"lumbar": "back"}}}]},
            "site 'tibialis' of column 'PPT_tibialis_R_1' is not among its values",
        ),
        (
            {
                "trials": [
                    {
                        "task": "ppt",
                        "columns": {name: {"site": "x", "trial": 1} for name in ("PPT_lumbar_L_1", "PPT_lumbar_L_2")},
                    }
                ]
            },
            "is the same trial as another one",
        ),
        (
            {"trials": [MAPPING["trials"][0], {**MAPPING["trials"][0], "sidecar": {"DeviceMaximum": 900}}]},
            "given twice with different values",
        ),
        ({"phenotype": [{"tool": "tsk17", "columns": {"Tampa": "tsk17_sum"}}]}, "there is no column 'tsk17_sum'"),
        ({"phenotype": [MAPPING["phenotype"][0]] * 2}, "has two rows of tsk17"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(file: Path, change: dict, said: str) -> None:
    with pytest.raises((InputError, ConfigError), match=said):
        understand(file, MAPPING | change)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trial: []", "there is no key 'trial'. Did you mean trials? Allowed: sheet"),
        (
            "participant: {column: Code, row_number: true}",
            "participant: give one of column, row_number; found column and",
        ),
        (
            "phenotype: {tsk17: {Tampa: tsk17_total}}",
            "phenotype: expected a list, found keys with their values ({'tsk17'",
        ),
        ("phenotype: tsk17", "For example: phenotype: [{tool: tsk17, columns: {Tampa: tsk17_total}}]"),
        ("phenotype: [{tool: tsk17}]", "phenotype, entry 1: columns is absent."),
        ("phenotype: [{tool: pcs, columns: [PCS]}]", "phenotype, entry 1, columns: expected keys with their values"),
        ("phenotype: []", "phenotype: expected at least 1, found 0."),
        ("phenotype: [{tool: TSK, columns: {a: b}}]", "does not match"),
        ("trials: [{task: ppx, pattern: x}]", "trials, entry 1, task: expected one of ppt, cpt,"),
        ("session: Visit", "session: expected keys with their values, found text (Visit). Session of a row"),
        ("missing:", "missing: expected a list, found nothing."),
        ("session: [", "expected a YAML file"),
    ],
)
def test_a_mapping_of_another_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(f"participant: {{column: Code}}\n{text}\n" if "participant" not in text else text)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        read_mapping(path)
    assert str(caught.value).startswith(str(path))


def test_a_mapping_without_people_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("decimal: ','\n")
    with pytest.raises(
        ConfigError, match=r"map.yaml: participant is absent. For example: participant: \{column: Code\}"
    ):
        read_mapping(path)


def test_other_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_spreadsheet(tmp_path / "none.csv", {})
    for name, content, said in (
        ("a.ods", b"x", "save the sheet as one of these"),
        ("a.csv", b"", "no row 1 for the header"),
        ("a.csv", b"id\n", "no row below the header"),
        ("a.csv", "id,ä\n1,2\n".encode("latin-1"), "name its encoding"),
        ("a.xlsx", b"no zip", "expected a workbook"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_spreadsheet(tmp_path / name, {})
    assert list(read_spreadsheet(_latin(tmp_path), {"encoding": "latin-1"}).table) == ["id", "ä"]


def _latin(folder: Path) -> Path:
    path = folder / "latin.csv"
    path.write_bytes("id,ä\n1,2\n".encode("latin-1"))
    return path


def test_rows_are_counted_as_a_person_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text('About this table\n\nid,x\n1,2\n,\n"3",4\n')
    table = read_spreadsheet(path, {"header_row": 3}).table
    assert table.index.tolist() == [4, 6]
    assert table["x"].tolist() == ["2", "4"]


def test_one_spelling_for_one_number() -> None:
    assert [same_number(text) for text in ("1", "1.0", "1,0", "+1.")] == ["1"] * 4
    assert same_number("1e3") == "1e3"


def test_nothing_is_overwritten_and_nothing_half_written(file: Path, tmp_path: Path, monkeypatch) -> None:
    study = tmp_path / "study"
    write_understood(understand(file, MAPPING), study)
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="is there already and is not overwritten"):
        write_understood(understand(file, MAPPING), study)
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before
    tools = {"participant": MAPPING["participant"], "session": MAPPING["session"], "decimal": ","}
    more = {**tools, "phenotype": [{"tool": "fear", "columns": {"Tampa": "fear_total"}}]}
    written = write_understood(understand(file, more), study)
    assert [path.name for path in written] == ["fear.json", "fear.tsv"], "participants.tsv has nothing new, and stays"

    def broken(*_args, **_options):
        raise InputError("the disk")

    monkeypatch.setattr("lbpneuro.io.import_table.write_json", broken)
    with pytest.raises(InputError, match="the disk"):
        write_understood(understand(file, MAPPING), tmp_path / "other")
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    from lbpneuro.errors import OutputError

    with pytest.raises(OutputError, match="cannot be written to"):
        write_understood(understand(file, MAPPING), tmp_path / "locked")


def drafted(folder: Path, text: str) -> Draft:
    path = folder / "sheet.csv"
    path.write_text(text, encoding="utf-8")
    return draft_mapping(read_spreadsheet(path, {}))


def columns_of(draft: Draft) -> dict[tuple[str, str], dict[str, str]]:
    """The guessed columns by tool and session."""
    entries = draft.mapping.get("phenotype", [])
    return {(entry["tool"], entry.get("session", {}).get("constant", "")): entry["columns"] for entry in entries}


def test_a_draft_guesses_from_the_header(tmp_path: Path) -> None:
    items = ",".join(f"RMDQ_{number}" for number in range(1, 25))
    header = f"ID,Visit,Age,Gender,{items},pcs_total,PPT_lumbar_left_2_kPa,NRS_now,haircolour"
    draft = drafted(tmp_path, f"{header}\n7,1,40,f" + ",1" * 28).mapping
    assert draft["participant"] == {"column": "ID", "pad": 2}
    assert draft["participants"] == {"columns": {"Age": "age", "Gender": "sex"}, "values": {"sex": {"f": "F"}}}
    tools = {entry["tool"]: entry["columns"] for entry in draft["phenotype"]}
    assert tools["rmdq"]["RMDQ_3"] == "rmdq_03"
    assert tools["pcs"] == {"pcs_total": "pcs_total"}
    assert tools["nrs"] == {"NRS_now": "nrs_now"}
    trial = {"site": "lumbar", "side": "L", "trial": 2}
    columns = {"PPT_lumbar_left_2_kPa": trial}
    assert draft["trials"] == [{"task": "ppt", "columns": columns, "constants": {"unit": "kPa"}}]
    assert draft["ignore"] == ["Visit", "haircolour"], "one row per person: nothing says that there are sessions"


@pytest.mark.parametrize(
    ("heading", "cell", "tool", "column"),
    [
        ("Tampascale", "39.0", "tsk17", "tsk17_total"),
        ("TSK-17", "40", "tsk17", "tsk17_total"),
        ("TSK", "15", "tsk11", "tsk11_total"),
        ("Pain", "7", "nrs", "nrs_now"),
        ("VAS", "3", "nrs", "nrs_now"),
        ("Schmerzstärke", "3", "nrs", "nrs_now"),
        ("worst pain", "9", "nrs", "nrs_7d_worst"),
        ("NRS 24h average", "4", "nrs", "nrs_24h_average"),
        ("Oswestry", "38.5", "odi", "odi_total"),
        ("ODI (%)", "38", "odi", "odi_total"),
        ("Roland-Morris sum", "12", "rmdq", "rmdq_total"),
        ("PCS", "51", "pcs", "pcs_total"),
        ("pcs_catastrophizing", "30", "pcs", "pcs_total"),
        ("Helplessness", "24", "pcs", "pcs_helplessness"),
        ("painDETECT score", "-1", "paindetect", "paindetect_total"),
        ("CSI_total", "41", "csi", "csi_total"),
        ("Fremantle", "12", "frebaq", "frebaq_total"),
    ],
)
def test_a_draft_knows_the_usual_headings(tmp_path: Path, heading: str, cell: str, tool: str, column: str) -> None:
    assert columns_of(drafted(tmp_path, f"ID,{heading}\nA,{cell}\n")) == {(tool, ""): {heading: column}}


@pytest.mark.parametrize(
    ("heading", "cell", "said"),
    [
        ("VAS", "64", r"VAS looks like Pain, .* but has '64' in row 2, and 0 to 10 is allowed"),
        ("pcs_rumination", "115", "'115' in row 2, and 0 to 16 is allowed"),
        ("Oswestry", "high", "Oswestry looks like .* but has 'high'"),
        ("CPT", "11.2", r"CPT may be task cpt: say where, `trials: \[\{task: cpt, columns: \{CPT: \{site: hand"),
    ],
)
def test_a_draft_leaves_out_what_the_cells_contradict_and_says_so(
    tmp_path: Path, heading: str, cell: str, said: str
) -> None:
    draft = drafted(tmp_path, f"ID,{heading}\nA,{cell}\n")
    assert draft.mapping["ignore"] == [heading]
    assert re.search(said, "\n".join(draft.notes))


def test_a_draft_takes_items_where_all_are_there(tmp_path: Path) -> None:
    eleven = [f"TSK{number}" for number in range(1, 12)]
    draft = drafted(tmp_path, f"ID,{','.join(eleven)}\nA{',2' * 11}\n")
    assert columns_of(draft)["tsk11", ""]["TSK11"] == "tsk11_11"
    assert not draft.notes
    nine = [f"Oswestry_{number}" for number in range(1, 10)]
    draft = drafted(tmp_path, f"ID,{','.join(nine)}\nA{',2' * 9}\n")
    assert draft.mapping["ignore"] == nine
    assert "Oswestry Disability Index: 10 of its items have no column" in draft.notes[0]
    pictures = [*(f"PDQ_{number}" for number in range(1, 8)), "PDQ_course", "PDQ_radiation", "PDQ_total"]
    found = columns_of(drafted(tmp_path, f"ID,{','.join(pictures)}\nA{',1' * 9},7\n"))["paindetect", ""]
    assert (found["PDQ_course"], found["PDQ_total"]) == ("paindetect_course", "paindetect_total")
    wrong = drafted(tmp_path, f"ID,{','.join(eleven)}\nA{',2' * 10},7\n")
    assert "TSK11 looks like" in wrong.notes[0]
    assert "'7' in row 2, and 1 to 4 is allowed" in wrong.notes[0]


def test_a_draft_sees_sessions_in_names_and_in_rows(tmp_path: Path) -> None:
    draft = drafted(tmp_path, "ID,ODI_pre,ODI_12w,PPT_lumbar_L_1_t0,Alter\nA,30,20,250,40\n")
    assert columns_of(draft) == {("odi", "pre"): {"ODI_pre": "odi_total"}, ("odi", "12w"): {"ODI_12w": "odi_total"}}
    assert draft.mapping["trials"][0]["session"] == {"constant": "t0"}
    assert draft.mapping["trials"][0]["columns"]["PPT_lumbar_L_1_t0"] == {"site": "lumbar", "side": "L", "trial": 1}
    rows = drafted(tmp_path, "patnr,Time,Wave,ODI\n1.0,7,1,30\n1.0,7,2,20\n2.0,9,1,10\n")
    assert rows.mapping["participant"] == {"column": "patnr", "pad": 2}
    assert rows.mapping["session"] == {"column": "Wave"}, "a column that does not tell the rows apart is no session"
    untold = drafted(tmp_path, "patnr,Time,ODI\n1,7,30\n1,7,20\n2,9,10\n")
    assert "session" not in untold.mapping
    assert "patnr names 2 people in 3 rows" in untold.notes[0]


def test_a_draft_sees_decimal_commas_and_codes_for_missing(tmp_path: Path) -> None:
    draft = drafted(tmp_path, "Code;Age;ODI;PPT_hand_1\nA;-99;30,5;-999\nB;40;-99;250\n")
    assert draft.mapping["decimal"] == ","
    assert draft.mapping["missing"] == [-999, -99]
    assert columns_of(draft) == {("odi", ""): {"ODI": "odi_total"}}
    assert "ppt: no unit is told" in draft.notes[0]


def test_a_draft_asks_what_codes_of_the_sex_mean(tmp_path: Path) -> None:
    assert "Gender holds 1, 2: say what they mean" in drafted(tmp_path, "ID,Gender\nA,2\nB,1\n").notes[0]


def test_a_draft_can_be_read_again_and_is_not_overwritten(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    assert "tests guessed: ppt" in write_draft(file, path, {})
    mapping = read_mapping(path)
    mapping["trials"][0]["constants"] = {"unit": "kPa"}
    assert understand(file, {**mapping, "decimal": ",", "missing": [-99]}).people == 2
    with pytest.raises(InputError, match="not overwritten"):
        write_draft(file, path, {})
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("pain\n3\n")
    assert draft_mapping(read_spreadsheet(nameless, {})).mapping["participant"] == {"row_number": True}


def test_the_command(file: Path, tmp_path: Path, capsys) -> None:
    mapping = tmp_path / "map.yaml"
    mapping.write_text(yaml.safe_dump(MAPPING, allow_unicode=True))
    where = ["--mapping", str(mapping), "--out", str(tmp_path / "study")]
    assert cli.main(["import-table", str(file), *where, "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "study").exists()
    assert cli.main(["import-table", str(file), *where]) == 0
    assert "11 files written" in capsys.readouterr().out
    assert cli.main(["import-table", str(file), *where]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert cli.main(["import-table", str(file), "--write-mapping", str(tmp_path / "draft.yaml")]) == 0
    with pytest.raises(SystemExit):
        cli.main(["import-table", str(file), "--mapping", str(mapping)])


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "wanted", "note"),
    [
        ("lbp_tables/lbp_orig.csv", ["nrs_now", "tsk17_total"], "Gender holds 0, 1"),
        ("rpn_bochum/bochum_sample.csv", ["pcs_total"], "pcs_rumination looks like"),
    ],
)
def test_drafts_of_real_tables_pass_as_they_are(
    real_data, tmp_path: Path, file: str, wanted: list[str], note: str
) -> None:
    folder, name = file.split("/")
    path, mapping = real_data(folder) / name, tmp_path / "draft.yaml"
    assert note in write_draft(path, mapping, {})
    found = understand(path, read_mapping(mapping))
    columns = {column for each in found.tables for column in each.sources.values()}
    assert {f"{column.split('_')[0]}: {column}" for column in wanted} <= columns


@pytest.mark.real
def test_real_patients_imported_and_compared(real_data, tmp_path: Path) -> None:
    file = real_data("lbp_tables") / "lbp_orig.csv"
    mapping = {
        "participant": {"row_number": True},
        "participants": {
            "columns": {"Chronic": "group", "Age": "age"},
            "values": {"group": {0: "recovered", 1: "chronic"}},
        },
        "phenotype": [
            {"tool": "nrs", "columns": {"Pain": "nrs_now"}},
            {"tool": "tsk17", "columns": {"Tampascale": "tsk17_total"}},
        ],
    }
    study = tmp_path / "study"
    write_understood(understand(file, mapping), study)
    raw = pd.read_csv(file)
    assert read_tsv(study / "phenotype" / "tsk17.tsv")["tsk17_total"].tolist() == raw["Tampascale"].dropna().tolist()
    options = ["--by", "group", "--reference", "recovered", "--outcome", "tsk17.tsk17_total", "nrs.nrs_now"]
    assert cli.main(["compare", str(study), *options]) == 0
    found = read_tsv(study / "compare_group.tsv").set_index(["outcome", "group", "estimator"])["value"]
    for outcome, column in (("tsk17.tsk17_total", "Tampascale"), ("nrs.nrs_now", "Pain")):
        means = raw.groupby("Chronic")[column].mean()
        assert found[(outcome, "chronic", "difference")] == pytest.approx(means[1.0] - means[0.0])


@pytest.mark.real
def test_real_cold_pain_thresholds_of_two_days(real_data, tmp_path: Path) -> None:
    file = real_data("rpn_bochum") / "bochum_sample.csv"
    trial = {"site": "forearm", "side": "L", "trial": 1}
    days = {"day1": "CPT", "day2": "CPTd2"}
    entries = [
        {"task": "cpt", "session": {"constant": day}, "columns": {column: trial}, "sidecar": {"CutOff": 0}}
        for day, column in days.items()
    ]
    mapping = {"participant": {"column": "ID", "pad": 3}, "trials": entries}
    found = understand(file, mapping)
    write_understood(found, tmp_path)
    raw = pd.read_csv(file)
    values = [read_trials(path).table["value"].iloc[0] for path in sorted(tmp_path.rglob("*day2_task-cpt_beh.tsv"))]
    expected = raw.sort_values("ID")["CPTd2"].dropna().tolist()
    assert values == pytest.approx(expected)
    assert len(found.unused) > 40
    wrong = {"tool": "pcs", "columns": {"pcs_rumination": "pcs_rumination"}}
    with pytest.raises(InputError, match="row 2, pcs_rumination: expected 0 to 16, found 115"):
        understand(file, {"participant": {"column": "ID"}, "phenotype": [wrong]})
    assert np.isfinite(values).all()
