"""Whole heads: what is in them, the planted truth, and the study of raw images."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import simulate
from lbpneuro.errors import InputError
from lbpneuro.simulate.anatomy import AnatomySettings, bias_field
from lbpneuro.simulate.head_files import HeadStudy, simulate_heads, write_head
from lbpneuro.simulate.heads import DEEP, PLANTED, head, head_around, head_truth, planted_velocity, true_volumes
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.template import region_shares
from lbpneuro.simulate.warps import exponential, jacobian
from tests.oracles.files import content

SETTINGS = AnatomySettings()
COARSE_MM = 4.0


def visit(session: int = 1) -> Visit:
    return Visit(person(2, seed=7, effect=0.0), session, 7)


def made(look: str = "whole", *, loss: float = 0.0, session: int = 1):
    return head(visit(session), loss=loss, voxel_mm=COARSE_MM, look=look, settings=SETTINGS)


@pytest.fixture(scope="module")
def whole():
    return made()


@pytest.fixture(scope="module")
def volumes():
    keys = [(roi, hemi) for roi in ("dlpfc", "thalamus") for hemi in ("L", "R")]
    return {loss: true_volumes(visit(), loss=loss, settings=SETTINGS, keys=keys) for loss in (0.0, 5.0, 10.0)}


def at(one, point):
    """The image without its bias field, averaged around a point of the template (mm)."""
    flat = one.image / bias_field(visit().passing("t1w"), one.grid)
    where = one.from_template(np.array([point], dtype=float))[0]
    x, y, z = np.rint(np.linalg.inv(one.grid.affine)[:3] @ [*where, 1]).astype(int)
    return float(flat[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].mean())


def test_the_head_has_what_heads_have(whole):
    white, thalamus = at(whole, (-26, -20, 32)), at(whole, (-12, -18, 8))
    assert white > 90
    assert 72 < thalamus < white - 4  # between gray and white matter
    assert at(whole, (-33, 68, -42)) < 45  # the eye
    assert at(whole, (0, 64, -64)) < 20  # the nose is full of air
    assert at(whole, (0, -34, -112)) > 45  # the neck
    assert whole.image[[0, -1]].mean() < 6  # nothing left and right of the head


@pytest.mark.parametrize("look", ["defaced", "stripped"])
def test_what_is_taken_away_is_zero(whole, look):
    found = made(look)
    gone = found.image == 0
    assert not gone[found.brain > 0.6].any()
    np.testing.assert_array_equal(found.image[~gone], whole.image[~gone])
    assert 0.01 < gone.mean() < 0.5 if look == "defaced" else gone.mean() > 0.8
    if look == "defaced":
        assert at(found, (-33, 68, -42)) == 0
        assert at(found, (0, -34, -112)) > 45


def test_the_same_visit_gives_the_same_head_and_another_one_noise_and_pose(whole):
    np.testing.assert_array_equal(made().image, whole.image)
    again = made(session=2)
    assert np.abs(again.brain - whole.brain).max() > 0.2
    assert again.brain.sum() == pytest.approx(whole.brain.sum(), rel=2e-3)


@pytest.mark.parametrize("loss", [5.0, 10.0])
def test_the_planted_regions_lose_what_was_planted_and_the_others_nothing(volumes, loss):
    for key, (label, gray) in volumes[loss].items():
        before = volumes[0.0][key]
        changes = [100 * (label / before[0] - 1), 100 * (gray / before[1] - 1)]
        if key in PLANTED:
            assert changes == pytest.approx([-loss, -loss], rel=0.1), key
        else:
            assert np.abs(changes).max() < 0.15 * loss, key


def test_counted_volumes_are_those_of_the_jacobian(volumes):
    """Another way to the same number: the Jacobian of the forward map, integrated over the label in template space."""
    fields = [exponential(planted_velocity(visit(), loss=k, settings=SETTINGS), voxel_mm=4.0) for k in (0.0, 10.0)]
    for key in PLANTED:
        share = region_shares(key, 4.0)
        before, after = (float((share * jacobian(field, voxel_mm=4.0)).sum()) for field in fields)
        counted = volumes[10.0][key][0] / volumes[0.0][key][0]
        assert after / before == pytest.approx(counted, abs=0.006)


def test_rows_of_the_truth(volumes):
    rows = head_truth(visit(), volumes[10.0], first=volumes[0.0])
    found = {(row["marker"], row["roi"], row["hemi"]): row["value"] for row in rows}
    assert len(found) == 4 * len(volumes[0.0])
    label, gray = volumes[10.0]["thalamus", "R"]
    assert "thalamus" in DEEP
    assert found["gm_volume", "thalamus", "R"] == found["label_volume", "thalamus", "R"] == label
    assert found["gm_change", "thalamus", "R"] == pytest.approx(100 * (gray / volumes[0.0]["thalamus", "R"][1] - 1))
    assert found["gm_volume", "dlpfc", "L"] == volumes[10.0]["dlpfc", "L"][1]


@pytest.mark.parametrize(("options", "words"), [({"look": "naked"}, "whole, defaced"), ({"loss": 45.0}, "-30 and 30")])
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        head(visit(), **{"loss": 0.0, "voxel_mm": 4.0, "look": "whole", "settings": SETTINGS} | options)


def test_shells_lie_around_the_brain():
    around, cut, grid = head_around()
    assert around.shape == cut.shape == grid.shape
    assert set(np.unique(cut)) == {0, 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    numbers = ["--participants", "1", "--losses", "0", "10", "--resolution", "4", "--nprocs", "1"]
    assert simulate([str(folder), "--raw-anat", "--look", "defaced", *numbers]) == 0
    return folder


def test_only_raw_images_are_written(study):
    files = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
    assert {f"raw/sub-01/ses-0{k}/anat/sub-01_ses-0{k}_T1w.nii.gz" for k in (1, 2)} < files
    assert not any("fmriprep" in name or "func" in name for name in files)
    assert json.loads((study / "raw" / "dataset_description.json").read_text())["DatasetType"] == "raw"
    image = nib.load(study / "raw/sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert image.header["sform_code"] == 1
    truth = pd.read_csv(study / "truth.tsv", sep="\t")
    lost = truth[(truth["marker"] == "label_change") & (truth["session_id"] == "ses-02")].set_index(["roi", "hemi"])
    assert lost.loc[("thalamus", "R"), "value"] == pytest.approx(-10, abs=1)
    assert abs(lost.loc[("thalamus", "L"), "value"]) < 1


def test_the_same_seed_gives_the_same_bytes(study, tmp_path):
    again = HeadStudy(root=tmp_path, voxel_mm=4.0, losses=(0.0, 10.0), look="defaced")
    write_head(again, Visit(person(1, seed=1, effect=1.0), 2, 1))
    name = "raw/sub-01/ses-02/anat/sub-01_ses-02_T1w.nii.gz"
    assert content(tmp_path / name) == content(study / name)


def test_a_single_session_has_no_number(tmp_path):
    seen = []
    simulate_heads(tmp_path, participants=1, losses=[0], resolution_mm=4.0, progress=lambda *done: seen.append(done))
    assert (tmp_path / "raw/sub-01/anat/sub-01_T1w.nii.gz").is_file()
    assert seen == [(1, 1, "sub-01")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"participants": 0}, "`participants` must be 1"),
        ({"losses": ()}, "`losses` must be 1"),
        ({"resolution_mm": 9.0}, "between 0.5 and 4"),
        ({"look": "naked"}, "one of whole"),
    ],
)
def test_studies_that_cannot_be_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        simulate_heads(tmp_path, **options)


@pytest.mark.parametrize("extra", [["--sessions", "2"], ["--ratings"]])
def test_heads_have_no_ratings_and_a_session_per_loss(tmp_path, extra):
    with pytest.raises(SystemExit):
        simulate([str(tmp_path), "--raw-anat", *extra])
