"""What the connectivity step writes beside its rows: mean image, maps, matrices, regions, cleaned series, motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import gzip_writer, write_json, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.region_grid import GridRegions, volume_weights
from lbpneuro.io.relmats import write_relmats
from lbpneuro.io.runs import Scan
from lbpneuro.io.series import Series
from lbpneuro.kernels.correlation import fisher_z, seed_correlation
from lbpneuro.kernels.nuisance import cleaned, project
from lbpneuro.kernels.smoothing import smooth_in_mask
from lbpneuro.kernels.summaries import mean_correlation, mean_squared_correlation
from lbpneuro.kernels.voxels import places_in_file
from lbpneuro.markers.bold import BRAINSTEM, Level, end_series, parts_of, region_label

# far above the last digits, in which linear algebra may differ between numbers of threads
MAP_DECIMALS = 4
SERIES_DECIMALS = 6
PLANES = 8
PICTURED: tuple[Level, ...] = (("pag", "n/a"), ("vmpfc", "n/a"), ("mpfc", "n/a"), ("vta", "L"), ("vta", "R"))
SUMMARIES = (
    ("gbc", mean_correlation, "Mean correlation with all other voxels (global brain connectivity)"),
    ("icc", mean_squared_correlation, "Mean squared correlation with all other voxels (intrinsic connectivity)"),
)
SERIES_NAMES = {"cortical": "roi", "brainstem": "roibrainstem"}
PathOf = Callable[..., Path]


def write_scan(scan: Scan, path_of: PathOf, settings: Mapping[str, Any]) -> None:
    """Write the further outputs of a run.

    Parameters
    ----------
    scan
        From :func:`lbpneuro.io.runs.read_scan`. Its voxels are smoothed in their own place, and so spent.
    path_of
        ``path_of(datatype, suffix, extension, **entities)`` returns where a file goes.
    settings
        The section ``functional`` of the settings.
    """
    names = {**scan.files.entities, **{key: value for key, value in _space(scan).items() if value}}
    _write_image(
        path_of("func", "boldref", ".nii.gz", **names, desc="mean"), scan.series.mean, affine=scan.series.affine
    )
    _write_regions(path_of("func", "probseg", ".nii.gz", **names, desc="roi"), scan)
    _write_motion(path_of("func", "timeseries", ".tsv", **scan.files.entities, desc="motion"), scan)
    for model, desc in SERIES_NAMES.items():
        if scan.run.basis(model) is not None:
            _write_series(path_of("func", "timeseries", ".tsv", **scan.files.entities, desc=desc), scan, model=model)
    write_relmats(scan.run, scan.nodes, settings=settings, path_of=path_of, names=names, confounds=scan.regressors)
    for model, voxels in _smoothed(scan, fwhm_mm=settings["map_fwhm_mm"]).items():
        _write_maps(scan, voxels, path_of, names, model=model, settings=settings)


def seed_model(parts: Sequence[Level]) -> str:
    """Return the nuisance model of a seed: that of the brainstem if any part of it lies there."""
    return "brainstem" if any(roi in BRAINSTEM for roi, _ in parts) else "cortical"


def map_models(settings: Mapping[str, Any], regions: Sequence[Level]) -> tuple[str, ...]:
    """Return the nuisance models that maps are made with; the whole-brain summaries have the cortical one."""
    seeds = {seed_model(parts_of(name, regions)) for name in settings["seeds"]}
    return tuple(dict.fromkeys(("cortical", *sorted(seeds))))


def _smoothed(scan: Scan, *, fwhm_mm: float) -> dict[str, NDArray[np.floating]]:
    """Return the coordinates of the voxels by model, smoothed in their own place; models may share them."""
    if fwhm_mm > 0:
        fwhm_voxels = fwhm_mm / np.linalg.norm(scan.series.affine[:3, :3], axis=0)
        for voxels in {id(each): each for each in scan.projected.values()}.values():
            smooth_in_mask(voxels, mask=scan.series.mask, fwhm_voxels=fwhm_voxels, out=voxels)
    return dict(scan.projected)


def _write_maps(
    scan: Scan,
    voxels: NDArray[np.floating],
    path_of: PathOf,
    names: Mapping[str, str],
    *,
    model: str,
    settings: Mapping[str, Any],
) -> None:
    """Write the maps of one nuisance model: its seeds, and for the cortical one the whole-brain summaries."""
    basis = scan.run.basis(model)
    if basis is None:
        return
    fwhm_mm = settings["map_fwhm_mm"]
    seeds = {name: parts_of(name, scan.run.regions) for name in settings["seeds"]}
    seeds = {name: parts for name, parts in seeds.items() if seed_model(parts) == model}
    smoothing = f"smoothed by {fwhm_mm:g} mm" if fwhm_mm > 0 else "not smoothed"
    write = partial(_write_map, series=scan.series, places=places_in_file(scan.series.mask))
    described = f"{scan.run.models[model].strategy} confounds, {smoothing}"
    if seeds:
        series = np.column_stack([end_series(scan.run, parts) for parts in seeds.values()])
        coordinates = project(basis, series, keep=scan.run.keep)
        z = fisher_z(seed_correlation(coordinates, projected=voxels))
        for (name, parts), values in zip(seeds.items(), z, strict=True):
            if scan.run.size[scan.run.columns(parts)].any():
                path = path_of("func", "boldmap", ".nii.gz", **names, seed=seed_name(name), stat="z")
                text = f"Fisher z of the correlation of every voxel with the mean series of {name}; {described}."
                write(path, values, text=text)
    if model == "cortical":
        for stat, kernel, text in SUMMARIES:
            path = path_of("func", "boldmap", ".nii.gz", **names, stat=stat)
            write(path, kernel(voxels), text=f"{text}; {described}.")


def seed_name(name: str) -> str:
    """Return the label of a seed in a BIDS name: ``hippocampusAnterior``."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _space(scan: Scan) -> dict[str, str | None]:
    own = entities(scan.files.bold)
    return {"space": own.get("space"), "res": own.get("res")}


def _write_image(path: Path, data: NDArray[np.generic], *, affine: NDArray[np.float64]) -> None:
    """Write an array on the grid of the run (x, y, z first), some planes at a time as they lie in memory."""
    planes = data.T.reshape(-1, *data.shape[1::-1])
    header = _header(data.shape, data.dtype, affine.tobytes(), mni="MNI152" in path.name)
    with gzip_writer(path) as stream:  # a third of the time of one string of all
        stream.write(header)
        for start in range(0, len(planes), PLANES):
            stream.write(np.ascontiguousarray(planes[start : start + PLANES]).data)


@lru_cache(maxsize=4)
def _header(shape: tuple[int, ...], dtype: np.dtype[Any], affine: bytes, *, mni: bool) -> bytes:
    """Return the header of an image, of which a run has many; ``affine`` are the bytes of (4, 4) float64."""
    import nibabel as nib

    matrix = np.frombuffer(affine).reshape(4, 4)
    image = nib.Nifti1Image(np.broadcast_to(np.zeros(1, dtype), shape), matrix)
    image.set_sform(matrix, code="mni" if mni else "aligned")
    image.set_qform(matrix, code="unknown", strip_shears=True)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1, 0)
    image.header["vox_offset"] = 352
    return bytes(image.header.binaryblock + bytes(4))


def _write_regions(path: Path, scan: Scan) -> None:
    """Write the weights of the regions that the report draws."""
    rows = [scan.found.names.index(level) for level in PICTURED if level in scan.found.names]
    drawn = GridRegions(
        names=tuple(scan.found.names[row] for row in rows),
        weights=scan.found.weights[rows],
        whole=scan.found.whole[rows],
        csf_excluded=scan.found.csf_excluded[rows],
    )
    _write_image(path, volume_weights(drawn, mask=scan.series.mask), affine=scan.series.affine)
    content = {
        "Description": "Share of each voxel in some regions, as used for their mean series; volumes as LabelMap.",
        "LabelMap": [region_label((str(roi), str(hemi))) for roi, hemi in drawn.names],
        "CSFExcluded": drawn.csf_excluded.tolist(),
    }
    write_json(_sidecar(path), content)


def _write_map(
    path: Path, values: NDArray[np.floating], *, series: Series, places: NDArray[np.intp], text: str
) -> None:
    """Write the values of the voxels at ``places``; 0 outside the mask, NaN where a voxel has no signal."""
    image = np.zeros(series.mask.size, dtype=np.float32)
    image[places] = np.round(values, MAP_DECIMALS)
    _write_image(path, image.reshape(series.mask.shape, order="F"), affine=series.affine)
    write_json(_sidecar(path), {"Description": text})


def _write_series(path: Path, scan: Scan, *, model: str) -> None:
    """Write the cleaned mean series of the regions under a nuisance model; censored volumes are n/a."""
    import pandas as pd

    run, basis = scan.run, scan.run.basis(model)
    if basis is None:
        return
    series = cleaned(basis, project(basis, run.means, keep=run.keep), keep=run.keep)
    labels = [region_label(level) for level in run.regions]
    write_tsv(path, pd.DataFrame(np.round(series, SERIES_DECIMALS), columns=labels))
    regions = {
        label: {
            "Description": f"Cleaned mean series of {label}, in the units of the BOLD series.",
            "Coverage": None if np.isnan(share) else round(float(share), SERIES_DECIMALS),
        }
        for label, share in zip(labels, run.coverage, strict=True)
    }
    facts = {
        "RepetitionTime": run.t_r,
        "Model": model,
        "ConfoundStrategy": run.models[model].strategy,
        "ReducedConfounds": run.models[model].reduced,
        "Confounds": list(scan.regressors[model]),
        "ResidualDimension": basis.shape[1],
    }
    write_json(_sidecar(path), {**regions, **facts})


def _write_motion(path: Path, scan: Scan) -> None:
    """Write displacement, DVARS and censoring, one row per volume."""
    import pandas as pd

    table = pd.DataFrame(
        {
            "fd_jenkinson": scan.confounds.fd_jenkinson,
            "framewise_displacement": scan.confounds.fd_power,
            "std_dvars": scan.confounds.std_dvars,
            "non_steady_state": (~scan.confounds.steady).astype(int),
            "censored": (~scan.run.keep).astype(int),
        }
    )
    write_tsv(path, table)
    yes_or_no = {"Levels": {"0": "no", "1": "yes"}}
    content = {
        "fd_jenkinson": {
            "Description": "Framewise displacement of Jenkinson, which decides on censoring.",
            "Units": "mm",
        },
        "framewise_displacement": {"Description": "Framewise displacement of Power.", "Units": "mm"},
        "std_dvars": {"Description": "Standardised DVARS of the confounds table; n/a if it has none."},
        "non_steady_state": {"Description": "1 for a volume before the steady state.", **yes_or_no},
        "censored": {"Description": "1 for a volume that does not enter connectivity.", **yes_or_no},
        "RepetitionTime": scan.run.t_r,
    }
    write_json(_sidecar(path), content)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name.split(".")[0] + ".json")
