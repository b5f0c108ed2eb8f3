"""FreeSurfer and FastSurfer: what a subject folder says of the regions."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.desikan_killiany import NAMES, NUMBERS
from lbpneuro.io.freesurfer import label_regions, program_of, read_surfer, thalamic_nuclei
from lbpneuro.simulate.structural_files import HOLES, label_volumes, native_labels, thickness

HEAD = "# ColHeaders StructName NumVert SurfArea GrayVol ThickAvg\n"
THALAMUS = "1 10 7000 6900.5 Left-Thalamus\n2 49 7100 7000 Right-Thalamus\n"
ASEG_HEAD = "# ColHeaders Index SegId NVoxels Volume_mm3 StructName\n"


def surface(dropped=(), **changed):
    """A surface table: every label 100 vertices, 200 mm2, 500 mm3, 2.5 mm but where it was changed."""
    rows = {name: "100 200 500 2.5" for name in NAMES.values() if name not in dropped} | changed
    return HEAD + "".join(f"{name} {row}\n" for name, row in rows.items())


@pytest.fixture
def subject(tmp_path):
    """Write the files of a subject; return their paths."""

    def write(**files):
        paths = []
        for name, text in files.items():
            path = tmp_path / name.replace("__", ".").replace("_plus_", "+")
            path.write_text(text)
            paths.append(path)
        return paths

    return write


def read(files, regions):
    return read_surfer(files, regions=regions, settings={})


def test_hand_counted_regions(subject, shipped_regions):
    left = surface(caudalmiddlefrontal="100 200 500 2.0", rostralmiddlefrontal="300 600 1500 3.0")
    left = "# Measure Cortex, MeanThickness, Mean Thickness, 2.54, mm\n" + left
    left = "# Measure Cortex, NumVert, Number, 125224, unitless\n" + left
    files = subject(aseg__stats=ASEG_HEAD + THALAMUS, lh__aparc__stats=left, rh__aparc__stats=surface())
    data, method = read(files, shipped_regions)
    assert (data.source, method) == ("freesurfer", "FreeSurfer: statistics of aseg, surface statistics of aparc")
    dlpfc = data.regions["dlpfc", "L"]
    assert (dlpfc.volume_ml, dlpfc.measure, dlpfc.n) == (2.0, "label", 400)
    assert dlpfc.thickness_mm == pytest.approx((200 * 2.0 + 600 * 3.0) / 800)
    assert math.isnan(dlpfc.coverage)
    assert data.regions["rostral_middle_frontal", "L"].thickness_mm == 3.0
    assert data.regions["caudal_middle_frontal", "L"].thickness_mm == 2.0
    assert (data.regions["cortex", "L"].thickness_mm, data.regions["cortex", "L"].n) == (2.54, 125224)
    assert math.isnan(data.regions["cortex", "R"].thickness_mm)
    assert data.regions["thalamus", "L"].volume_ml == 6.9005
    assert data.regions["thalamus", "R"].n == 7100
    assert ("dlpfc_sem", "L") not in data.regions
    assert ("hippocampus_anterior", "L") not in data.regions
    assert ("caudate", "L") not in data.regions


def test_what_a_source_does_not_give_is_nan(subject, shipped_regions):
    data, _ = read(subject(aseg__stats=ASEG_HEAD + THALAMUS), shipped_regions)
    for name in ("tiv_ml", "gm_ml", "gm_neocortical_ml", "gm_subcortical_ml", "wm_ml", "csf_ml", "euler"):
        assert math.isnan(getattr(data, name))
    assert math.isnan(data.image_quality)
    assert ("cortex", "L") not in data.regions


def test_head_measures_go_before_sums(subject, shipped_regions):
    numbers = {10: 1.0, 11: 2.0, 12: 4.0, 13: 8.0, 17: 16.0, 18: 32.0, 26: 64.0, 28: 128.0, 7: 1000.0}
    other = {49: 1.0, 50: 2.0, 51: 4.0, 52: 8.0, 53: 16.0, 54: 32.0, 58: 64.0, 60: 128.0, 46: 1000.0}
    rows = {**numbers, **other, 8: 5000.0, 47: 5000.0, 2: 200000.0, 41: 200000.0, 1003: 300.0, 2003: 200.0}
    text = ASEG_HEAD + "".join(f"{i} {label} 1 {mm3} name{label}\n" for i, (label, mm3) in enumerate(rows.items()))
    data, method = read(subject(aseg_plus_DKT__stats=text), shipped_regions)
    assert data.source == "fastsurfer"
    assert method == "FastSurfer: statistics of aseg+DKT"
    assert data.gm_subcortical_ml == pytest.approx(0.254)
    assert data.gm_neocortical_ml == pytest.approx(0.5)
    assert data.gm_ml == pytest.approx(0.5 + 0.254 + 0.256 + 10.0)
    assert data.wm_ml == pytest.approx(402.0)
    stated = (
        "# Measure TotalGray, TotalGrayVol, x, 600000, mm^3\n# Measure Cortex, CortexVol, x, 480000, mm^3\n"
        "# Measure CorticalWhiteMatter, CorticalWhiteMatterVol, x, 430000, mm^3\n"
        "# Measure EstimatedTotalIntraCranialVol, eTIV, x, 1500000, mm^3\n"
        "# Measure SurfaceHoles, SurfaceHoles, x, 28, unitless\n"
    )
    data, _ = read(subject(aseg__stats=stated + text), shipped_regions)
    assert (data.gm_ml, data.gm_neocortical_ml, data.wm_ml, data.tiv_ml) == (600, 480, 432, 1500)
    assert data.gm_subcortical_ml == pytest.approx(0.254)
    assert data.euler == -26


def test_surfaces_go_before_voxels_and_one_parcellation_for_both_sides(subject, shipped_regions):
    voxels = ASEG_HEAD + "1 1022 9 9999 ctx-lh-postcentral\n2 2022 9 9999 ctx-rh-postcentral\n"
    files = subject(
        aseg_plus_DKT__stats=voxels,
        lh__aparc__DKTatlas__mapped__stats=surface(dropped=("bankssts", "frontalpole", "temporalpole")),
        rh__aparc__DKTatlas__mapped__stats=surface(dropped=("bankssts", "frontalpole", "temporalpole")),
        lh__aparc__stats=surface(postcentral="1 1 777 1"),
    )
    data, method = read(files, shipped_regions)
    assert data.regions["s1", "L"].volume_ml == data.regions["s1", "R"].volume_ml == 0.5
    assert method.endswith("statistics of aseg+DKT, surface statistics of aparc.DKTatlas.mapped")


def test_the_corrected_segmentation_goes_before_that_of_the_network(subject, shipped_regions):
    network = ASEG_HEAD + "1 10 1 5000 Left-Thalamus\n2 50 1 3000 Right-Caudate\n"
    files = subject(aseg_plus_DKT__stats=network, aseg__stats=ASEG_HEAD + THALAMUS)
    for given in (files, files[::-1]):
        data, _ = read(given, shipped_regions)
        assert data.regions["thalamus", "L"].volume_ml == 6.9005
        assert data.regions["caudate", "R"].volume_ml == 3.0


def test_a_table_that_is_cut_off_is_refused(subject, shipped_regions):
    cut = surface(dropped=("insula", "precentral"))
    with pytest.raises(InputError, match="labels insula, precentral are missing; the file is cut off"):
        read(subject(lh__aparc__stats=cut, rh__aparc__stats=surface()), shipped_regions)


def test_voxels_of_the_label_volume(tmp_path, shipped_regions):
    labels = np.zeros((10, 10, 10), dtype=np.int32)
    labels[0, 0, :4], labels[1, :3, :2], labels[2, :5, 0] = 10, 1022, 1003
    path = tmp_path / "aparc+aseg.mgz"
    nib.save(nib.MGHImage(labels, np.diag([2.0, 2.0, 2.0, 1.0]).astype(np.float32)), path)
    data, method = read([path], shipped_regions)
    assert method == "FreeSurfer: voxels of aparc+aseg.mgz"
    assert data.regions["thalamus", "L"].volume_ml == pytest.approx(0.032)
    assert data.regions["thalamus", "L"].n == 4
    assert data.regions["s1", "L"].volume_ml == pytest.approx(0.048)
    assert math.isnan(data.regions["s1", "L"].thickness_mm)
    assert ("dlpfc", "L") not in data.regions, "one of its two labels is not there"
    nib.save(nib.MGHImage(labels.astype(np.float32) / 3, np.eye(4, dtype=np.float32)), path)
    with pytest.raises(InputError, match="expected whole label numbers"):
        read([path], shipped_regions)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="expected a label volume, but"):
        read([path], shipped_regions)


def test_groups_of_thalamic_nuclei(subject, shipped_regions):
    nuclei = {"AV": 100, "MDm": 800, "MDl": 300, "VPL": 900, "CeM": 1, "CL": 2, "Pc": 3, "CM": 4, "Pf": 5}
    text = "".join(f"Left-{name} {mm3}\n" for name, mm3 in nuclei.items()) + "Left-PuA 7\nLeft-Whole_thalamus 7000\n"
    files = subject(aseg__stats=ASEG_HEAD + THALAMUS, ThalamicNuclei__v13__T1__volumes__txt=text)
    data, method = read(files, shipped_regions)
    assert method.endswith("thalamic nuclei")
    found = {roi: measure.volume_ml for (roi, hemi), measure in thalamic_nuclei(files[1]).items() if hemi == "L"}
    assert found == {"thal_anterior": 0.1, "thal_md": 1.1, "thal_vpl": 0.9, "thal_intralaminar": 0.015}
    assert data.regions["thal_md", "L"].volume_ml == 1.1
    assert ("thal_md", "R") not in data.regions


@pytest.mark.parametrize(
    ("names", "program"),
    [
        (["aseg.stats", "lh.aparc.stats"], "freesurfer"),
        (["aparc+aseg.mgz"], "freesurfer"),
        (["aseg.stats", "aseg+DKT.stats"], "fastsurfer"),
        (["aseg.stats", "lh.aparc.DKTatlas.mapped.stats"], "fastsurfer"),
        (["aparc.DKTatlas+aseg.deep.mgz"], "fastsurfer"),
        (["sub-01_T1w.nii.gz"], None),
    ],
)
def test_programs_are_told_by_their_files(names, program):
    assert program_of(names) == program


def test_other_files_are_refused(shipped_regions):
    for files in ([Path("sub-01_T1w.nii.gz")], []):
        with pytest.raises(InputError, match="expected statistics or labels of FreeSurfer") as caught:
            read(files, shipped_regions)
        assert caught.value.reason is Reason.FILE_MISSING


def test_regions_are_those_of_whole_labels(shipped_regions):
    wanted = label_regions(shipped_regions)
    assert wanted["dlpfc", "R"] == {2003, 2027}
    assert wanted["rostral_middle_frontal", "L"] == {NUMBERS["rostralmiddlefrontal", "L"]} == {1027}
    assert ("dlpfc_sem", "L") not in wanted
    assert ("hippocampus_anterior", "L") not in wanted


@pytest.mark.parametrize("program", ["freesurfer", "fastsurfer"])
def test_simulated_statistics_are_read_back(simulated_head, shipped_regions, program):
    whole, gray = label_volumes(simulated_head.head)
    data, _ = read(simulated_head.files(program), shipped_regions)
    assert data.source == program
    for hemi, start, nucleus in (("L", 1000, 10), ("R", 2000, 49)):
        assert data.regions["thalamus", hemi].volume_ml == pytest.approx(whole[nucleus] / 1000, abs=1e-4)
        expected = (gray[start + 3] + gray[start + 27]) / 1000
        assert data.regions["dlpfc", hemi].volume_ml == pytest.approx(expected, abs=1e-5)
        assert data.regions["s1", hemi].thickness_mm == pytest.approx(thickness(22))
        assert thickness(3) < data.regions["dlpfc", hemi].thickness_mm < thickness(27)
    brain_ml = simulated_head.head.brain.sum(dtype=float) * simulated_head.head.grid.voxel_ml
    assert data.tiv_ml == pytest.approx(brain_ml)
    assert data.gm_ml == pytest.approx(simulated_head.head.gm.sum(dtype=float) * simulated_head.head.grid.voxel_ml)
    assert data.euler == 2 - HOLES


def test_the_label_volume_says_what_the_statistics_say(simulated_head, shipped_regions):
    volume = next(path for path in simulated_head.files("freesurfer") if path.suffix == ".mgz")
    data, _ = read([volume], shipped_regions)
    count = np.count_nonzero(native_labels(simulated_head.head) == 10)
    assert data.regions["thalamus", "L"].volume_ml == pytest.approx(count * simulated_head.head.grid.voxel_ml, rel=1e-6)
