"""What FreeSurfer, FastSurfer and CAT12 left, told by names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbpneuro.errors import ConfigError
from lbpneuro.io.structural_index import folders_to_watch, index_maps, index_results

STATS = ("stats/aseg.stats", "stats/lh.aparc.stats", "stats/rh.aparc.stats", "mri/aparc+aseg.mgz")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def subjects(root: Path, *folders: str, files=STATS) -> Path:
    return touch(root, *(f"{folder}/{name}" for folder in folders for name in files))


def found(root: Path, known=("01", "02")) -> dict[tuple[str, str | None, str], set[str]]:
    """File names by participant, session and program."""
    rows: dict[tuple[str, str | None, str], set[str]] = {}
    for row in index_results(root, dataset="x", known=known):
        assert row["dataset"] == "x"
        assert row["exists"]
        rows.setdefault((row["sub"], row.get("ses"), row["tool"]), set()).add(Path(row["path"]).name)
    return rows


def folder_of(root: Path) -> set[str]:
    return {Path(row["path"]).parents[1].name for row in index_results(root, dataset="x", known=())}


def test_subject_folders_and_their_sessions(tmp_path):
    root = subjects(tmp_path, "sub-01", "sub-02_ses-1", "sub-02_ses-2", "02", "bert", "fsaverage", "fsaverage5")
    touch(root, "sub-03/ses-a/stats/aseg.stats", "sub-03/notes.txt", "README", "sub-04/anat/sub-04_T1w.nii.gz")
    rows = found(root)
    assert set(rows) == {
        ("01", None, "freesurfer"),
        ("02", "1", "freesurfer"),
        ("02", "2", "freesurfer"),
        ("02", None, "freesurfer"),
        ("03", "a", "freesurfer"),
    }
    assert rows["01", None, "freesurfer"] == {"aseg.stats", "lh.aparc.stats", "rh.aparc.stats"}


def test_longitudinal_results_go_before_those_of_single_time_points(tmp_path):
    root = subjects(tmp_path, "sub-01_ses-1", "sub-01_ses-1.long.sub-01", "sub-01_ses-2.long.sub-01", "sub-01")
    touch(root, "sub-01/base-tps")
    assert folder_of(root) == {"sub-01_ses-1.long.sub-01", "sub-01_ses-2.long.sub-01"}


def test_the_template_of_a_person_is_no_time_point(tmp_path):
    root = subjects(tmp_path, "sub-01_ses-1", "sub-01")
    touch(root, "sub-01/base-tps")
    assert folder_of(root) == {"sub-01_ses-1"}


def test_the_label_volume_serves_where_statistics_are_absent(tmp_path):
    nuclei = "mri/ThalamicNuclei.v13.T1.volumes.txt"
    root = subjects(tmp_path, "sub-01", files=("mri/aparc+aseg.mgz", nuclei))
    subjects(root, "sub-02", files=("stats/aseg.stats", "mri/aparc+aseg.mgz"))
    fast = ("stats/aseg+DKT.stats", "mri/aparc.DKTatlas+aseg.deep.mgz")
    subjects(root, "sub-03", files=fast)
    rows = found(root)
    assert rows["01", None, "freesurfer"] == {"aparc+aseg.mgz", Path(nuclei).name}
    assert rows["02", None, "freesurfer"] == {"aseg.stats", "aparc+aseg.mgz"}
    assert rows["03", None, "fastsurfer"] == {"aseg+DKT.stats"}


def test_a_folder_without_any_known_file_is_nobody(tmp_path):
    assert found(touch(tmp_path, "sub-01/stats/lh.w-g.pct.stats")) == {}


CLASSIC = ("mri/mwp1{}.nii", "mri/mwp2{}.nii", "report/cat_{}.xml", "label/catROIs_{}.xml", "label/catROI_{}.xml")


def names(stem: str) -> set[str]:
    return {f"mwp1{stem}.nii", f"mwp2{stem}.nii", f"cat_{stem}.xml", f"catROIs_{stem}.xml"}


@pytest.mark.parametrize("folder", ["", "sub-01/", "sub-01/ses-1/", "sub-01/ses-1/anat/"])
def test_folders_of_cat12(tmp_path, folder):
    stem = "sub-01_ses-1_T1w"
    touch(tmp_path, *(f"{folder}{name.format(stem)}" for name in CLASSIC), f"{folder}mri/p0{stem}.nii")
    assert found(tmp_path) == {("01", "1", "cat12"): names(stem)}


def test_bids_folders_of_cat12(tmp_path):
    for sub in ("01", "02"):
        stem = f"sub-{sub}_T1w"
        touch(tmp_path, *(f"sub-{sub}/anat/{Path(name).name.format(stem)}" for name in CLASSIC))
    touch(tmp_path, "sub-01/func/mwp1sub-01_bold.nii", "sub-03/anat/mwp2sub-03_T1w.nii")
    assert found(tmp_path) == {(sub, None, "cat12"): names(f"sub-{sub}_T1w") for sub in ("01", "02")}


def test_names_without_participant_take_that_of_the_folder(tmp_path):
    touch(tmp_path, "sub-01/ses-2/mri/mwp1T1.nii", "sub-01/ses-2/report/cat_T1.xml", "mri/mwp1IXI002.nii")
    assert found(tmp_path) == {("01", "2", "cat12"): {"mwp1T1.nii", "cat_T1.xml"}}


def test_of_several_images_the_first_counts(tmp_path):
    for run in "12":
        touch(tmp_path, *(name.format(f"sub-01_run-{run}_T1w") for name in CLASSIC))
    assert found(tmp_path) == {("01", None, "cat12"): names("sub-01_run-1_T1w")}


def test_a_person_is_followed_over_time_in_one_way(tmp_path):
    for session in "12":
        stem = f"sub-01_ses-{session}_T1w"
        touch(tmp_path, f"mri/mwp1{stem}.nii", f"report/cat_{stem}.xml")
        touch(tmp_path, f"mri/mwmwp1r{stem}.nii", f"mri/mwp1r{stem}.nii", f"report/cat_r{stem}.xml")
    touch(tmp_path, "mri/mwp1sub-01_ses-3_T1w.nii")
    assert found(tmp_path) == {
        ("01", session, "cat12"): {f"mwmwp1rsub-01_ses-{session}_T1w.nii", f"cat_rsub-01_ses-{session}_T1w.xml"}
        for session in "12"
    }


def test_folders_outside_those_of_participants_are_watched(tmp_path):
    assert list(folders_to_watch(tmp_path)) == []
    touch(tmp_path, "mri/mwp1sub-01.nii")
    assert list(folders_to_watch(tmp_path)) == [tmp_path / "mri"]


def test_maps_by_a_pattern(tmp_path):
    touch(tmp_path, "sub-01/ses-b/mwc1T1.nii", "sub-02/mwc1sub-02_ses-a.nii", "sub-02/mwc2.nii")
    rows = index_maps(f"{tmp_path}/**/mwc1*.nii")
    assert [(row["sub"], row["ses"], row["tool"]) for row in rows] == [("01", "b", "maps"), ("02", "a", "maps")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "there is no file"),
        (("mwc1bert.nii",), "mwc1bert.nii has no sub-<label>"),
        (("mwc1sub-01_a.nii", "mwc1sub-01_b.nii"), "mwc1sub-01_a.nii and .*mwc1sub-01_b.nii are maps of one session"),
    ],
)
def test_patterns_that_do_not_fit_are_refused(tmp_path, files, said):
    touch(tmp_path, *files)
    with pytest.raises(ConfigError, match=f"gm_maps.pattern`: .*{said}"):
        index_maps(f"{tmp_path}/mwc1*.nii")
