"""The connections of the fact sheet: one table of edges, and which regions they and the other markers need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lbpneuro.markers.bold import Level, parts_of
from lbpneuro.markers.descriptor import Direction, Evidence, Tier

Parts = tuple[Level, ...]

SIDE = "side"
"""In the place of a hemisphere: the edge exists on either side, and this end lies on that side."""

DESCENDING = "Functional changes: descending pain modulation, periaqueductal gray and medial prefrontal cortex"
DEFAULT_MODE = "Functional changes: medial prefrontal cortex and the default mode network"
MESOLIMBIC = "Functional changes: mesocorticolimbic system, ventral tegmental area and nucleus accumbens"
THALAMIC = "Functional changes: thalamocortical connectivity"
SHIFTING = "Functional changes: shift from sensory to affective circuits"

YU_R = "10.1016/j.nicl.2014.08.019"
MAO = "10.1007/s11682-025-01047-0"
BALIKI_2014 = "10.1371/journal.pone.0106133"
BALIKI_2012 = "10.1038/nn.3153"
HIPPOCAMPUS = "PMC6527473"
YU_S = "PMC7415705"
SUNAVSKY = "10.1097/j.pain.0000000000003620"
MAKARY = "10.1073/pnas.1918682117"
TU_2019 = "PMID 31107712"
TU_2020 = "10.1038/s41467-020-17788-z"
HASHMI = "10.1093/brain/awt211"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One connection.

    ``seed`` and ``target`` are the regions of its ends (roi, hemi), taken together; the hemi ``SIDE`` stands for either
    side. ``model`` is the nuisance model, ``direction`` the expected sign in low back pain with its source.
    """

    name: str
    long_name: str
    seed: Parts
    target: Parts
    model: str
    direction: Direction
    direction_source: str
    doi: str
    fact_sheet: str
    evidence: Evidence = Evidence.UNVERIFIED
    tier: Tier = Tier.SECONDARY

    @property
    def sides(self) -> tuple[str, ...]:
        """The hemispheres that the edge repeats over; one empty string for a single edge."""
        sided = any(hemi == SIDE for _, hemi in (*self.seed, *self.target))
        return ("L", "R") if sided else ("",)

    def label(self, side: str) -> str:
        """Return the name of the edge on one side, such as ``mpfc_ins_L``."""
        return f"{self.name}_{side}" if side else self.name

    def ends(self, side: str) -> tuple[Parts, Parts]:
        """Return the regions of both ends on one side."""
        seed, target = (
            tuple((roi, side if hemi == SIDE else hemi) for roi, hemi in parts) for parts in (self.seed, self.target)
        )
        return seed, target


def midline(*rois: str) -> Parts:
    """Return midline regions."""
    return tuple((roi, "n/a") for roi in rois)


def both(roi: str) -> Parts:
    """Return a region on both sides."""
    return ((roi, "L"), (roi, "R"))


def sided(roi: str) -> Parts:
    """Return a region on the side of the edge."""
    return ((roi, SIDE),)


POSTERIOR = (*midline("pcc"), *both("precuneus"))
VTA = both("vta")

_YU_DIRECTION = (
    f"Contested: higher than in controls and falling with current pain in {YU_R}; none reported at rest by a larger "
    f"cohort (abstract of {MAO}); lower in migraine (10.1038/srep20298). No meta-analysis."
)
_YU_DURATION = (
    f"Contested: falls with the duration of pain in the abstract of {YU_R}; the highlights of the same paper name "
    "other pairs. No comparison with controls was read."
)
_MAO_DIRECTION = f"One study (abstract of {MAO}, 75 patients and 75 controls at rest); not replicated."
_BALIKI_DIRECTION = f"{BALIKI_2014}, figure captions: all groups with chronic pain against controls."
_YU_S_DIRECTION = f"{YU_S}, abstract: lower than in controls at low pain, rising with pain within patients."
_TU_DIRECTION = f"Contested: abnormal in the abstract of {TU_2020}, state by state, without a sign."
_SEED_DIRECTION = f"{_YU_DIRECTION} This published sphere is kept for comparison with older results."

EDGES: tuple[Edge, ...] = (
    Edge(
        name="pag_vmpfc",
        long_name="PAG-vmPFC",
        seed=midline("pag"),
        target=midline("vmpfc"),
        model="brainstem",
        direction=Direction.CONTESTED,
        direction_source=_YU_DIRECTION,
        doi=YU_R,
        fact_sheet=DESCENDING,
        tier=Tier.PRIMARY,
    ),
    Edge(
        name="pag_ins",
        long_name="PAG-right insula",
        seed=midline("pag"),
        target=(("ins_pag", "R"),),
        model="brainstem",
        direction=Direction.CONTESTED,
        direction_source=_YU_DURATION,
        doi=YU_R,
        fact_sheet=DESCENDING,
    ),
    Edge(
        name="pag_amyg",
        long_name="PAG-amygdala",
        seed=midline("pag"),
        target=sided("amygdala"),
        model="brainstem",
        direction=Direction.CONTESTED,
        direction_source=_YU_DURATION,
        doi=YU_R,
        fact_sheet=DESCENDING,
    ),
    Edge(
        name="vlpag_s1",
        long_name="Ventrolateral PAG-primary somatosensory cortex",
        seed=midline("vlpag"),
        target=sided("s1"),
        model="brainstem",
        direction=Direction.HIGHER,
        direction_source=_MAO_DIRECTION,
        doi=MAO,
        fact_sheet=DESCENDING,
    ),
    Edge(
        name="lpag_pcc",
        long_name="Lateral PAG-posterior cingulate and precuneus",
        seed=midline("lpag"),
        target=POSTERIOR,
        model="brainstem",
        direction=Direction.LOWER,
        direction_source=_MAO_DIRECTION,
        doi=MAO,
        fact_sheet=DESCENDING,
    ),
    Edge(
        name="pag_kong_vmpfc",
        long_name="PAG-vmPFC, published spheres",
        seed=midline("pag_kong"),
        target=midline("vmpfc"),
        model="brainstem",
        direction=Direction.CONTESTED,
        direction_source=_SEED_DIRECTION,
        doi=YU_R,
        fact_sheet=DESCENDING,
        tier=Tier.EXPLORATORY,
    ),
    Edge(
        name="pag_linnman_vmpfc",
        long_name="PAG-vmPFC, sphere of a meta-analysis",
        seed=midline("pag_linnman"),
        target=midline("vmpfc"),
        model="brainstem",
        direction=Direction.CONTESTED,
        direction_source=_SEED_DIRECTION,
        doi="10.1016/j.neuroimage.2011.11.095",
        fact_sheet=DESCENDING,
        tier=Tier.EXPLORATORY,
    ),
    Edge(
        name="mpfc_pcc",
        long_name="mPFC-posterior cingulate and precuneus",
        seed=midline("mpfc"),
        target=POSTERIOR,
        model="cortical",
        direction=Direction.LOWER,
        direction_source=_BALIKI_DIRECTION,
        doi=BALIKI_2014,
        fact_sheet=DEFAULT_MODE,
    ),
    Edge(
        name="mpfc_ins",
        long_name="mPFC-insula",
        seed=midline("mpfc"),
        target=sided("ins_hashmi"),
        model="cortical",
        direction=Direction.HIGHER,
        direction_source=_BALIKI_DIRECTION,
        doi=BALIKI_2014,
        fact_sheet=DEFAULT_MODE,
    ),
    Edge(
        name="anthc_mpfc",
        long_name="Anterior hippocampus-mPFC",
        seed=sided("hippocampus_anterior"),
        target=midline("mpfc"),
        model="cortical",
        direction=Direction.LOWER,
        direction_source=f"{HIPPOCAMPUS}, figure caption: right anterior hippocampus, four pooled data sets.",
        doi=HIPPOCAMPUS,
        fact_sheet=DEFAULT_MODE,
    ),
    Edge(
        name="mpfc_nac",
        long_name="mPFC-nucleus accumbens",
        seed=midline("mpfc"),
        target=sided("accumbens"),
        model="cortical",
        direction=Direction.CONTESTED,
        direction_source=(
            f"Contested: higher in subacute pain that persists ({BALIKI_2012}); of low predictive value in a later "
            "cohort (PMC9381385)."
        ),
        doi=BALIKI_2012,
        fact_sheet=MESOLIMBIC,
    ),
    Edge(
        name="nac_dlpfc",
        long_name="Left nucleus accumbens-right DLPFC",
        seed=(("accumbens", "L"),),
        target=(("dlpfc", "R"),),
        model="cortical",
        direction=Direction.HIGHER,
        direction_source=f"{SUNAVSKY}, abstract: the one pair that was reproduced in two cohorts.",
        doi=SUNAVSKY,
        fact_sheet=MESOLIMBIC,
        evidence=Evidence.DESIGN,
    ),
    Edge(
        name="vta_mpfc",
        long_name="VTA-mPFC",
        seed=VTA,
        target=midline("mpfc"),
        model="brainstem",
        direction=Direction.LOWER,
        direction_source=_YU_S_DIRECTION,
        doi=YU_S,
        fact_sheet=MESOLIMBIC,
    ),
    Edge(
        name="vta_hipp",
        long_name="VTA-hippocampus",
        seed=VTA,
        target=sided("hippocampus"),
        model="brainstem",
        direction=Direction.LOWER,
        direction_source=_YU_S_DIRECTION,
        doi=YU_S,
        fact_sheet=MESOLIMBIC,
    ),
    *(
        Edge(
            name=name,
            long_name=long_name,
            seed=sided(seed),
            target=sided(target),
            model="cortical",
            direction=Direction.CONTESTED,
            direction_source=_TU_DIRECTION,
            doi=TU_2020,
            fact_sheet=THALAMIC,
            evidence=Evidence.DESIGN,
        )
        for name, long_name, seed, target in (
            ("vpl_s1", "Ventral posterolateral thalamus-primary somatosensory cortex", "vpl", "s1"),
            ("vpm_s1", "Ventral posteromedial thalamus-primary somatosensory cortex", "vpm", "s1"),
            ("md_ins", "Mediodorsal thalamus-insula", "md", "insula"),
        )
    ),
)
"""The connections, each with its marker ``<name>_z``."""

LABELS: dict[str, tuple[Edge, str]] = {edge.label(side): (edge, side) for edge in EDGES for side in edge.sides}

PAIN_NODES: tuple[Parts, ...] = tuple(
    (level,) for level in (*both("ins_hashmi"), ("acc_hashmi", "n/a"), *both("thalamus"), *both("s2"), *both("putamen"))
)
EMOTION_NODES: tuple[Parts, ...] = tuple((level,) for level in (("mpfc_hashmi", "n/a"), *both("amyg_hashmi")))
CONTROL_ENDS: tuple[Parts, ...] = (
    midline("pag"),
    midline("vmpfc"),
    midline("mpfc"),
    POSTERIOR,
    VTA,
    *((level,) for roi in ("insula", "amygdala", "s1", "hippocampus", "accumbens", "dlpfc") for level in both(roi)),
    *((level,) for level in both("thalamus")),
)
"""What a partial correlation is given: ends that share no voxel."""
PLACE = {
    **dict.fromkeys(("pag", "vlpag", "lpag", "pag_kong", "pag_linnman"), "pag"),
    **dict.fromkeys(("ins_pag", "ins_hashmi", "insula"), "insula"),
    **dict.fromkeys(("hippocampus", "hippocampus_anterior"), "hippocampus"),
    **dict.fromkeys(("vpl", "vpm", "md", "thalamus"), "thalamus"),
    **dict.fromkeys(("pcc", "precuneus"), "pcc"),
}


EDGE_REGIONS: Parts = tuple(
    dict.fromkeys(part for edge in EDGES for side in edge.sides for end in edge.ends(side) for part in end)
)
"""Every region of an edge, once."""


def wanted_regions(settings: Mapping[str, Any], known: Sequence[Level], *, nodes: Sequence[str] = ()) -> Parts:
    """Return every region that the markers and the maps need, in the order of ``known``; unknown ones come first.

    Parameters
    ----------
    settings
        The section ``functional``: its seeds and edges.
    known
        The regions of the table.
    nodes
        Further names, those of the section ``dynamic``.

    Raises
    ------
    InputError
        If the settings name a region that is not among ``known``.
    """
    parts = [*EDGE_REGIONS]
    parts += [part for end in (*PAIN_NODES, *EMOTION_NODES, *CONTROL_ENDS) for part in end]
    names = [name for edge in settings["edges"].values() for end in ("seed", "target") for name in edge[end]]
    parts += [part for name in (*names, *settings["seeds"], *nodes) for part in parts_of(name, known)]
    wanted = set(parts)
    return (*dict.fromkeys(part for part in parts if part not in known), *(level for level in known if level in wanted))
