"""A person's gray matter by numbers, for the tests of its markers."""

from __future__ import annotations

import yaml

from lbpneuro.io.resources import default_config
from lbpneuro.markers.tissue import NUCLEI, THALAMIC_NUCLEI, THICKNESS, RegionMeasure, Structural

SETTINGS = yaml.safe_load(default_config().read_text())["structural"]
CV = SETTINGS["rescan_cv"]
STANDARD_METHOD = "embedded_standard"
LEVELS = tuple(
    (roi, hemi)
    for roi in (
        *("dlpfc", "mpfc_acc", "s1", "insula", "dlpfc_sem", "s1back_mgh", "s1lumbar_fmri", "s1trunk_hcp"),
        *NUCLEI,
    )
    for hemi in ("L", "R")
)


def region(volume_ml=10.0, **fields):
    known = {"measure": "gray_matter", "n": 100, "coverage": 1.0, "density": 0.6}
    return RegionMeasure(volume_ml=volume_ml, **(known | fields))


def regions():
    """Every region of maps: 10 mL, nuclei as labels."""
    return {level: region(measure="label" if level[0] in NUCLEI else "gray_matter") for level in LEVELS}


def person(source="embedded", **changes):
    """A brain of 1.5 L with 675 mL of gray matter."""
    fields = {
        "tiv_ml": 1500.0,
        "gm_ml": 675.0,
        "gm_neocortical_ml": 520.0,
        "gm_subcortical_ml": 60.0,
        "wm_ml": 525.0,
        "csf_ml": 300.0,
        "n_voxel": {"tiv": 64, "gm": 32},
        "regions": regions(),
        "settings": SETTINGS,
    }
    return Structural(source=source, **(fields | changes))


def surfaces(**changes):
    """What FreeSurfer knows: no spheres, no coverage, thickness and parts of the thalamus."""
    known = {
        level: region(measure=measure.measure, coverage=float("nan"), density=float("nan"))
        for level, measure in regions().items()
        if "sphere" not in level[0] and level[0] not in ("dlpfc_sem", "s1back_mgh", "s1lumbar_fmri", "s1trunk_hcp")
    }
    for roi in THALAMIC_NUCLEI:
        known |= {(roi, hemi): region(1.5, measure="label", coverage=float("nan")) for hemi in "LR"}
    for roi in THICKNESS:
        for hemi in "LR":
            volume = known[roi, hemi].volume_ml if (roi, hemi) in known else float("nan")
            known[roi, hemi] = region(volume, coverage=float("nan"), density=float("nan"), thickness_mm=2.5)
    return person(source="freesurfer", **({"regions": known, "n_voxel": {}, "euler": -40.0} | changes))
