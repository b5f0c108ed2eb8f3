"""Marker tables: every marker, person and session has a row; long and wide say the same."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lbpneuro
from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.io import tables
from lbpneuro.io.files import write_tsv
from lbpneuro.markers.descriptor import Direction, Estimate, Marker, Tier, evaluate


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Both hold the same; an absent value may be None or NaN."""
    pd.testing.assert_frame_equal(one.astype(object).fillna("-"), other.astype(object).fillna("-"), check_dtype=False)


INDEX = ("roi", "hemi", "muscle")


def marker(name: str, **changes) -> Marker:
    described = {
        "long_name": name.title(),
        "description": "A made-up marker.",
        "unit": "mL",
        "family": "structural",
        "function": lambda data: data[name],
        "direction": Direction.LOWER,
        "tier": Tier.PRIMARY,
        "doi": "10.1000/none",
        "fact_sheet": "gray matter",
        "n_counts": "voxels",
        "version": "1",
    }
    return Marker(name=name, **{**described, **changes})


VOLUME = marker(
    "volume",
    index=("roi", "hemi"),
    levels=lambda config: [("dlpfc", hemi) for hemi in config["hemis"]],
    bounds=(0.0, 50.0),
    direction_by_level={"R": Direction.CONTESTED},
)
TOTAL = marker("total", unit="1")
MARKERS = (VOLUME, TOTAL)
CONFIG = {"hemis": ["L", "R"]}


def rows_of(participant: str, data: dict) -> list[dict]:
    return [
        row
        for each in MARKERS
        for row in tables.marker_rows(each, evaluate(each, data, CONFIG), participant=participant, session=None)
    ]


@pytest.fixture
def table() -> pd.DataFrame:
    first = {"volume": {("dlpfc", "L"): Estimate.of(10.0, se=0.5, n=7)}, "total": {(): Estimate.of(3.0, ci=(2, 5))}}
    second = {
        "volume": {("dlpfc", "R"): Estimate.of(99.0, n=3), ("dlpfc", "L"): Estimate.fail(Reason.COVERAGE_TOO_LOW)},
        "total": {(): Estimate.of(1.0, flags=[Reason.LOW_TSNR, Reason.SHORT_SCAN])},
    }
    return tables.long_table(rows_of("sub-01", first) + rows_of("sub-02", second), index_columns=INDEX)


def test_every_level_has_a_row_with_value_or_reason(table: pd.DataFrame) -> None:
    assert list(table.columns) == tables.long_columns(INDEX)
    assert table[["participant_id", "marker", "hemi"]].fillna("-").values.tolist() == [
        [participant, name, hemi]
        for participant in ("sub-01", "sub-02")
        for name, hemi in (("volume", "L"), ("volume", "R"), ("total", "-"))
    ]
    assert (table["value"].isna() <= table["reason"].notna()).all()
    assert table["status"].tolist() == ["ok", "missing", "ok", "fail", "fail", "flag"]


def test_a_value_out_of_bounds_is_emptied(table: pd.DataFrame) -> None:
    row = table[(table["participant_id"] == "sub-02") & (table["hemi"] == "R")].iloc[0]
    assert math.isnan(row["value"])
    assert row["reason"] == "out_of_bounds"
    assert row["n"] == 3


def test_reasons_stand_in_the_order_of_the_closed_list(table: pd.DataFrame) -> None:
    assert table["reason"].iloc[-1] == "short_scan;low_tsnr"


def test_the_normal_interval_unless_another_is_given(table: pd.DataFrame) -> None:
    assert table["ci_low"].iloc[0] == pytest.approx(10 - 1.959964 * 0.5)
    assert table["ci_high"].iloc[2] == 5


def test_long_and_wide_agree(table: pd.DataFrame) -> None:
    wide = tables.wide_table(table, MARKERS)
    assert list(wide.columns[:6]) == [
        "participant_id",
        "session_id",
        "volume__dlpfc__L",
        "volume__dlpfc__L__se",
        "volume__dlpfc__L__status",
        "volume__dlpfc__L__reason",
    ]
    assert len(wide) == 2
    index = {each.name: each.index for each in MARKERS}
    for row in table.to_dict("records"):
        name = tables.wide_name(row["marker"], [row[column] for column in index[row["marker"]]])
        cells = wide[wide["participant_id"] == row["participant_id"]].iloc[0]
        for part in tables.WIDE_PARTS:
            column = name if part == "value" else f"{name}__{part}"
            assert cells[column] == row[part] or (pd.isna(cells[column]) and pd.isna(row[part]))


def test_tables_come_back_from_disk(tmp_path: Path, table: pd.DataFrame) -> None:
    write_tsv(tmp_path / "markers_long.tsv", table)
    same(tables.read_long(tmp_path / "markers_long.tsv"), table)
    loaded = lbpneuro.load_markers(tmp_path)
    assert loaded["value"].dtype == np.float64
    assert isinstance(loaded["status"].dtype, pd.CategoricalDtype)


def test_parquet_holds_the_same_and_has_stable_bytes(tmp_path: Path, table: pd.DataFrame) -> None:
    for name in ("a", "b"):
        tables.write_parquet(tmp_path / f"{name}.parquet", table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    back = pd.read_parquet(tmp_path / "a.parquet")
    same(back, table)


def test_every_column_is_in_the_dictionary_and_nothing_else(table: pd.DataFrame) -> None:
    wide = tables.wide_table(table, MARKERS)
    dictionary = tables.data_dictionary(wide, MARKERS)
    assert list(dictionary) == list(wide.columns)
    assert dictionary["volume__dlpfc__L"]["Level"] == "roi dlpfc, hemi L"
    assert dictionary["volume__dlpfc__L"]["ExpectedDirection"] == "lower"
    assert dictionary["volume__dlpfc__R"]["ExpectedDirection"] == "contested"
    assert dictionary["volume__dlpfc__L__se"]["Units"] == "mL"
    long = tables.long_dictionary(MARKERS, INDEX)
    assert set(long) == set(table.columns)
    assert long["reason"]["Levels"] == [str(reason) for reason in Reason]


def test_an_unfinished_participant_has_rows_too(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "sub-01_markers.tsv"
    write_tsv(path, table[table["participant_id"] == "sub-01"])
    units = {f"sub-{n}": {"participant": f"sub-{n}", "session": None} for n in ("01", "02")}
    cohort = tables.cohort_table([path], {"units": units}, MARKERS, index_columns=INDEX, config=CONFIG)
    lost = cohort[cohort["participant_id"] == "sub-02"]
    assert len(lost) == 3
    assert set(lost["reason"]) == {"step_failed"}
    assert set(lost["status"]) == {"fail"}


def test_rows_of_families_are_joined_in_registry_order(tmp_path: Path, table: pd.DataFrame) -> None:
    """Whether they were computed, their job broke, or the dataset has no file of their family."""
    own = table[table["participant_id"] == "sub-01"]
    for name in ("total", "volume"):
        write_tsv(tmp_path / f"{name}.tsv", own[own["marker"] == name])
    files = [tmp_path / "total.tsv", tmp_path / "volume.tsv"]
    how = {"index_columns": INDEX, "config": CONFIG, "participant": "sub-01", "session": None}
    joined = tables.participant_table(files, MARKERS, **how)
    assert joined["marker"].tolist() == ["volume", "volume", "total"]
    assert joined["reason"].tolist()[2] is None or pd.isna(joined["reason"].iloc[2])
    broken = tables.participant_table(files[:1], MARKERS, **how)
    assert broken["marker"].tolist() == ["volume", "volume", "total"]
    assert broken["reason"].tolist()[:2] == ["step_failed"] * 2
    assert broken["value"].tolist()[2] == 3.0
    families = {marker.family for marker in MARKERS}
    nothing = tables.participant_table([], MARKERS, **how, without=families)
    assert nothing["reason"].tolist() == ["not_acquired"] * 3
    assert set(nothing["status"]) == {"missing"}


def test_a_table_that_is_no_marker_table_is_named(tmp_path: Path) -> None:
    write_tsv(tmp_path / "x.tsv", pd.DataFrame({"participant_id": ["sub-01"]}))
    with pytest.raises(InputError, match=r"x.tsv: expected a marker table, but the columns session_id, marker"):
        tables.read_long(tmp_path / "x.tsv")
    with pytest.raises(InputError, match="there is no marker table"):
        lbpneuro.load_markers(tmp_path)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "needs at least one reason"),
        ({"value": 1.0, "status": Status.FAIL}, "cannot have status fail"),
        ({"value": 1.0, "status": Status.FLAG}, "flagged estimate needs"),
        ({"status": Status.OK, "reasons": (Reason.NO_MAP,)}, "cannot have status ok"),
    ],
)
def test_an_estimate_cannot_contradict_itself(facts: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Estimate(**facts)
