"""What is timed. Every function imports and prepares, and returns the part that the clock sees.

Both sides of a comparison start from the same files or arrays and return the same numbers in the same order. Models of
the end-to-end comparison: ``cosines`` is one regression on the 36 confounds, a linear trend and all cosines outside the
band, which both sides can do; ``butterworth`` is nilearn's own band-pass filter before the regression.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import CENTRE_MM, RADII_MM, T_R, run_files
from lbpneuro.io.images import load_image
from lbpneuro.kernels.voxels import as_volume, columns_of, voxels_of

Array = NDArray[Any]
BAND_HZ = (0.01, 0.08)
POLYNOMIAL = 1
SEED_MM = (0.0, -52.0, 26.0)
SEED_RADIUS_MM = 6.5  # no voxel of a 2-mm grid lies on its surface, where rounding would decide
LIBRARIES = ("isal", "zlib", "isal, second thread", "zlib-ng", "rapidgzip", "libdeflate", "indexed_gzip")
CHUNK = 1 << 21
STEP_SEEDS = (
    *("pag", "vlpag", "lpag", "vta", "mpfc", "accumbens", "hippocampus_anterior", "vmpfc", "pcc", "insula_L"),
    *("insula_R", "amygdala_L", "amygdala_R", "s1_L", "s1_R", "dlpfc_L", "dlpfc_R", "precuneus_L", "md_L", "vpl_L"),
)
# of one thread, CPU time is what the wall clock would say if nobody else were on the machine
CLOCK = time.process_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter
GEMM_SIZE = 2048
COPY_SIZE = 1 << 26
TURN = 0.02


# --- reading


def decompress(folder: Path, *, library: str = "isal") -> Callable[[], int]:
    """Only unpack the file, by one library; the number of bytes."""
    path = run_files(folder).bold
    opened = {
        "zlib": _zlib,
        "isal": _isal,
        "isal, second thread": _isal_threaded,
        "zlib-ng": _zlib_ng,
        "rapidgzip": _rapidgzip,
        "indexed_gzip": _indexed_gzip,
        "libdeflate": _libdeflate,
    }[library]()
    target = memoryview(bytearray(CHUNK))

    def run() -> int:
        total = 0
        with opened(path) as stream:
            while count := stream.readinto(target):
                total += count
        return total

    return run


def _zlib() -> Any:
    import gzip

    return gzip.open


def _isal() -> Any:
    from isal import igzip

    return igzip.open


def _isal_threaded() -> Any:
    from isal import igzip_threaded

    return lambda path: igzip_threaded.open(path, "rb", threads=1, block_size=1 << 20)


def _zlib_ng() -> Any:
    from zlib_ng import gzip_ng

    return gzip_ng.open


def _rapidgzip() -> Any:
    import rapidgzip

    return lambda path: rapidgzip.open(str(path), parallelization=1)


def _indexed_gzip() -> Any:
    import indexed_gzip

    return lambda path: indexed_gzip.IndexedGzipFile(str(path), spacing=1 << 28, readbuf_size=1 << 20)


def _libdeflate() -> Any:
    import io

    import deflate

    return lambda path: io.BytesIO(deflate.gzip_decompress(path.read_bytes()))


def read(folder: Path) -> Callable[[], int]:
    """Our streaming read: unpacked, masked, float32."""
    from lbpneuro.io.series import read_series

    files = run_files(folder)
    return lambda: read_series(files.bold, files.mask).bold.size


def read_nilearn(folder: Path) -> Callable[[], int]:
    """nilearn's reading of the same: whole image, then the mask."""
    from nilearn.masking import apply_mask

    files = run_files(folder)
    return lambda: int(apply_mask(str(files.bold), str(files.mask)).size)


# --- files to seed maps


def seed_map(folder: Path) -> Callable[[], Array]:
    """Ours: from the compressed file to a written Fisher-z map of one seed."""
    return lambda: run_maps(folder, centres=[SEED_MM], summaries=False)[0]


def seed_maps(folder: Path, *, n_seed: int, summaries: bool) -> Callable[[], int]:
    """Ours: from the compressed file to written maps of many seeds, GBC and ICC."""
    return lambda: len(run_maps(folder, centres=centres_mm(n_seed), summaries=summaries))


def run_maps(folder: Path, *, centres: Any, summaries: bool) -> list[Array]:
    from lbpneuro.io.confounds import read_confounds
    from lbpneuro.io.series import read_series
    from lbpneuro.kernels.correlation import fisher_z, seed_correlation
    from lbpneuro.kernels.labels import region_means
    from lbpneuro.kernels.nuisance import project, residual_basis

    files = run_files(folder)
    series = read_series(files.bold, files.mask)
    regressors = read_confounds(files.confounds, strategy="36p", n_time=len(series.bold)).regressors
    keep = np.ones(len(series.bold), dtype=bool)
    basis = residual_basis(regressors, t_r=T_R, band_hz=BAND_HZ, polynomial=POLYNOMIAL, keep=keep)
    means, _ = region_means(series.bold, weights=spheres(series.mask, series.affine, centres))
    voxels = project(basis, series.bold, keep=keep)
    maps = list(fisher_z(seed_correlation(project(basis, means, keep=keep), projected=voxels)))
    if summaries:
        maps += whole_brain(voxels)
    for index, values in enumerate(maps):
        write_map(folder / f"map-{index}.nii.gz", values, series=series)
    return maps


def functional_step(folder: Path, *, n_seed: int, fwhm_mm: float) -> Callable[[], dict[str, int]]:
    """The step of the workflow: rows of all markers of the family, maps, matrices, cleaned series, sidecars."""
    import logging
    import shutil

    from lbpneuro.io.files import read_tsv
    from lbpneuro.steps import functional

    out, rows, command = step_command(folder, n_seed=n_seed, fwhm_mm=fwhm_mm)

    def run() -> dict[str, int]:
        shutil.rmtree(out, ignore_errors=True)  # as at the first time: to replace a file is to wait for the disk
        logging.disable()
        try:
            functional.main(command)
        finally:
            logging.disable(logging.NOTSET)
        found = read_tsv(rows)
        maps = list(out.rglob("*_boldmap.nii.gz"))
        return {"rows": len(found), "with a value": int(found["value"].notna().sum()), "maps": len(maps)}

    return run


def functional_parts(folder: Path, *, n_seed: int, fwhm_mm: float) -> Callable[[], dict[str, float]]:
    """CPU seconds of the parts of the step, by a clock around each; the rest of it under the name ``rest``."""
    from contextlib import ExitStack
    from unittest.mock import patch

    from lbpneuro.io import runs
    from lbpneuro.steps import command, functional

    step = functional_step(folder, n_seed=n_seed, fwhm_mm=fwhm_mm)
    parts = {
        "unpack, mask": (runs, "read_series"),
        "project all voxels, two models": (runs, "_projected"),
        "maps, matrices, cleaned series": (functional, "write_scan"),
        "rows of the markers": (command, "evaluate"),
        "weights of the regions": (runs, "place_regions"),
        "series of the regions, signal-to-noise": (runs, "region_series"),
        "series of 300 nodes": (runs, "_node_series"),
        "bases of the nuisance models": (runs, "nuisance_models"),
    }

    def run() -> dict[str, float]:
        seconds = dict.fromkeys(parts, 0.0)

        def clocked(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                start = time.process_time()
                try:
                    return function(*given, **named)
                finally:
                    seconds[part] += time.process_time() - start

            return call

        start = time.process_time()
        with ExitStack() as stack:
            for part, (module, name) in parts.items():
                stack.enter_context(patch.object(module, name, clocked(part, getattr(module, name))))
            step()
        return {**seconds, "rest": time.process_time() - start - sum(seconds.values())}

    return run


def functional_job(folder: Path, *, n_seed: int, fwhm_mm: float) -> Callable[[], float]:
    """The same as the workflow starts it, interpreter and imports included; the CPU seconds of its process."""
    import resource
    import shutil
    import subprocess
    import sys

    out, _, command = step_command(folder, n_seed=n_seed, fwhm_mm=fwhm_mm)

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def run() -> float:
        shutil.rmtree(out, ignore_errors=True)
        before = seconds()
        subprocess.run([sys.executable, "-m", "lbpneuro", "functional", *command], check=True, capture_output=True)  # noqa: S603
        return seconds() - before

    return run


def step_command(folder: Path, *, n_seed: int, fwhm_mm: float) -> tuple[Path, Path, list[str]]:
    """Return where the step writes, its rows, and its arguments; the settings are the defaults but for the maps."""
    import json

    from lbpneuro.io.config import read_config, resolve

    files = run_files(folder)
    out = folder / "out"
    dataset = {
        "bids_dir": str(folder),
        "out_dir": str(out),
        "work_dir": str(out),
        "derivatives": {"fmriprep": str(folder)},
    }
    changed = {"dataset": dataset, "functional": {"seeds": list(STEP_SEEDS[:n_seed]), "map_fwhm_mm": fwhm_mm}}
    settings, rows = folder / "settings.json", out / "rows.tsv"
    settings.write_text(json.dumps(resolve(read_config(overrides=changed))), encoding="utf-8")
    command = ["--in", *map(str, (files.bold, files.mask, files.confounds)), "--out", str(rows)]
    command += ["--config", str(settings), "--participant", "sub-01"]
    return out, rows, command


def whole_brain(voxels: Array) -> list[Array]:
    """Return global brain connectivity and intrinsic connectivity contrast of projected voxels."""
    from lbpneuro.kernels.summaries import mean_correlation, mean_squared_correlation

    return [mean_correlation(voxels), mean_squared_correlation(voxels)]


def write_map(path: Path, values: Array, *, series: Any) -> None:
    import nibabel as nib

    from lbpneuro.io.files import write_nifti

    write_nifti(path, nib.Nifti1Image(as_volume(values.astype(np.float32), series.mask), series.affine))


def centres_mm(n_seed: int) -> Array:
    """Return points inside the brain, the seed of the single map first."""
    rng = np.random.default_rng(7)
    ways = rng.standard_normal((n_seed, 3))
    ways *= rng.uniform(0.2, 0.7, (n_seed, 1)) / np.linalg.norm(ways, axis=1, keepdims=True)
    return np.vstack([SEED_MM, CENTRE_MM + ways * RADII_MM])[:n_seed]


def spheres(mask: NDArray[np.bool_], affine: Array, centres: Any) -> NDArray[np.float32]:
    """Return 1 for the voxels of the mask whose centre lies in the sphere of a seed (n_seed, n_voxel)."""
    points = voxels_of(mask) @ affine[:3, :3].T + affine[:3, 3]
    distance = (np.linalg.norm(points - centre, axis=1) for centre in centres)
    return np.stack([each <= SEED_RADIUS_MM for each in distance]).astype(np.float32)


def seed_map_nilearn(folder: Path, *, model: str) -> Callable[[], Array]:
    """The script of nilearn's example of seed-to-voxel correlation: a masker for the brain, one for the seed."""
    from nilearn.maskers import NiftiMasker, NiftiSpheresMasker

    files = run_files(folder)
    confounds = nilearn_confounds(folder, model=model)
    mask = load_image(files.mask).data > 0.5
    order = np.argsort(columns_of(mask)[mask])
    band = dict(zip(("high_pass", "low_pass"), BAND_HZ, strict=True)) if model == "butterworth" else {}
    shared = {"mask_img": str(files.mask), "standardize": "zscore_sample", "detrend": True, "t_r": T_R, **band}

    def run() -> Array:
        brain = NiftiMasker(**shared)
        seed = NiftiSpheresMasker([SEED_MM], radius=SEED_RADIUS_MM, **shared)
        voxels = brain.fit_transform(str(files.bold), confounds=confounds)
        course = seed.fit_transform(str(files.bold), confounds=confounds)
        z = np.arctanh(voxels.T @ course / (len(course) - 1))[:, 0]
        brain.inverse_transform(z).to_filename(folder / "nilearn.nii.gz")
        return np.asarray(z)[order]  # nilearn's voxels have the last axis fastest

    return run


def seed_map_exact(folder: Path, *, n_voxel: int) -> Callable[[], Array]:
    """Correlation of some voxels by plain least squares in float64 (model ``cosines``); NaN for the others."""
    from lbpneuro.io.series import read_series

    files = run_files(folder)
    confounds = nilearn_confounds(folder, model="cosines")

    def run() -> Array:
        series = read_series(files.bold, files.mask)
        n_time, n = series.bold.shape
        chosen = np.random.default_rng(1).choice(n, min(n, n_voxel), replace=False)
        inside = spheres(series.mask, series.affine, [SEED_MM])[0] > 0
        course = series.bold[:, inside].mean(axis=1, dtype=np.float64)
        data = np.column_stack([course, series.bold[:, chosen].astype(np.float64)])
        regressors = np.column_stack([np.ones(n_time), np.arange(n_time), confounds - confounds.mean(axis=0)])
        regressors /= np.linalg.norm(regressors, axis=0)
        left = data - regressors @ np.linalg.lstsq(regressors, data - data.mean(axis=0), rcond=1e-9)[0]
        left -= left.mean(axis=0)
        left /= np.linalg.norm(left, axis=0)
        found = np.full(n, np.nan)
        found[chosen] = left[:, 0] @ left[:, 1:]
        return found

    return run


def nilearn_confounds(folder: Path, *, model: str) -> Array:
    """Return the 36 confounds, and for ``cosines`` the cosines outside the band."""
    from lbpneuro.io.confounds import read_confounds

    path = run_files(folder).confounds
    n_time = len(path.read_text(encoding="utf-8").splitlines()) - 1
    regressors = read_confounds(path, strategy="36p", n_time=n_time).regressors
    if model == "butterworth":
        return regressors
    orders = np.arange(1, n_time)
    frequencies = orders / (2 * n_time * T_R)
    outside = orders[(frequencies < BAND_HZ[0] * (1 - 1e-9)) | (frequencies > BAND_HZ[1] * (1 + 1e-9))]
    return np.column_stack([regressors, np.cos(np.pi * (np.arange(n_time)[:, None] + 0.5) * outside / n_time)])


# --- products


def limits(_folder: Path) -> Callable[[], dict[str, float]]:
    """The physical limits: GEMM in both precisions (GFLOP/s) and the bandwidth of a copy (GB/s)."""
    work = limit_work()
    return lambda: {name: work[name][0] / seconds for name, seconds in least(limit_functions(work)).items()}


def limit_work() -> dict[str, tuple[float, Callable[[], Any]]]:
    """Return of every limit what one call does (GFLOP or GB), and the call."""
    square = np.random.default_rng(1).standard_normal((GEMM_SIZE, GEMM_SIZE), dtype=np.float32)
    double = square.astype(np.float64)
    source = np.ones(COPY_SIZE, dtype=np.float32)
    target = np.zeros_like(source)
    flops = 2e-9 * len(square) ** 3
    return {
        "float32": (flops, lambda: square @ square),
        "float64": (flops, lambda: double @ double),
        "copy": (2e-9 * source.nbytes, lambda: np.copyto(target, source)),
    }


def limit_functions(work: dict[str, tuple[float, Callable[[], Any]]]) -> dict[str, Callable[[], Any]]:
    return {name: function for name, (_, function) in work.items()}


def least(functions: dict[str, Callable[[], Any]], *, repeats: int = 7) -> dict[str, float]:
    """Return the least time of each function (s), measured in turn, so that what disturbs disturbs all.

    What takes less than ``TURN`` seconds is called again until that has passed, so that it finds its input in the cache
    as after the step before it, not what the function before it left there.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            calls, start = 0, CLOCK()
            while calls == 0 or CLOCK() - start < TURN:
                function()
                calls += 1
            seconds[name].append((CLOCK() - start) / calls)
    return {name: min(values) for name, values in seconds.items()}


def best(function: Callable[[], Any], *, repeats: int = 5) -> float:
    """Return the least time of some repeats (s)."""
    return least({"": function}, repeats=repeats)[""]


def products(_folder: Path, *, n_voxel: int, d: int, n_seed: int, n_roi: int) -> Callable[[], dict[str, float]]:
    """The products of connectivity on arrays (s): whole kernels, what no correlation can do without, and the limits."""
    from lbpneuro.kernels.correlation import correlation, inverse_norm, seed_correlation

    rng = np.random.default_rng(1)
    voxels = rng.standard_normal((d, n_voxel), dtype=np.float32)
    seeds = rng.standard_normal((d, n_seed))
    nodes = rng.standard_normal((d, n_roi))
    rows = np.ascontiguousarray(seeds.T, dtype=np.float32)
    target, square = np.zeros((n_seed, n_voxel), dtype=np.float32), np.zeros((n_roi, n_roi))
    work = limit_work()
    functions = {
        "seeds": lambda: seed_correlation(seeds, projected=voxels),
        "seeds, product": lambda: np.matmul(rows, voxels, out=target),
        "seeds, needed": lambda: (rows @ voxels, inverse_norm(voxels)),
        "rois": lambda: correlation(nodes),
        "rois, product": lambda: np.matmul(nodes.T, nodes, out=square),
        "rois, needed": lambda: (nodes.T @ nodes, inverse_norm(nodes)),
    }

    def run() -> dict[str, float]:
        seconds = least({**functions, **limit_functions(work)})
        return {name: work[name][0] / each if name in work else each for name, each in seconds.items()}

    return run


def projection(_folder: Path, *, n_voxel: int, n_time: int, d: int) -> Callable[[], float]:
    """The projection of all voxels (s)."""
    from lbpneuro.kernels.nuisance import project

    rng = np.random.default_rng(1)
    series = 1000 + rng.standard_normal((n_time, n_voxel), dtype=np.float32)
    basis = np.linalg.qr(rng.standard_normal((n_time, d)))[0]
    keep = np.ones(n_time, dtype=bool)
    return lambda: best(lambda: project(basis, series, keep=keep), repeats=3)


def brain_summaries(_folder: Path, *, n_voxel: int, d: int) -> Callable[[], list[float]]:
    """GBC and ICC of a brain (s), each alone."""
    from lbpneuro.kernels.summaries import mean_correlation, mean_squared_correlation

    voxels = np.random.default_rng(1).standard_normal((d, n_voxel), dtype=np.float32)
    return lambda: [best(lambda: mean_correlation(voxels)), best(lambda: mean_squared_correlation(voxels))]


def degree(_folder: Path, *, n_voxel: int, d: int, threshold: float) -> Callable[[], Array]:
    """Thresholded degree in blocks."""
    from lbpneuro.kernels.summaries import degree as kernel

    voxels = degree_series(n_voxel, d)
    return lambda: np.asarray(kernel(voxels, threshold=threshold, sign="positive"))


def degree_numpy(_folder: Path, *, n_voxel: int, d: int, threshold: float) -> Callable[[], Array]:
    """The same by numpy.corrcoef: rows with a mean of zero have as Pearson's r the uncentred correlation of ours."""
    voxels = degree_series(n_voxel, d)

    def run() -> Array:
        matrix = np.corrcoef(voxels, rowvar=False)
        return np.asarray((matrix > threshold).sum(axis=1) - 1)

    return run


def degree_series(n_voxel: int, d: int) -> NDArray[np.float32]:
    """Return series with mean 0 and shared variance, so that some correlations exceed a threshold."""
    rng = np.random.default_rng(1)
    series = rng.standard_normal((d, 5)) @ rng.standard_normal((5, n_voxel)) + rng.standard_normal((d, n_voxel))
    return np.asarray(series - series.mean(axis=0), dtype=np.float32)


# --- dynamic connectivity


def dynamic_series(n_time: int, n_node: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((n_time, 5)) @ rng.standard_normal((5, n_node))
    return np.asarray(shared + rng.standard_normal((n_time, n_node)), dtype=np.float32)


def dynamic(_folder: Path, *, n_time: int, n_node: int, width: int) -> Callable[..., Array]:
    """Correlations of all windows at once."""
    from lbpneuro.kernels.windows import taper, window_weights, windowed_correlation

    series = dynamic_series(n_time, n_node)
    keep = np.ones(n_time, dtype=bool)
    weights = window_weights(taper(width, sigma=0), width=width, step=1, keep=keep)
    return partial(windowed_correlation, series, weights=weights)


def dynamic_again(folder: Path, *, n_time: int, n_node: int, width: int) -> Callable[[], Array]:
    """The same into the memory of an earlier result, as for the second run of a study and all later ones."""
    run = dynamic(folder, n_time=n_time, n_node=n_node, width=width)
    return partial(run, out=run())


def dynamic_products(_folder: Path, *, n_time: int, n_node: int, width: int) -> Callable[[], int]:
    """What no method that returns the matrices of any windows can do without: every product, into new memory."""
    series = dynamic_series(n_time, n_node)

    def run() -> int:
        found = np.empty((n_time - width + 1, n_node, n_node), dtype=np.float32)
        for start, target in enumerate(found):
            window = series[start : start + width]
            np.matmul(window.T, window.copy(), out=target)  # with itself: a triangle, and slower
        return len(found)

    return run


def dynamic_nilearn(_folder: Path, *, n_time: int, n_node: int, width: int, shrunken: bool) -> Callable[[], Array]:
    """A loop of nilearn's ConnectivityMeasure over the windows; its default covariance is shrunken, ours is not."""
    from nilearn.connectome import ConnectivityMeasure
    from sklearn.covariance import EmpiricalCovariance

    series = dynamic_series(n_time, n_node)
    starts = range(n_time - width + 1)
    same = {"cov_estimator": EmpiricalCovariance(store_precision=False), "standardize": False}
    given: dict[str, Any] = {} if shrunken else same

    def run() -> Array:
        windows = (series[start : start + width] for start in starts)
        fits = (ConnectivityMeasure(kind="correlation", **given).fit_transform([window])[0] for window in windows)
        return np.stack(list(fits)).astype(np.float32)

    return run


# --- scaling, on arrays


def scaled(_folder: Path, *, n_voxel: int, n_time: int, d: int, n_seed: int) -> Callable[[], float]:
    """Projection, seed maps and Fisher z of arrays (s)."""
    from lbpneuro.kernels.correlation import fisher_z, seed_correlation
    from lbpneuro.kernels.nuisance import project

    rng = np.random.default_rng(1)
    series = 1000 + rng.standard_normal((n_time, n_voxel), dtype=np.float32)
    basis = np.linalg.qr(rng.standard_normal((n_time, d)))[0]
    seeds = rng.standard_normal((d, n_seed))
    keep = np.ones(n_time, dtype=bool)

    def once() -> Array:
        return fisher_z(seed_correlation(seeds, projected=project(basis, series, keep=keep)))

    return lambda: best(once, repeats=3)
