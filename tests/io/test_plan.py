"""The plan: what each step reads, for every shape of study."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.plan import load_plan
from tests.workflow.study import settings, tree

FMRIPREP = [
    "sub-{0}/anat/sub-{0}_label-{1}_probseg.nii.gz",
    "sub-{0}/anat/sub-{0}_space-MNI152NLin2009cAsym_label-{1}_probseg.nii.gz",
]


def names(paths: list[str]) -> set[str]:
    return {Path(path).name for path in paths}


def derivatives(root: Path, label: str, run: str = "task-rest") -> Path:
    anat = [pattern.format(label, tissue) for pattern in FMRIPREP for tissue in ("GM", "WM", "CSF")]
    anat += [
        f"sub-{label}/anat/sub-{label}_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5",
        f"sub-{label}/anat/sub-{label}_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
        f"sub-{label}/anat/sub-{label}_desc-brain_mask.nii.gz",
    ]
    space = f"sub-{label}/func/sub-{label}_{run}_space-MNI152NLin2009cAsym"
    func = [f"{space}_desc-preproc_bold.nii.gz", f"{space}_desc-brain_mask.nii.gz"]
    func += [f"sub-{label}/func/sub-{label}_{run}_desc-confounds_timeseries.tsv"]
    return tree(root, anat + func)


def test_derivatives_are_used_where_they_are(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz"])
    derivatives(tmp_path / "fmriprep", "01")
    plan = load_plan(settings(tmp_path, derivatives={"fmriprep": str(tmp_path / "fmriprep")}))
    unit = plan["units"]["sub-01"]
    assert names(unit["files"]["structural"]) == {
        "sub-01_label-GM_probseg.nii.gz",
        "sub-01_label-WM_probseg.nii.gz",
        "sub-01_label-CSF_probseg.nii.gz",
        "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5",
        "sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_task-rest_desc-confounds_timeseries.tsv",
    }
    assert unit["structural_source"] == "fmriprep"
    assert names(unit["files"]["functional"]) == {
        "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
        "sub-01_task-rest_desc-confounds_timeseries.tsv",
        *(f"sub-01_space-MNI152NLin2009cAsym_label-{tissue}_probseg.nii.gz" for tissue in ("GM", "WM", "CSF")),
    }
    assert unit["preprocess_anat"] == unit["preprocess_func"] == {}


def test_raw_images_are_preprocessed_where_no_derivative_is(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz"])
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    (anat_job,) = unit["preprocess_anat"].items()
    (func_job,) = unit["preprocess_func"].items()
    assert Path(anat_job[0]).name == "sub-01_desc-embedded_anat.json"
    assert names(anat_job[1]) == {"sub-01_T1w.nii.gz"}
    assert Path(func_job[0]).name == "sub-01_task-rest_bold_desc-embedded_func.json"
    assert names(func_job[1]) == {"sub-01_task-rest_bold.nii.gz", "sub-01_desc-embedded_anat.json"}
    assert unit["files"]["structural"] == [anat_job[0], func_job[0]]
    assert unit["structural_source"] == "embedded"
    assert unit["files"]["functional"] == [func_job[0]]


def test_a_later_session_without_t1w_uses_the_earlier_one(tmp_path: Path) -> None:
    tree(
        tmp_path / "raw",
        [
            "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
            "sub-01/ses-b/func/sub-01_ses-b_task-rest_bold.nii.gz",
        ],
    )
    units = load_plan(settings(tmp_path))["units"]
    assert list(units) == ["sub-01_ses-a", "sub-01_ses-b"]
    (job,) = units["sub-01_ses-b"]["preprocess_func"].values()
    assert "sub-01_ses-a_desc-embedded_anat.json" in names(job)
    assert units["sub-01_ses-b"]["files"]["structural"] == []


def test_bold_without_any_anatomy_is_a_job_that_will_say_so(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/func/sub-01_task-rest_bold.nii.gz"])
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    (job,) = unit["preprocess_func"].items()
    assert names(job[1]) == {"sub-01_task-rest_bold.nii.gz"}
    assert unit["files"]["functional"] == [job[0]]
    assert unit["preprocess_anat"] == {}


def test_tissue_maps_of_a_derivative_without_bold_leave_the_bold_to_the_embedded_path(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz"])
    tree(tmp_path / "smriprep", [FMRIPREP[0].format("01", tissue) for tissue in ("GM", "WM", "CSF")])
    plan = load_plan(settings(tmp_path, derivatives={"smriprep": str(tmp_path / "smriprep")}))
    unit = plan["units"]["sub-01"]
    assert names(unit["files"]["structural"]) == {
        *(f"sub-01_label-{tissue}_probseg.nii.gz" for tissue in ("GM", "WM", "CSF")),
        "sub-01_task-rest_bold_desc-embedded_func.json",
    }
    assert names(unit["preprocess_anat"]) == {"sub-01_desc-embedded_anat.json"}
    (job,) = unit["preprocess_func"].values()
    assert names(job) == {"sub-01_task-rest_bold.nii.gz", "sub-01_desc-embedded_anat.json"}


def test_a_raw_run_is_preprocessed_anew_when_its_sidecar_or_events_change(tmp_path: Path) -> None:
    run, other = (f"sub-01/func/sub-01_task-{task}" for task in ("rest", "oneback"))
    tree(tmp_path / "raw", [f"{run}_bold.nii.gz", f"{run}_bold.json", f"{run}_events.tsv", f"{other}_bold.json"])
    (job,) = load_plan(settings(tmp_path))["units"]["sub-01"]["preprocess_func"].values()
    assert Path(job[0]).name == "sub-01_task-rest_bold.nii.gz"
    assert names(job[1:]) == {"sub-01_task-rest_bold.json", "sub-01_task-rest_events.tsv"}


def test_rest_is_preferred_and_a_task_can_be_asked_for(tmp_path: Path) -> None:
    runs = [f"sub-01/func/sub-01_task-{task}_bold.nii.gz" for task in ("rest", "oneback")]
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", *runs])
    rest = load_plan(settings(tmp_path))["units"]["sub-01"]["files"]["functional"]
    assert names(rest) == {"sub-01_task-rest_bold_desc-embedded_func.json"}
    task = load_plan(settings(tmp_path, task="oneback"))["units"]["sub-01"]["files"]["functional"]
    assert names(task) == {"sub-01_task-oneback_bold_desc-embedded_func.json"}


def test_a_filter_file_chooses_runs(tmp_path: Path) -> None:
    runs = [f"sub-01/func/sub-01_task-rest_acq-{acq}_bold.nii.gz" for acq in ("mb4", "sb")]
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", *runs])
    plan = load_plan(settings(tmp_path, filters={"bold": {"acquisition": "sb"}}))
    assert names(plan["units"]["sub-01"]["files"]["functional"]) == {
        "sub-01_task-rest_acq-sb_bold_desc-embedded_func.json"
    }


def test_one_resolution_per_run(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/func/sub-01_task-rest_bold.nii.gz"])
    base = "sub-01/func/sub-01_task-rest_space-MNI152NLin2009cAsym"
    files = [f"{base}_res-{res}_desc-{what}.nii.gz" for res in "12" for what in ("preproc_bold", "brain_mask")]
    tree(tmp_path / "fmriprep", [*files, "sub-01/func/sub-01_task-rest_desc-confounds_timeseries.tsv"])
    plan = load_plan(settings(tmp_path, derivatives={"fmriprep": str(tmp_path / "fmriprep")}))
    chosen = names(plan["units"]["sub-01"]["files"]["functional"])
    assert {name for name in chosen if "res-" in name} == {
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz",
    }


def functional_files(tmp_path: Path, raw: list[str], derived: list[str], **dataset: str) -> set[str]:
    """The names that the functional step of the one participant gets."""
    tree(tmp_path / "raw", raw)
    tree(tmp_path / "fmriprep", derived)
    plan = load_plan(settings(tmp_path, derivatives={"fmriprep": str(tmp_path / "fmriprep")}, **dataset))
    return names(plan["units"]["sub-01"]["files"]["functional"])


def run_files(run: str, space: str = "MNI152NLin2009cAsym") -> list[str]:
    base = f"sub-01/func/sub-01_{run}"
    images = [f"{base}_space-{space}_desc-{what}.nii.gz" for what in ("preproc_bold", "brain_mask")]
    return [*images, f"{base}_desc-confounds_timeseries.tsv"]


def test_recordings_go_with_their_own_run(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-rest"
    recordings = [f"{func}_run-1_recording-{kind}_physio.tsv.gz" for kind in ("cardiac", "respiratory")]
    recordings += [f"{func}_run-2_physio.tsv.gz", "sub-01/func/sub-01_task-oneback_physio.tsv.gz"]
    raw = [f"{func}_run-{run}_bold.nii.gz" for run in "12"] + recordings
    derived = [name for run in "12" for name in run_files(f"task-rest_run-{run}")]
    chosen = functional_files(tmp_path, raw, derived)
    assert {name for name in chosen if "physio" in name} == {Path(name).name for name in recordings[:3]}


def test_the_sidecars_of_the_raw_run_go_with_a_preprocessed_one(tmp_path: Path) -> None:
    func = "sub-01/func/sub-01_task-rest"
    sidecars = ["task-rest_bold.json", f"{func}_run-1_bold.json"]
    others = ["task-oneback_bold.json", f"{func}_run-2_bold.json", "sub-01/func/sub-01_task-rest_run-1_events.json"]
    raw = [*sidecars, *others, f"{func}_run-1_bold.nii.gz"]
    chosen = functional_files(tmp_path, raw, run_files("task-rest_run-1"))
    assert {name for name in chosen if name.endswith(".json")} == {Path(name).name for name in sidecars}


def test_a_raw_run_keeps_its_recording(tmp_path: Path) -> None:
    raw = [f"sub-01/func/sub-01_task-rest_{suffix}" for suffix in ("bold.nii.gz", "physio.tsv.gz")]
    assert functional_files(tmp_path, raw, []) == {
        "sub-01_task-rest_bold_desc-embedded_func.json",
        "sub-01_task-rest_physio.tsv.gz",
    }


def test_a_recording_that_was_not_fetched_does_not_matter(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", ["sub-01/func/sub-01_task-rest_bold.nii.gz"])
    (raw / "sub-01/func/sub-01_task-rest_physio.tsv.gz").symlink_to("../nowhere.tsv.gz")
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    assert names(unit["files"]["functional"]) == {"sub-01_task-rest_bold_desc-embedded_func.json"}
    assert unit["absent"]["functional"] == []


def test_combined_echoes_are_used_and_single_ones_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    echoes = [name for echo in "123" for name in run_files(f"task-rest_run-1_echo-{echo}")[:1]]
    echoes += [name for echo in "12" for name in run_files(f"task-rest_run-2_echo-{echo}")[:1]]
    chosen = functional_files(tmp_path, [], [*echoes, *run_files("task-rest_run-1")])
    assert {name for name in chosen if "_bold" in name} == {
        "sub-01_task-rest_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
        *(f"sub-01_task-rest_run-2_echo-{n}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz" for n in "12"),
    }


def test_single_raw_echoes_have_no_job(tmp_path: Path) -> None:
    tree(tmp_path / "raw", [f"sub-01/func/sub-01_task-rest_echo-{echo}_bold.nii.gz" for echo in "12"])
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    assert unit["preprocess_func"] == {}
    assert len(unit["files"]["functional"]) == 2


def test_runs_in_native_space_get_the_way_to_the_template(tmp_path: Path) -> None:
    anat = [
        f"sub-01/anat/sub-01_{middle}label-{tissue}_probseg.nii.gz"
        for tissue in ("GM", "WM", "CSF")
        for middle in ("", "space-MNI152NLin2009cAsym_", "space-MNI152NLin6Asym_")
    ]
    ways = [
        f"sub-01/anat/sub-01_from-{way}_mode-image_xfm.h5"
        for way in ("MNI152NLin2009cAsym_to-T1w", "T1w_to-MNI152NLin2009cAsym", "MNI152NLin6Asym_to-T1w")
    ]
    derived = [*anat, *ways, *run_files("task-rest", "T1w"), *run_files("task-rest")]
    chosen = functional_files(tmp_path, [], derived, space="T1w")
    assert {name for name in chosen if name.endswith(".h5")} == {Path(ways[0]).name}
    assert {name for name in chosen if "probseg" in name} == {Path(name).name for name in anat if "6Asym" not in name}
    assert {name for name in chosen if "_bold" in name} == {"sub-01_task-rest_space-T1w_desc-preproc_bold.nii.gz"}


def test_the_other_template_brings_its_own_tissue_maps(tmp_path: Path) -> None:
    anat = [
        f"sub-01/anat/sub-01_space-{space}_label-CSF_probseg.nii.gz"
        for space in ("MNI152NLin2009cAsym", "MNI152NLin6Asym")
    ]
    chosen = functional_files(
        tmp_path, [], [*anat, *run_files("task-rest", "MNI152NLin6Asym")], space="MNI152NLin6Asym"
    )
    assert {name for name in chosen if "probseg" in name} == {Path(anat[1]).name}
    assert "sub-01_task-rest_space-MNI152NLin6Asym_desc-brain_mask.nii.gz" in chosen


def test_a_plan_of_an_earlier_version_is_not_used(tmp_path: Path, monkeypatch) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    first = load_plan(settings(tmp_path))["signature"]
    monkeypatch.setattr("lbpneuro.io.plan.PLAN_VERSION", 0)
    assert load_plan(settings(tmp_path))["signature"] != first


def test_emg_recordings_with_their_tables(tmp_path: Path) -> None:
    emg, nibs = "sub-01/emg/sub-01_task-motormap", "sub-01/nibs/sub-01_task-motormap"
    motormap = [f"{emg}_{name}" for name in ("emg.bdf", "channels.tsv", "events.tsv")]
    motormap += [f"{nibs}_markers.tsv", f"{nibs}_nibs.tsv"]
    plasticity = [f"sub-01/emg/sub-01_task-plasticity_{name}" for name in ("emg.bdf", "events.tsv")]
    tree(tmp_path / "raw", motormap + plasticity)
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    jobs = {Path(path).name: names(files) for path, files in unit["meps"].items()}
    assert jobs == {
        "sub-01_task-motormap_desc-trials_meps.tsv": {
            "sub-01_task-motormap_emg.bdf",
            "sub-01_task-motormap_channels.tsv",
            "sub-01_task-motormap_events.tsv",
            "sub-01_task-motormap_markers.tsv",
            "sub-01_task-motormap_nibs.tsv",
        },
        "sub-01_task-plasticity_desc-trials_meps.tsv": {
            "sub-01_task-plasticity_emg.bdf",
            "sub-01_task-plasticity_events.tsv",
        },
    }
    assert names(unit["files"]["tms"]) == set(jobs)


def test_trial_tables_of_a_derivative(tmp_path: Path) -> None:
    """A study that has nothing else, with sessions and without; a recording of a run with a table is not read."""
    tree(tmp_path / "raw", ["sub-03/emg/sub-03_task-motormap_emg.bdf", "sub-03/emg/sub-03_task-plasticity_emg.bdf"])
    tables = [
        "sub-01/nibs/sub-01_task-motormap_desc-trials_meps.tsv",
        "sub-02/ses-1/nibs/sub-02_ses-1_task-plasticity_desc-trials_meps.tsv",
        "sub-03/nibs/sub-03_task-motormap_desc-trials_meps.tsv",
    ]
    given = tree(tmp_path / "amplitudes", tables)
    plan = load_plan(settings(tmp_path, derivatives={"meps": str(given)}))
    assert plan["participants"] == ["sub-01", "sub-02", "sub-03"]
    units = plan["units"]
    assert units["sub-01"]["files"]["tms"] == units["sub-01"]["files"]["plasticity"] == [str(given / tables[0])]
    assert units["sub-02_ses-1"]["files"]["plasticity"] == [str(given / tables[1])]
    assert units["sub-01"]["meps"] == units["sub-02_ses-1"]["meps"] == {}
    assert [Path(path).name for path in units["sub-03"]["meps"]] == ["sub-03_task-plasticity_desc-trials_meps.tsv"]
    assert str(given / tables[2]) in units["sub-03"]["files"]["tms"]


def test_every_session_reads_the_trials_of_the_sham_session(tmp_path: Path) -> None:
    names = [f"sub-01/ses-{label}/emg/sub-01_ses-{label}_task-plasticity_meps.tsv" for label in ("a", "b", "sham")]
    tree(tmp_path / "raw", names)
    for sham, expected in ((None, 1), ("sham", 2)):
        config = settings(tmp_path)
        config["plasticity"]["sham_session"] = sham
        units = load_plan(config)["units"]
        found = {name: [Path(path).name for path in unit["files"]["plasticity"]] for name, unit in units.items()}
        assert {name: len(files) for name, files in found.items()} == {
            "sub-01_ses-a": expected,
            "sub-01_ses-b": expected,
            "sub-01_ses-sham": 1,
        }
        assert all(len(unit["files"]["tms"]) == 1 for unit in units.values())


def test_tables_of_a_recording_are_inherited(tmp_path: Path) -> None:
    """From the participant's folder and the root of the dataset; each device has its own channels."""
    run = "sub-01/ses-1/emg/sub-01_ses-1_task-motormap"
    recordings = [f"{run}_recording-{device}_emg.bdf" for device in "ab"]
    tables = [
        f"{run}_events.tsv",
        f"{run}_recording-a_channels.tsv",
        "sub-01/sub-01_electrodes.tsv",
        "task-motormap_channels.tsv",
        "task-rest_channels.tsv",
        "participants.tsv",
    ]
    tree(tmp_path / "raw", [*recordings, *tables])
    jobs = load_plan(settings(tmp_path))["units"]["sub-01_ses-1"]["meps"]
    both = {"sub-01_ses-1_task-motormap_events.tsv", "sub-01_electrodes.tsv", "task-motormap_channels.tsv"}
    found = {path.split("recording-")[1][0]: names(files) for path, files in jobs.items()}
    own = "sub-01_ses-1_task-motormap_recording-{}_{}"
    assert found == {
        "a": {own.format("a", "emg.bdf"), own.format("a", "channels.tsv"), *both},
        "b": {own.format("b", "emg.bdf"), *both},
    }


def test_trial_tables_of_every_run_with_their_sidecars(tmp_path: Path) -> None:
    beh = [
        f"sub-01/ses-{ses}/beh/sub-01_ses-{ses}_task-{task}_beh" for ses in "12" for task in ("ppt_run-1", "ppt_run-2")
    ]
    files = [
        f"{beh[0]}.tsv",
        f"{beh[0]}.json",
        f"{beh[1]}.tsv",
        f"{beh[2]}.tsv",
        "task-ppt_beh.json",
        "task-cpm_beh.json",
    ]
    tree(tmp_path / "raw", [*files, "sub-01/ses-1/beh/sub-01_ses-1_task-nback_beh.tsv"])
    units = load_plan(settings(tmp_path))["units"]
    assert names(units["sub-01_ses-1"]["files"]["sensory"]) == {
        "sub-01_ses-1_task-ppt_run-1_beh.tsv",
        "sub-01_ses-1_task-ppt_run-1_beh.json",
        "sub-01_ses-1_task-ppt_run-2_beh.tsv",
        "task-ppt_beh.json",
    }
    assert names(units["sub-01_ses-2"]["files"]["sensory"]) == {
        "sub-01_ses-2_task-ppt_run-1_beh.tsv",
        "task-ppt_beh.json",
    }


def test_a_participant_without_data_stays_in_the_plan(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    (tmp_path / "raw" / "sub-02").mkdir()
    plan = load_plan(settings(tmp_path))
    assert plan["participants"] == ["sub-01", "sub-02"]
    assert not any(plan["units"]["sub-02"]["files"].values())


def test_a_dangling_link_is_missing_data(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", ["sub-01/func/sub-01_task-rest_bold.nii.gz"])
    (raw / "sub-01/anat").mkdir()
    (raw / "sub-01/anat/sub-01_T1w.nii.gz").symlink_to("../nowhere.nii.gz")
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    assert unit["files"]["structural"] == []
    assert names(unit["absent"]["structural"]) == {"sub-01_T1w.nii.gz"}


def test_the_plan_is_read_from_its_cache_until_the_tree_changes(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    config = settings(tmp_path)
    first = load_plan(config)
    cache = tmp_path / "work" / "plan.json"
    written = cache.stat().st_mtime_ns
    assert load_plan(config) == first
    assert cache.stat().st_mtime_ns == written
    tree(raw, ["sub-02/anat/sub-02_T1w.nii.gz"])
    assert load_plan(config)["participants"] == ["sub-01", "sub-02"]


def test_results_written_into_the_dataset_do_not_make_a_new_plan(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    config = settings(tmp_path)
    first = load_plan(config)
    tree(raw / "derivatives" / "lbpneuro", ["sub-01/anat/sub-01_desc-structural_markers.tsv"])
    assert load_plan(config)["signature"] == first["signature"]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"participants": ["07"]}, "no folder for participant 07; there are 01"),
        ({"derivatives": {"fmriprep": "/nowhere/at/all"}}, "the dataset 'fmriprep' is not a folder"),
        ({"sessions": ["03"]}, "nobody has a session 03; there is none at all"),
        ({"task": "rst"}, "nobody has a BOLD run of task rst; there are rest"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, dataset: dict, said: str) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz"])
    with pytest.raises(InputError, match=said):
        load_plan(settings(tmp_path, **dataset))


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match="no participant folder"):
        load_plan(settings(tmp_path))


REAL_TREES = [
    "ds000208",
    "ds001928",
    "ds002748",
    "ds005883",
    "rpn-study1",
    "bids-examples_ds114",
    "bids-examples_ds210_nophysio",
    "bids-examples_7t_trt",
    "bids-examples_pet002",
    "bids-examples_pheno004",
    "bids-examples_volume_timing",
    "bids-examples_synthetic",
    "bids-examples_emg_CustomBipolar",
    "bids-examples_emg_TwoHDsEMG",
    "bids-examples_emg_IndependentMod",
]


@pytest.mark.real
@pytest.mark.parametrize("name", REAL_TREES)
def test_real_trees_are_planned(tmp_path: Path, real_data, name: str) -> None:
    import tarfile

    with tarfile.open(real_data("trees_dev") / f"{name}.tar.xz") as archive:
        archive.extractall(tmp_path / "raw", filter="tar")
    (root,) = (path for path in (tmp_path / "raw").iterdir() if path.is_dir())
    plan = load_plan(settings(tmp_path, bids_dir=str(root)))
    assert plan["participants"] == sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    anatomies = [path for unit in plan["units"].values() for path in unit["preprocess_anat"]]
    for unit in plan["units"].values():
        planned = [*anatomies, *unit["preprocess_func"], *unit["meps"], *unit["files"]["dynamic"]]
        for family, files in unit["files"].items():
            assert all(Path(path).exists() or path in planned for path in files), family
        assert not any(Path(path).exists() for files in unit["absent"].values() for path in files)


@pytest.mark.real
def test_real_derivatives_are_planned(tmp_path: Path, real_data) -> None:
    import tarfile

    with tarfile.open(real_data("trees_dev") / "bids-examples_ds000001-fmriprep.tar.xz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (root,) = tmp_path.iterdir()
    plan = load_plan(settings(tmp_path, bids_dir=str(root), derivatives={"fmriprep": str(root)}))
    for unit in plan["units"].values():
        structural = names(unit["files"]["structural"]) | names(unit["absent"]["structural"])
        assert sum("probseg" in name for name in structural) == 3
        functional = names(unit["files"]["functional"]) | names(unit["absent"]["functional"])
        runs = {name for name in functional if "desc-preproc_bold" in name}
        assert len(runs) == 3
        assert all("space-MNI152NLin2009cAsym_res-2" in name for name in runs)


@pytest.mark.real
def test_a_real_study_that_is_not_bids_is_refused(tmp_path: Path, real_data) -> None:
    import tarfile

    with tarfile.open(real_data("trees_dev") / "openpain-placebo_1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (root,) = tmp_path.iterdir()
    with pytest.raises(InputError, match="no participant folder"):
        load_plan(settings(tmp_path, bids_dir=str(root)))


def real_plan(tmp_path: Path, archive: Path, **dataset: str) -> dict:
    import tarfile

    with tarfile.open(archive) as content:
        content.extractall(tmp_path / "tree", filter="tar")
    (root,) = (path for path in (tmp_path / "tree").iterdir() if path.is_dir())
    return load_plan(settings(tmp_path, bids_dir=str(root), **dataset))


@pytest.mark.real
def test_real_recordings_go_with_their_runs(tmp_path: Path, real_data) -> None:
    plan = real_plan(tmp_path, real_data("trees_dev") / "bids-examples_7t_trt.tar.xz")
    n_recorded = 0
    for unit in plan["units"].values():
        files = names(unit["files"]["functional"])
        jobs = {name.removesuffix("_bold_desc-embedded_func.json") for name in files if name.endswith("func.json")}
        recorded = {name.removesuffix("_physio.tsv.gz") for name in files if name.endswith("physio.tsv.gz")}
        assert recorded <= jobs
        n_recorded += len(recorded)
    assert n_recorded > 100


@pytest.mark.real
def test_real_echoes_are_no_runs(tmp_path: Path, real_data) -> None:
    plan = real_plan(tmp_path, real_data("trees_dev") / "bids-examples_ds210_nophysio.tar.xz")
    assert plan["units"]
    for unit in plan["units"].values():
        assert unit["preprocess_func"] == {}
        assert all("_echo-" in path for path in unit["files"]["functional"] + unit["absent"]["functional"])


T1W = "sub-01/ses-{0}/anat/sub-01_ses-{0}_T1w.nii.gz"


def compared(plan: dict) -> dict[str, set[str]]:
    return {prefix.rpartition("-")[2]: names(unit["files"]["change"]) for prefix, unit in plan["units"].items()}


def test_later_sessions_are_compared_with_the_first_one_that_has_an_image(tmp_path: Path) -> None:
    func = ["sub-01/ses-a/func/sub-01_ses-a_task-rest_bold.nii.gz"]
    tree(tmp_path / "raw", [*func, *(T1W.format(name) for name in "bcd")])
    plan = load_plan(settings(tmp_path))
    pair = [f"sub-01_ses-{{}}_{end}" for end in ("T1w.nii.gz", "desc-embedded_anat.json")]
    both = {name: {text.format(ses) for text in pair for ses in ("b", name)} for name in "cd"}
    assert compared(plan) == {"a": set(), "b": {"sub-01_ses-b_T1w.nii.gz"}, **both}
    for name in "bcd":
        (job,) = plan["units"][f"sub-01_ses-{name}"]["preprocess_anat"].values()
        assert names(job) == {f"sub-01_ses-{name}_T1w.nii.gz"}


def test_a_later_session_gets_the_files_of_both_and_one_session_costs_nothing(tmp_path: Path) -> None:
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    unit = load_plan(settings(tmp_path))["units"]["sub-01"]
    assert names(unit["files"]["change"]) == {"sub-01_T1w.nii.gz"}
    assert unit["absent"]["change"] == []


def test_an_image_that_is_not_there_is_compared_with_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path / "raw", [T1W.format("a")])
    absent = root / T1W.format("b")
    absent.parent.mkdir(parents=True)
    absent.symlink_to("../../../.git/annex/objects/nothing.nii.gz")
    plan = load_plan(settings(tmp_path))
    assert compared(plan) == {"a": {"sub-01_ses-a_T1w.nii.gz"}, "b": set()}
    assert names(plan["units"]["sub-01_ses-b"]["absent"]["change"]) == {"sub-01_ses-b_T1w.nii.gz"}


def test_comparing_can_be_switched_off(tmp_path: Path) -> None:
    tree(tmp_path / "raw", [T1W.format(name) for name in "ab"])
    config = settings(tmp_path)
    on = load_plan(config)["signature"]
    config["change"]["enabled"] = False
    plan = load_plan(config)
    assert plan["signature"] != on
    assert compared(plan) == {name: {f"sub-01_ses-{name}_T1w.nii.gz"} for name in "ab"}


@pytest.mark.parametrize(
    ("raw", "mask", "expected"),
    [
        (["T1w"], "sub-01/ses-{0}/anat/sub-01_ses-{0}_desc-brain_mask.nii.gz", {"desc-brain_mask.nii.gz"}),
        (["run-1_T1w", "run-2_T1w"], "sub-01/ses-{0}/anat/sub-01_ses-{0}_desc-brain_mask.nii.gz", set()),
        (["T1w"], "sub-01/anat/sub-01_desc-brain_mask.nii.gz", set()),
    ],
    ids=["each session has its mask", "two images were averaged", "sessions were averaged"],
)
def test_the_mask_of_fmriprep_serves_where_it_lies_on_the_raw_image(
    tmp_path: Path, raw: list[str], mask: str, expected: set[str]
) -> None:
    tree(tmp_path / "raw", [f"sub-01/ses-{s}/anat/sub-01_ses-{s}_{end}.nii.gz" for s in "ab" for end in raw])
    stem = mask.replace("_desc-brain_mask.nii.gz", "_label-{1}_probseg.nii.gz")
    maps = {stem.format(s, tissue) for s in "ab" for tissue in ("GM", "WM", "CSF")}
    tree(tmp_path / "prep", sorted({*maps, *(mask.format(s) for s in "ab")}))
    plan = load_plan(settings(tmp_path, derivatives={"fmriprep": str(tmp_path / "prep")}))
    assert all(unit["preprocess_anat"] == {} for unit in plan["units"].values())
    images = {f"sub-01_ses-{s}_{raw[0]}.nii.gz" for s in "ab"}
    assert compared(plan)["b"] == images | {f"sub-01_ses-{s}_{end}" for s in "ab" for end in expected}
