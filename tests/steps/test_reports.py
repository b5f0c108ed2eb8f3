"""The report steps as the workflow runs them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.steps import group_report, participant_report
from tests.report.study import make_study

LIMIT = 5_000_000


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("reports"), participants=3)


def run(step, out, *options, seed="0"):
    command = [sys.executable, "-m", "lbpneuro", step, *map(str, options), "--config", str(out.parent / "config.json")]
    return subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("step", ["participant-report", "group-report"])
def test_bytes_do_not_depend_on_the_process(out, step):
    digests = set()
    for seed in ("1", "2"):
        page = out / f"{step}-{seed}.html"
        tables = [out / "sub-01" / "sub-01_markers.tsv"] if step == "participant-report" else [out / "markers_long.tsv"]
        who = ["--participant", "sub-01"] if step == "participant-report" else []
        ran = run(step, out, "--in", *tables, "--out", page, *who, seed=seed)
        assert page.name in ran.stderr
        digests.add(hashlib.sha256(page.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_family_tables_serve_as_well_as_the_joined_one(out):
    config = ["--config", str(out.parent / "config.json"), "--participant", "sub-02"]
    joined, apart = out / "joined.html", out / "apart.html"
    participant_report.main(["--in", str(out / "sub-02" / "sub-02_markers.tsv"), "--out", str(joined), *config])
    tables = sorted(map(str, (out / "sub-02").glob("*/*_markers.tsv")))
    participant_report.main(["--in", *tables, "--out", str(apart), *config])
    assert joined.read_bytes() == apart.read_bytes()


def test_group_report_without_its_table_says_so(out, tmp_path):
    with pytest.raises(InputError, match=r"expected markers_long\.tsv among the files, got none"):
        group_report.main(["--in", "--out", str(tmp_path / "g.html"), "--config", str(out.parent / "config.json")])


def test_unknown_marker_is_named_with_its_row(out, tmp_path):
    table = read_tsv(out / "sub-01" / "sub-01_markers.tsv", dtype={"participant_id": str})
    table.loc[4, "marker"] = "head_size"
    path = tmp_path / "sub-01_markers.tsv"
    write_tsv(path, table)
    options = ["--out", str(tmp_path / "p.html"), "--config", str(out.parent / "config.json")]
    with pytest.raises(InputError, match=r"sub-01_markers\.tsv, row 6: unknown marker 'head_size'"):
        participant_report.main(["--in", str(path), *options, "--participant", "sub-01"])


@pytest.mark.slow
def test_page_of_a_large_study_stays_small(out, tmp_path):
    import pandas as pd

    table = read_tsv(out / "markers_long.tsv", dtype={"participant_id": str, "session_id": str})
    copies = [table.assign(participant_id=table["participant_id"] + f"x{number}") for number in range(200)]
    write_tsv(tmp_path / "markers_long.tsv", pd.concat(copies))
    page = tmp_path / "group.html"
    files = ["--in", str(tmp_path / "markers_long.tsv"), "--out", str(page)]
    assert group_report.main([*files, "--config", str(out.parent / "config.json")]) == 0
    assert page.stat().st_size < LIMIT
    assert "too large for one page" in page.read_text(encoding="utf-8")
