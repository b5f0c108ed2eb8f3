"""Which files belong to a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.run_files import group_runs

MNI = "MNI152NLin2009cAsym"


def run(name: str = "task-rest", space: str = MNI) -> list[Path]:
    base = f"sub-01_{name}"
    names = [f"{base}_space-{space}_desc-{what}.nii.gz" for what in ("preproc_bold", "brain_mask")]
    return [Path(f"sub-01/func/{each}") for each in (*names, f"{base}_desc-confounds_timeseries.tsv")]


def maps(*spaces: str | None) -> list[Path]:
    parts = [f"space-{space}_" if space else "" for space in spaces]
    return [Path(f"sub-01/anat/sub-01_{part}label-{t}_probseg.nii.gz") for part in parts for t in ("CSF", "GM", "WM")]


WAY = Path(f"sub-01/anat/sub-01_from-{MNI}_to-T1w_mode-image_xfm.h5")


def test_a_run_has_its_own_recordings_and_the_maps_of_its_space():
    physio = [Path(f"sub-01/func/sub-01_task-rest_run-{n}_recording-{k}_physio.tsv.gz") for n in "12" for k in "ab"]
    found = group_runs([*run("task-rest_run-1"), *run("task-rest_run-2"), *physio, *maps(MNI, "MNI152NLin6Asym", None)])
    assert [each.name for each in found] == ["task-rest_run-1", "task-rest_run-2"]
    assert [each.physio for each in found] == [tuple(physio[:2]), tuple(physio[2:])]
    assert found[0].csf == found[0].tissues["CSF"] == maps(MNI)[0]
    assert set(found[0].tissues) == {"CSF", "GM", "WM"}
    assert found[0].transform is None


def test_a_run_has_the_sidecars_of_its_raw_images_the_nearest_first():
    root, own = Path("task-rest_bold.json"), Path("sub-01/func/sub-01_task-rest_run-1_bold.json")
    others = [Path("task-nback_bold.json"), Path("sub-01/func/sub-01_task-rest_run-3_bold.json")]
    found = group_runs([*run("task-rest_run-1"), *run("task-rest_run-2"), root, own, *others])
    assert [each.acquired for each in found] == [(own, root), (root,)]


def test_a_modulated_map_is_no_tissue_probability():
    modulated = Path(f"sub-01/anat/sub-01_space-{MNI}_label-GM_desc-modulated_probseg.nii.gz")
    (found,) = group_runs([*run(), modulated, *maps(MNI)])
    assert found.tissues["GM"] == maps(MNI)[1]


def test_a_run_in_native_space_has_its_way_and_the_maps_of_both_spaces():
    (found,) = group_runs([*run(space="T1w"), *maps(MNI, None), WAY])
    assert found.transform == WAY
    assert found.csf == maps(None)[0]
    assert found.tissues["CSF"] == maps(MNI)[0]
    with pytest.raises(InputError, match="way to the template") as caught:
        group_runs([*run(space="T1w"), WAY.with_name(WAY.name.replace("2009c", "6"))])
    assert caught.value.reason is Reason.FILE_MISSING


def test_single_echoes_are_left_out_or_refused(caplog):
    echoes = [path for echo in "12" for path in run(f"task-rest_run-1_echo-{echo}")]
    with pytest.raises(InputError, match=r"run-1_echo-1_.*this is a single echo.*combine"):
        group_runs(echoes)
    with pytest.raises(InputError, match="single echo"):
        group_runs([Path("sub-01/func/sub-01_task-rest_echo-1_bold.nii.gz")])
    (found,) = group_runs([*echoes, *run("task-rest_run-2")])
    assert found.name == "task-rest_run-2"
    assert "run-1_echo-2" in caplog.text


def test_several_tasks_and_runs_are_told_apart():
    names = ["task-rest_dir-AP_run-1", "task-rest_dir-PA_run-1", "task-pain"]
    found = group_runs([path for name in names for path in run(name)])
    assert sorted(each.name for each in found) == sorted(names)
    assert all(each.mask.name.startswith(f"sub-01_{each.name}_") for each in found)


def test_companions_that_are_not_there_are_named():
    for index, said in ((1, "brain mask"), (2, "confounds table")):
        files = [path for number, path in enumerate(run()) if number != index]
        with pytest.raises(InputError, match=said):
            group_runs(files)
    with pytest.raises(InputError, match="No preprocessed BOLD series"):
        group_runs(maps(None))
