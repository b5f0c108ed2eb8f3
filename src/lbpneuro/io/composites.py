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
        parameters=_values(stored["TransformParameters"]),
        fixed=stored["TransformFixedParameters"][()],
    )


def _values(stored: Any) -> NDArray[Any]:
    """Return the values (n,) of a dataset; what zlib packed is unpacked by igzip, in less than half of the time."""
    planes = _planes(stored)
    if planes is None:
        return np.asarray(stored[()])
    from isal import isal_zlib

    size = stored.chunks[0]
    found = np.empty(stored.id.get_num_chunks() * size, dtype=stored.dtype)
    chunks, read = found.view(np.uint8).reshape(-1, size * found.itemsize), stored.id.read_direct_chunk
    for number, chunk in enumerate(chunks):
        not_applied, packed = read((number * size,))
        if not_applied:
            return np.asarray(stored[()])
        data = np.frombuffer(isal_zlib.decompress(packed, bufsize=chunk.size), dtype=np.uint8)
        if data.size != chunk.size:
            raise ValueError(f"{stored.name}: a chunk holds {data.size} bytes, expected {chunk.size}.")
        for first, plane in enumerate(data.reshape(planes, -1)):
            chunk[first::planes] = plane
    return found[: stored.size]


def _planes(stored: Any) -> int | None:
    """Return in how many planes of bytes the chunks of a dataset were packed by zlib; None if they were not.

    The shuffle filter puts the first bytes of all values first, then the second ones; without it there is one plane.
    A chunk that is not there holds the fill value, which is left to HDF5.
    """
    import h5py

    plist = stored.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    shuffled = filters == [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]
    if stored.ndim != 1 or not (shuffled or filters == [h5py.h5z.FILTER_DEFLATE]):
        return None
    if stored.id.get_num_chunks() != -(-stored.size // stored.chunks[0]):
        return None
    return int(stored.dtype.itemsize) if shuffled else 1


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
