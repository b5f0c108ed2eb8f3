"""The step from files to rows."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.regions import read_regions, region_weights
from lbpneuro.steps.functional import main
from tests.oracles.functional import AFFINE, SETTINGS, SHAPE, SPACE, coloured, confounds_table, write_run

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
BAND = (0.01, 0.08)
T_R = 2.0


@pytest.fixture(scope="module")
def weights():
    regions = read_regions(ROIS)
    return [region_weights(regions[roi, "n/a"], affine=AFFINE, shape=SHAPE) for roi in ("pag", "vmpfc")]


def simulated_bold(rng, weights, *, r: float, n_time: int = 260) -> np.ndarray:
    """A brain of noise around 1000 with two correlated regions; float32, x y z t."""
    shared = coloured(rng, n_time=n_time, n_series=1, exponent=1, t_r=T_R, band_hz=BAND)
    own = coloured(rng, n_time=n_time, n_series=2, exponent=1, t_r=T_R, band_hz=BAND)
    signals = np.sqrt(r) * shared + np.sqrt(1 - r) * own
    bold = 1000 + 8 * rng.standard_normal((*SHAPE, n_time), dtype=np.float32)
    for region, signal in zip(weights, signals.T, strict=True):
        bold[region > 0] += (20 * signal).astype(np.float32)
    return bold.astype(np.float32)


def brain() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3:-3, 3:-3, 2:-3] = True
    return mask


def run_step(tmp_path: Path, files, **settings) -> tuple[pd.DataFrame, dict]:
    config = {
        "dataset": {
            "bids_dir": str(tmp_path / "raw"),
            "out_dir": str(tmp_path / "out"),
            "derivatives": {"fmriprep": str(tmp_path / "fmriprep")},
        },
        "functional": {**SETTINGS, "rois": str(ROIS), **settings},
        "structural": {},
        "preprocess": {"level": "draft"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    rows = tmp_path / "out" / "sub-01" / "func" / "sub-01_desc-functional_markers.tsv"
    arguments = ["--out", str(rows), "--config", str(tmp_path / "config.json"), "--participant", "sub-01"]
    assert main(["--in", *[str(path) for path in files], *arguments]) == 0
    table = pd.read_csv(rows, sep="\t", na_values=["n/a"], keep_default_na=False)
    return table, json.loads(rows.with_suffix(".json").read_text())


def test_from_files_to_rows(tmp_path, rng, weights):
    table = confounds_table(rng, n_time=260, n_unsteady=2)
    files = write_run(
        tmp_path / "fmriprep", bold=simulated_bold(rng, weights, r=0.6), mask=brain(), table=table, t_r=T_R
    )
    rows, sidecar = run_step(tmp_path, files)
    z = rows[rows.marker == "pag_vmpfc_z"].iloc[0]
    assert z.status in ("ok", "flag")
    assert abs(z.value - np.arctanh(0.6)) < 3 * z.se
    assert not list(rows[rows.value.isna()].marker)
    assert len(sidecar["Outputs"]) == 5
    for name in sidecar["Outputs"]:
        assert (tmp_path / "out" / name).exists()
    func = tmp_path / "out" / "sub-01" / "func"
    seed = nib.load(func / f"sub-01_task-rest_space-{SPACE}_desc-pagseed_stat-z_boldmap.nii.gz").get_fdata()
    assert np.nanmean(seed[weights[1] > 0.9]) > 5 * abs(np.nanmean(seed[5:12, 5:12, 5:12]))
