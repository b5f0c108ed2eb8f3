"""ITK composite transforms (.h5) whose bytes do not tell when and on which system they were written."""

from __future__ import annotations

from pathlib import Path

from lbpneuro.io.transforms import TransformRecord, write_composite


def keep_transform(source: Path, destination: Path) -> None:
    """Copy a composite transform that ITK wrote; equal transforms give equal bytes."""
    import h5py

    with h5py.File(source, "r") as file:
        group = file["TransformGroup"]
        records = [
            TransformRecord(
                kind=group[number]["TransformType"].asstr()[0],
                parameters=group[number]["TransformParameters"][()],
                fixed=group[number]["TransformFixedParameters"][()],
            )
            for number in sorted(group, key=int)[1:]  # 0 is the composite itself
        ]
    write_composite(destination, records)
