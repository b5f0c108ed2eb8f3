"""What the connectivity step writes beside its rows: mean image, seed map, regions, cleaned series, motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import write_json, write_nifti, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.runs import Scan
from lbpneuro.io.series import Series
from lbpneuro.kernels.correlation import fisher_z, seed_correlation
from lbpneuro.kernels.nuisance import cleaned, project
from lbpneuro.markers.functional import ROIS

# far above the last digits, in which linear algebra may differ between numbers of threads
MAP_DECIMALS = 4
SERIES_DECIMALS = 6
PathOf = Callable[..., Path]


def write_scan(scan: Scan, path_of: PathOf) -> None:
    """Write the further outputs of a run.

    Parameters
    ----------
    scan
        From :func:`lbpneuro.io.runs.read_scan`.
    path_of
        ``path_of(datatype, suffix, extension, **entities)`` returns where a file goes.
    """
    space = {key: value for key, value in _space(scan).items() if value}
    names = {**scan.files.entities, **space}
    _write_image(
        path_of("func", "boldref", ".nii.gz", **names, desc="mean"), scan.series.mean, affine=scan.series.affine
    )
    _write_regions(path_of("func", "probseg", ".nii.gz", **names, desc="roi"), scan)
    _write_motion(path_of("func", "timeseries", ".tsv", **scan.files.entities, desc="motion"), scan)
    basis = scan.run.basis
    if basis is None:
        return
    projected = project(basis, scan.run.means, keep=scan.run.keep)
    series = cleaned(basis, projected, keep=scan.run.keep)
    _write_series(path_of("func", "timeseries", ".tsv", **scan.files.entities, desc="roi"), series, t_r=scan.run.t_r)
    voxels = project(basis, scan.series.bold, keep=scan.run.keep)
    z = fisher_z(seed_correlation(projected[:, ROIS.index("pag")], projected=voxels))
    _write_seed_map(path_of("func", "boldmap", ".nii.gz", **names, desc="pagseed", stat="z"), z, series=scan.series)


def _space(scan: Scan) -> dict[str, str | None]:
    own = entities(scan.files.bold)
    return {"space": own.get("space"), "res": own.get("res")}


def _write_image(path: Path, data: NDArray[np.generic], *, affine: NDArray[np.float64]) -> None:
    """Write an array on the grid of the run (x, y, z first)."""
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code="mni" if "MNI152" in path.name else "aligned")
    image.set_qform(affine, code="unknown", strip_shears=True)
    image.header.set_xyzt_units("mm")
    write_nifti(path, image)


def _write_regions(path: Path, scan: Scan) -> None:
    _write_image(path, np.moveaxis(scan.weights, 0, -1), affine=scan.series.affine)
    content = {
        "Description": "Share of each voxel in each region, as used for the mean series; volumes as LabelMap.",
        "LabelMap": list(ROIS),
        "CSFExcluded": scan.csf_excluded,
    }
    write_json(_sidecar(path), content)


def _write_seed_map(path: Path, z: NDArray[np.float64], *, series: Series) -> None:
    """Write Fisher z of every voxel with the PAG; 0 outside the mask, NaN where a voxel has no signal."""
    image = np.zeros(series.mask.shape, dtype=np.float32)
    image[series.mask] = np.round(z, MAP_DECIMALS)
    _write_image(path, image, affine=series.affine)
    content = {
        "Description": "Fisher z of the correlation with the mean series of the periaqueductal gray; not smoothed."
    }
    write_json(_sidecar(path), content)


def _write_series(path: Path, series: NDArray[np.float64], *, t_r: float) -> None:
    """Write the cleaned mean series of the regions; censored volumes are n/a."""
    import pandas as pd

    write_tsv(path, pd.DataFrame(np.round(series, SERIES_DECIMALS), columns=list(ROIS)))
    content: dict[str, Any] = {
        roi: {"Description": f"Cleaned mean series of {roi}, in the units of the BOLD series."} for roi in ROIS
    }
    write_json(_sidecar(path), {**content, "RepetitionTime": t_r})


def _write_motion(path: Path, scan: Scan) -> None:
    """Write displacement and censoring, one row per volume."""
    import pandas as pd

    table = pd.DataFrame(
        {
            "fd_jenkinson": scan.confounds.fd_jenkinson,
            "framewise_displacement": scan.confounds.fd_power,
            "non_steady_state": (~scan.confounds.steady).astype(int),
            "censored": (~scan.run.keep).astype(int),
        }
    )
    write_tsv(path, table)
    content = {
        "fd_jenkinson": {
            "Description": "Framewise displacement of Jenkinson, which decides on censoring.",
            "Units": "mm",
        },
        "framewise_displacement": {"Description": "Framewise displacement of Power.", "Units": "mm"},
        "non_steady_state": {
            "Description": "1 for a volume before the steady state.",
            "Levels": {"0": "no", "1": "yes"},
        },
        "censored": {
            "Description": "1 for a volume that does not enter connectivity.",
            "Levels": {"0": "no", "1": "yes"},
        },
        "RepetitionTime": scan.run.t_r,
    }
    write_json(_sidecar(path), content)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name.split(".")[0] + ".json")
