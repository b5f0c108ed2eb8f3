"""Gray-matter maps of the user's own making, and the intracranial volumes that go with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.anatomy import native_regions, region_map, template_regions, template_transform
from lbpneuro.io.files import read_tsv
from lbpneuro.io.images import Grid, load_image, load_probability
from lbpneuro.io.index import entities
from lbpneuro.io.regions import Region
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tissue import MAP_REGIONS, Structural, from_modulated_maps, from_native_maps

TEMPLATE = "MNI152NLin2009cAsym"
NOT_ML = 10_000.0
"""No head holds as many mL; mm³ are always more."""


def read_gm_map(
    files: Sequence[Path],
    *,
    regions: Mapping[Level, Region],
    config: Mapping[str, Any],
    who: tuple[str, str | None],
    **facts: Any,
) -> tuple[Structural, str]:
    """Return the numbers of one gray-matter map, and in a sentence how they were measured.

    Parameters
    ----------
    files
        The map, and for one in the person's own space the transform ``from-MNI152NLin2009cAsym_to-T1w``, without which
        it has a total and no regions.
    regions
        Rows of the table of regions.
    config
        All settings; ``structural.gm_maps`` says what kind of map it is and where the intracranial volume stands.
    who
        ``sub-<label>`` and ``ses-<label>`` or None.
    facts
        Further fields of ``Structural``.

    Raises
    ------
    InputError
        If the map is none, or the table of intracranial volumes does not give that of this person and session.
    """
    settings, entry = config["structural"], config["structural"]["gm_maps"]
    path = next(path for path in files if not path.name.endswith(".h5"))
    table = Path(entry["tiv_file"] or Path(config["dataset"]["bids_dir"]) / "participants.tsv")
    facts["tiv_ml"] = read_tiv(table, entry["tiv_column"], who=who) if entry["tiv_column"] else math.nan
    read = _modulated if entry["modulated"] else _native
    return read(path, files, regions=regions, settings=settings, facts=facts)


def read_tiv(path: Path, column: str, *, who: tuple[str, str | None]) -> float:
    """Return the intracranial volume (mL) of one person and session from a table; NaN where the cell is empty.

    Raises
    ------
    InputError
        Naming file and column if a column is missing, there is not one row for this person, or no number in it.
    UnitError
        If the number is far too large to be mL.
    """
    table = read_tsv(path, dtype=str)
    for name in ("participant_id", column):
        if name not in table.columns:
            raise InputError(f"{path}: the column {name} is missing; found {', '.join(table.columns)}.")
    participant, session = who
    rows = table[table["participant_id"].str.removeprefix("sub-") == participant.removeprefix("sub-")]
    if session and "session_id" in table.columns:
        rows = rows[rows["session_id"].str.removeprefix("ses-") == session.removeprefix("ses-")]
    if len(rows) != 1:
        raise InputError(
            f"{path}: expected one row for {participant}{f' {session}' if session else ''}, found {len(rows)}; "
            "add the row, or a column session_id."
        )
    return _volume(rows[column].iloc[0], f"{path}, {participant}, {column}")


def _volume(text: Any, where: str) -> float:
    if not isinstance(text, str):
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        hint = " (write a point, not a comma)" if "," in text else ""
        raise InputError(f"{where}: expected a volume in mL, found {text!r}{hint}.") from error
    if value > NOT_ML:
        raise UnitError(f"{where}: expected a volume in mL, found {value:g}, which looks like mm³; divide by 1000.")
    return value


def _modulated(
    path: Path,
    _files: Sequence[Path],
    *,
    regions: Mapping[Level, Region],
    settings: Mapping[str, Any],
    facts: dict[str, Any],
) -> tuple[Structural, str]:
    """Return the numbers of a modulated map in template space."""
    image = load_image(path)
    gm = np.nan_to_num(image.data)
    known = entities(path).get("space", TEMPLATE) == TEMPLATE
    native = template_regions(regions, grid=Grid(affine=image.affine, shape=gm.shape)) if known else {}
    inside = np.ones(gm.shape, dtype=bool)
    data = from_modulated_maps(
        source="maps",
        settings=settings,
        gm=gm,
        voxel_mm3=image.voxel_mm3,
        regions={level: region_map(region, gm=gm, inside=inside) for level, region in native.items()},
        absent={} if known else dict.fromkeys(MAP_REGIONS, Reason.OTHER_TEMPLATE),
        **facts,
    )
    return data, "Your modulated gray-matter map summed over the image and over labels, nuclei included"


def _native(
    path: Path,
    files: Sequence[Path],
    *,
    regions: Mapping[Level, Region],
    settings: Mapping[str, Any],
    facts: dict[str, Any],
) -> tuple[Structural, str]:
    """Return the numbers of a probability map in the person's own space."""
    image = load_probability(path)
    gm = np.nan_to_num(image.data)
    way = template_transform(files, space=TEMPLATE)
    native = native_regions(regions, way, grid=Grid(affine=image.affine, shape=gm.shape)) if way else {}
    inside = np.ones(gm.shape, dtype=bool)
    data = from_native_maps(
        source="maps",
        settings=settings,
        gm=gm,
        wm=np.zeros_like(gm),
        csf=np.zeros_like(gm),
        voxel_mm3=image.voxel_mm3,
        regions={level: region_map(region, gm=gm, inside=inside) for level, region in native.items()},
        wm_ml=math.nan,
        csf_ml=math.nan,
        n_voxel={"gm": int(np.count_nonzero(gm > 0.5))},
        **facts,
    )
    return data, "Your gray-matter probability map summed over the image and over labels; nuclei are label volumes"
