"""Cost and results of the embedded path for T1w images: CPU seconds and peak memory per step and level.

``python -m benchmarks.anatomy [IMAGE ...] [--levels draft standard full] [--keep FOLDER] [--out FILE]``

Without images those of ../shared/data are taken, and without these a simulated head. Every image and level runs in a
process of its own, one after another, on one thread. Rows of earlier runs of the same image and level are replaced in
benchmarks/results/anatomy.json (or ``--out``); the tables of docs/anatomy.md are written from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.page import table
from benchmarks.side import ROOT

DATA = ROOT.parent / "shared" / "data"
IMAGES = ("studyforrest/sub-*/anat/*_T1w.nii.gz", "coreg_qa/highres.nii.gz", "ds002748*/sub-*/anat/*_T1w.nii.gz")
RESULTS = ROOT / "benchmarks" / "results" / "anatomy.json"
PAGE = ROOT / "docs" / "anatomy.md"
LEVELS = ("draft", "standard", "full")
TARGETS = {"draft": (80.0, None), "standard": (360.0, 1500.0), "full": (None, None)}
VALUES = {
    "brain_ml": "TIV (mL)",
    "GM_ml": "GM (mL)",
    "WM_ml": "WM (mL)",
    "CSF_ml": "CSF (mL)",
    "thalamus_L_ml": "thalamus L (mL)",
    "thalamus_R_ml": "thalamus R (mL)",
    "template_dice": "Dice",
    "template_correlation": "correlation",
}
Row = dict[str, Any]


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--levels", nargs="+", default=["draft"])
    parser.add_argument("--keep", type=Path, help="folder for the derivatives (else they are not kept)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    given = options(arguments)
    if given.one:
        print(json.dumps(measured(given.images[0], level_name=given.levels[0], folder=given.keep)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        images = given.images or real_images() or [simulated_head(Path(temporary))]
        for path in images:
            for level in given.levels:
                folder = (given.keep or Path(temporary)) / level / name_of(path)
                row = alone(path, level=level, folder=folder)
                print(json.dumps(row), flush=True)
                keep(row, given.out)
    write_page(json.loads(given.out.read_text()), given.page)


def real_images() -> list[Path]:
    return [path for pattern in IMAGES for path in sorted(DATA.glob(pattern))]


def name_of(path: Path) -> str:
    """The data set and the person."""
    parts = [part for part in path.parts if part in {each.name for each in DATA.glob("*")}] if DATA.is_dir() else []
    return "_".join([*parts[:1], path.name.removesuffix(".nii.gz").removesuffix("_T1w")])


def simulated_head(folder: Path) -> Path:
    """A raw T1w image of a whole head from ``lbpneuro simulate --raw-anat``."""
    command = [sys.executable, "-m", "lbpneuro", "simulate", str(folder / "heads"), "--raw-anat", "--participants", "1"]
    subprocess.run(command, check=True)  # noqa: S603
    return sorted((folder / "heads").rglob("*_T1w.nii.gz"))[0]


def alone(path: Path, *, level: str, folder: Path) -> Row:
    """Run one image at one level in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.anatomy", str(path), "--levels", level, "--keep", str(folder), "--one"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
    done = subprocess.run(  # noqa: S603
        command, env={**os.environ, **threads}, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{path} at {level}: the run ended with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(path: Path, *, level_name: str, folder: Path) -> Row:
    """Run the step in this process; CPU seconds of every stage, peak memory (MB), and the numbers of the manifest."""
    from lbpneuro.errors import LbpneuroError
    from lbpneuro.preprocess import anatomical
    from lbpneuro.preprocess.derivatives import write_anatomy
    from lbpneuro.preprocess.itk import ants_session
    from lbpneuro.preprocess.levels import level

    stages: dict[str, float] = {}
    peaks: dict[str, int] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        stages[name] = round(time.process_time() - start, 1)
        peaks[name] = peak_mb()
        print(f"{name}: {stages[name]} s, {peaks[name]} MB", file=sys.stderr, flush=True)

    anatomical.stage = stage
    folder.mkdir(parents=True, exist_ok=True)
    found: Row = {}
    try:
        with ants_session():
            anatomy = anatomical.segment_anatomy(path, level=level(level_name))
            with stage("writing"):
                manifest = folder / f"{name_of(path)}_desc-embedded_anat.json"
                write_anatomy(anatomy, manifest, source=path, level=level(level_name), roots={})
        found = {"stripped": anatomy.stripped, **anatomy.quality}
    except LbpneuroError as error:
        found = {"error": str(error), **getattr(error, "quality", {})}
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}
    total = {"cpu_s": round(time.process_time(), 1), "peak_mb": peak_mb(), "stages": stages, "peaks": peaks}
    return {"image": name_of(path), "level": level_name, **total, **rounded}


def peak_mb() -> int:
    """Return the peak memory of this program; what ``getrusage`` tells includes that of the process that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def keep(row: Row, path: Path) -> None:
    """Put a row into the file of results in the place of an earlier one of the same image and level."""
    rows = json.loads(path.read_text()) if path.exists() else []
    others = [each for each in rows if (each["image"], each["level"]) != (row["image"], row["level"])]
    ordered = sorted([*others, row], key=lambda each: (each["image"], LEVELS.index(each["level"])))
    path.write_text(json.dumps(ordered, indent=1) + "\n")


def results_table(rows: Sequence[Row]) -> list[str]:
    return table(
        [
            {
                "image": row["image"],
                "level": row["level"],
                **{words: round_for_reading(row.get(key)) for key, words in VALUES.items()},
                "CPU s": round(row["cpu_s"]),
                "peak MB": row["peak_mb"],
            }
            for row in rows
        ]
    )


def round_for_reading(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value > 50 else f"{value:.2f}"


def stages_table(rows: Sequence[Row]) -> list[str]:
    """CPU seconds per stage: the median over the images of a level, and the largest peak of memory."""
    names = list(dict.fromkeys(name for row in rows for name in row["stages"]))
    lines = []
    for level in [each for each in LEVELS if any(row["level"] == each for row in rows)]:
        own = [row for row in rows if row["level"] == level]
        times = {name: median([row["stages"][name] for row in own if name in row["stages"]]) for name in names}
        cpu, memory = TARGETS[level]
        lines.append(
            {
                "level": level,
                "images": len(own),
                **times,
                "all": median([row["cpu_s"] for row in own]),
                "slowest": max(row["cpu_s"] for row in own),
                "target": cpu,
                "peak MB": max(row["peak_mb"] for row in own),
                "target MB": memory,
                "people per hour on 2 cores": round(2 * 3600 / median([row["cpu_s"] for row in own])),
            }
        )
    return table(lines)


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else float("nan")


def write_page(rows: Sequence[Row], page: Path) -> None:
    """Put the tables between their marks in the page; the rest of it is written by hand."""
    text = page.read_text()
    for name, lines in (("results", results_table(rows)), ("cost", stages_table(rows))):
        start, stop = (f"<!-- {name}: {edge} -->" for edge in ("written by python -m benchmarks.anatomy", "end"))
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(stop)
        text = "\n".join([before + start, *lines, stop + after])
    page.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
