"""The parts of the benchmark: each returns its table, what its targets are, and its curves, as plain data."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.side import Outcome, measured
from benchmarks.sides import LIBRARIES
from benchmarks.synthetic import Run, make_run

Row = dict[str, Any]
Part = dict[str, Any]
PACKAGES = {
    "isal": "isal",
    "isal, second thread": "isal",
    "zlib-ng": "zlib-ng",
    "rapidgzip": "rapidgzip",
    "libdeflate": "deflate",
    "indexed_gzip": "indexed_gzip",
}
NEEDED = "the bare product of the library in this precision, into new memory, and the norms of its columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where the simulated runs lie, how large everything is, and how often it is measured."""

    folder: Path
    more: Path
    sizes: dict[str, Any]
    threads: int
    repeats: int
    cores: int

    @property
    def d(self) -> int:
        """Dimensions that the nuisance model leaves, about: those of the band less the confounds."""
        return max(8, int(0.14 * 2 * self.sizes["n_time"]) - 36)

    def __call__(self, name: str, *, slow: bool = False, times: int = 1, **options: Any) -> Outcome:
        """Run a side, once if it is ``slow``, or so many ``times`` as often as others."""
        repeats = 1 if slow else times * self.repeats
        return measured(name, self.folder, threads=self.threads, repeats=repeats, **options)


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def facts(run: Run, bench: Bench) -> Row:
    image = nib.load(run.bold)
    packed, whole = run.bold.stat().st_size, int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    return {
        "volumes": image.shape[3],
        "voxels": int(np.sum(np.asarray(nib.load(run.mask).dataobj) > 0)),
        "voxel_mm": bench.sizes["voxel_mm"],
        "packed_mb": round(packed / 1e6),
        "ratio": round(whole / packed, 2),
        "threads": bench.threads,
        "repeats": bench.repeats,
        "paired": True,
        "warmed": True,
        "processor": processor(),
        "cores": bench.cores,
        "load": load(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy", "isal", "nibabel", "nilearn")},
    }


def load() -> float | None:
    """Return how many processes wanted a core over the last minute, where the system tells."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def row(name: str, outcome: Outcome, **more: Any) -> Row:
    return {
        "what": name,
        "wall (s)": outcome.wall,
        "CPU (s)": outcome.cpu,
        "peak memory (MB)": round(outcome.peak_mb),
        **more,
    }


def target(text: str, *, value: float, goal: float, at_most: bool, limit: float | None = None, why: str = "") -> Row:
    """Return a line of the table of targets; ``limit`` is the best that this machine allows, ``why`` what sets it."""
    return {
        "target": text,
        "goal": ("<= " if at_most else ">= ") + f"{goal:g}",
        "measured": value,
        "met": bool(value <= goal if at_most else value >= goal),
        "limit": limit,
        "what the limit is": why,
    }


def difference(first: Any, second: Any) -> Row:
    apart = np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    return {"difference, median": float(np.nanmedian(apart)), "largest": float(np.nanmax(apart))}


def part(title: str, note: str, rows: Sequence[Row], targets: Sequence[Row] = (), **more: Any) -> Part:
    return {"title": title, "note": note, "rows": list(rows), "targets": list(targets), **more}


def reading(bench: Bench) -> Part:
    rows = []
    for library in LIBRARIES:
        if library == "zlib" or installed(PACKAGES[library]):
            found = bench("decompress", library=library)
            rows.append(row(f"unpack: {library}", found))
    ours, theirs = bench("read"), bench("read_nilearn", slow=True)
    rows += [row("read and mask: ours", ours), row("read and mask: nilearn", theirs)]
    matrix_mb = ours.result * 4 / 1e6
    memory = (ours.peak_mb - ours.imports_mb) / matrix_mb
    return part(
        "Reading",
        f"The masked float32 matrix is {matrix_mb:.0f} MB. Libraries that are not installed are left out; "
        "[the decision](decisions/0011-reading.md) has all of them.",
        rows,
        [target("peak memory of reading / matrix", value=memory, goal=1.4, at_most=True)],
    )


def end_to_end(bench: Bench) -> Part:
    unpacked, ours = bench("decompress"), bench("seed_map", over="decompress")
    masked = bench("read", over="decompress")
    exact = bench("seed_map_exact", slow=True, n_voxel=3000).result
    rows = [row("unpack only (isal)", unpacked), row("lbpneuro", ours, **difference(np.tanh(ours.result), exact))]
    whole: Row = {"limit": masked.ratio, "why": "unpacking and masking alone"}
    targets = [target("lbpneuro / unpack only, CPU", value=ours.ratio, goal=1.5, at_most=True, **whole)]
    for model in bench.sizes["nilearn_models"]:
        theirs = bench("seed_map_nilearn", slow=True, model=model, over="seed_map")
        ratio = theirs.ratio
        agreement = difference(np.tanh(theirs.result), exact)
        rows.append(row(f"nilearn, {model}", theirs, **{"nilearn / lbpneuro, CPU": ratio}, **agreement))
        bare: Row = {"limit": ratio * ours.ratio / masked.ratio, "why": "if ours were unpacking and masking alone"}
        targets.append(target(f"nilearn ({model}) / lbpneuro, CPU", value=ratio, goal=25, at_most=False, **bare))
        share = ours.peak_mb / theirs.peak_mb
        targets.append(target(f"peak memory, lbpneuro / nilearn ({model})", value=share, goal=1, at_most=True))
    return part(
        "From the compressed file to a Fisher-z map",
        "Brain and seed masker of nilearn, as in its example of seed-to-voxel correlation. `cosines`: both sides do "
        "the same mathematics, and that is the ratio to quote. `butterworth`: nilearn's own filter, applied before the "
        "regression, as most of its scripts do; the price of that filter is in the ratio, and the map differs because "
        "the filter does. The difference is that of r from plain least squares in float64, over 3000 voxels.",
        rows,
        targets,
    )


def whole_run(bench: Bench) -> Part:
    unpacked = bench("decompress")
    rows, seconds = [row("unpack only (isal)", unpacked)], {}
    for n_seed in (1, 20, 100):
        found = bench("seed_maps", n_seed=n_seed, summaries=False)
        seconds[n_seed] = found.cpu
        rows.append(row(f"maps of {n_seed} seed{'s' if n_seed > 1 else ''}", found))
    whole = bench("seed_maps", n_seed=20, summaries=True, over="decompress")
    rows.append(row("maps of 20 seeds, GBC and ICC", whole))
    smooth = bench.sizes["fwhm_mm"]
    steps = [
        bench("functional_step", n_seed=20, fwhm_mm=fwhm_mm, over="decompress", times=3) for fwhm_mm in (0.0, smooth)
    ]
    written = ", ".join(f"{count} {name}" for name, count in steps[0].result.items())
    rows.append(row("functional step: all markers, 20 seeds, GBC, ICC, not smoothed", steps[0]))
    rows.append(row(f"functional step, maps smoothed by {smooth:g} mm", steps[1]))
    parts = bench("functional_parts", n_seed=20, fwhm_mm=0.0).result
    rows += [{"what": f"of the step: {name}", "CPU (s)": seconds} for name, seconds in parts.items()]
    job = bench("functional_job", n_seed=20, fwhm_mm=0.0).result
    rows.append({"what": "functional step as a job, with interpreter and imports, not smoothed", "CPU (s)": job})
    read = bench("read", over="decompress").ratio
    each = (seconds[100] - seconds[1]) / 99 / seconds[1]
    return part(
        "All maps of a run",
        "From the compressed file to written maps, so a seed more is one product and one packed file of a megabyte. "
        "The step is that of the workflow with its default settings but for the seeds: "
        f"{written}; matrices, cleaned series and checksums of the inputs besides. It is called three times as often "
        "as the rest, and its parts are those of one call with a clock around each. "
        "What was tried is in [the decision](decisions/0020-speed-of-a-run.md).",
        rows,
        [
            target(
                "maps of 20 seeds, GBC and ICC / unpack only, CPU",
                value=whole.ratio,
                goal=2,
                at_most=True,
                limit=read,
                why="unpacking, masking, and nothing else",
            ),
            target(
                "functional step / unpack only, CPU",
                value=steps[0].ratio,
                goal=2,
                at_most=True,
                limit=steps[0].ratio * sum(list(parts.values())[:3]) / sum(parts.values()),
                why="its reading, projection and files; no region and no row",
            ),
            target("one seed more / the first", value=each, goal=0.02, at_most=True),
        ],
    )


def products(bench: Bench) -> Part:
    sizes = bench.sizes
    rows, targets = [], []
    limits = []
    for n_seed, n_roi, d in ((20, 300, bench.d), (100, 1000, bench.d), (100, 1000, 200)):
        n_voxel = sizes["n_voxel"]
        found = bench("products", slow=True, n_voxel=n_voxel, d=d, n_seed=n_seed, n_roi=n_roi).result
        limits.append(found)
        voxel_work, roi_work = 2e-9 * d * n_voxel * n_seed, 2e-9 * d * n_roi**2
        moved = 4e-9 * n_voxel * (d + n_seed)
        rows += [
            product_row(
                f"{n_seed} seeds to {n_voxel} voxels, {d} dimensions, float32",
                found,
                "seeds",
                work=voxel_work,
                moved=moved,
                kind="float32",
            ),
            product_row(
                f"{n_roi} regions, {d} dimensions, float64",
                found,
                "rois",
                work=roi_work,
                moved=8e-9 * n_roi * (n_roi + d),
                kind="float64",
            ),
        ]
    for line in rows:
        name = f"{line['what']}: kernel / GEMM rate of its precision"
        least: Row = {"limit": line["product into new memory and norms, share of GEMM"], "why": NEEDED}
        targets.append(target(name, value=line["kernel, share of GEMM"], goal=0.7, at_most=False, **least))
    limit = {name: max(found[name] for found in limits) for name in ("float32", "float64", "copy")}
    seconds = bench("projection", slow=True, n_voxel=sizes["n_voxel"], n_time=sizes["n_time"], d=bench.d).result
    work = 2e-9 * sizes["n_voxel"] * sizes["n_time"] * bench.d
    rows.append(
        {
            "what": f"projection of {sizes['n_voxel']} voxels, {sizes['n_time']} volumes to {bench.d} dimensions",
            "kernel (ms)": 1e3 * seconds,
            "kernel (GFLOP/s)": work / seconds,
            "kernel, share of GEMM": work / seconds / limit["float32"],
            "share of float32 GEMM": work / seconds / limit["float32"],
        }
    )
    return part(
        "Products",
        f"Limits measured in the same run: GEMM in float32 {limit['float32']:.0f} GFLOP/s, in float64 "
        f"{limit['float64']:.0f} GFLOP/s, copy {limit['copy']:.1f} GB/s. *Attainable* is the lesser of the GEMM rate "
        "and of what the bandwidth allows. *Kernel* is the public function with norms, division and limits, and "
        "touches its result for the first time; *product* the bare matrix product in it, which is as fast as the "
        "library can, into memory that was touched before, or into new memory as a function that returns it must, with "
        "the norms that a correlation cannot do without. "
        "With the few dimensions that a short run leaves, a number that was fetched takes part in few operations, and "
        "the bare product itself stays below a large square one; 200 dimensions are those of a run of 1200 volumes. "
        "*GEMM* is that of the precision of the kernel. Region matrices are float64 by decision, and symmetric, so "
        "that the library computes half of them: that can be more than GEMM.",
        rows,
        targets,
        limits=limit,
    )


def product_row(name: str, found: dict[str, float], key: str, *, work: float, moved: float, kind: str) -> Row:
    gemm = found[kind]
    attainable = min(gemm, work / (moved / found["copy"]))
    kernel, product, least = (work / found[label] for label in (key, f"{key}, product", f"{key}, needed"))
    return {
        "what": name,
        "kernel (ms)": 1e3 * found[key],
        "kernel (GFLOP/s)": kernel,
        "kernel, share of GEMM": kernel / gemm,
        "share of float32 GEMM": kernel / found["float32"],
        "product (GFLOP/s)": product,
        "product, share of GEMM": product / gemm,
        "product into new memory and norms, share of GEMM": least / gemm,
        "attainable (GFLOP/s)": attainable,
        "product, share of attainable": product / attainable,
    }


def summaries(bench: Bench) -> Part:
    n_voxel = bench.sizes["n_voxel"]
    shape = {"n_voxel": min(bench.sizes["n_voxel_degree"], affordable()), "d": bench.d, "threshold": 0.25}
    both = bench("brain_summaries", slow=True, n_voxel=n_voxel, d=bench.d)
    names = ("mean correlation (GBC)", "mean squared correlation (ICC)")
    rows = [
        {"what": f"{name}, {n_voxel} voxels", "CPU (s)": seconds}
        for name, seconds in zip(names, both.result, strict=True)
    ]
    targets = [
        target(f"{name} of {n_voxel} voxels (s)", value=seconds, goal=1, at_most=True)
        for name, seconds in zip(names, both.result, strict=True)
    ]
    ours, theirs = bench("degree", slow=True, **shape), bench("degree_numpy", slow=True, **shape)
    apart = difference(ours.result, theirs.result)
    rows += [
        row(f"degree of {shape['n_voxel']} voxels: lbpneuro", ours, **apart),
        row(f"degree of {shape['n_voxel']} voxels: numpy.corrcoef", theirs),
    ]
    used = [outcome.peak_mb - outcome.imports_mb for outcome in (ours, theirs)]
    targets.append(
        target("memory of degree, lbpneuro / numpy.corrcoef", value=used[0] / used[1], goal=0.1, at_most=True)
    )
    targets.append(target("numpy.corrcoef / lbpneuro, CPU", value=theirs.cpu / ours.cpu, goal=1, at_most=False))
    return part(
        "Whole-brain summaries",
        f"Of {bench.d} dimensions. Degree: correlations above {shape['threshold']} at the number of voxels of a brain "
        "at 4 mm; the difference is in edges, of pairs within rounding of the threshold.",
        rows,
        targets,
    )


def affordable() -> int:
    """Return of how many voxels this machine can hold what numpy.corrcoef needs: twice a float64 matrix of pairs."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return 1 << 20
    lines = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return int(np.sqrt(int(lines["MemAvailable"].split()[0]) * 1024 / 16))


def dynamic(bench: Bench) -> Part:
    width = 44
    shape = {"n_time": bench.sizes["n_window"] + width - 1, "n_node": bench.sizes["n_node"], "width": width}
    ours, again = bench("dynamic", **shape), bench("dynamic_again", **shape)
    bare = bench("dynamic_products", **shape, over="dynamic")
    rows = [
        row("lbpneuro", ours),
        row("lbpneuro, into the memory of an earlier result", again),
        row("every product, into new memory", bare),
    ]
    targets = []
    for shrunken, name in ((False, "nilearn, same covariance"), (True, "nilearn, its defaults (Ledoit-Wolf)")):
        theirs = bench("dynamic_nilearn", **shape, shrunken=shrunken, over="dynamic")
        more = difference(ours.result, theirs.result)
        rows.append(row(name, theirs, **{"nilearn / lbpneuro, CPU": theirs.ratio}, **more))
        limit: Row = {"limit": theirs.ratio / bare.ratio, "why": "every product, into new memory"}
        targets.append(target(f"{name} / lbpneuro, CPU", value=theirs.ratio, goal=20, at_most=False, **limit))
        later = bench("dynamic_nilearn", **shape, shrunken=shrunken, over="dynamic_again").ratio
        name = f"{name} / lbpneuro into the memory of an earlier result, CPU"
        targets.append(target(name, value=later, goal=20, at_most=False))
    return part(
        "Dynamic connectivity",
        f"{shape['n_node']} nodes, {bench.sizes['n_window']} windows of {width} volumes, rectangular because nilearn "
        "has no weights; a loop of `ConnectivityMeasure` fits against one call. Its defaults shrink, so they differ. "
        "Most of the one call is the products, and touching the result for the first time, which the second run of a "
        "study need not (`out`); a fit of nilearn is a product of the same size too, so no ratio can pass that of a "
        "fit to its product alone. "
        "[Running sums](decisions/0020-speed-of-a-run.md) need fewer operations, but know rectangles only.",
        rows,
        targets,
    )


def scaling(bench: Bench) -> Part:
    whole, limit = bench.sizes, bench("limits", slow=True).result
    shape = {"n_voxel": whole["n_voxel"], "n_time": whole["n_time"], "d": bench.d, "n_seed": 20}
    steps = {
        "voxels": [(n, {"n_voxel": n}) for n in (np.array([1, 2, 4, 8]) * whole["n_voxel"] // 8).tolist()],
        "volumes": [(n, {"n_time": n, "d": max(8, int(0.28 * n) - 36)}) for n in (240, 480, 720, 1200)],
        "seeds": [(n, {"n_seed": n}) for n in (1, 5, 20, 50, 100, 200)],
    }
    curves = {}
    for axis, points in steps.items():
        shapes = [{**shape, **changed} for _, changed in points]
        curves[axis] = {
            "x": [x for x, _ in points],
            "measured": [bench("scaled", slow=True, **each).result for each in shapes],
            "GEMM": [flops(each) / limit["float32"] for each in shapes],
            "memory bandwidth": [traffic(each) / limit["copy"] for each in shapes],
        }
    curves["threads"] = threads(bench, shape)
    curves["file"] = file_sizes(bench)
    rows = [
        {"over": axis, "at": x, **{name: values[index] for name, values in curve.items() if name != "x"}}
        for axis, curve in curves.items()
        for index, x in enumerate(curve["x"])
    ]
    return part(
        "Scaling",
        f"Projection, maps of {shape['n_seed']} seeds and Fisher z in memory (s), over each size with the others "
        "as above; over files, everything from the compressed file to one written map (CPU s). *GEMM* and *memory "
        "bandwidth* are the least times that arithmetic and bytes take at the rates of this machine, measured on the "
        "same threads. Threads of linear algebra wait for each other actively, so that beside other work more "
        "of them can be slower; a step of the workflow uses one, and a study uses the cores with people.",
        rows,
        curves=curves,
    )


def flops(shape: Row) -> float:
    """Return the arithmetic of projection and maps (GFLOP)."""
    return float(2e-9 * shape["n_voxel"] * shape["d"] * (shape["n_time"] + shape["n_seed"]))


def traffic(shape: Row) -> float:
    """Return the bytes that must be read and written (GB): the series once, projected voxels out and in, maps twice."""
    return float(4e-9 * shape["n_voxel"] * (shape["n_time"] + 2 * shape["d"] + 2 * shape["n_seed"]))


def threads(bench: Bench, shape: Row) -> Part:
    counts = sorted({1, 2, *(2**power for power in range(2, 8))} & set(range(1, bench.cores + 1)) | {bench.cores})
    found = [measured("scaled", bench.folder, threads=n, **shape).result for n in counts]
    limit = [measured("limits", bench.folder, threads=n).result for n in counts]
    return {
        "x": counts,
        "measured": found,
        "GEMM": [flops(shape) / each["float32"] for each in limit],
        "memory bandwidth": [traffic(shape) / each["copy"] for each in limit],
    }


def file_sizes(bench: Bench) -> Part:
    """Return end-to-end times over files of growing size: voxels first, then volumes."""
    mm, n_time = bench.sizes["voxel_mm"], bench.sizes["n_time"]
    cases = [(2 * mm, n_time), (1.5 * mm, n_time), (mm, 3 * n_time // 4), (mm, n_time)]
    found: dict[str, list[float]] = {"x": [], "measured": [], "unpack only": []}
    for voxel_mm, volumes in cases:
        folder = bench.more / f"run-{voxel_mm:g}mm-{volumes}"
        run = make_run(folder, voxel_mm=voxel_mm, n_time=volumes)
        found["x"].append(round(run.bold.stat().st_size / 1e6, 1))
        for key, side in (("measured", "seed_map"), ("unpack only", "decompress")):
            found[key].append(measured(side, folder, threads=bench.threads, repeats=bench.repeats).cpu)
    return found


PARTS: dict[str, Callable[[Bench], Part]] = {
    "reading": reading,
    "end_to_end": end_to_end,
    "whole_run": whole_run,
    "products": products,
    "summaries": summaries,
    "dynamic": dynamic,
    "scaling": scaling,
}
