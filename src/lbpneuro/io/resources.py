"""Where the files that come with lbpneuro lie: in the checkout, or in the installed package."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def workflow_folder() -> Path:
    """Return the folder that holds Snakefile, workflow/, config/ and profiles/."""
    installed = PACKAGE / "workflow"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def snakefile() -> Path:
    """Return the path of the Snakefile."""
    return workflow_folder() / "Snakefile"


def default_config() -> Path:
    """Return the path of the default configuration."""
    return workflow_folder() / "config" / "config.yaml"


def config_schema() -> Path:
    """Return the path of the schema of the configuration."""
    return workflow_folder() / "workflow" / "schemas" / "config.schema.json"
