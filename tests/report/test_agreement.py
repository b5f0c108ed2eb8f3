"""Agreement of sessions on the page of the study: words of the interval, numbers of the table, and its absence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.report.agreement import Agreement, read_agreement, verdict
from lbpneuro.report.cohort import read_cohort
from lbpneuro.report.figures.agreement import plot_agreement
from lbpneuro.report.visit import AbsentError
from lbpneuro.steps import reliability
from tests.report.conftest import group_page
from tests.report.study import make_study


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of six people with two sessions, its agreement and its page."""
    out = make_study(tmp_path_factory.mktemp("twice"), participants=6, sessions=("ses-01", "ses-02"))
    config = str(out.parent / "config.json")
    given = ["--in", str(out / "markers_long.tsv"), "--out", str(out / "reliability.tsv"), "--config", config]
    assert reliability.main(given) == 0
    group_page(out)
    return out


def read(out: Path) -> Agreement:
    cohort = read_cohort([out / "markers_long.tsv"], group_column="group")
    return read_agreement([out / "reliability.tsv"], cohort)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.2, 0.49, "poor"),
        (0.5, 0.74, "moderate"),
        (-0.3, 0.8, "poor to good"),
        (0.75, 0.95, "good to excellent"),
        (float("nan"), float("nan"), "no variance between people"),
    ],
)
def test_words_are_those_of_the_interval(low: float, high: float, said: str) -> None:
    assert verdict(low, high) == said


def test_lines_hold_the_numbers_of_the_table(twice: Path) -> None:
    agreement, table = read(twice), read_tsv(twice / "reliability.tsv")
    (line,) = [line for line in agreement.lines if line.name.startswith("Overlap of the motor maps")]
    row = table[table["marker"] == "overlap_min"].iloc[0]
    assert line.icc == (row["icc"], row["icc_low"], row["icc_high"])
    assert line.people == str(row["n"])
    assert line.detectable.startswith(f"{row['mdc95']:.4f}"[:4])
    assert line.beyond == f"{row['n_beyond']} of {row['n']}"
    assert row["sem_low"] < row["sem"] < row["sem_high"]
    assert row["mdc95_high"] / row["sem_high"] == pytest.approx(row["mdc95"] / row["sem"])
    assert len(agreement.lines) + agreement.others == len(table)


def test_the_page_shows_it(twice: Path) -> None:
    page = (twice / "group.html").read_text()
    assert 'id="agreement"' in page
    assert "Agreement of sessions, with 95 % intervals" in page
    for line in read(twice).lines:
        assert line.detectable in page


def test_three_sessions_have_a_colour_each(tmp_path: Path, twice: Path) -> None:
    table = read_tsv(twice / "reliability.tsv")
    later = table.assign(sessions="ses-02, ses-03")
    write_tsv(tmp_path / "reliability.tsv", pd.concat([table, later]))
    (tmp_path / "reliability.json").write_text("{}")
    cohort = read_cohort([twice / "markers_long.tsv"], group_column="group")
    drawing = plot_agreement(read_agreement([tmp_path / "reliability.tsv"], cohort))
    assert "01 and 02" in drawing.markup
    assert "02 and 03" in drawing.markup


def test_one_session_has_no_agreement(study: Path) -> None:
    assert not read_agreement([], read_cohort([study / "markers_long.tsv"], group_column="group"))
    assert 'id="agreement"' not in (study / "group.html").read_text()
    with pytest.raises(AbsentError):
        plot_agreement(Agreement())
