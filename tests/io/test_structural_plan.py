"""Which source the gray matter of a study comes from."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest

from lbpneuro.errors import ConfigError
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.plan import load_plan
from lbpneuro.io.structural_plan import available, choose
from tests.workflow.study import tree

T1W = "sub-{0}/anat/sub-{0}_T1w.nii.gz"
MAPS = [f"sub-{{0}}/anat/sub-{{0}}_label-{tissue}_probseg.nii.gz" for tissue in ("GM", "WM", "CSF")]
STATS = [f"sub-{{0}}/stats/{name}" for name in ("aseg.stats", "lh.aparc.stats", "rh.aparc.stats")]
CAT12 = ["mri/mwp1sub-{0}_T1w.nii", "report/cat_sub-{0}_T1w.xml"]


def files(root: Path, patterns: list[str], *labels: str) -> Path:
    for label in labels:
        for pattern in patterns:
            path = root / pattern.format(label)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def plan(folder: Path, *derivatives: str, **structural):
    """The units of the plan of a study in ``folder``."""
    dataset = {
        "bids_dir": str(folder / "raw"),
        "out_dir": str(folder / "out"),
        "work_dir": str(folder / "work"),
        "derivatives": {name: str(folder / name) for name in derivatives},
    }
    return load_plan(resolve(read_config(overrides={"dataset": dataset, "structural": structural})))["units"]


def sources(units) -> dict[str, str]:
    return {name: unit["structural_source"] for name, unit in units.items()}


def names(unit) -> set[str]:
    return {Path(path).name for path in unit["files"]["structural"]}


@pytest.fixture
def study(tmp_path):
    tree(tmp_path / "raw", [T1W.format(label) for label in ("01", "02", "03")])
    return tmp_path


def test_folders_of_other_programs_are_datasets(study):
    files(study / "fs", STATS, "01", "02", "03")
    units = plan(study, "fs")
    assert sources(units) == dict.fromkeys(("sub-01", "sub-02", "sub-03"), "freesurfer")
    assert names(units["sub-02"]) == {"aseg.stats", "lh.aparc.stats", "rh.aparc.stats"}
    assert units["sub-02"]["preprocess_anat"] == {}
    files(study / "vbm", CAT12, "01", "02", "03")
    assert names(plan(study, "vbm")["sub-01"]) == {"mwp1sub-01_T1w.nii", "cat_sub-01_T1w.xml"}


def test_the_source_that_most_have_is_taken_and_the_others_are_named(study):
    files(study / "fs", STATS, "01", "02", "03")
    tree(study / "fmriprep", [name.format(label) for name in MAPS for label in ("01", "02")])
    assert set(sources(plan(study, "fs", "fmriprep")).values()) == {"freesurfer"}
    tree(study / "fmriprep", [name.format("03") for name in MAPS])
    assert set(sources(plan(study, "fs", "fmriprep")).values()) == {"fmriprep"}, "fixed order of equals"


def test_people_measured_in_different_ways_are_refused_and_named(study):
    tree(study / "fmriprep", [name.format("02") for name in MAPS])
    files(study / "fs", STATS, "01", "02")
    with pytest.raises(ConfigError) as caught:
        plan(study, "fs", "fmriprep")
    said = str(caught.value)
    assert "2 participant-sessions have freesurfer, sub-03 has only embedded." in said
    assert "Set `structural.source: freesurfer`" in said
    assert "`structural.allow_mixed_sources: true`" in said


def test_mixing_can_be_allowed_or_a_source_chosen(study):
    files(study / "fs", STATS, "01", "02")
    mixed = plan(study, "fs", allow_mixed_sources=True)
    assert sources(mixed) == {"sub-01": "freesurfer", "sub-02": "freesurfer", "sub-03": "embedded"}
    assert names(mixed["sub-03"]) == {"sub-03_desc-embedded_anat.json"}
    chosen = plan(study, "fs", source="freesurfer")
    assert sources(chosen) == {"sub-01": "freesurfer", "sub-02": "freesurfer", "sub-03": ""}
    assert names(chosen["sub-03"]) == {"sub-03_T1w.nii.gz"}, "the step says that there is no derivative"
    assert chosen["sub-03"]["preprocess_anat"] == {}
    assert set(sources(plan(study, "fs", source="embedded")).values()) == {"embedded"}


def test_many_others_are_counted(study):
    tree(study / "raw", [T1W.format(f"{n:02d}") for n in range(1, 12)])
    files(study / "fs", STATS, "01", "02")
    with pytest.raises(ConfigError, match="sub-03, sub-04, sub-05, sub-06, sub-07 and 4 more have only embedded"):
        plan(study, "fs")


def test_somebody_without_any_image_is_no_mixture(study):
    (study / "raw" / "sub-04").mkdir()
    files(study / "fs", STATS, "01", "02", "03")
    units = plan(study, "fs")
    assert units["sub-04"]["structural_source"] == ""
    assert units["sub-04"]["files"]["structural"] == []


def test_one_anatomy_for_all_sessions_counts_with_the_first(tmp_path):
    raw = [f"sub-01/ses-{ses}/anat/sub-01_ses-{ses}_T1w.nii.gz" for ses in "ab"]
    tree(tmp_path / "raw", raw)
    tree(tmp_path / "fmriprep", [name.format("01") for name in MAPS])
    units = plan(tmp_path, "fmriprep")
    assert sources(units) == {"sub-01_ses-a": "fmriprep", "sub-01_ses-b": ""}
    assert names(units["sub-01_ses-b"]) == {"sub-01_ses-b_T1w.nii.gz"}
    assert units["sub-01_ses-b"]["preprocess_anat"] == {}


def test_maps_by_a_pattern(study):
    files(study / "vbm", ["mwc1sub-{0}.nii"], "01", "02", "03")
    tree(study / "fmriprep", ["sub-01/anat/sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5"])
    pattern = {"pattern": f"{study}/vbm/mwc1*.nii", "modulated": True, "tiv_file": None, "tiv_column": None}
    units = plan(study, "fmriprep", gm_maps=pattern)
    assert set(sources(units).values()) == {"maps"}
    assert names(units["sub-01"]) == {
        "mwc1sub-01.nii",
        "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5",
    }
    first = (study / "work" / "plan.json").stat().st_mtime_ns
    files(study / "vbm", ["mwc1sub-{0}.nii"], "04")
    assert "sub-04" in plan(study, "fmriprep", gm_maps=pattern)
    assert (study / "work" / "plan.json").stat().st_mtime_ns > first


def test_new_results_make_a_new_plan(study):
    files(study / "fs", STATS, "01", "02", "03")
    plan(study, "fs")
    files(study / "fs", STATS, "04")
    assert "sub-04" in plan(study, "fs")
    files(study / "vbm", CAT12, "01", "02", "03")
    plan(study, "vbm")
    files(study / "vbm", CAT12, "05")
    assert "sub-05" in plan(study, "vbm")


SPACE = "space-MNI152NLin2009cAsym"


@pytest.mark.parametrize(
    ("there", "read"),
    [
        (["label-GM_probseg", f"{SPACE}_label-GM_probseg", f"{SPACE}_desc-brain_mask"], ["label-GM_probseg"]),
        (
            [f"{SPACE}_res-2_label-GM_probseg", f"{SPACE}_res-1_label-GM_probseg", f"{SPACE}_res-2_desc-brain_mask"],
            [f"{SPACE}_res-2_label-GM_probseg", f"{SPACE}_res-2_desc-brain_mask"],
        ),
        (
            ["space-MNI152NLin6Asym_label-GM_probseg", f"{SPACE}_label-GM_desc-modulated_probseg"],
            ["space-MNI152NLin6Asym_label-GM_probseg"],
        ),
        (["label-GM_desc-smooth_probseg", f"{SPACE}_desc-brain_mask"], []),
    ],
)
def test_maps_in_the_own_space_go_before_those_of_a_template(tmp_path, there, read):
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    tree(tmp_path / "fmriprep", [f"sub-01/anat/sub-01_{name}.nii.gz" for name in there])
    unit = plan(tmp_path, "fmriprep")["sub-01"]
    expected = {f"sub-01_{name}.nii.gz" for name in read} or {"sub-01_desc-embedded_anat.json"}
    assert names(unit) == expected


def test_every_way_to_or_from_a_template_goes_along(tmp_path):
    leading = ["MNI152NLin6Asym_to-T1w", "MNI152NLin2009cAsym_to-mirroredT1w", "T1w_to-fsnative"]
    ways = [f"sub-01/anat/sub-01_from-{way}_mode-image_xfm.h5" for way in leading]
    tree(tmp_path / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    tree(tmp_path / "fmriprep", [MAPS[0].format("01"), *ways])
    assert names(plan(tmp_path, "fmriprep")["sub-01"]) == {
        Path(name.format("01")).name for name in (MAPS[0], *ways[:2])
    }


def test_a_raw_image_that_was_not_fetched_is_no_other_source():
    raw = {"dataset": "raw", "suffix": "T1w", "ext": ".nii.gz", "path": "x", "exists": False}
    assert available([raw]) == {}
    config = {"structural": {"source": "auto", "allow_mixed_sources": False}}
    assert choose({("01", None): {}}, lasting={}, config=config) == {("01", None): ""}


def test_planning_stays_fast(tmp_path):
    """Names of 150 people; the time per person must not grow with their number."""
    labels = [f"{n:04d}" for n in range(150)]
    tree(tmp_path / "raw", [T1W.format(label) for label in labels])
    files(tmp_path / "fs", STATS, *labels)
    start = perf_counter()
    units = plan(tmp_path, "fs")
    assert len(units) == 150
    assert perf_counter() - start < 15
