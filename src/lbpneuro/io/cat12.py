"""What CAT12 measured: modulated maps in template space, its report, and thickness of cortical labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.anatomy import region_map, template_regions
from lbpneuro.io.desikan_killiany import NAMES, NUMBERS
from lbpneuro.io.freesurfer import label_regions
from lbpneuro.io.images import Grid, Image, check_same_grid, load_image
from lbpneuro.io.regions import Region, atlas_path, load_atlas
from lbpneuro.kernels.volumes import tissue_volume
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tissue import MAP_REGIONS, RegionMeasure, Structural, from_modulated_maps

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TEMPLATE = "MNI152NLin2009cAsym"
TEMPLATE_FROM = (12, 8)
SEGMENTED_FROM = 0.1
CLOSING_VOXELS = 3
TOTAL_TOLERANCE = 0.15
FULL_POINTS, POINTS_PER_MARK = 105.0, 10.0
SIDES = {"l": "L", "r": "R"}
CAT12_FILE = re.compile(r"(?:mw)?mwp[123].*\.nii(?:\.gz)?|cat(?:ROIs)?_.*\.xml")
AGAIN = "copy the file again, or run CAT12 again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What ``cat_*.xml`` says: version, template ("" if it does not tell), volumes (mL), weighted rating (%)."""

    path: Path
    version: str
    template: str
    tiv_ml: float
    gm_ml: float
    wm_ml: float
    csf_ml: float
    quality: float

    @property
    def in_template(self) -> bool:
        """Whether the maps lie in the template of the table of regions, as they do since CAT12.8."""
        if self.template:
            return TEMPLATE in self.template
        release = tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])
        return len(release) == len(TEMPLATE_FROM) and release >= TEMPLATE_FROM


def read_cat12(
    files: Sequence[Path], *, regions: Mapping[Level, Region], settings: Mapping[str, Any], **facts: Any
) -> tuple[Structural, str]:
    """Return the numbers of one person, and in a sentence how they were measured.

    Parameters
    ----------
    files
        ``mwp1*`` and ``cat_*.xml``; ``mwp2*``, ``mwp3*`` and ``catROIs_*.xml`` where they are.
    regions
        Rows of the table of regions. Without the template in which they are defined (before CAT12.8) there are only
        totals, and ``other_template`` for the regions.
    settings
        Section ``structural``.
    facts
        Further fields of ``Structural``.

    Raises
    ------
    InputError
        If the map or the report is missing or not what it must be, or they contradict each other.
    """
    report = read_report(_needed(files, r"cat_.*\.xml", "report cat_*.xml, with the intracranial volume,"))
    maps = [load_image(_needed(files, r"(?:mw)?mwp1.*", "modulated map of gray matter, mwp1*,"))]
    maps += [load_image(path) for path in (_found(files, rf"(?:mw)?mwp{tissue}.*") for tissue in "23") if path]
    check_same_grid(maps)
    _check_total(maps[0], report)
    native = template_regions(regions, grid=_grid(maps[0])) if report.in_template else {}
    gm, inside = np.nan_to_num(maps[0].data), _segmented(maps)
    data = from_modulated_maps(
        source="cat12",
        settings=settings,
        gm=gm,
        voxel_mm3=maps[0].voxel_mm3,
        regions={level: region_map(region, gm=gm, inside=inside) for level, region in native.items()},
        **_facts(report),
        **facts,
    )
    thickness_file = _found(files, r"catROIs_.*\.xml")
    if thickness_file:
        data = with_thickness(data, read_thickness(thickness_file), regions=regions)
    words = "modulated gray matter summed over labels, thalamus and other nuclei included"
    return (
        data,
        f"CAT12 {report.version}: {words}{'' if report.in_template else f' (none: template {report.template})'}",
    )


def read_report(path: Path) -> Report:
    """Return what a report says.

    Raises
    ------
    InputError
        If it is no report of CAT12, an entry is missing, or a number is none (for example with a decimal comma).
    """
    root = _parse(path)
    tissues = _numbers(root, "subjectmeasures/vol_abs_CGW", path)
    if len(tissues) < 3:
        raise InputError(
            f"{path}: expected CSF, GM and WM in subjectmeasures/vol_abs_CGW, found {len(tissues)} numbers."
        )
    mark = root.findtext("qualityratings/IQR")
    rating = math.nan if mark is None else FULL_POINTS - POINTS_PER_MARK * _number(mark, "qualityratings/IQR", path)
    return Report(
        path=path,
        version=(root.findtext("software/version_cat") or "of unknown version").strip(),
        template=_template(root),
        tiv_ml=_numbers(root, "subjectmeasures/vol_TIV", path)[0],
        csf_ml=tissues[0],
        gm_ml=tissues[1],
        wm_ml=tissues[2],
        quality=min(100.0, max(0.0, rating)) if not math.isnan(rating) else math.nan,
    )


def read_thickness(path: Path) -> dict[tuple[str, str], float]:
    """Return the mean cortical thickness (mm) of the Desikan-Killiany labels by name and side, from ``catROIs_*.xml``.

    Labels without a value (NaN) are left out; without that atlas in the file there is nothing.

    Raises
    ------
    InputError
        If the file is no XML, or names and values are not of the same number.
    """
    atlas = _parse(path).find("aparc_DK40")
    if atlas is None or atlas.find("data/thickness") is None:
        return {}
    names = [(item.text or "").strip() for item in atlas.findall("names/item")]
    values = _numbers(atlas, "data/thickness", path)
    if len(names) != len(values):
        raise InputError(
            f"{path}: expected {len(names)} values of thickness in aparc_DK40, found {len(values)}; {AGAIN}."
        )
    known = {name: (name[1:], SIDES[name[0]]) for name in names if name[:1] in SIDES and name[1:] in NAMES.values()}
    return {
        known[name]: value for name, value in zip(names, values, strict=True) if name in known and math.isfinite(value)
    }


def with_thickness(
    data: Structural, thickness: Mapping[tuple[str, str], float], *, regions: Mapping[Level, Region]
) -> Structural:
    """Return the numbers with the thickness of every region whose labels all have one.

    The labels of a region are weighted by their size in the atlas: CAT12 gives no surface of a label.
    """
    by_label = {number: thickness[key] for key, number in NUMBERS.items() if key in thickness}
    sizes = _label_sizes()
    found = dict(data.regions)
    for level, labels in label_regions(regions).items():
        if not labels <= by_label.keys():
            continue
        weights = [sizes[label] for label in sorted(labels)]
        mean = float(np.average([by_label[label] for label in sorted(labels)], weights=weights))
        bare = RegionMeasure(volume_ml=math.nan, measure="gray_matter", n=0)
        found[level] = replace(found.get(level, bare), thickness_mm=mean)
    return replace(data, regions=found)


@lru_cache(maxsize=1)
def _label_sizes() -> NDArray[np.integer[Any]]:
    """Return the number of voxels of every label of the Desikan-Killiany atlas."""
    labels, _ = load_atlas(atlas_path("desikan_killiany", folder=Path()))
    return np.bincount(labels.ravel())


def _facts(report: Report) -> dict[str, Any]:
    """Return the fields of ``Structural`` that the report gives."""
    absent = {} if report.in_template else dict.fromkeys(MAP_REGIONS, Reason.OTHER_TEMPLATE)
    return {
        "tiv_ml": report.tiv_ml,
        "gm_ml": report.gm_ml,
        "wm_ml": report.wm_ml,
        "csf_ml": report.csf_ml,
        "image_quality": report.quality,
        "absent": absent,
    }


def _grid(image: Image) -> Grid:
    return Grid(affine=image.affine, shape=image.data.shape)


def _segmented(maps: Sequence[Image]) -> NDArray[np.bool_]:
    """Return where the brain was segmented; sulci, whose CSF may not be among the maps, are filled."""
    from scipy.ndimage import binary_closing

    tissue = np.sum([np.nan_to_num(image.data) for image in maps], axis=0)
    return np.asarray(binary_closing(tissue > SEGMENTED_FROM, iterations=CLOSING_VOXELS))


def _check_total(gm: Image, report: Report) -> None:
    """Refuse a map that does not hold the gray matter of the report: it was not modulated, or of another person."""
    total = float(tissue_volume(np.nan_to_num(gm.data), voxel_mm3=gm.voxel_mm3))
    if not abs(total - report.gm_ml) <= TOTAL_TOLERANCE * report.gm_ml:
        raise InputError(
            f"{gm.path}: the map sums to {total:.0f} mL of gray matter, the report {report.path.name} says "
            f"{report.gm_ml:.0f} mL; give the fully modulated map (mwp1, not m0wp1 or wp1) of the same scan."
        )


def _template(root: Element) -> str:
    """Return the folder and name of the registration template that a report names; "" if it names none."""
    for entry in ("templates", "shootingtpm", "darteltpm"):
        found = root.find(f"parameter/extopts/{entry}")
        texts = [] if found is None else [text.strip() for text in found.itertext() if text.strip()]
        if texts:
            return "/".join(re.split(r"[/\\]", texts[0])[-2:])
    return ""


def _parse(path: Path) -> Element:
    """Return the root of an XML file; InputError if it is none."""
    from xml.etree import ElementTree as ET

    try:
        return ET.parse(path).getroot()  # noqa: S314  # the user's own report; expat expands no external entities
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file, or the link leads to none.", reason=Reason.FILE_MISSING
        ) from error
    except (ET.ParseError, OSError) as error:
        raise InputError(f"{path}: expected an XML report of CAT12, but {error}; {AGAIN}.") from error


def _numbers(root: Element, entry: str, path: Path) -> list[float]:
    """Return the numbers of an entry, as MATLAB writes a vector: ``[1 2;3]``."""
    text = root.findtext(entry)
    if text is None or not text.strip():
        raise InputError(f"{path}: the entry {entry} is missing; this is no finished report of CAT12: {AGAIN}.")
    return [_number(part, entry, path) for part in re.split(r"[\s;]+", text.strip().strip("[]").strip())]


def _number(text: str, entry: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        hint = "; write a decimal point, not a comma" if "," in text else ""
        raise InputError(f"{path}: expected a number in {entry}, found {text.strip()!r}{hint}.") from error


def _found(files: Sequence[Path], pattern: str) -> Path | None:
    """Return the first file whose name is of a pattern."""
    return next((path for path in sorted(files) if re.fullmatch(pattern, path.name)), None)


def _needed(files: Sequence[Path], pattern: str, what: str) -> Path:
    """Return the first file whose name is of a pattern; InputError if there is none."""
    path = _found(files, pattern)
    if path is None:
        raise InputError(f"{files[0].parent}: the {what} is missing; {AGAIN}.", reason=Reason.FILE_MISSING)
    return path
