"""One side of a comparison in a process of its own: ``python -m benchmarks.side NAME FOLDER JSON``.

A side is a function of :mod:`benchmarks.sides` that imports and prepares, and returns what is timed. The process prints
one line of JSON: wall and CPU seconds of every repeat, and its peak resident memory. What is repeated is called once
before the clock starts, since a first call imports and caches; what takes minutes is called once in all. A side that is
to be compared is timed between two runs of the other, since the speed of a shared machine drifts.
"""

from __future__ import annotations

import inspect
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Medians over repeats (s), peak memory of the process (MB), memory of its imports alone, and what was computed.

    ``ratio`` is the median of its CPU time to that of the side it was put ``over``, None without one.
    """

    wall: float
    cpu: float
    ratio: float | None
    peak_mb: float
    imports_mb: float
    result: Any


def measured(
    name: str, folder: Path, *, threads: int = 1, repeats: int = 1, over: str | None = None, **options: Any
) -> Outcome:
    """Run a side in a new process with ``threads`` threads of linear algebra.

    With ``over``, the name of another, that one is run before and after every repeat: what it is compared with.
    """
    import os

    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONPATH": str(ROOT)}
    given = json.dumps({"repeats": repeats, "over": over, **options})
    command = [sys.executable, "-m", "benchmarks.side", name, str(folder), given]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{name} {options}: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    result = np.load(found["array"]) if found["array"] else found["value"]
    return Outcome(
        wall=float(np.median(found["wall"])),
        cpu=float(np.median(found["cpu"])),
        ratio=float(np.median(found["ratio"])) if over else None,
        peak_mb=found["peak_mb"],
        imports_mb=found["imports_mb"],
        result=result,
    )


def peak_mb() -> float:
    """Return the peak resident memory of this process; where the system does not tell, that of rusage."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, rusage starts with the peak of the parent
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def prepared(side: Callable[..., Callable[[], Any]], folder: Path, options: dict[str, Any]) -> Callable[[], Any]:
    """Return what is timed of a side, prepared with those of the options that it knows."""
    known = inspect.signature(side).parameters
    return side(folder, **{name: value for name, value in options.items() if name in known})


def cpu_seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    from benchmarks import sides

    warnings.simplefilter("ignore")
    name, folder = sys.argv[1], Path(sys.argv[2])
    options = json.loads(sys.argv[3])
    repeats, over = options.pop("repeats"), options.pop("over")
    run = getattr(sides, name)(folder, **options)
    other = prepared(getattr(sides, over), folder, options) if over else None
    found: dict[str, Any] = {"wall": [], "cpu": [], "ratio": [], "imports_mb": peak_mb()}
    if repeats > 1:
        run()
    for _ in range(repeats):
        before = cpu_seconds(other) if other else 0.0
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(time.process_time() - cpu)
        if other:
            found["ratio"].append(2 * found["cpu"][-1] / (before + cpu_seconds(other)))
    is_array = isinstance(result, np.ndarray)
    found |= {"peak_mb": peak_mb(), "array": None, "value": None if is_array else result}
    if is_array:
        found["array"] = str(folder / f"{name}.npy")
        np.save(found["array"], result)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
