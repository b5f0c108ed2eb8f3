"""Measure both sides, write the results, the page and the plot.

``python -m benchmarks [--only PART ...] [--threads 1] [--repeats 3] [--hcp] [--quick] [--folder DIR] [--out DIR]``

Parts: reading, end_to_end, whole_run, products, summaries, dynamic, scaling. Every side runs in a process of its own,
one after another. Seconds are medians; CPU seconds are those of all threads of the process. Without ``--only`` the
results go to benchmarks/results, docs/benchmarks.md and docs/images; with it, or with ``--quick``, they are only
printed unless ``--out`` names a folder. With ``--hcp`` only the parts that depend on the volumes are measured, which
takes long: ``--only`` may measure them one after another, and each is put beside those in docs/benchmarks-hcp.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks import page
from benchmarks.measurements import PARTS, Bench, facts, load
from benchmarks.side import ROOT
from benchmarks.synthetic import make_run

WHOLE = {
    "voxel_mm": 2.0,
    "n_time": 240,
    "n_voxel": 235_000,
    "n_voxel_degree": 28_000,
    "n_node": 300,
    "n_window": 200,
    "fwhm_mm": 6.0,
    "nilearn_models": ("cosines", "butterworth"),
}
QUICK = {
    "voxel_mm": 8.0,
    "n_time": 240,
    "n_voxel": 3_000,
    "n_voxel_degree": 1_000,
    "n_node": 30,
    "n_window": 60,
    "fwhm_mm": 6.0,
    "nilearn_models": ("cosines", "butterworth"),
}
HCP = {"n_time": 1200, "nilearn_models": ("cosines",)}
HCP_PARTS = ("reading", "end_to_end", "whole_run", "products")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS))
    parser.add_argument("--threads", type=int, default=1, help="threads of linear algebra, on both sides (1)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="repeats of what takes seconds (3); what takes minutes: 1"
    )
    parser.add_argument("--hcp", action="store_true", help="1200 volumes in the place of 240 (15 minutes more)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: that everything runs, not how fast")
    parser.add_argument("--folder", type=Path, help="keep the simulated runs here (a temporary folder)")
    parser.add_argument("--out", type=Path, help="folder of results.json, benchmarks.md and benchmarks.svg")
    return parser.parse_args()


def main() -> None:
    given = options()
    sizes = {**(QUICK if given.quick else WHOLE), **(HCP if given.hcp else {})}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        kept = folder / f"run-{sizes['voxel_mm']:g}mm-{sizes['n_time']}"
        print(f"simulating a run of {sizes['n_time']} volumes at {sizes['voxel_mm']:g} mm", flush=True)
        run = make_run(kept, voxel_mm=sizes["voxel_mm"], n_time=sizes["n_time"])
        bench = Bench(
            folder=kept,
            more=folder,
            sizes=sizes,
            threads=given.threads,
            repeats=given.repeats,
            cores=os.cpu_count() or 1,
        )
        found = {"facts": facts(run, bench), "parts": {}}
        for name in given.only or (HCP_PARTS if given.hcp else PARTS):
            print(f"{name} ...", flush=True)
            found["parts"][name] = PARTS[name](bench)
    found["facts"]["load at the end"] = load()
    found["facts"]["minutes"] = round((time.perf_counter() - start) / 60, 1)
    print(page.markdown(found))
    if given.out:
        page.write(found, results=given.out / "results.json", text=given.out / "benchmarks.md", images=given.out)
    elif given.hcp and not given.quick:
        page.write_kept(page.joined(found, root=ROOT, kind="hcp"), root=ROOT, kind="hcp")
    elif not given.only and not given.quick:
        page.write_kept(found, root=ROOT, kind="default")


if __name__ == "__main__":
    main()
