"""Where the regions lie in a run, and what its brainstem needs beyond the confounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.aqueduct import own_aqueduct
from lbpneuro.io.brainstem import brainstem_controls, brainstem_overlap
from lbpneuro.io.images import Image, load_probability
from lbpneuro.io.physio import run_physio
from lbpneuro.io.region_grid import GridRegions, roi_weights
from lbpneuro.io.regions import Name, Region
from lbpneuro.io.run_files import NATIVE, RunFiles
from lbpneuro.io.series import Series
from lbpneuro.markers.bold import BRAINSTEM

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The regions of a run.

    Attributes
    ----------
    found
        Their weights.
    own_aqueduct
        Whether the regions around the aqueduct follow that of the person.
    other_template
        Whether the regions are defined in another template than that of the run, and nothing leads from one to the
        other.
    csf
        CSF probability in the space of the run, if there is one.
    facts
        For the sidecar.
    """

    found: GridRegions
    own_aqueduct: bool
    other_template: bool
    csf: Image | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What else is known of the brainstem of a run.

    ``regressors`` of the brainstem models by name, each (n_time,) or (n_time, k); ``facts`` for the sidecar;
    ``brainstem_dice`` as in :class:`lbpneuro.markers.bold.Run`.
    """

    regressors: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    brainstem_dice: float = float("nan")


def way_to_regions(
    files: RunFiles, regions: Mapping[Name, Region], settings: Mapping[str, Any]
) -> tuple[Path | None, bool]:
    """Return the transform from a run to its regions, None without one, and whether they lie in another template.

    Parameters
    ----------
    files, regions
        As :func:`place_regions` has them.
    settings
        The section ``functional`` of the configuration.
    """
    return way_to_space(files, next((region.space for region in regions.values()), files.space), settings)


def way_to_space(files: RunFiles, space: str | None, settings: Mapping[str, Any]) -> tuple[Path | None, bool]:
    """Return the transform from a run to a template, None without one, and whether the run lies in another one."""
    if files.space in (space, NATIVE):
        return files.transform, False
    given = settings["template_transform"]
    return (Path(given) if given else None), not given


def place_regions(
    files: RunFiles, series: Series, *, regions: Mapping[Name, Region], settings: Mapping[str, Any]
) -> Placed:
    """Return the regions on the grid of a run, those around the aqueduct where the CSF map of the person shows it.

    A run in native space is measured through the transform of fMRIPrep, and one in another template than that of the
    regions through ``template_transform`` of the settings; without that, coordinates are taken as they stand.

    Parameters
    ----------
    files
        From :func:`lbpneuro.io.run_files.group_runs`.
    series
        The masked run.
    regions
        All in one space, by (roi, hemi).
    settings
        The section ``functional`` of the configuration.
    """
    transform, other_template = way_to_regions(files, regions, settings)
    csf = load_probability(files.csf) if files.csf else None
    # Where coordinates are taken through a transform, the axis is sought in a CSF map of the template.
    seen = files.tissues.get("CSF") if files.space == NATIVE else files.csf
    in_template = csf if seen == files.csf else (load_probability(seen) if seen else None)
    through_other = files.space != NATIVE and transform is not None
    moved, facts = own_aqueduct(regions, None if through_other else in_template)
    found = roi_weights(series, regions=moved, csf=csf, brainstem=BRAINSTEM, transform=transform)
    return Placed(
        found=found,
        own_aqueduct=facts.get("AqueductAxis") == "own",
        other_template=other_template,
        csf=csf,
        facts={
            "Space": files.space,
            "RegionsThrough": transform.name if transform else None,
            "OtherTemplate": other_template,
            **facts,
        },
    )


def brainstem_extra(
    files: RunFiles,
    series: Series,
    placed: Placed,
    *,
    t_r: float,
    known: Mapping[Name, Region],
    settings: Mapping[str, Any],
) -> Extra:
    """Return RETROICOR and local control regressors of a run, and the overlap of its brainstem with the template.

    Parameters
    ----------
    files, series, placed
        The run; ``placed`` holds the control regions if local control signals are asked for.
    t_r
        Repetition time (s).
    known
        All regions of the table, for the overlap.
    settings
        The section ``functional``: ``physio`` and ``brainstem_controls`` are looked at.
    """
    regressors: dict[str, Array] = {}
    facts: dict[str, Any] = {}
    if settings["physio"]:
        physio = run_physio(files.physio, n_time=len(series.bold), t_r=t_r)
        regressors |= dict(zip(physio.names, physio.regressors.T, strict=True))
        facts["Physio"] = dict(physio.facts)
    if settings["brainstem_controls"]:
        controls = brainstem_controls(series, placed.found, csf=placed.csf, seeds=BRAINSTEM)
        regressors |= controls
        facts["BrainstemControls"] = list(controls)
    dice = float("nan")
    if {"GM", "WM"} <= set(files.tissues):
        gm, wm = (load_probability(files.tissues[tissue]) for tissue in ("GM", "WM"))
        dice = brainstem_overlap(gm, wm, known)
        facts["BrainstemDice"] = None if np.isnan(dice) else round(dice, 3)
    return Extra(regressors=regressors, facts=facts, brainstem_dice=dice)
