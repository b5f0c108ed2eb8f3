"""The command line: what it understands, and what it says when it does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import lbpneuro
from lbpneuro import cli
from lbpneuro.errors import ConfigError
from lbpneuro.io import progress
from lbpneuro.registry import FAMILIES, MARKERS
from tests.workflow.study import settings, tree


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


def test_after_broken_jobs_the_states_are_learned_from_those_that_finished(study: Path, monkeypatch) -> None:
    calls = []

    def broken(level, settings, options, extra):
        calls.append((level, json.loads(settings.read_text())["run"]["finished_only"]))
        return int(level == "participant")

    monkeypatch.setattr(cli, "report_status", lambda out: 0)
    monkeypatch.setattr(cli, "snakemake", broken)
    assert cli.main([str(study / "raw"), str(study / "out"), "participant", "group", "--skip-bids-validation"]) == 1
    assert calls == [("participant", False), ("dynamic_rows", True), ("group", True)]


def test_a_dry_run_of_both_levels_is_one_plan(study: Path, called: list) -> None:
    assert run(study, "participant", "group") == 0
    assert [level for level, _, _ in called] == ["all"]


def test_options_become_settings(study: Path, called: list) -> None:
    tree(study / "raw", ["sub-01/ses-a/func/sub-01_ses-a_task-rest_bold.nii.gz"])
    filters = study / "filter.json"
    filters.write_text('{"bold": {"acquisition": "mb4"}}')
    options = ["--participant-label", "sub-01", "--session-label", "ses-a", "--task-id", "rest", "--random-seed", "0"]
    run(study, "participant", *options, "--bids-filter-file", str(filters), "-w", str(study / "scratch"))
    settings = called[0][1]
    assert settings["dataset"]["participants"] == ["01"]
    assert settings["dataset"]["sessions"] == ["a"]
    assert settings["dataset"]["task"] == "rest"
    assert settings["dataset"]["filters"] == {"bold": {"acquisition": "mb4"}}
    assert settings["dataset"]["work_dir"] == str(study / "scratch")
    assert settings["run"]["random_seed"] == 0


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
        (["participant", "--session-label", "03"], "nobody has a session 03"),
        (["participant", "--task-id", "rst"], "nobody has a BOLD run of task rst"),
        (["group"], "nobody has been analysed yet; run the level `participant` first"),
    ],
)
def test_a_request_that_cannot_be_met_is_explained(study: Path, called, capsys, options: list[str], said: str) -> None:
    assert run(study, *options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("out", ["raw", "raw/../raw", "raw/sub-01", "raw/derivatives", "link"])
def test_the_output_must_not_be_the_raw_dataset(study: Path, capsys, out: str) -> None:
    (study / "link").symlink_to("raw")
    assert cli.main([str(study / "raw"), str(study / out), "participant", "--skip-bids-validation"]) == 2
    assert "must not be the raw dataset" in capsys.readouterr().err


def test_the_output_may_be_a_derivative_of_the_dataset(study: Path, called: list) -> None:
    out = str(study / "raw" / "derivatives" / "lbpneuro")
    assert cli.main([str(study / "raw"), out, "participant", "-n", "--skip-bids-validation"]) == 0


@pytest.mark.parametrize("wrong", [["--nprocs", "0"], ["--mem-mb", "-5"], ["--nprocs", "many"]])
def test_numbers_of_processes_are_checked(study: Path, capsys, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(study, "participant", *wrong)
    assert stopped.value.code == 2
    assert "expected a whole number of 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("# nothing yet\n", ""),
        ("tms: {bootsrap: 5}\n", "mine.yaml: unknown setting `tms.bootsrap`. Did you mean"),
    ],
)
def test_a_settings_file_may_be_empty_and_its_mistakes_are_named(
    study: Path, called, capsys, text: str, said: str
) -> None:
    (study / "mine.yaml").write_text(text)
    assert run(study, "participant", "--config-file", str(study / "mine.yaml")) == (2 if said else 0)
    assert said in capsys.readouterr().err


def test_a_filter_of_an_unknown_suffix_does_not_blame_the_settings_file(study: Path, called, capsys) -> None:
    (study / "filter.json").write_text('{"pet": {}}')
    assert run(study, "participant", "--bids-filter-file", str(study / "filter.json")) == 2
    said = capsys.readouterr().err
    assert "unknown setting `dataset.filters.pet`" in said
    assert "config.yaml" not in said


def analysed(study: Path) -> Path:
    """What a run leaves behind, made by its own last steps: sub-01 has structural rows, sub-02 has none."""
    from lbpneuro.errors import Reason
    from lbpneuro.io.files import write_json, write_tsv
    from lbpneuro.io.study import open_study
    from lbpneuro.io.tables import empty_rows, long_table
    from lbpneuro.markers.descriptor import Estimate
    from lbpneuro.registry import INDEX_COLUMNS, family
    from lbpneuro.steps import cohort_tables, describe, participant_table

    opened = open_study(settings(study))
    opened.record()
    out, config = Path(opened.out), ["--config", str(opened.config_path)]
    rows = empty_rows(
        family("structural"),
        estimate=Estimate.fail(Reason.FAILED_QC),
        config=opened.config,
        participant="sub-01",
        session=None,
    )
    structural = Path(opened.family_rows("structural", "sub-01", "sub-01"))
    write_tsv(structural, long_table(rows, index_columns=INDEX_COLUMNS))
    sources = {"bids:raw:sub-01/anat/sub-01_T1w.nii.gz": "crc32:00000000 length:0"}
    write_json(structural.with_suffix(".json"), {"Error": {"message": "no brain"}, "Sources": sources})
    for name, files in (("sub-01", [str(structural)]), ("sub-02", [])):
        table = str(out / name / f"{name}_markers.tsv")
        assert participant_table.main(["--in", *files, "--out", table, *config, "--participant", name]) == 0
    long = str(out / "markers_long.tsv")
    assert cohort_tables.main(["--in", *opened.tables(), "--out", long, *config]) == 0
    assert describe.main(["--in", long, "--out", str(out / "logs" / "CITATION.md"), *config]) == 0
    return out


def test_the_steps_of_the_cohort_name_who_did_not_finish(study: Path) -> None:
    out = analysed(study)
    long = lbpneuro.load_markers(out)
    assert list(long["participant_id"].unique()) == ["sub-01", "sub-02"]
    reasons = long.groupby(["participant_id", long["marker"].eq("tiv")], observed=True)["reason"].unique()
    assert list(reasons["sub-01", True]) == ["failed_qc"]
    assert list(reasons["sub-02", True]) == ["step_failed"]
    names = {path.name for path in out.iterdir() if path.is_file()}
    assert names >= {"participants.tsv", "markers.tsv", "markers.parquet", "markers.json", "README", ".bidsignore"}
    assert "2 participants (2 participant-sessions)" in (out / "logs" / "CITATION.md").read_text()
    provenance = json.loads((out / "logs" / "provenance.json").read_text())
    assert provenance["Inputs"] == {"bids:raw:sub-01/anat/sub-01_T1w.nii.gz": "crc32:00000000 length:0"}


def test_the_last_lines_of_a_run_say_what_failed_and_where_the_tables_are(study: Path, called, capsys) -> None:
    out = analysed(study)
    assert cli.main([str(study / "raw"), str(out), "group", "--skip-bids-validation"]) == 1
    said = capsys.readouterr().out
    assert "sub-02 functional: failed step_failed its job did not finish; see logs/sub-02" in said
    assert str(out / "markers_long.tsv") in said
    assert [level for level, _, _ in called] == ["group"]


def test_many_failures_are_counted_and_the_way_to_see_them_is_told(study: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(cli, "SHOWN_FAILURES", 2)
    assert cli.report_status(analysed(study)) == 1
    assert "more: lbpneuro status" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "tsv", "json"])
def test_status_of_a_study(study: Path, capsys, form: str) -> None:
    assert cli.main(["status", str(analysed(study)), "--format", form]) == 1
    said = capsys.readouterr().out
    assert "no brain" in said
    assert "its job did not finish" in said


def test_the_exit_code_tells_that_snakemake_failed(study: Path, monkeypatch) -> None:
    monkeypatch.setattr(cli, "report_status", lambda out: 0)
    monkeypatch.setattr(cli, "snakemake", lambda *_: 7)
    assert cli.main([str(study / "raw"), str(study / "out"), "participant", "--skip-bids-validation"]) == 1


def test_a_work_folder_that_cannot_be_written_is_named(study: Path, capsys) -> None:
    (study / "w").write_text("a file, not a folder")
    assert run(study, "participant", "-w", str(study / "w")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_two_runs_on_the_same_output_are_refused(study: Path, capsys, called: list) -> None:
    from lbpneuro.io.files import locked

    with locked(study / "out"):
        assert cli.main([str(study / "raw"), str(study / "out"), "participant", "--skip-bids-validation"]) == 2
    assert "another run writes here" in capsys.readouterr().err
    assert called == []


def test_the_command_of_snakemake(study: Path, monkeypatch) -> None:
    commands = []
    monkeypatch.setattr(cli, "follow", lambda command: commands.append(command) or 0)
    options = ["--nprocs", "3", "--mem-mb", "4000", "--profile", "mine"]
    assert run(study, "participant", *options, "--", "--jobs", "9") == 0
    (command,) = commands
    for words in ("--cores 3", "--resources mem_mb=4000", "--profile mine", "--dry-run --jobs 9"):
        assert words in " ".join(command)
    assert "--allowed-rules" not in command
    analysed(study)
    assert run(study, "group") == 0
    assert "participant_table" in commands[-1][commands[-1].index("--allowed-rules") :]


def test_output_is_followed_and_the_exit_code_kept(capfd) -> None:
    assert cli.follow([sys.executable, "-c", "print('Select jobs to execute...'); print('hello'); exit(3)"]) == 3
    assert capfd.readouterr().out == "hello\n"


def test_a_key_from_the_person_stops_the_run_in_an_orderly_way(study: Path, capsys, monkeypatch) -> None:
    """The process that was started got the same signal: it is waited for, and told again if it goes on."""

    def interrupt(lines):
        next(iter(lines))
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "condensed", interrupt)
    monkeypatch.setattr(cli, "SECONDS_TO_STOP", 0.2)
    endless = "import time; print('going', flush=True); time.sleep(60)"
    monkeypatch.setattr(cli, "snakemake", lambda *_: cli.follow([sys.executable, "-c", endless]))
    assert cli.main([str(study / "raw"), str(study / "out"), "participant", "--skip-bids-validation"]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


class Said:
    """What the BIDS validator printed."""

    stderr = "no such file"

    def __init__(self, stdout: str) -> None:
        self.stdout = stdout


@pytest.mark.parametrize(
    ("stdout", "told"),
    [
        ('{"issues": {"issues": [{"severity": "error", "code": "TSV_ERROR", "location": "/x.tsv"}]}}', "1 errors in"),
        ('{"issues": {"issues": [{"severity": "warning", "code": "X"}]}}', ""),
        ("", "the validator gave no result (no such file)"),
    ],
)
def test_the_validator_is_asked_and_believed_only_so_far(tmp_path: Path, monkeypatch, capsys, stdout, told) -> None:
    monkeypatch.setattr(cli.subprocess, "run", lambda *_, **__: Said(stdout))
    monkeypatch.setattr(cli.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("shutil.which", lambda _: "validator")
    cli.validate_bids(tmp_path)
    said = capsys.readouterr().out
    assert told in said
    assert bool(said) == bool(told)


def test_without_the_validator_the_run_goes_on(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    cli.validate_bids(tmp_path)
    assert "BIDS validation skipped" in capsys.readouterr().out


def test_what_a_simulated_study_has_besides(tmp_path: Path, monkeypatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr("lbpneuro.simulate.cohort.simulate_cohort", lambda _out, **options: seen.update(options))
    assert cli.main(["simulate", str(tmp_path), "--ratings", "--structural-source", "cat12", "freesurfer"]) == 0
    assert seen["more"] == ["ratings", "cat12", "freesurfer"]
    assert cli.main(["simulate", str(tmp_path), "--pet"]) == 0
    assert seen["more"] == ["pet"]


def test_a_simulated_study_that_is_there_is_kept(tmp_path: Path, capsys) -> None:
    (tmp_path / "truth.tsv").touch()
    assert cli.main(["simulate", str(tmp_path), "--if-missing"]) == 0
    assert "already there" in capsys.readouterr().out


def test_selftest_simulates_analyses_and_compares(tmp_path: Path, monkeypatch) -> None:
    calls = []
    for name in ("simulate", "analyse", "recovery"):
        monkeypatch.setattr(cli, name, lambda argv, name=name: calls.append((name, argv[0])) or 0)
    assert cli.main(["selftest", "--keep", str(tmp_path)]) == 0
    assert calls == [
        ("simulate", str(tmp_path)),
        ("analyse", str(tmp_path / "raw")),
        ("recovery", str(tmp_path / "out")),
    ]


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


def test_the_catalogue_is_short_by_family_and_long_in_one(capsys) -> None:
    cli.main(["markers"])
    short = capsys.readouterr().out
    lines = short.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [
        f"{title} ({name})" for name, title in FAMILIES.items()
    ]
    assert len([line for line in lines if line.startswith("  ")]) == len(MARKERS)
    assert "10." not in short
    cli.main(["markers", "--family", "functional"])
    full = capsys.readouterr().out
    assert "definition unverified, source 10.1016/j.nicl.2014.08.019" in full
    assert "tiv [mL]" not in full
    assert max(map(len, full.splitlines())) < 600


def test_the_catalogue_of_one_family(capsys) -> None:
    cli.main(["markers", "--family", "plasticity", "--format", "tsv"])
    families = [line.split("\t")[7] for line in capsys.readouterr().out.splitlines()[1:]]
    assert set(families) == {"plasticity"}


def test_status_of_a_folder_that_is_no_output(tmp_path: Path, capsys) -> None:
    assert cli.main(["status", str(tmp_path)]) == 2
    assert "not (yet) an output of lbpneuro" in capsys.readouterr().err
