"""The functional step against nilearn from the same files, and where a misplaced brainstem gives no value."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from benchmarks.recovery import measured
from lbpneuro.io import relmats
from lbpneuro.io.atlases import seitzman_nodes
from lbpneuro.io.confounds import read_confounds
from lbpneuro.kernels.nuisance import cosines, frequencies_hz
from lbpneuro.markers.bold import BRAINSTEM
from lbpneuro.markers.edges import LABELS
from lbpneuro.simulate.imaging_files import SPACE, write_imaging
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.template import template
from tests.oracles.files import blocks, matrices
from tests.oracles.functional import confounds_table, write_run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

VISIT = Visit(person(1, seed=5, effect=1.0), 0, 5)
HIGH_PASS_HZ = 0.008
STILL = {"fd_spike_mm": 99.0, "fd_mean_mm": [99.0, 99.0], "fd_max_mm": 999.0, "kept_s": [60, 120]}


@pytest.fixture
def all_digits(monkeypatch) -> Iterator[None]:
    """Matrices are written with more digits than users get."""
    relmats._texts.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(relmats, "DECIMALS", 6)
        yield
    relmats._texts.cache_clear()


@pytest.fixture(scope="module")
def visit_folder(tmp_path_factory) -> Path:
    """One simulated person at 4 mm."""
    root = tmp_path_factory.mktemp("truth")
    study = Study(root=root, voxel_mm=4.0)
    study.fmriprep.mkdir()
    write_imaging(study, VISIT)
    shutil.rmtree(study.raw)
    return root


# where the brainstem lies


def moved(folder: Path, target: Path, *, shift_mm: tuple[float, float, float]) -> Path:
    """A copy of the person with run and tissue maps shifted, the maps those of the template at 2 mm."""
    shutil.copytree(folder / "fmriprep", target / "fmriprep")
    for path in (target / "fmriprep").rglob(f"*_space-{SPACE}_*.nii.gz"):
        image = nib.load(path)
        data, affine = np.asarray(image.dataobj), image.affine.copy()
        tissue = path.name.split("label-")[-1].split("_")[0]
        if tissue in ("GM", "WM", "CSF"):
            source = template(2.0)
            volumes = {"GM": source.gm, "WM": source.wm, "CSF": 1 - source.gm - source.wm}
            data, affine = (volumes[tissue] * source.brain).astype(np.float32), source.grid.affine.copy()
        affine[:3, 3] += shift_mm
        header = image.header.copy()
        header.set_data_dtype(data.dtype)
        copied = nib.Nifti1Image(data, affine, header)
        copied.header["pixdim"][4] = image.header["pixdim"][4]
        nib.save(copied, path)
    return target


@pytest.mark.parametrize(
    ("shift_mm", "refused"),
    [((0, 1, 0), False), ((0, 0, -1), False), ((0, 4, 0), True), ((5, 0, 0), True), ((0, 0, -6), True)],
)
def test_a_brainstem_that_is_millimetres_off_gives_no_value(visit_folder, tmp_path, shift_mm, refused):
    """Cortical connections stay; those of PAG and VTA fail for that reason, or hold if the shift is a millimetre."""
    rows = measured(moved(visit_folder, tmp_path, shift_mm=shift_mm), VISIT, {})
    r = rows[rows["marker"] == "fc_r"].set_index("edge")
    for label, (edge, side) in LABELS.items():
        stem = any(roi in BRAINSTEM for end in edge.ends(side) for roi, _ in end)
        assert stem == (edge.model == "brainstem")
        if refused and stem:
            assert "brainstem_misplaced" in r.loc[label, "reason"], label
            assert np.isnan(float(r.loc[label, "value"]))
        elif stem:
            assert r.loc[label, "status"] in ("ok", "flag"), label
        else:
            assert "brainstem" not in str(r.loc[label, "reason"])


# nilearn from the same files


def nuisance(path: Path, *, n_time: int, t_r: float, strategy: str) -> pd.DataFrame:
    """The regressors of a strategy, a trend and the slow cosines, as a table for nilearn."""
    regressors = read_confounds(path, strategy=strategy, n_time=n_time).regressors
    slow = np.flatnonzero(frequencies_hz(n_time, t_r=t_r) < HIGH_PASS_HZ)[1:]
    trend = np.linspace(-1, 1, n_time)[:, None]
    return pd.DataFrame(np.hstack([regressors, trend, cosines(n_time, orders=slow)])).add_prefix("c")


def by_nilearn(masker, image: Path, *, confounds: pd.DataFrame, keep: np.ndarray) -> np.ndarray:
    """Correlations of the cleaned series of a masker."""
    from nilearn.connectome import ConnectivityMeasure
    from sklearn.covariance import EmpiricalCovariance

    series = masker.fit_transform(str(image), confounds=confounds, sample_mask=np.flatnonzero(keep))
    # nilearn would shrink the covariance
    measure = ConnectivityMeasure(EmpiricalCovariance(store_precision=False), kind="correlation", standardize=False)
    return measure.fit_transform([series])[0]


OPTIONS = {"standardize": False, "detrend": False, "standardize_confounds": True}


def assert_agreement(root: Path, *, t_r: float, tmp_path: Path) -> None:
    """The step and nilearn on the one run below ``root``: labels and spheres, no upper frequency, all regressors."""
    from nilearn.maskers import NiftiLabelsMasker, NiftiSpheresMasker

    bold, mask = (next((root / "fmriprep").rglob(f"*_{name}.nii.gz")) for name in ("bold", "desc-brain_mask"))
    mask = next(bold.parent.glob(f"*_space-{SPACE}_desc-brain_mask.nii.gz"))
    labels = blocks(tmp_path / f"atlas-blocks_space-{SPACE}_dseg.nii.gz", bold, mask)
    settings = {
        **STILL,
        "band_hz": [HIGH_PASS_HZ, 0.5 / t_r],
        **{name: {"cortical": "24p", "brainstem": "24p"} for name in ("confounds", "confounds_alternative")},
        "confounds_fallback": None,
        "atlases": {"blocks": {"image": str(labels), "labels": None}},
        "slow5": {"high_pass_hz": 0.008, "band_hz": [0.01, 0.027], "total_hz": [0.01, 0.1], "kept_s": 60},
    }
    measured(root, VISIT, settings)
    table = next(bold.parent.glob("*_timeseries.tsv"))
    n_time = nib.load(bold).shape[3]
    confounds = nuisance(table, n_time=n_time, t_r=t_r, strategy="24p")
    keep = read_confounds(table, strategy="24p", n_time=n_time).steady
    # of whole numbers nilearn would return the means of spheres as whole numbers
    shared = {"mask_img": str(mask), "t_r": t_r, "dtype": "float64", **OPTIONS}
    by_labels = by_nilearn(NiftiLabelsMasker(str(labels), **shared), bold, confounds=confounds, keep=keep)
    ours = matrices(root, "blocks").to_numpy()
    assert ours.shape == (8, 8)
    assert np.ptp(by_labels[np.triu_indices(8, k=1)]) > 0.1
    np.testing.assert_allclose(ours, by_labels, atol=1e-5)
    nodes, found = seitzman_nodes(), matrices(root, "Seitzman300")
    some = [node for node in range(300) if nodes.radius_mm[node] == 5 and np.isfinite(found.iloc[node]).any()][::12]
    spheres = NiftiSpheresMasker(
        [tuple(nodes.coords_mm[node]) for node in some], radius=5.0, allow_overlap=True, **shared
    )
    theirs = by_nilearn(spheres, bold, confounds=confounds, keep=keep)
    np.testing.assert_allclose(found.iloc[some, some].to_numpy(), theirs, atol=1e-5)


@pytest.mark.usefixtures("all_digits")
def test_matrices_are_those_of_nilearn_on_a_simulated_run(visit_folder, tmp_path):
    shutil.copytree(visit_folder / "fmriprep", tmp_path / "fmriprep")
    assert_agreement(tmp_path, t_r=2.2, tmp_path=tmp_path)


@pytest.mark.usefixtures("all_digits")
def test_matrices_are_those_of_nilearn_on_a_real_run(tmp_path, real_data):
    """156 volumes of the studyforrest project, taken as if in template space; simulated head motion as confounds."""
    source = next((real_data("studyforrest") / "sub-02").rglob("*_bold.nii.gz"))
    image = nib.load(source)
    data = np.asarray(image.dataobj[::2, ::2], dtype=np.float32)
    affine = image.affine @ np.diag([2, 2, 1, 1])
    # the middle of the field of view at the middle of the brain
    affine[:3, 3] += np.array([0, -20, 15]) - (affine @ [*(np.array(data.shape[:3]) / 2), 1])[:3]
    mean = data.mean(axis=3)
    table = confounds_table(np.random.default_rng(2), n_time=data.shape[3], n_unsteady=2)
    mask = (mean > 0.4 * np.percentile(mean, 98)).astype(np.uint8)
    write_run(tmp_path / "fmriprep", bold=data, mask=mask, table=table, t_r=2.0, affine=affine)
    assert_agreement(tmp_path, t_r=2.0, tmp_path=tmp_path)
