"""Gray-matter maps of the user's own."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.gm_maps import read_gm_map, read_tiv
from lbpneuro.io.regions import require
from lbpneuro.markers.tissue import MAP_REGIONS
from tests.oracles import heads

TABLE = "participant_id\tsession_id\ttiv\nsub-01\tses-a\t1450.5\nsub-01\tses-b\t1460\nsub-02\tn/a\tn/a\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text(TABLE)
    return path


def settings(folder, **maps):
    entry = {"pattern": "*", "modulated": True, "tiv_file": None, "tiv_column": None}
    return {"dataset": {"bids_dir": str(folder)}, "structural": {"gm_maps": {**entry, **maps}}}


@pytest.fixture
def regions(shipped_regions):
    return require(shipped_regions, MAP_REGIONS)


def test_volumes_are_found_by_person_and_session(table):
    assert read_tiv(table, "tiv", who=("sub-01", "ses-a")) == 1450.5
    assert read_tiv(table, "tiv", who=("sub-01", "ses-b")) == 1460
    assert math.isnan(read_tiv(table, "tiv", who=("sub-02", None)))


def test_a_table_without_sessions_serves_all_of_them(tmp_path):
    path = tmp_path / "tiv.tsv"
    path.write_text("participant_id\ttiv_ml\n01\t1500\n")
    assert read_tiv(path, "tiv_ml", who=("sub-01", "ses-b")) == 1500


@pytest.mark.parametrize(
    ("text", "who", "said"),
    [
        (TABLE, ("sub-03", None), "expected one row for sub-03, found 0"),
        (TABLE, ("sub-01", None), "expected one row for sub-01, found 2"),
        (TABLE, ("sub-01", "ses-c"), "expected one row for sub-01 ses-c, found 0"),
        (TABLE.replace("\ttiv\n", "\ticv\n"), ("sub-01", "ses-a"), "column tiv is missing; found participant_id, ses"),
        (TABLE.replace("1450.5", "1450,5"), ("sub-01", "ses-a"), "volume in mL, found '1450,5' .write a point"),
        (TABLE.replace("1450.5", "large"), ("sub-01", "ses-a"), "volume in mL, found 'large'"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, text, who, said):
    path = tmp_path / "participants.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_tiv(path, "tiv", who=who)


def test_cubic_millimetres_are_refused(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text(TABLE.replace("1450.5", "1450500"))
    with pytest.raises(UnitError, match=r"found 1\.4505e\+06, which looks like mm³; divide by 1000"):
        read_tiv(path, "tiv", who=("sub-01", "ses-a"))


def test_a_modulated_map(table, regions, tmp_path):
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-90, -126, -72]
    path = tmp_path / "mwc1sub-01_ses-a_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.full((61, 73, 61), 0.5, dtype=np.float32), affine), path)
    config = settings(table.parent, tiv_column="tiv")
    data, method = read_gm_map([path], regions=regions, config=config, who=("sub-01", "ses-a"), fd_mean_mm=0.1)
    assert (data.source, data.tiv_ml, data.fd_mean_mm) == ("maps", 1450.5, 0.1)
    assert data.gm_ml == pytest.approx(0.5 * 61 * 73 * 61 * 0.027)
    assert "modulated" in method
    sphere = data.regions["dlpfc_sem", "R"]
    assert sphere.volume_ml == pytest.approx(0.5 * 4 / 3 * np.pi * 0.216, rel=0.03)
    assert data.regions["thalamus", "L"].measure == "gray_matter"
    assert data.regions["thalamus", "L"].coverage == 1
    other = tmp_path / "sub-01_space-MNI152NLin6Asym_label-GM_probseg.nii.gz"
    other.write_bytes(path.read_bytes())
    data, _ = read_gm_map([other], regions=regions, config=settings(tmp_path), who=("sub-01", None))
    assert data.regions == {}
    assert data.absent["dlpfc", "L"] is Reason.OTHER_TEMPLATE
    assert math.isnan(data.tiv_ml)


def test_a_native_map(regions, tmp_path):
    files = heads.write_head(tmp_path, tissues=("GM",), mask=False)
    regions = require(regions, [("thalamus", "L")])
    config = settings(tmp_path, modulated=False)
    data, method = read_gm_map(files, regions=regions, config=config, who=("sub-01", None))
    inside = heads.ellipsoid(*heads.grid())
    assert data.gm_ml == pytest.approx(0.45 * inside.sum() * 0.125, rel=1e-6)
    assert math.isnan(data.tiv_ml)
    assert math.isnan(data.wm_ml)
    assert data.regions["thalamus", "L"].measure == "label"
    assert "probability map" in method
    data, _ = read_gm_map(files[1:], regions=regions, config=config, who=("sub-01", None))
    assert data.regions == {}
