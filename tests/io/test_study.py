"""The look-ups of the workflow: what has finished, and what makes a family be computed again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lbpneuro.errors import ConfigError
from lbpneuro.io import study as module
from lbpneuro.io.study import Study, any_rows, made_from, open_study
from lbpneuro.registry import FAMILIES
from tests.workflow.study import settings, tree

NAMES = [
    "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
    "sub-01/ses-b/func/sub-01_ses-b_task-rest_bold.nii.gz",
    "sub-01/ses-b/emg/sub-01_ses-b_task-motormap_emg.bdf",
    "sub-02/anat/sub-02_T1w.nii.gz",
]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    tree(tmp_path / "raw", NAMES)
    return open_study(settings(tmp_path))


def with_setting(study: Study, section: str, **values: object) -> Study:
    config = {**study.config, section: {**study.config[section], **values}}
    return Study(config, study.plan, study.config_path)


def job(study: Study, prefix: str) -> SimpleNamespace:
    return SimpleNamespace(prefix=prefix, folder=study.plan["units"][prefix]["folder"])


def finish(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_tables_and_reports_follow_the_participants(study: Study) -> None:
    assert [Path(path).name for path in study.tables("sub-01")] == [
        "sub-01_ses-a_markers.tsv",
        "sub-01_ses-b_markers.tsv",
    ]
    assert study.tables() == [*study.tables("sub-01"), *study.tables("sub-02")]
    assert [Path(path).name for path in study.reports()] == ["sub-01.html", "sub-02.html"]


def test_jobs_are_told_whose_data_they_have(study: Study) -> None:
    assert study.who(job(study, "sub-01_ses-b")) == "--participant sub-01 --session ses-b"
    assert study.who(job(study, "sub-02")) == "--participant sub-02"
    assert study.absent("tms")(job(study, "sub-02")) == ""


def test_look_ups_of_a_job(study: Study) -> None:
    unit = study.plan["units"]["sub-01_ses-b"]
    assert study.inputs("functional")(job(study, "sub-01_ses-b")) == unit["files"]["functional"]
    ((path, files),) = unit["meps"].items()
    look_up = study.job_inputs("meps", f"{study.out}/{{folder}}/emg/{{stem}}_desc-trials_meps.tsv")
    stem = Path(path).name.removesuffix("_desc-trials_meps.tsv")
    assert look_up({"folder": unit["folder"], "stem": stem}) == files


def families_of(paths: list[str]) -> list[str]:
    return [Path(path).name.split("_desc-")[1].removesuffix("_markers.tsv") for path in paths]


def test_families_with_data_are_wanted_and_of_a_broken_study_those_that_finished(study: Study) -> None:
    wildcards = job(study, "sub-01_ses-b")
    wanted = families_of(study.rows(wildcards))
    assert wanted == ["functional", "dynamic", "excitability", "tms", "plasticity"]
    rest = with_setting(study, "run", finished_only=True)
    assert rest.rows(wildcards) == []
    tms = study.family_rows("tms", "sub-01/ses-b", "sub-01_ses-b")
    finish(tms, *made_from(study.plan["units"]["sub-01_ses-b"], "tms"))
    assert rest.rows(wildcards) == [tms]


def test_a_family_without_any_file_has_no_job_and_one_with_a_dangling_link_has(study: Study) -> None:
    wildcards = job(study, "sub-01_ses-b")
    wanted, option = families_of(study.rows(wildcards)), study.without(wildcards).split()
    assert option[0] == "--without"
    assert sorted([*wanted, *option[1:]]) == sorted(FAMILIES)
    study.plan["units"]["sub-01_ses-b"]["absent"]["sensory"] = ["sub-01_ses-b_task-ppt_beh.tsv"]
    assert "sensory" in families_of(study.rows(wildcards))
    assert "sensory" not in study.without(wildcards).split()


def test_a_study_without_runs_has_finished_families_too(study: Study) -> None:
    rest = with_setting(study, "run", finished_only=True)
    assert rest.rows(job(study, "sub-01_ses-a")) == []
    rest.plan["units"]["sub-01_ses-a"]["absent"]["scales"] = ["phenotype/nrs.tsv"]
    scales = study.family_rows("scales", "sub-01/ses-a", "sub-01_ses-a")
    finish(scales)
    assert rest.rows(job(study, "sub-01_ses-a")) == [scales]


def test_rows_whose_origin_is_gone_have_not_finished(study: Study) -> None:
    """The motor map of an earlier run stays on disk when the trials fail in this one: it is not taken for new."""
    rest = with_setting(study, "run", finished_only=True)
    wildcards = job(study, "sub-01_ses-b")
    functional = study.family_rows("functional", "sub-01/ses-b", "sub-01_ses-b")
    needed = made_from(study.plan["units"]["sub-01_ses-b"], "functional")
    assert {Path(path).name for path in needed} == {
        "sub-01_ses-b_task-rest_bold_desc-embedded_func.json",
        "sub-01_ses-b_task-rest_bold.nii.gz",
        "sub-01_ses-a_desc-embedded_anat.json",
    }
    finish(functional, *needed)
    assert rest.rows(wildcards) == [functional]
    next(Path(path) for path in needed if "_anat.json" in path).unlink()
    assert rest.rows(wildcards) == []


def test_whether_anybody_was_analysed(study: Study) -> None:
    assert not any_rows(Path(study.out), study.plan)
    finish(study.family_rows("tms", "sub-02", "sub-02"))
    assert any_rows(Path(study.out), study.plan)


@pytest.mark.parametrize(
    ("section", "values", "families"),
    [
        ("tms", {"bootstrap": 7}, {"tms"}),
        ("plasticity", {"block_trials_min": 7}, {"plasticity"}),
        ("functional", {"fd_max_mm": 7.0}, {"functional", "shift"}),
        ("functional", {"map_fwhm_mm": 7.0}, {"functional"}),
        ("shift", {"rating_sd_min": 7}, {"shift"}),
        ("structural", {"coverage_min": 0.7}, {"structural"}),
        ("change", {"rigid_mm_max": 2}, {"change"}),
        ("preprocess", {"level": "full"}, {"change"}),
        ("mep", {"hum": False}, {"excitability", "tms", "plasticity"}),
        ("dynamic", {"people_min": 7}, {"dynamic"}),
        ("dynamic", {"window_s": 60}, {"functional", "dynamic"}),
        ("run", {"random_seed": 7}, {"functional", "tms", "dynamic", "plasticity"}),
        ("run", {"finished_only": True}, set()),
    ],
)
def test_a_setting_reruns_the_families_it_concerns(study: Study, section: str, values: dict, families: set) -> None:
    changed = with_setting(study, section, **values)
    assert {name for name in FAMILIES if changed.trigger(name) != study.trigger(name)} == families


def test_a_new_version_of_a_marker_reruns_its_family(study: Study, monkeypatch) -> None:
    from dataclasses import replace

    from lbpneuro import registry

    before = {name: study.trigger(name) for name in FAMILIES}
    raised = tuple(
        replace(marker, version=f"{marker.version}+") if marker.name == "overlap_min" else marker
        for marker in registry.MARKERS
    )
    monkeypatch.setattr(registry, "MARKERS", raised)
    fresh = Study(study.config, study.plan, study.config_path)
    assert {name for name in FAMILIES if fresh.trigger(name) != before[name]} == {"tms"}


def test_regions_rerun_the_families_that_use_them(study: Study, tmp_path: Path) -> None:
    regions = tmp_path / "rois.tsv"
    regions.write_bytes(Path(study.config["functional"]["rois"]).read_bytes())
    mine = with_setting(study, "functional", rois=str(regions))
    before = {name: mine.trigger(name) for name in FAMILIES}
    regions.write_bytes(regions.read_bytes() + b"\n")
    fresh = Study(mine.config, mine.plan, mine.config_path)
    again = {name for name in FAMILIES if fresh.trigger(name) != before[name]}
    assert again == {"structural", "change", "functional", "shift", "pet"}


def test_norms_and_people_are_inputs_of_the_families_that_use_them(study: Study, tmp_path: Path) -> None:
    people, norms = Path(study.config["dataset"]["bids_dir"]) / "participants.tsv", tmp_path / "norms.tsv"
    assert study.people == study.tables_of_study("sensory") == []
    people.touch()
    assert study.people == [str(people)]
    assert study.tables_of_study("sensory") == [], "without norms nobody's age counts"
    compared = with_setting(study, "sensory", reference=str(norms))
    assert compared.tables_of_study("sensory") == [str(people)], "the step says that the norms are not there"
    norms.touch()
    assert compared.tables_of_study("sensory") == [str(norms), str(people)]
    assert compared.tables_of_study("structural") == compared.tables_of_study("scales") == []
    maps = {**study.config["structural"]["gm_maps"], "tiv_column": "tiv"}
    own = with_setting(study, "structural", gm_maps=maps, reference=str(norms))
    assert own.tables_of_study("structural") == [str(norms), str(people)]
    own = with_setting(study, "structural", gm_maps={**maps, "tiv_file": str(norms)})
    assert own.tables_of_study("structural") == [str(norms)]


def test_who_is_in_the_study_and_settings_have_digests(study: Study) -> None:
    fewer = Study(study.config, {**study.plan, "units": {}}, study.config_path)
    assert fewer.members() != study.members()
    assert study.settings("tms") != study.settings("mep")
    other = with_setting(study, "tms", bootstrap=7)
    assert other.settings("tms") != study.settings("tms")
    assert other.settings("mep", "tms.task") == study.settings("mep", "tms.task")


def test_the_plan_is_kept_with_the_results(study: Study) -> None:
    from lbpneuro.io.files import read_json

    assert not Path(study.out).exists()
    study.record()
    assert read_json(Path(study.out) / "logs" / "plan.json") == study.plan
    assert read_json(Path(study.out) / "logs" / "config.json") == study.config


def test_settings_are_written_once(study: Study) -> None:
    written = study.config_path.stat().st_mtime_ns
    assert open_study(study.config).config == study.config
    assert study.config_path.stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match=r"unknown setting `tms\.taus`"):
        open_study({**study.config, "tms": {**study.config["tms"], "taus": 1}})
    assert module.DATATYPES.keys() == set(FAMILIES)


def test_states_are_learned_from_everybody_who_has_a_run(study: Study) -> None:
    rows = study.family_rows("functional", "sub-01/ses-b", "sub-01_ses-b")
    assert study.states_inputs() == [rows]
    assert study.dynamic_inputs(job(study, "sub-01_ses-b")) == [rows, f"{study.out}/desc-dynamic_states.tsv"]
    assert study.dynamic_inputs(job(study, "sub-02")) == []
    given = with_setting(study, "dynamic", states="elsewhere_states.tsv")
    assert given.dynamic_inputs(job(study, "sub-01_ses-b")) == [rows, "elsewhere_states.tsv"]


def test_of_a_broken_study_states_are_learned_from_those_that_finished(study: Study) -> None:
    """The rows of an earlier run do not count once the states they were made from are gone."""
    rest = with_setting(study, "run", finished_only=True)
    assert rest.states_inputs() == []
    functional = study.family_rows("functional", "sub-01/ses-b", "sub-01_ses-b")
    dynamic = study.family_rows("dynamic", "sub-01/ses-b", "sub-01_ses-b")
    finish(functional, *made_from(study.plan["units"]["sub-01_ses-b"], "functional"))
    assert rest.states_inputs() == [functional]
    assert dynamic in rest.dynamic_rows()
    finish(dynamic)
    assert dynamic not in rest.rows(job(study, "sub-01_ses-b"))
    finish(study.states)
    assert dynamic in rest.rows(job(study, "sub-01_ses-b"))


def test_rows_of_everyone_are_those_that_finished(study: Study) -> None:
    rows = study.rows_of_all("functional")
    assert [Path(path).name for path in rows] == ["sub-01_ses-b_desc-functional_markers.tsv"]
    finished = with_setting(study, "run", finished_only=True)
    assert finished.rows_of_all("functional") == []
    finish(rows[0], *made_from(study.plan["units"]["sub-01_ses-b"], "functional"))
    assert finished.rows_of_all("functional") == rows
