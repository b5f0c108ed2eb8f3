"""``python -m tests.workflow.lint``: Snakemake's own linter on the workflow, planned for a small study."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from lbpneuro.io.files import write_json
from lbpneuro.io.resources import snakefile
from tests.workflow.study import settings, tree

STUDY = [
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/func/sub-01_task-rest_bold.nii.gz",
    "sub-01/emg/sub-01_task-motormap_emg.bdf",
    "sub-01/emg/sub-01_task-motormap_events.tsv",
]


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the study in ``folder`` with its settings."""
    path = folder / "work" / "settings.json"
    write_json(path, settings(folder))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile()), "--configfile", str(path)]
    return subprocess.run(
        [*command, "--directory", str(folder / "work"), *options], capture_output=True, text=True, check=False
    )


def main() -> int:
    """Return 0 if the linter has nothing to say."""
    with tempfile.TemporaryDirectory() as name:
        tree(Path(name) / "raw", STUDY)
        done = snakemake(Path(name), "--lint", "text")
    said = done.stdout + done.stderr
    clean = done.returncode == 0 and "Congratulations" in said
    print("snakemake --lint: clean" if clean else said)  # noqa: T201
    return int(not clean)


if __name__ == "__main__":
    sys.exit(main())
