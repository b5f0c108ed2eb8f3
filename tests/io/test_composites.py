"""Composite transforms are unpacked without zlib, whatever the layout of the file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from isal import isal_zlib

from lbpneuro.io.composites import TransformRecord, read_composite, write_composite

VALUES = np.random.default_rng(4).normal(size=1000).astype(np.float32)
GZIP = {"compression": "gzip", "chunks": (300,)}  # the last chunk is not full


def stored(path, *, dtype=None, values=VALUES, **layout):
    """Write a composite whose one field has the parameters ``values`` in a layout of h5py."""
    write_composite(
        path, [TransformRecord(kind="DisplacementFieldTransform_float_3_3", parameters=VALUES, fixed=VALUES[:18])]
    )
    with h5py.File(path, "r+") as file:
        entry = file["TransformGroup/1"]
        del entry["TransformParameters"]
        entry.create_dataset("TransformParameters", shape=values.shape, dtype=dtype or values.dtype, **layout)
        if values is VALUES:
            entry["TransformParameters"][...] = values
    return path


@pytest.fixture
def unpacked(monkeypatch):
    """How many bytes every call of igzip gave."""
    calls = []

    def counting(*args, **kwargs):
        calls.append(decompress(*args, **kwargs))
        return calls[-1]

    decompress = isal_zlib.decompress
    monkeypatch.setattr(isal_zlib, "decompress", counting)
    return calls


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_packed_values_are_those_that_hdf5_reads(tmp_path, unpacked, dtype, shuffle):
    path = stored(tmp_path / "way.h5", dtype=dtype, shuffle=shuffle, **GZIP)
    (found,) = read_composite(path)
    np.testing.assert_array_equal(found.parameters, VALUES)
    assert found.parameters.dtype == np.dtype(dtype)
    assert len(unpacked) == 4


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"chunks": (300,)},
        {"chunks": (300,), "compression": "lzf"},
        {**GZIP, "fletcher32": True},
    ],
)
def test_other_layouts_are_left_to_hdf5(tmp_path, unpacked, layout):
    (found,) = read_composite(stored(tmp_path / "way.h5", **layout))
    np.testing.assert_array_equal(found.parameters, VALUES)
    assert unpacked == []


def test_a_chunk_that_was_never_written_holds_the_fill_value(tmp_path):
    path = stored(tmp_path / "way.h5", values=np.zeros(1000, dtype=np.float32), fillvalue=2.5, **GZIP)
    with h5py.File(path, "r+") as file:
        file["TransformGroup/1/TransformParameters"][:300] = VALUES[:300]
    (found,) = read_composite(path)
    np.testing.assert_array_equal(found.parameters, [*VALUES[:300], *[2.5] * 700])


def test_a_chunk_that_was_not_packed_is_read_as_it_is(tmp_path):
    path = stored(tmp_path / "way.h5", shuffle=True, **GZIP)
    with h5py.File(path, "r+") as file:
        part = VALUES[300:600].tobytes()
        file["TransformGroup/1/TransformParameters"].id.write_direct_chunk((300,), part, filter_mask=3)
    (found,) = read_composite(path)
    np.testing.assert_array_equal(found.parameters, VALUES)


@pytest.mark.parametrize(("damage", "error"), [("byte", isal_zlib.error), ("short", ValueError)])
def test_a_damaged_chunk_is_refused(tmp_path, damage, error):
    path = stored(tmp_path / "way.h5", shuffle=True, **GZIP)
    with h5py.File(path, "r+") as file:
        chunks = file["TransformGroup/1/TransformParameters"].id
        packed = bytearray(chunks.read_direct_chunk((300,))[1])
        packed[len(packed) // 2] ^= 255
        short = isal_zlib.compress(VALUES[:1].tobytes())
        chunks.write_direct_chunk((300,), bytes(packed) if damage == "byte" else short)
    with pytest.raises(error):
        read_composite(path)
