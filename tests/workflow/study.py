"""Small BIDS trees for tests of the plan and the workflow: names only, no content."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lbpneuro.io.config import read_config, resolve


def tree(root: Path, names: Iterable[str]) -> Path:
    """Make a BIDS dataset of empty files."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": root.name, "BIDSVersion": "1.11.1"}))
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def settings(folder: Path, **dataset: Any) -> dict[str, Any]:
    """Return resolved settings for the study in ``folder``: raw/, out/, work/, and derivatives where given."""
    paths = {"bids_dir": str(folder / "raw"), "out_dir": str(folder / "out"), "work_dir": str(folder / "work")}
    return resolve(read_config(overrides={"dataset": {**paths, "derivatives": {}, **dataset}}))
