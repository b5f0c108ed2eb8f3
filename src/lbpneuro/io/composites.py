"""ITK composite transforms (.h5), read and written without ITK, which takes longer and stamps what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import atomic

PACKED_FROM = 100  # parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformRecord:
    """One transform as ITK stores it: ``kind`` ("AffineTransform_double_3_3"), ``parameters`` (n,), ``fixed`` (m,)."""

    kind: str
    parameters: NDArray[np.floating[Any]]
    fixed: NDArray[np.floating[Any]]


def read_composite(path: Path) -> list[TransformRecord]:
    """Return the transforms of an ITK composite (.h5), the one that is applied to a point first as the last.

    Raises
    ------
    OSError, KeyError, ValueError
        If the file is no HDF5 file, or one without transforms.
    """
    import h5py

    with h5py.File(path, "r") as file:
        group = file["TransformGroup"]
        return [_record(group[number]) for number in sorted(group, key=int)[1:]]  # 0 is the composite itself


def _record(entry: Any) -> TransformRecord:
    """Return a stored transform; ITK before version 5 wrote ``TranformParameters``."""
    stored = {name.replace("Tranform", "Transform"): entry[name] for name in entry}
    return TransformRecord(
        kind=stored["TransformType"].asstr()[0],
        parameters=stored["TransformParameters"][()],
        fixed=stored["TransformFixedParameters"][()],
    )


def write_composite(path: Path, records: Sequence[TransformRecord]) -> None:
    """Write transforms as one ITK composite (.h5), the one that is applied to a point first as the last.

    Equal records give equal bytes: the ITK writer, which stamps times and the name of the system, is not used.
    """
    import h5py

    precision = records[0].kind.partition("_")[2]
    with atomic(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        for name, text in (("ITKVersion", "5.4.0"), ("HDFVersion", "1.12"), ("OSName", "n/a"), ("OSVersion", "n/a")):
            _write_text(file, name, text=text)
        group = file.create_group("TransformGroup")
        _write_text(group.create_group("0"), "TransformType", text=f"CompositeTransform_{precision}")
        for number, record in enumerate(records, start=1):
            entry = group.create_group(str(number))
            _write_text(entry, "TransformType", text=record.kind)
            entry.create_dataset("TransformFixedParameters", data=record.fixed)
            long = record.parameters.size > PACKED_FROM
            packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if long else {}
            entry.create_dataset("TransformParameters", data=record.parameters, **packing)


def _write_text(group: Any, name: str, *, text: str) -> None:
    import h5py

    group.create_dataset(name, data=[text], dtype=h5py.string_dtype("ascii"))
