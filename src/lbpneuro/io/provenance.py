"""Where results came from: versions, checksums, BIDS URIs, dataset descriptions, methods text."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lbpneuro.io.config import config_hash
from lbpneuro.io.files import read_json

SOFTWARE = ("lbpneuro", "numpy", "scipy", "pandas", "nibabel", "nilearn", "mne", "antspyx", "snakemake")
TRAILER_BYTES = 8


def software_versions(names: Iterable[str] = SOFTWARE) -> dict[str, str]:
    """Return the installed version of each package in ``names``."""
    return {name: version(name) for name in names}


def checksum(path: Path) -> str:
    """Return a checksum of a file's content.

    For .gz files this is the CRC-32 and length (modulo 2**32) of the uncompressed content that gzip keeps in its
    last bytes and that reading verifies, so that a large image is not read a second time; for all others SHA-256.
    """
    if path.suffix == ".gz":
        with path.open("rb") as stream:
            stream.seek(-min(TRAILER_BYTES, path.stat().st_size), 2)
            trailer = stream.read()
        return f"crc32:{trailer[:4][::-1].hex()} length:{int.from_bytes(trailer[4:], 'little')}"
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def dataset_roots(config: Mapping[str, Any]) -> dict[str, Path]:
    """Return the folder of every dataset by the name it has in BIDS URIs; the output itself has the empty name."""
    dataset = config["dataset"]
    derivatives = {name: Path(path) for name, path in dataset["derivatives"].items()}
    return {"": Path(dataset["out_dir"]), **derivatives, "raw": Path(dataset["bids_dir"])}


def bids_uri(path: Path, roots: Mapping[str, Path]) -> str:
    """Return ``bids:<dataset>:<path in it>``; a file outside all datasets keeps only its name."""
    for name, root in roots.items():
        if path.is_relative_to(root):
            return f"bids:{name}:{path.relative_to(root).as_posix()}"
    return path.name


def source_name(paths: Sequence[Path], roots: Mapping[str, Path]) -> str:
    """Return the names of the datasets that hold ``paths``, joined; what lbpneuro made itself came from raw data."""
    uris = (bids_uri(path, roots) for path in paths)
    return "+".join(sorted({uri.split(":")[1] or "raw" for uri in uris if uri.startswith("bids:")}))


def study_provenance(config: Mapping[str, Any], units: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return logs/provenance.json: versions, settings with their digest, and every input with its checksum.

    The same study, settings and software give the same bytes on every machine: no time stamps, no absolute paths.

    Parameters
    ----------
    config
        Settings of the study, resolved.
    units
        The participant-sessions of the plan; their sidecars name what was read.
    """
    settings = portable_settings(config)
    folders = [Path(config["dataset"]["out_dir"]) / unit["folder"] for unit in units]
    return {
        "Description": "What the marker tables were made with and from; inputs are BIDS URIs with their checksum.",
        "Version": version("lbpneuro"),
        "SettingsHash": config_hash(settings),
        "Settings": settings,
        "SoftwareVersions": {"python": platform.python_version(), **software_versions()},
        "Inputs": recorded_inputs(folders),
    }


PLACES = ("bids_dir", "out_dir", "work_dir", "derivatives")


def portable_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that bear on results, without the places of a machine; files by their checksum."""
    dataset = {key: value for key, value in config["dataset"].items() if key not in PLACES}
    way = config["functional"]["template_transform"]
    functional = {
        **config["functional"],
        "rois": checksum(Path(config["functional"]["rois"])),
        "template_transform": checksum(Path(way)) if way else None,
        "atlases": {
            name: {key: checksum(Path(path)) if path else None for key, path in files.items()}
            for name, files in config["functional"]["atlases"].items()
        },
    }
    run = {key: value for key, value in config["run"].items() if key != "finished_only"}
    states = config["dynamic"]["states"]
    dynamic = {**config["dynamic"], "states": checksum(Path(states)) if states else None}
    return {**config, "dataset": dataset, "functional": functional, "dynamic": dynamic, "run": run}


def recorded_inputs(folders: Iterable[Path]) -> dict[str, str]:
    """Return {BIDS URI: checksum} of all that the sidecars below ``folders`` name as sources, sorted by URI.

    A source that a sidecar names without a checksum is n/a.
    """
    inputs: dict[str, str] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.json"))):
        sources = read_json(path).get("Sources", [])
        known = sources if isinstance(sources, Mapping) else {}
        inputs.update(known)
        for uri in sources:
            inputs.setdefault(uri, "n/a")
    return dict(sorted(inputs.items()))
