"""One side of a comparison in a process of its own: ``python -m benchmarks.side NAME FOLDER JSON``.

A side is a function of :mod:`benchmarks.sides` that imports and prepares, and returns what is timed. The process prints
one line of JSON: wall and CPU seconds of every repeat, and its peak resident memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Medians over repeats (s), peak memory of the process (MB), memory of its imports alone, and what was computed."""

    wall: float
    cpu: float
    peak_mb: float
    imports_mb: float
    result: Any


def measured(name: str, folder: Path, *, threads: int = 1, repeats: int = 1, **options: Any) -> Outcome:
    """Run a side in a new process with ``threads`` threads of linear algebra."""
    import os

    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.side", name, str(folder), json.dumps({"repeats": repeats, **options})]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{name} {options}: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    result = np.load(found["array"]) if found["array"] else found["value"]
    return Outcome(
        wall=float(np.median(found["wall"])),
        cpu=float(np.median(found["cpu"])),
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


def main() -> None:
    from benchmarks import sides

    warnings.simplefilter("ignore")
    name, folder = sys.argv[1], Path(sys.argv[2])
    options = json.loads(sys.argv[3])
    repeats = options.pop("repeats")
    run = getattr(sides, name)(folder, **options)
    found: dict[str, Any] = {"wall": [], "cpu": [], "imports_mb": peak_mb()}
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(time.process_time() - cpu)
    is_array = isinstance(result, np.ndarray)
    found |= {"peak_mb": peak_mb(), "array": None, "value": None if is_array else result}
    if is_array:
        found["array"] = str(folder / f"{name}.npy")
        np.save(found["array"], result)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
