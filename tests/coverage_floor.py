"""``python -m tests.coverage_floor``: no file of kernels/ or markers/ below its share of covered lines and branches."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FLOOR = 95.0
ROOMS = ("kernels", "markers")


def main() -> int:
    """Return 1 and name the files, if one of the last test run is below the floor."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", report], check=True)
        files = json.loads(report.read_text())["files"]
    shares = {name: facts["summary"]["percent_covered"] for name, facts in files.items()}
    watched = {name: share for name, share in shares.items() if Path(name).parent.name in ROOMS}
    low = {name: share for name, share in watched.items() if share < FLOOR}
    for name, share in low.items():
        print(f"{name}: {share:.1f} % covered, at least {FLOOR:g} % is asked for")  # noqa: T201
    return int(bool(low) or not watched)


if __name__ == "__main__":
    sys.exit(main())
