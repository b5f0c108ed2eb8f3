"""The BIDS validator as a peer."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path


def errors_of(dataset: Path) -> list[str]:
    """Return code and place of every error that the validator finds."""
    validator = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"
    run = subprocess.run([validator, dataset, "--format", "json"], capture_output=True, text=True, timeout=120)
    issues = json.loads(run.stdout)["issues"]["issues"]
    return [f"{issue['code']} {issue.get('location')}" for issue in issues if issue["severity"] == "error"]
