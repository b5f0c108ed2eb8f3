"""The whole way, as a lab goes it: a study on disk, one command, tables and reports; with broken inputs in it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import lbpneuro
from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.tables import data_dictionary, wide_table
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from tests.oracles.bids import errors_of

pytestmark = pytest.mark.slow

PEOPLE = ["sub-01", "sub-02", "sub-03", "sub-04"]
TABLES = ("markers_long.tsv", "markers.tsv", "markers.json", "markers_long.json", "markers.parquet", "participants.tsv")


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run lbpneuro as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "lbpneuro", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def analyse(study: Path, out: Path, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
    fmriprep = f"fmriprep={study / 'fmriprep'}"
    rest = ("-d", fmriprep, "--nprocs", 2, "--skip-bids-validation", *options)
    return command(study / "raw", out, "participant", "group", *rest, **environment)


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Path:
    """A simulated study of four people."""
    folder = tmp_path_factory.mktemp("study")
    done = command("simulate", folder, "--participants", 4, "--seed", 3, "--nprocs", 2)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def study(intact: Path, tmp_path_factory) -> Path:
    """The study with what happens in real ones: a truncated run, an EMG recording without events, an empty folder."""
    folder = tmp_path_factory.mktemp("broken") / "study"
    shutil.copytree(intact, folder)
    (bold,) = folder.glob("fmriprep/sub-02/func/*desc-preproc_bold.nii.gz")
    bold.write_bytes(bold.read_bytes()[:-1000])
    (events,) = folder.glob("raw/sub-03/emg/*task-motormap_events.tsv")
    events.unlink()
    for part in ("raw", "fmriprep"):
        shutil.rmtree(folder / part / "sub-04")
    (folder / "raw" / "sub-04").mkdir()
    for path in folder.glob("raw/phenotype/*.tsv"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("sub-04\t")))
    return folder


@pytest.fixture(scope="module")
def out(study: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("result") / "out"
    done = analyse(study, folder)
    (folder.parent / "said.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 1, f"two participants have invalid input\n{done.stdout}\n{done.stderr}"
    return folder


@pytest.fixture(scope="module")
def table(out: Path) -> pd.DataFrame:
    return lbpneuro.load_markers(out)


def rows(table: pd.DataFrame, participant: str, family: str) -> pd.DataFrame:
    names = [marker.name for marker in MARKERS if marker.family == family]
    return table[(table["participant_id"] == participant) & table["marker"].isin(names)]


def test_every_marker_of_everybody_has_a_row(table: pd.DataFrame) -> None:
    config = resolve(read_config())
    expected = [
        (participant, marker.name, *dict(zip(marker.index, level, strict=True)).items())
        for participant in PEOPLE
        for marker in MARKERS
        for level in marker.levels(config)
    ]
    without = dict.fromkeys(INDEX_COLUMNS, "n/a")
    found = [
        (
            row["participant_id"],
            row["marker"],
            *((column, row[column]) for column in next(m.index for m in MARKERS if m.name == row["marker"])),
        )
        for row in table.astype(dict.fromkeys(INDEX_COLUMNS, object)).fillna(without).to_dict("records")
    ]
    assert found == expected


def test_every_empty_value_has_a_reason_from_the_closed_list(table: pd.DataFrame) -> None:
    empty = table[table["value"].isna()]
    assert empty["status"].isin([Status.FAIL, Status.MISSING]).all()
    assert empty["reason"].notna().all()
    reasons = {reason for cell in table["reason"].dropna() for reason in cell.split(";")}
    assert reasons <= set(map(str, Reason))


def test_every_value_has_an_uncertainty_or_is_a_quality_row(table: pd.DataFrame) -> None:
    quality = [marker.name for marker in MARKERS if marker.tier in ("quality", "covariate")]
    values = table[table["value"].notna() & ~table["marker"].isin(quality)]
    assert len(values) > 40
    assert (values["se"].notna() & (values["se"] > 0) | values["ci_low"].notna()).all()
    inside = (values["ci_low"] <= values["value"] + 1e-9) & (values["value"] <= values["ci_high"] + 1e-9)
    assert inside.all(), values[~inside]


def test_bounds_of_the_descriptors_hold(table: pd.DataFrame) -> None:
    for marker in MARKERS:
        values = table.loc[table["marker"] == marker.name, "value"].dropna()
        assert values.between(*marker.bounds).all(), marker.name


def test_a_truncated_run_fails_its_family_only(table: pd.DataFrame, out: Path) -> None:
    assert set(rows(table, "sub-02", "functional")["reason"]) == {"invalid_input"}
    for family in ("structural", "tms", "plasticity"):
        assert rows(table, "sub-02", family)["value"].notna().any(), family
    message = json.loads((out / "sub-02/func/sub-02_desc-functional_markers.json").read_text())["Error"]["message"]
    assert "desc-preproc_bold.nii.gz" in message


def test_an_emg_recording_without_events_fails_its_family_only(table: pd.DataFrame) -> None:
    assert set(rows(table, "sub-03", "tms")["reason"]) == {"file_missing"}
    assert set(rows(table, "sub-03", "tms")["status"]) == {"fail"}
    assert rows(table, "sub-03", "plasticity")["value"].notna().any()
    assert rows(table, "sub-03", "functional")["value"].notna().any()


def test_a_participant_without_data_is_missing(table: pd.DataFrame) -> None:
    nobody = table[table["participant_id"] == "sub-04"]
    assert set(nobody["status"]) == {"missing"}
    assert set(nobody["reason"]) == {"not_acquired"}


def test_long_wide_and_parquet_say_the_same(out: Path) -> None:
    from lbpneuro.io.tables import read_long

    long = read_long(out / "markers_long.tsv")
    wide = wide_table(long, MARKERS)
    on_disk = pd.read_csv(out / "markers.tsv", sep="\t", na_values=["n/a"], keep_default_na=False)
    assert list(on_disk.columns) == list(wide.columns)
    assert json.loads((out / "markers.json").read_text()) == data_dictionary(wide, MARKERS)
    parquet = pd.read_parquet(out / "markers.parquet")
    assert list(parquet.columns) == list(long.columns)
    assert set(json.loads((out / "markers_long.json").read_text())) == set(long.columns)
    pd.testing.assert_series_equal(parquet["value"], long["value"])


def test_the_participants_table_is_that_of_the_cohort(out: Path, table: pd.DataFrame) -> None:
    parts = [pd.read_csv(path, sep="\t") for path in sorted(out.glob("sub-*/sub-*_markers.tsv"))]
    assert sum(map(len, parts)) == len(table)
    for column in INDEX_COLUMNS:
        assert all(column in part for part in parts)


def test_a_second_run_does_nothing(study: Path, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for name in TABLES for path in [out / name]}
    done = analyse(study, out)
    assert done.returncode == 1
    assert "Nothing to be done" in done.stdout + done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_bytes_do_not_depend_on_cores_threads_or_hash_seed(study: Path, out: Path, tmp_path: Path) -> None:
    again = tmp_path / "out"
    analyse(study, again, "--nprocs", 1, PYTHONHASHSEED="7", OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")
    for name in [*TABLES, "group.html", "sub-01.html", "logs/CITATION.md", "logs/provenance.json"]:
        assert (again / name).read_bytes() == (out / name).read_bytes(), name


def test_nothing_half_written_is_left(out: Path) -> None:
    assert not list(out.rglob(".part*"))


def test_status_tells_who_failed_and_why(out: Path) -> None:
    done = command("status", out, "--format", "tsv")
    assert done.returncode == 1
    lines = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    state = {(line[0], line[2]): line[3] for line in lines}
    assert state["sub-02", "functional"] == "failed"
    assert state["sub-03", "tms"] == "failed"
    assert state["sub-04", "structural"] == "missing"
    assert state["sub-01", "plasticity"] in ("done", "flagged")


def test_the_validator_finds_no_error_in_the_simulated_study(intact: Path) -> None:
    assert errors_of(intact / "raw") == []


def test_the_validator_finds_no_error_in_the_output(out: Path) -> None:
    assert errors_of(out) == []


class Links(HTMLParser):
    """What a page asks of the network when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
        value = dict(attrs).get(names.get(tag, ""))
        if value and not value.startswith("data:"):
            self.requests.append(f"{tag} {value}")


@pytest.mark.parametrize("name", ["group.html", *(f"{participant}.html" for participant in PEOPLE)])
def test_pages_are_self_contained_and_say_what_they_are_not(out: Path, name: str) -> None:
    page = (out / name).read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.requests == []
    assert "diagnos" in page
    assert len(page) < 5_000_000


def test_the_methods_text_names_what_ran(out: Path) -> None:
    text = (out / "logs" / "CITATION.md").read_text(encoding="utf-8")
    for marker in MARKERS:
        assert f"`{marker.name}`" in text
    assert f"lbpneuro {lbpneuro.__version__}" in text
    assert "4 participants" in text


def test_inputs_are_named_by_bids_uri_with_a_checksum(out: Path, study: Path) -> None:
    sidecar = json.loads((out / "sub-01/func/sub-01_desc-functional_markers.json").read_text())
    (bold,) = [uri for uri in sidecar["Sources"] if uri.endswith("desc-preproc_bold.nii.gz")]
    assert bold.startswith("bids:fmriprep:sub-01/func/")
    path = study / bold.replace("bids:fmriprep:", "fmriprep/")
    with gzip.open(path) as stream:
        import zlib

        assert sidecar["Sources"][bold].startswith(f"crc32:{zlib.crc32(stream.read()):08x}")


def test_what_was_planted_is_recovered(intact: Path, tmp_path: Path) -> None:
    done = analyse(intact, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    told = command("recovery", tmp_path / "out", intact / "truth.tsv")
    assert told.returncode == 0, told.stderr
    from lbpneuro.simulate.recovery import recovery_table

    recovered = recovery_table(tmp_path / "out", intact / "truth.tsv")
    assert len(recovered) > 10
