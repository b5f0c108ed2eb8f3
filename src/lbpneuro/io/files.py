"""Writing that is whole or not at all, and the small text formats of BIDS."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lbpneuro.errors import InputError, LbpneuroError, OutputError, Reason

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

log = logging.getLogger("lbpneuro")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` if the block succeeds, remove it if not.

    Raises
    ------
    OutputError
        If the folder cannot be written to or the disk is full; nothing half-written is left.
    """
    temporary = path.with_name(f".part{os.getpid()}_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose a writable output folder."
        ) from error
    finally:
        _remove(temporary)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the output ``folder`` for this run; the lock goes with the process, however it ends.

    Raises
    ------
    InputError
        If another run holds the folder, or it cannot be written to.
    """
    import fcntl

    lock = folder / ".lbpneuro.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError as error:
        raise InputError(
            f"{folder}: the output folder cannot be written to ({error.strerror}); choose another, or mend its rights."
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another run writes here; wait for it, or choose another folder.") from error
        yield


def _remove(path: Path) -> None:
    """Remove what was begun; a folder that cannot be reached holds nothing."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON; NaN is not allowed, order is kept."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the JSON file ``path``; InputError if it is no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON file, but {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found a {type(content).__name__}.")
    return content


def write_tsv(path: Path, table: pd.DataFrame) -> None:
    """Write ``table`` as BIDS TSV: tab separated, header, ``n/a`` for missing, 10 significant digits."""
    form: dict[str, Any] = {"sep": "\t", "index": False, "na_rep": "n/a", "lineterminator": "\n"}
    with atomic(path) as temporary:
        if len(table) and all(kind.kind == "f" for kind in table.dtypes):
            text = table.iloc[:0].to_csv(**form) + _numbers(table.to_numpy(dtype=float, na_value=float("nan")))
            temporary.write_text(text, encoding="utf-8", newline="\n")
        else:
            table.to_csv(temporary, float_format="%.10g", **form)


def _numbers(values: NDArray[np.float64]) -> str:
    """Return the rows of a table of numbers as pandas writes them, a row at a time and so ten times faster."""
    line = "\t".join(["%.10g"] * values.shape[1]) + "\n"
    return "".join(line % tuple(row) for row in values.tolist()).replace("nan", "n/a")


def read_tsv(path: Path, **options: Any) -> pd.DataFrame:
    """Return a BIDS TSV file as a table; ``n/a`` is missing, empty lines are skipped.

    Raises
    ------
    InputError
        If the file is absent, empty, or its rows do not match its header.
    """
    import warnings

    import pandas as pd

    form: dict[str, Any] = {"sep": "\t", "index_col": False, "na_values": ["n/a"], "keep_default_na": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, encoding="utf-8-sig", **form, **options)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise InputError(f"{path}: expected a tab-separated table with a header row, but {error}.") from error
    return table.dropna(how="all")


@contextmanager
def gzip_writer(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream that packs into ``path`` (see :func:`atomic`), without time stamp or file name in its header.

    Level 1 of igzip packs as small as that of zlib in about a tenth of the time.
    """
    from isal import igzip

    with (
        atomic(path) as temporary,
        temporary.open("wb") as raw,
        igzip.IGzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as stream,
    ):
        yield stream


def write_nifti(path: Path, image: nib.Nifti1Image) -> None:
    """Write ``image`` as .nii.gz; the same image gives the same content, and but for rare cases the same packing."""
    with gzip_writer(path) as stream:
        stream.write(image.to_bytes())


def raise_upstream_error(path: Path) -> None:
    """Raise again the error that an earlier step recorded in the sidecar of ``path``, if it did."""
    sidecar = path.with_suffix(".json")
    error = read_json(sidecar).get("Error") if sidecar.exists() else None
    if error:
        raise LbpneuroError(error["message"], reason=Reason(error["reason"]))


BESIDE = ("_physio.tsv.gz", "_desc-confounds_timeseries.tsv", "_desc-confounds_regressors.tsv")
"""Files that say something about a run, and are nothing without what they belong to."""


def expand_manifests(paths: Sequence[Path], *, of_runs: Sequence[str] | None = None) -> list[Path]:
    """Return ``paths`` with every manifest of the embedded path replaced by the files it lists.

    A manifest, ``*_desc-embedded_*.json``, lists its outputs by role relative to its own folder. Of those of BOLD runs
    only the roles ``of_runs`` are taken, by default all.

    A manifest that records a failure is left out, with a line in the log: one bad run does not take the others along.

    Raises
    ------
    LbpneuroError
        The recorded failure, if nothing is left but what belongs to the runs (recordings, confounds).
    """
    files: list[Path] = []
    failures: list[LbpneuroError] = []
    for path in paths:
        try:
            files += _listed(path, of_runs) if "_desc-embedded_" in path.name else [path]
        except LbpneuroError as failure:
            log.error("%s: left out, because %s", path.name, failure)
            failures.append(failure)
    if failures and all(path.name.endswith(BESIDE) for path in files):
        raise failures[0]
    return files


def _listed(manifest: Path, of_runs: Sequence[str] | None) -> list[Path]:
    raise_upstream_error(manifest)
    outputs = read_json(manifest)["Outputs"]
    roles = of_runs if of_runs is not None and manifest.name.endswith("_func.json") else outputs
    return [manifest.parent / outputs[role] for role in roles]
