"""The trial on the page of the study: shown, out of date, or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lbpneuro import cli
from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.report.figures.trial import plot_trial_course, plot_trial_forest
from lbpneuro.report.trial import Trial, read_trial
from lbpneuro.report.visit import AbsentError
from tests.report.conftest import group_page

OUTCOMES = ["nrs.nrs_7d_average", "nrs.nrs_7d_worst"]


@pytest.fixture
def out(study: Path, tmp_path: Path) -> Path:
    """A study with its page, and a trial of questionnaires analysed in it."""
    folder = tmp_path / "out"
    shutil.copytree(study, folder)
    shutil.copy(study.parent / "config.json", tmp_path / "config.json")
    assert cli.main(["simulate", str(tmp_path / "sim"), "--trial", "--participants", "60", "--nprocs", "1"]) == 0
    shutil.copytree(tmp_path / "sim" / "raw" / "phenotype", folder / "phenotype")
    shutil.copy(tmp_path / "sim" / "raw" / "participants.tsv", folder / "participants.tsv")
    assert "Trial" not in (folder / "group.html").read_text()
    options = ["--arm", "arm", "--control", "usual_care", "--outcome", *OUTCOMES]
    assert cli.main(["trial", str(folder), *options]) == 0
    return folder


def test_the_page_shows_the_trial(out: Path) -> None:
    page = (out / "group.html").read_text()
    assert 'id="trial"' in page
    assert "Intention to treat: everybody is analysed" in page
    assert "Except for the section Trial, differences" in page
    for name in ("trial-forest", "trial-course"):
        assert name in page
    lines = read_trial(out).lines
    assert [(line.outcome, line.session) for line in lines] == [
        (outcome, session) for outcome in OUTCOMES for session in ("ses-02", "ses-03")
    ]
    assert lines[0].title == "Pain, numerical rating scale, 7d average"
    assert "nrs.nrs_7d_average</span>" in page, "the column beside what it is"
    table = read_tsv(out / "trial.tsv").set_index(["outcome", "session", "estimator"])
    row = table.loc[("nrs.nrs_7d_average", "ses-03", "mmrm")]
    assert lines[1].adjusted.startswith(f"−{abs(row['value']):.2f}")
    assert lines[1].model == "mixed model, free covariance"
    assert lines[1].verdict == (
        "better with education" if row["favours"] == "arm" else "the interval holds no difference"
    )
    assert lines[1].g[0] == table.loc[("nrs.nrs_7d_average", "ses-03", "g"), "value"]
    assert lines[1].responders.startswith(("benefit", "harm", "infinity"))


def test_a_trial_of_an_older_table_is_not_shown(out: Path) -> None:
    table = read_tsv(out / "markers_long.tsv", dtype=str)
    write_tsv(out / "markers_long.tsv", table.iloc[:-1])
    page = group_page(out).read_text()
    assert "run <code>lbpneuro trial</code> again" in page
    assert "Intention to treat" not in page


def test_the_course_has_the_means_and_the_band(out: Path) -> None:
    courses = read_trial(out).courses
    arms = read_tsv(out / "trial_arms.tsv")
    first = arms[(arms["outcome"] == OUTCOMES[0]) & (arms["arm"] == "education")]
    assert [point[0] for point in courses[0].arms["education"]] == first["mean"].tolist()
    assert courses[0].band == pytest.approx(3.6, abs=0.01), "smallest detectable change of the pain scale"
    assert "2 outcomes" in plot_trial_course(read_trial(out)).note
    assert "4 comparisons with usual_care" in plot_trial_forest(read_trial(out)).note


def test_without_a_trial_there_is_none(study: Path) -> None:
    trial = read_trial(study)
    assert not trial
    for draw in (plot_trial_forest, plot_trial_course):
        with pytest.raises(AbsentError):
            draw(Trial())


def test_an_empty_table_is_named(out: Path) -> None:
    write_tsv(out / "trial.tsv", read_tsv(out / "trial.tsv").iloc[:0])
    with pytest.raises(InputError, match=r"trial\.tsv: the table is empty"):
        read_trial(out)
