"""Writing is whole or not at all; reading says what is wrong."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, LbpneuroError, OutputError, Reason
from lbpneuro.io import files


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.tsv"
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []


def test_an_earlier_result_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    with (
        pytest.raises(OutputError, match=r"table.tsv: cannot be written \(No space left"),
        files.atomic(path) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_really_full_device(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), files.atomic(tmp_path / "x.txt"):
        Path("/dev/full").write_text("does not fit")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"x.tsv: cannot be written"):
        files.write_text(tmp_path / "out" / "deep" / "x.tsv", "")


def test_a_second_run_on_one_output_is_refused(tmp_path: Path) -> None:
    with files.locked(tmp_path / "out"):
        with pytest.raises(InputError, match="another run writes here"), files.locked(tmp_path / "out"):
            pass
    with files.locked(tmp_path / "out"):
        pass


def test_an_output_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(InputError, match="cannot be written to"), files.locked(tmp_path / "out"):
        pass


def test_tables_come_back_as_they_were(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1.5, float("nan")], "b": ["x", None]})
    files.write_tsv(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_bytes() == b"a\tb\n1.5\tx\nn/a\tn/a\n"
    back = files.read_tsv(tmp_path / "t.tsv")
    assert len(back) == 1, "a row in which nothing is known is an empty row"


def test_windows_line_ends_and_an_empty_last_row(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"\xef\xbb\xbfparticipant_id\tage\r\nsub-01\t40\r\n\t\r\n\r\n")
    back = files.read_tsv(tmp_path / "t.tsv")
    assert list(back.columns) == ["participant_id", "age"]


@pytest.mark.parametrize("content", [b"", b"a\tb\n1\t2\t3\t4\n5\t6\n"])
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(InputError, match=r"t.tsv: expected a tab-separated table"):
        files.read_tsv(tmp_path / "t.tsv")


def test_a_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{not json")
    with pytest.raises(InputError, match=r"s.json: expected a JSON file"):
        files.read_json(tmp_path / "s.json")
    (tmp_path / "s.json").write_text("[1]")
    with pytest.raises(InputError, match="found a list"):
        files.read_json(tmp_path / "s.json")


def test_an_error_of_an_earlier_step_is_raised_again(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t_meps.tsv", "")
    files.raise_upstream_error(tmp_path / "t_meps.tsv")
    error = {"reason": "too_few_trials", "message": "only 3 pulses"}
    files.write_json(tmp_path / "t_meps.json", {"Error": error})
    with pytest.raises(LbpneuroError, match="only 3 pulses") as caught:
        files.raise_upstream_error(tmp_path / "t_meps.tsv")
    assert caught.value.reason is Reason.TOO_FEW_TRIALS


def test_a_packed_image_is_read_by_everyone_and_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    values = np.random.default_rng(3).standard_normal((11, 7, 5)).astype(np.float32)
    image = nib.Nifti1Image(values, np.eye(4))
    for name in ("one.nii.gz", "two.nii.gz"):
        files.write_nifti(tmp_path / name, image)
    content = (tmp_path / "one.nii.gz").read_bytes()
    assert content == (tmp_path / "two.nii.gz").read_bytes()
    assert content[3:8] == bytes(5)  # no file name, no time
    assert gzip.decompress(content) == image.to_bytes()
    assert np.array_equal(nib.load(tmp_path / "one.nii.gz").get_fdata(), values)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_tables_of_numbers_are_written_as_pandas_writes_them(tmp_path: Path, kind: type) -> None:
    values = np.random.default_rng(4).standard_normal((40, 6)) * 10.0 ** np.arange(-8, 10, 3)
    values[3, 1], values[5] = np.nan, np.nan
    values[7, :4] = np.inf, -np.inf, -0.0, 1e300
    with np.errstate(over="ignore"):
        table = pd.DataFrame(values.astype(kind), columns=["a", "nan", 'quoted "name"', "tab\tin it", "e", "1"])
    files.write_tsv(tmp_path / "numbers.tsv", table)
    expected = table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.10g", lineterminator="\n")
    assert (tmp_path / "numbers.tsv").read_bytes() == expected.encode()


@pytest.mark.parametrize("table", [pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan]}), pd.DataFrame({"a": []})])
def test_other_tables(tmp_path: Path, table: pd.DataFrame) -> None:
    files.write_tsv(tmp_path / "table.tsv", table)
    text = (tmp_path / "table.tsv").read_text()
    assert text in ("a\tb\n1\t0.5\n2\tn/a\n", "a\n")
