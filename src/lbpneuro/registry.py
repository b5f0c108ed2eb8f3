"""All markers, by explicit concatenation: the one list from which tables, dictionary, docs and report derive."""

from __future__ import annotations

from lbpneuro.markers import (
    bold,
    change,
    connectivity,
    dynamic,
    excitability,
    networks,
    pet,
    plasticity,
    reflex,
    scales,
    scan_anatomy,
    scan_quality,
    shift,
    structural,
    tactile,
    tms,
)
from lbpneuro.markers.descriptor import Marker

MARKERS: tuple[Marker, ...] = (
    *structural.MARKERS,
    *change.MARKERS,
    *scan_anatomy.MARKERS,
    *connectivity.MARKERS,
    *networks.MARKERS,
    *scan_quality.MARKERS,
    *dynamic.MARKERS,
    *shift.MARKERS,
    *excitability.MARKERS,
    *tms.MARKERS,
    *plasticity.MARKERS,
    *reflex.MARKERS,
    *pet.MARKERS,
    *tactile.MARKERS,
    *scales.MARKERS,
)

FAMILIES: dict[str, str] = {
    "structural": structural.TITLE,
    "change": change.TITLE,
    "functional": bold.TITLE,
    "dynamic": dynamic.TITLE,
    "shift": shift.TITLE,
    "excitability": excitability.TITLE,
    "tms": tms.TITLE,
    "plasticity": plasticity.TITLE,
    "reflex": reflex.TITLE,
    "pet": pet.TITLE,
    "tactile": tactile.TITLE,
    "scales": scales.TITLE,
}

INDEX_COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(column for marker in MARKERS for column in marker.index))


def family(name: str) -> tuple[Marker, ...]:
    """Return the markers of the family ``name``, in registry order; KeyError if there is no such family."""
    FAMILIES[name]
    return tuple(marker for marker in MARKERS if marker.family == name)


def method_version(name: str) -> str:
    """Return the versions of a family's markers as one string: a raised version reruns exactly its rule."""
    return ",".join(f"{marker.name}={marker.version}" for marker in family(name))
