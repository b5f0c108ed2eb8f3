"""The command line: what it understands, and what it says when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbpneuro import cli
from lbpneuro.errors import ConfigError
from lbpneuro.registry import MARKERS
from tests.workflow.study import tree


@pytest.fixture
def study(tmp_path: Path) -> Path:
    runs = [f"sub-{label}/anat/sub-{label}_T1w.nii.gz" for label in ("01", "02")]
    tree(tmp_path / "raw", runs)
    (tmp_path / "raw" / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    return tmp_path


@pytest.fixture
def called(monkeypatch) -> list[tuple[str, dict, list[str]]]:
    """What would be run by Snakemake: level, settings, extra options."""
    calls = []

    def record(level, settings, options, extra):
        calls.append((level, json.loads(settings.read_text()), list(extra)))
        return 0

    monkeypatch.setattr(cli, "snakemake", record)
    return calls


def run(study: Path, *options: str) -> int:
    return cli.main([str(study / "raw"), str(study / "out"), "-n", "--skip-bids-validation", *options])


def test_levels_run_in_their_order_whatever_the_order_asked_for(study: Path, called: list, monkeypatch) -> None:
    monkeypatch.setattr(cli, "report_status", lambda out: 0)
    assert cli.main([str(study / "raw"), str(study / "out"), "group", "participant", "--skip-bids-validation"]) == 0
    assert [(level, settings["run"]["finished_only"]) for level, settings, _ in called] == [
        ("participant", False),
        ("group", True),
    ]


def test_a_dry_run_of_both_levels_is_one_plan(study: Path, called: list) -> None:
    assert run(study, "participant", "group") == 0
    assert [level for level, _, _ in called] == ["all"]


def test_options_become_settings(study: Path, called: list) -> None:
    filters = study / "filter.json"
    filters.write_text('{"bold": {"acquisition": "mb4"}}')
    options = ["--participant-label", "sub-01", "--session-label", "ses-a", "--task-id", "rest", "--random-seed", "5"]
    run(study, "participant", *options, "--bids-filter-file", str(filters), "-w", str(study / "scratch"))
    settings = called[0][1]
    assert settings["dataset"]["participants"] == ["01"]
    assert settings["dataset"]["sessions"] == ["a"]
    assert settings["dataset"]["task"] == "rest"
    assert settings["dataset"]["filters"] == {"bold": {"acquisition": "mb4"}}
    assert settings["dataset"]["work_dir"] == str(study / "scratch")
    assert settings["run"]["random_seed"] == 5


def test_a_settings_file_is_laid_over_the_defaults(study: Path, called: list) -> None:
    (study / "mine.yaml").write_text("tms: {bootstrap: 500}\n")
    run(study, "participant", "--config-file", str(study / "mine.yaml"))
    assert called[0][1]["tms"]["bootstrap"] == 500


def test_what_follows_two_dashes_goes_to_snakemake(study: Path, called: list) -> None:
    cli.main(
        [str(study / "raw"), str(study / "out"), "participant", "-n", "--skip-bids-validation", "--", "--jobs", "9"]
    )
    assert called[0][2] == ["--jobs", "9"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["participant", "-d", "fmriprep"], "expected NAME=PATH"),
        (["participant", "--participant-label", "99"], "no folder for participant 99; there are 01, 02"),
        (["participant", "--config-file", "nowhere.yaml"], "expected a YAML file"),
    ],
)
def test_a_request_that_cannot_be_met_is_explained(study: Path, called, capsys, options: list[str], said: str) -> None:
    assert run(study, *options) == 2
    assert said in capsys.readouterr().err


def test_the_output_must_not_be_the_raw_dataset(study: Path, capsys) -> None:
    assert cli.main([str(study / "raw"), str(study / "raw"), "participant", "--skip-bids-validation"]) == 2
    assert "must not be the raw dataset" in capsys.readouterr().err


def test_problems_of_the_participants_table_are_said_and_the_run_goes_on(study: Path, called, capsys) -> None:
    (study / "raw" / "participants.tsv").write_text("participant_id\nsub-01\nsub-01\n")
    assert run(study, "participant") == 0
    said = capsys.readouterr().out
    assert "sub-01 is listed in rows 2, 3" in said
    assert "sub-02 are not listed" in said


def test_derivatives_may_be_several() -> None:
    assert cli._derivatives(["a=/x", "b=/y=z"]) == {"a": "/x", "b": "/y=z"}
    with pytest.raises(ConfigError, match="expected NAME=PATH"):
        cli._derivatives(["a="])


def test_help_shows_every_command_and_option(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for word in ("simulate", "markers", "status", "selftest", "--dry-run", "--profile", "--derivatives", "diagnosis"):
        assert word in text


@pytest.mark.parametrize("form", ["text", "tsv", "json"])
def test_the_catalogue_lists_every_marker(capsys, form: str) -> None:
    assert cli.main(["markers", "--format", form]) == 0
    said = capsys.readouterr().out
    assert all(marker.name in said for marker in MARKERS)
    if form == "json":
        assert set(json.loads(said)) == {marker.name for marker in MARKERS}
    if form == "tsv":
        assert len({line.count("\t") for line in said.splitlines()}) == 1


def test_the_catalogue_of_one_family(capsys) -> None:
    cli.main(["markers", "--family", "plasticity", "--format", "tsv"])
    families = [line.split("\t")[7] for line in capsys.readouterr().out.splitlines()[1:]]
    assert set(families) == {"plasticity"}


def test_status_of_a_folder_that_is_no_output(tmp_path: Path, capsys) -> None:
    assert cli.main(["status", str(tmp_path)]) == 2
    assert "not (yet) an output of lbpneuro" in capsys.readouterr().err
