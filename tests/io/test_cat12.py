"""CAT12: report, thickness, and modulated maps summed over regions."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.cat12 import read_cat12, read_report, read_thickness
from lbpneuro.io.regions import load_atlas
from lbpneuro.markers.tissue import MAP_REGIONS
from lbpneuro.simulate.anatomy import region_in_native
from lbpneuro.simulate.structural_files import thickness

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<S>
  <parameter><extopts><templates>
    <item>/opt/cat12/templates_MNI152NLin2009cAsym/Template_0_GS.nii</item>
    <item>/opt/cat12/templates_MNI152NLin2009cAsym/Template_1_GS.nii</item>
  </templates></extopts></parameter>
  <qualityratings><IQR>1.97212245311552</IQR></qualityratings>
  <software><version_cat>12.8.2</version_cat></software>
  <subjectmeasures>
    <vol_abs_CGW>[233.44 677.42 528.30 0.026]</vol_abs_CGW>
    <vol_TIV>1439.19</vol_TIV>
  </subjectmeasures>
  <subjectratings><vol_TIV>1.0365</vol_TIV></subjectratings>
</S>
"""
OLD = "templates_1.50mm/Template_1_IXI555_MNI152.nii"


@pytest.fixture
def report(tmp_path):
    def write(old: str = "", new: str = ""):
        assert old in REPORT
        path = tmp_path / "cat_sub-01_T1w.xml"
        path.write_text(REPORT.replace(old, new) if old else REPORT)
        return path

    return write


def read(files, regions):
    return read_cat12(files, regions=regions, settings={})


def test_a_report(report):
    found = read_report(report())
    assert (found.csf_ml, found.gm_ml, found.wm_ml, found.tiv_ml) == (233.44, 677.42, 528.30, 1439.19)
    assert found.quality == pytest.approx(105 - 10 * 1.97212245311552)
    assert found.version == "12.8.2"
    assert found.template == "templates_MNI152NLin2009cAsym/Template_0_GS.nii"
    assert found.in_template


@pytest.mark.parametrize(("mark", "points"), [("0.1", 100), ("11", 0), ("NaN", math.nan)])
def test_ratings_stay_between_0_and_100(report, mark, points):
    assert read_report(report("1.97212245311552", mark)).quality == pytest.approx(points, nan_ok=True)
    assert math.isnan(read_report(report("<IQR>1.97212245311552</IQR>", "")).quality)


@pytest.mark.parametrize(
    ("version", "known"),
    [("12.8.2", True), ("12.9", True), ("26.0.rc3", True), ("12.7", False), ("1126", False), ("r1980", False)],
)
def test_without_a_template_the_version_tells(report, version, known):
    path = report("12.8.2", version)
    path.write_text(path.read_text().replace("templates>", "other>"))
    found = read_report(path)
    assert (found.template, found.in_template) == ("", known)


def test_the_template_of_old_versions_and_of_windows(report):
    text = REPORT.replace("templates_MNI152NLin2009cAsym/Template_0_GS.nii", OLD)
    path = report()
    path.write_text(text)
    assert (read_report(path).template, read_report(path).in_template) == (OLD, False)
    path.write_text(REPORT.replace("/opt/cat12/", "C:\\spm\\cat12\\").replace("Asym/", "Asym\\"))
    assert read_report(path).in_template


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1439.19", "1439,19", "number in subjectmeasures/vol_TIV, found '1439,19'; write a decimal point"),
        ("1439.19", "", "the entry subjectmeasures/vol_TIV is missing"),
        ("vol_abs_CGW>", "vol>", "the entry subjectmeasures/vol_abs_CGW is missing"),
        ("[233.44 677.42 528.30 0.026]", "[1 2]", "expected CSF, GM and WM in .*, found 2 numbers"),
        ("</S>", "", "expected an XML report of CAT12"),
        ("1.97212245311552", "A-", "expected a number in qualityratings/IQR, found 'A-'"),
    ],
)
def test_what_is_broken_is_named(report, old, new, said):
    with pytest.raises(InputError, match=said):
        read_report(report(old, new))


def test_a_link_to_nothing_is_a_missing_file(tmp_path):
    (tmp_path / "cat_x.xml").symlink_to("nowhere")
    with pytest.raises(InputError, match="no such file") as caught:
        read_report(tmp_path / "cat_x.xml")
    assert caught.value.reason is Reason.FILE_MISSING


def thickness_file(folder, names, values, atlas="aparc_DK40"):
    items = "".join(f"<item>{name}</item>" for name in names)
    path = folder / "catROIs_sub-01_T1w.xml"
    path.write_text(f"<S><{atlas}><names>{items}</names><data><thickness>[{values}]</thickness></data></{atlas}></S>")
    return path


def test_thickness_by_label_and_side(tmp_path):
    names = ("lunknown", "runknown", "lpostcentral", "rpostcentral", "lcorpuscallosum")
    path = thickness_file(tmp_path, names, "2.21;NaN;2.368;2.245;NaN")
    assert read_thickness(path) == {("postcentral", "L"): 2.368, ("postcentral", "R"): 2.245}
    assert read_thickness(thickness_file(tmp_path, names, "1 2", atlas="aparc_HCP")) == {}
    with pytest.raises(InputError, match="expected 5 values of thickness in aparc_DK40, found 2"):
        read_thickness(thickness_file(tmp_path, names, "1 2"))


def test_a_simulated_person(simulated_head, shipped_regions):
    data, method = read(simulated_head.files("cat12"), shipped_regions)
    head = simulated_head.head
    assert method.startswith("CAT12 12.9: modulated gray matter")
    assert (data.source, data.image_quality) == ("cat12", 85.0)
    assert data.tiv_ml == pytest.approx(head.brain.sum(dtype=float) * head.grid.voxel_ml)
    assert data.gm_ml == pytest.approx(head.gm.sum(dtype=float) * head.grid.voxel_ml)
    for level in (("dlpfc", "L"), ("thalamus", "R")):
        share = region_in_native(level, head)
        truth = float((share * head.gm).sum(dtype=float)) * head.grid.voxel_ml
        assert data.regions[level].volume_ml == pytest.approx(truth, rel=0.05)
        assert data.regions[level].measure == "gray_matter"
        assert data.regions[level].coverage > 0.95
    assert data.regions["s1", "R"].thickness_mm == pytest.approx(thickness(22))
    assert data.regions["caudal_middle_frontal", "L"].thickness_mm == pytest.approx(thickness(3))
    labels, _ = load_atlas(shipped_regions["dlpfc", "L"].atlas)
    sizes = [np.count_nonzero(labels == label) for label in (1003, 1027)]
    expected = np.average([thickness(3), thickness(27)], weights=sizes)
    assert data.regions["dlpfc", "L"].thickness_mm == pytest.approx(expected, abs=1e-6)


def test_gray_matter_alone_is_enough(simulated_head, shipped_regions):
    files = [path for path in simulated_head.files("cat12") if path.name.startswith(("mwp1", "cat_"))]
    whole, _ = read(simulated_head.files("cat12"), shipped_regions)
    data, _ = read(files, shipped_regions)
    for level, measure in data.regions.items():
        assert measure.volume_ml == whole.regions[level].volume_ml
        assert math.isnan(measure.thickness_mm)
        if level[0] in ("dlpfc", "s1", "thalamus", "insula"):
            assert measure.coverage > 0.9


def test_an_older_template_leaves_the_totals(simulated_head, shipped_regions, tmp_path):
    files = [path for path in simulated_head.files("cat12") if not path.name.startswith("cat")]
    old = next(path for path in simulated_head.files("cat12") if path.name.startswith("cat_"))
    path = tmp_path / old.name
    path.write_text(old.read_text().replace("MNI152NLin2009cAsym", "1.50mm"))
    data, method = read([*files, path], shipped_regions)
    assert data.regions == {}
    assert dict(data.absent) == dict.fromkeys(MAP_REGIONS, Reason.OTHER_TEMPLATE)
    assert data.gm_ml > 100
    assert "none: template templates_1.50mm/Template_0_GS.nii" in method


def test_a_map_that_does_not_hold_the_gray_matter_of_the_report_is_refused(simulated_head, shipped_regions, tmp_path):
    files = [path for path in simulated_head.files("cat12") if path.name.startswith("cat_")]
    image = nib.load(next(path for path in simulated_head.files("cat12") if path.name.startswith("mwp1")))
    path = tmp_path / "mwp1sub-01_T1w.nii"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * np.float32(1.3), image.affine), path)
    with pytest.raises(InputError, match=r"sums to \d+ mL of gray matter, the report .* says \d+ mL; give the fully"):
        read([*files, path], shipped_regions)


@pytest.mark.parametrize(
    ("left", "said"), [("cat_", "modulated map of gray matter, mwp1"), ("mwp1", "the report cat_")]
)
def test_a_missing_part_is_named(simulated_head, shipped_regions, left, said):
    files = [path for path in simulated_head.files("cat12") if path.name.startswith(left)]
    with pytest.raises(InputError, match=said) as caught:
        read(files, shipped_regions)
    assert caught.value.reason is Reason.FILE_MISSING
