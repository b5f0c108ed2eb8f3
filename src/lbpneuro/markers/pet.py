"""Binding of a tracer of the translocator protein (TSPO): uptake, its ratio to references, distribution volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.pet import entropy, spread, standardised_uptake, window_mean, window_overlap, window_ratio
from lbpneuro.kernels.pet_models import Fit, distribution_volume, linear_from, relative_noise, without_blood
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Glial activation (TSPO-PET)"
FACT_SHEET = "Neuroimmune activation: glial TSPO signal in the thalamus and lumbar S1"
LOGGIA = "10.1093/brain/awu377"
ALBRECHT = "J Nucl Med 59:107 (2018)"
TEXTURE = "Pain 162:1241 (2021)"
NORMAL = 1.959964
S_PER_MIN = 60.0
ROI_INDEX = ("roi", "hemi")
OCCIPITAL, WHOLE_BRAIN, CEREBELLUM = "occipital", "whole_brain", "cerebellum"
REFERENCES = (OCCIPITAL, WHOLE_BRAIN, CEREBELLUM)
NO_DIRECTION = ("pgacc", "amcc", "striatum", *REFERENCES)

RESCAN = (
    "from the noise of the frames in the window and the coefficient of variation between two scans of one person "
    "(pet.rescan_cv) times the value; interval of a log-normal error"
)
GROUP = (
    f"Thalamus and lumbar S1 higher in 9 pairs ({LOGGIA}, whole-brain reference), thalamus again in 15 against 18 "
    f"people ({TEXTURE}); abstracts read. Among patients the thalamus binds less with more pain: not a measure of it."
)

Array = NDArray[np.float64]
Place = tuple[str, str]
"""Region and hemisphere."""


class Affinity(StrEnum):
    """How well the person's TSPO binds second-generation tracers, by the polymorphism rs6971."""

    HIGH = "HAB"
    MIXED = "MAB"
    LOW = "LAB"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Plasma:
    """Arterial input at the frames.

    ``integral`` (n_frame,) is that of the parent compound in plasma to the middle of each frame (Bq s/mL), ``blood``
    (n_frame,) the mean of whole blood during it (Bq/mL), NaN where whole blood was not measured; the blood volume is
    then not taken away.
    """

    integral: Array
    blood: Array


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Pet:
    """Input of the family: one dynamic or static scan.

    Attributes
    ----------
    curves : mapping of level to (n_frame,)
        Mean activity (Bq/mL), corrected for decay to the injection, of the regions and references; a region that the
        data do not have is absent.
    coverage : mapping of level to float
        Share of the region inside the image; 1 where only a table of curves is there.
    start_s, duration_s : (n_frame,)
        Frames after the injection.
    voxels : (n_voxel, n_frame)
        Curves of the voxels of the region whose distribution is described; empty without an image.
    tracer
        As in the metadata, e.g. ``PBR28``.
    decay_per_s
        Of the radionuclide.
    dose_bq, mass_g
        NaN if not given.
    motion_mm
        Largest displacement of the head between frames of the window; NaN if not known.
    brain_with_signal
        Share of the brain with more than a fifth of its median uptake; NaN without an image.
    ligand
        Whether the person takes a drug that binds to TSPO (benzodiazepines); None if not known.
    settings
        Section ``pet``.
    """

    curves: Mapping[Place, Array]
    coverage: Mapping[Place, float]
    start_s: Array
    duration_s: Array
    voxels: Array
    tracer: str
    decay_per_s: float
    dose_bq: float
    mass_g: float
    affinity: Affinity
    plasma: Plasma | None
    motion_mm: float
    brain_with_signal: float
    ligand: bool | None
    settings: Mapping[str, Any]

    @property
    def overlap_s(self) -> Array:
        """Time of each frame inside the window (s)."""
        low, high = self.settings["window_min"]
        window = (low * S_PER_MIN, high * S_PER_MIN)
        return window_overlap(self.start_s, duration_s=self.duration_s, window_s=window)

    @property
    def n_window(self) -> int:
        """Frames that lie at least partly in the window."""
        return int((self.overlap_s > 0).sum())

    @property
    def covered(self) -> float:
        """Share of the window that was scanned."""
        low, high = self.settings["window_min"]
        return float(self.overlap_s.sum() / ((high - low) * S_PER_MIN))

    @property
    def is_tspo(self) -> bool:
        """Whether the tracer is one of the settings."""
        return self._listed("tracers") or self._listed("tracers_without_genotype")

    @property
    def needs_genotype(self) -> bool:
        """Whether binding of the tracer depends on rs6971."""
        return not self._listed("tracers_without_genotype")

    def _listed(self, key: str) -> bool:
        return plain(self.tracer) in {plain(name) for name in self.settings[key]}


def plain(tracer: str) -> str:
    """Return the name of a tracer without its nuclide and signs: ``[11C]PBR28`` and ``11C-PBR28`` are ``pbr28``."""
    word = "".join(sign for sign in tracer.lower() if sign.isalnum())
    for nuclide in ("11c", "c11", "18f", "f18"):
        word = word.removeprefix(nuclide)
    return word


def level_of(name: str) -> Place:
    """Return (roi, hemi) of a region of the settings: ``thalamus_L`` is the left one, ``thalamus`` both sides."""
    roi, _, hemi = name.rpartition("_")
    return (roi, hemi) if roi and hemi in ("L", "R") else (name, "n/a")


def region_levels(config: Mapping[str, Any]) -> list[Place]:
    """Levels of a marker of every region of the settings."""
    return [level_of(name) for name in config["pet"]["regions"]]


def uptake_levels(config: Mapping[str, Any]) -> list[Place]:
    """Levels of the uptake: regions, and references."""
    return [*region_levels(config), *((name, "n/a") for name in REFERENCES)]


def volume_levels(config: Mapping[str, Any]) -> list[Place]:
    """Levels of the distribution volume: regions, and the whole brain."""
    return [*region_levels(config), (WHOLE_BRAIN, "n/a")]


def texture_levels(config: Mapping[str, Any]) -> list[Place]:
    """Level of the distribution over voxels."""
    return [level_of(config["pet"]["texture"]["region"])]


# ------------------------------------------------------------------------------------------------------------- refusals


def scan_refusals(data: Pet) -> list[Reason]:
    """Return why the scan as a whole gives no value."""
    reasons = []
    if not data.is_tspo:
        reasons.append(Reason.NOT_TSPO)
    if data.needs_genotype and data.affinity is Affinity.LOW:
        reasons.append(Reason.LOW_AFFINITY)
    if data.motion_mm > data.settings["motion_mm_max"]:
        reasons.append(Reason.HIGH_MOTION)
    if data.brain_with_signal < data.settings["brain_with_signal_min"]:
        reasons.append(Reason.FAILED_QC)
    return reasons


def scan_flags(data: Pet) -> list[Reason]:
    """Return what a reader of any value of the scan should know."""
    flags = []
    if data.needs_genotype and data.affinity is Affinity.UNKNOWN:
        flags.append(Reason.GENOTYPE_UNKNOWN)
    if data.ligand:
        flags.append(Reason.TSPO_LIGAND)
    if np.isnan(data.motion_mm):
        flags.append(Reason.MOTION_UNKNOWN)
    low, high = data.settings["dose_mbq"]
    if np.isfinite(data.dose_bq) and not low <= data.dose_bq / 1e6 <= high:
        flags.append(Reason.UNUSUAL_DOSE)
    return flags


def _window_refusals(data: Pet) -> list[Reason]:
    short = data.covered < data.settings["window_covered_min"]
    return [*scan_refusals(data), *([Reason.WINDOW_NOT_COVERED] if short else [])]


def _region_refusals(data: Pet, level: Place) -> list[Reason]:
    curve = data.curves.get(level)
    if curve is None:
        return [Reason.REGION_ABSENT]
    if not data.coverage[level] >= data.settings["coverage_min"]:
        return [Reason.COVERAGE_TOO_LOW]
    return []


def _reference_flags(data: Pet, reference: Place) -> list[Reason]:
    """Return the flag of a reference whose standardised uptake is beyond what brains show."""
    if not (data.dose_bq > 0 and data.mass_g > 0):
        return []
    low, high = data.settings["reference_suv"]
    mean = window_mean(data.curves[reference], overlap_s=data.overlap_s)
    value = float(standardised_uptake(mean, dose_bq=data.dose_bq, mass_g=data.mass_g))
    return [] if low <= value <= high else [Reason.IMPLAUSIBLE_UPTAKE]


def _with_rescan(value: float, se_frames: float, *, cv: float, n: float, flags: Sequence[Reason]) -> Estimate:
    """Return a value whose error joins the noise of the frames and that between scans, which multiply it."""
    noise = se_frames if np.isfinite(se_frames) else 0.0
    se = float(np.hypot(noise, cv * value))
    ends = value * np.exp(np.array([-NORMAL, NORMAL]) * se / value)
    return Estimate.of(value, se=se, ci=(float(ends[0]), float(ends[1])), n=n, flags=flags)


# -------------------------------------------------------------------------------------------------------------- uptake


def tspo_suvr(data: Pet) -> dict[Level, Estimate]:
    """Return the uptake of every region over that of the occipital cortex."""
    return _ratios(data, OCCIPITAL)


def tspo_suvr_brain(data: Pet) -> dict[Level, Estimate]:
    """Return the uptake of every region over that of the whole brain."""
    return _ratios(data, WHOLE_BRAIN)


def tspo_suvr_cerebellum(data: Pet) -> dict[Level, Estimate]:
    """Return the uptake of every region over that of the cerebellum."""
    return _ratios(data, CEREBELLUM)


def _ratios(data: Pet, name: str) -> dict[Level, Estimate]:
    reference = (name, "n/a")
    common = [*_window_refusals(data), *_region_refusals(data, reference)]
    found: dict[Level, Estimate] = {}
    for level in region_levels({"pet": data.settings}):
        refusals = [*common, *_region_refusals(data, level)]
        found[level] = Estimate.fail(*refusals) if refusals else _ratio(data, level, reference=reference)
    return found


def _ratio(data: Pet, level: Place, *, reference: Place) -> Estimate:
    value, se, _ = (
        float(part)
        for part in window_ratio(data.curves[level], reference=data.curves[reference], overlap_s=data.overlap_s)
    )
    if not value > 0:
        return Estimate.fail(Reason.INVALID_INPUT, n=data.n_window)
    flags = [*scan_flags(data), *_reference_flags(data, reference)]
    return _with_rescan(value, se, cv=data.settings["rescan_cv"]["suvr"], n=data.n_window, flags=flags)


def tspo_suv(data: Pet) -> dict[Level, Estimate]:
    """Return the standardised uptake (g/mL) of every region and reference."""
    no_dose = [] if data.dose_bq > 0 and data.mass_g > 0 else [Reason.NO_DOSE]
    common = [*_window_refusals(data), *no_dose]
    found: dict[Level, Estimate] = {}
    for level in uptake_levels({"pet": data.settings}):
        refusals = [*common, *_region_refusals(data, level)]
        found[level] = Estimate.fail(*refusals) if refusals else _uptake(data, level)
    return found


def _uptake(data: Pet, level: Place) -> Estimate:
    curve = standardised_uptake(data.curves[level], dose_bq=data.dose_bq, mass_g=data.mass_g)
    value, se, _ = (
        float(part) for part in window_ratio(curve, reference=np.ones_like(curve), overlap_s=data.overlap_s)
    )
    if not value > 0:
        return Estimate.fail(Reason.INVALID_INPUT, n=data.n_window)
    flags = [*scan_flags(data), *(_reference_flags(data, level) if level[0] in REFERENCES else [])]
    return _with_rescan(value, se, cv=data.settings["rescan_cv"]["suv"], n=data.n_window, flags=flags)


# ------------------------------------------------------------------------------------------------- distribution volume


def tspo_vt_logan(data: Pet) -> dict[Level, Estimate]:
    """Return the distribution volume of every region by Logan's plot."""
    return _volumes(data, "logan")


def tspo_vt_ma1(data: Pet) -> dict[Level, Estimate]:
    """Return the distribution volume of every region by multilinear analysis."""
    return _volumes(data, "ma1")


def _volumes(data: Pet, method: str) -> dict[Level, Estimate]:
    levels = volume_levels({"pet": data.settings})
    if data.plasma is None:
        return dict.fromkeys(levels, Estimate.missing(Reason.NO_ARTERIAL_INPUT))
    refusals = {level: [*scan_refusals(data), *_region_refusals(data, level)] for level in levels}
    usable = [level for level in levels if not refusals[level]]
    found: dict[Level, Estimate] = {level: Estimate.fail(*reasons) for level, reasons in refusals.items() if reasons}
    if not usable:
        return found
    t_star = linear_time(data)
    if np.isnan(t_star):
        return found | dict.fromkeys(usable, Estimate.fail(Reason.NOT_LINEAR))
    fit = fit_volumes(data, usable, method=method, from_s=t_star)
    flags = [*scan_flags(data), *_linearity_flags(data, t_star)]
    for row, level in enumerate(usable):
        value, se = float(fit.v_t[row]), float(fit.se[row])
        good = np.isfinite(value) and value > 0
        found[level] = (
            _with_rescan(value, se, cv=data.settings["rescan_cv"]["vt"], n=fit.n, flags=flags)
            if good
            else Estimate.fail(Reason.NOT_LINEAR, n=fit.n)
        )
    return found


def fit_volumes(data: Pet, levels: Sequence[Place], *, method: str, from_s: float) -> Fit:
    """Return the distribution volumes of regions from the frames whose middle is at ``from_s`` or later."""
    if data.plasma is None:
        raise ValueError("a distribution volume needs the arterial input")
    seen = np.stack([data.curves[level] for level in levels])
    known = np.isfinite(data.plasma.blood).all()
    tissue = without_blood(seen, blood=data.plasma.blood, fraction=data.settings["blood_volume"]) if known else seen
    frames = {"start_s": data.start_s, "duration_s": data.duration_s}
    return distribution_volume(
        tissue,
        **frames,
        plasma_integral=data.plasma.integral,
        used=data.start_s + data.duration_s / 2 >= from_s,
        noise=relative_noise(np.nanmean(seen, axis=0), **frames, decay_per_s=data.decay_per_s),
        method=method,
    )


def linear_time(data: Pet) -> float:
    """Return t* (s): that of the settings, or the earliest from which the plot of the brain is straight; or NaN."""
    given = data.settings["t_star_min"]
    if given is not None:
        return float(given * S_PER_MIN)
    middle = data.start_s + data.duration_s / 2
    starts = middle[data.start_s >= data.settings["t_star_earliest_min"] * S_PER_MIN]
    misfit = [_misfit(data, start) for start in starts]
    return linear_from(middle, starts_s=starts, misfit=misfit, limit=data.settings["misfit_max"])


def _misfit(data: Pet, from_s: float) -> float:
    """Return the largest deviation from Logan's line of the whole brain, which has the least noise."""
    brain = (WHOLE_BRAIN, "n/a")
    level = brain if brain in data.curves else next(iter(data.curves))
    return float(fit_volumes(data, [level], method="logan", from_s=from_s).misfit[0])


def _linearity_flags(data: Pet, t_star: float) -> list[Reason]:
    return [] if _misfit(data, t_star) <= data.settings["misfit_max"] else [Reason.NOT_LINEAR]


# ----------------------------------------------------------------------------------------------- distribution of voxels


def tspo_sd(data: Pet) -> dict[Level, Estimate]:
    """Return the standard deviation of the uptake ratio over the voxels of the region."""
    return _texture(data, lambda values: spread(values)["sd"])


def tspo_max(data: Pet) -> dict[Level, Estimate]:
    """Return the largest uptake ratio of a voxel of the region."""
    return _texture(data, lambda values: spread(values)["max"])


def tspo_kurtosis(data: Pet) -> dict[Level, Estimate]:
    """Return the excess kurtosis of the uptake ratio over the voxels of the region."""
    return _texture(data, lambda values: spread(values)["kurtosis"])


def tspo_entropy(data: Pet) -> dict[Level, Estimate]:
    """Return the entropy of the uptake ratio over the voxels of the region."""
    return _texture(data, lambda values: entropy(values, bin_width=data.settings["texture"]["bin"]))


def _texture(data: Pet, measure: Callable[[Array], float]) -> dict[Level, Estimate]:
    level = texture_levels({"pet": data.settings})[0]
    reference = (OCCIPITAL, "n/a")
    refusals = [*_window_refusals(data), *_region_refusals(data, reference), *_region_refusals(data, level)]
    if not refusals and not len(data.voxels):
        refusals = [Reason.NO_IMAGE]
    if refusals:
        return {level: Estimate.fail(*refusals)}
    overlap = data.overlap_s
    values = window_mean(data.voxels, overlap_s=overlap) / window_mean(data.curves[reference], overlap_s=overlap)
    value = measure(values)
    if np.isnan(value):
        return {level: Estimate.fail(Reason.INVALID_INPUT, n=len(values))}
    flags = [*scan_flags(data), *_reference_flags(data, reference)]
    return {level: Estimate.of(value, n=len(values), flags=flags)}


# -------------------------------------------------------------------------------------------------------------- quality


def pet_dose(data: Pet) -> dict[Level, Estimate]:
    """Return the injected radioactivity (MBq), flagged outside the usual range."""
    if not data.dose_bq > 0:
        return {(): Estimate.missing(Reason.NO_DOSE)}
    flags = [flag for flag in scan_flags(data) if flag is Reason.UNUSUAL_DOSE]
    return {(): Estimate.of(data.dose_bq / 1e6, n=1, flags=flags)}


def pet_body_mass(data: Pet) -> dict[Level, Estimate]:
    """Return the body mass (kg) that the uptake was standardised with."""
    if not data.mass_g > 0:
        return {(): Estimate.missing(Reason.NO_DOSE)}
    return {(): Estimate.of(data.mass_g / 1e3, n=1)}


def pet_window_covered(data: Pet) -> dict[Level, Estimate]:
    """Return the share of the window that was scanned, flagged if it is too little for a value."""
    short = data.covered < data.settings["window_covered_min"]
    return {(): Estimate.of(data.covered, n=data.n_window, flags=[Reason.WINDOW_NOT_COVERED] if short else [])}


def pet_motion(data: Pet) -> dict[Level, Estimate]:
    """Return the largest displacement of the head between frames of the window (mm)."""
    if np.isnan(data.motion_mm):
        return {(): Estimate.missing(Reason.MOTION_UNKNOWN)}
    high = data.motion_mm > data.settings["motion_mm_max"]
    return {(): Estimate.of(data.motion_mm, n=data.n_window, flags=[Reason.HIGH_MOTION] if high else [])}


def pet_brain_with_signal(data: Pet) -> dict[Level, Estimate]:
    """Return the share of the brain that shows uptake, low where image and anatomy do not lie on each other."""
    if np.isnan(data.brain_with_signal):
        return {(): Estimate.missing(Reason.NO_IMAGE)}
    poor = data.brain_with_signal < data.settings["brain_with_signal_min"]
    return {(): Estimate.of(data.brain_with_signal, n=data.n_window, flags=[Reason.FAILED_QC] if poor else [])}


# ---------------------------------------------------------------------------------------------------------- descriptors


def _regional(name: str, function: Any, **more: Any) -> Marker:
    shared: dict[str, Any] = {
        "family": "pet",
        "function": function,
        "index": ROI_INDEX,
        "levels": region_levels,
        "direction": Direction.HIGHER,
        "direction_source": GROUP,
        "direction_by_level": dict.fromkeys(NO_DIRECTION, Direction.NOT_APPLICABLE),
        "fact_sheet": FACT_SHEET,
        "n_counts": "frames in the window",
        "version": "2",
        "bounds": (0.0, np.inf),
        "evidence": Evidence.DESIGN,
        "se_method": RESCAN,
    }
    return Marker(name=name, **{**shared, **more})


def _quality(name: str, function: Any, **more: Any) -> Marker:
    shared: dict[str, Any] = {
        "family": "pet",
        "function": function,
        "direction": Direction.NOT_APPLICABLE,
        "tier": Tier.QUALITY,
        "doi": "n/a",
        "fact_sheet": FACT_SHEET,
        "n_counts": "frames in the window",
        "version": "2",
        "evidence": Evidence.DESIGN,
    }
    return Marker(name=name, **{**shared, **more})


RATIO = (
    "Mean activity of the region over that of {reference}, frames weighted with their time in the window "
    "(pet.window_min). No correction for partial volume."
)
TSPO_SUVR = _regional(
    "tspo_suvr",
    tspo_suvr,
    long_name="TSPO uptake ratio to occipital cortex",
    description=f"{RATIO.format(reference='the occipital cortex')} The reference has specific binding as well.",
    unit="1",
    tier=Tier.SECONDARY,
    tier_by_level={"thalamus": Tier.PRIMARY},
    doi=ALBRECHT,
)
TSPO_SUVR_BRAIN = _regional(
    "tspo_suvr_brain",
    tspo_suvr_brain,
    long_name="TSPO uptake ratio to whole brain",
    description=(
        f"{RATIO.format(reference='the whole brain')} Distribution volume of the whole brain was itself higher in "
        f"chronic low back pain ({ALBRECHT}), which this ratio hides."
    ),
    unit="1",
    tier=Tier.SECONDARY,
    doi=LOGGIA,
)
TSPO_SUVR_CEREBELLUM = _regional(
    "tspo_suvr_cerebellum",
    tspo_suvr_cerebellum,
    long_name="TSPO uptake ratio to cerebellum",
    description=f"{RATIO.format(reference='the cerebellum')} Less reliable than the other two ({ALBRECHT}).",
    unit="1",
    tier=Tier.EXPLORATORY,
    doi=ALBRECHT,
)
TSPO_SUV = _regional(
    "tspo_suv",
    tspo_suv,
    long_name="TSPO uptake (SUV)",
    description=(
        "Mean activity over the window times body mass over injected radioactivity, all corrected for decay to the "
        "injection. Depends on genotype, body composition and metabolism."
    ),
    unit="g/mL",
    levels=uptake_levels,
    tier=Tier.EXPLORATORY,
    doi=ALBRECHT,
)
VOLUME_SE = (
    "noise of all frames propagated through the fit, its size from the residuals of MA1, and the coefficient of "
    "variation between two scans of one person (pet.rescan_cv) times the value; interval of a log-normal error"
)
TSPO_VT_LOGAN = _regional(
    "tspo_vt_logan",
    tspo_vt_logan,
    long_name="TSPO distribution volume (Logan)",
    description=(
        "Total distribution volume by Logan's graphical analysis with the arterial plasma, from t* on. Only with "
        "arterial sampling. Biased downwards where curves are noisy."
    ),
    unit="mL/cm^3",
    levels=volume_levels,
    tier=Tier.SECONDARY,
    doi="10.1038/jcbfm.1990.127",
    n_counts="fitted frames",
    se_method=VOLUME_SE,
)
TSPO_VT_MA1 = _regional(
    "tspo_vt_ma1",
    tspo_vt_ma1,
    long_name="TSPO distribution volume (MA1)",
    description="Total distribution volume by multilinear analysis MA1 with the arterial plasma, from t* on.",
    unit="mL/cm^3",
    levels=volume_levels,
    tier=Tier.SECONDARY,
    doi="10.1097/01.WCB.0000038000.34930.4E",
    n_counts="fitted frames",
    se_method=VOLUME_SE,
)


def _textured(name: str, function: Any, *, long_name: str, what: str, unit: str, low: float = 0.0) -> Marker:
    return _regional(
        name,
        function,
        long_name=long_name,
        description=(
            f"{what} of the uptake ratio to occipital cortex over the voxels of the thalamus, unsmoothed. Depends on "
            "resolution, reconstruction and noise of the image: compare only scans made and processed alike."
        ),
        unit=unit,
        bounds=(low, np.inf),
        levels=texture_levels,
        tier=Tier.EXPLORATORY,
        doi=TEXTURE,
        direction=Direction.NOT_APPLICABLE,
        direction_by_level={},
        direction_source="",
        n_counts="voxels",
        se_method="none: noise of the image is part of what is measured",
    )


TSPO_SD = _textured(
    "tspo_sd", tspo_sd, long_name="Spread of TSPO uptake in the thalamus", what="Standard deviation", unit="1"
)
TSPO_MAX = _textured(
    "tspo_max", tspo_max, long_name="Largest TSPO uptake in the thalamus", what="Largest value", unit="1"
)
TSPO_KURTOSIS = _textured(
    "tspo_kurtosis",
    tspo_kurtosis,
    long_name="Kurtosis of TSPO uptake in the thalamus",
    what="Excess kurtosis",
    unit="1",
    low=-np.inf,
)
TSPO_ENTROPY = _textured(
    "tspo_entropy",
    tspo_entropy,
    long_name="Entropy of TSPO uptake in the thalamus",
    what="Shannon entropy (bit), in bins of pet.texture.bin,",
    unit="1",
)

PET_DOSE = _quality(
    "pet_dose",
    pet_dose,
    long_name="Injected radioactivity",
    description="Radioactivity injected, at the time of the injection.",
    unit="MBq",
    bounds=(0.0, np.inf),
    n_counts="injections",
)
PET_BODY_MASS = _quality(
    "pet_body_mass",
    pet_body_mass,
    long_name="Body mass",
    description="Body mass of participants.tsv that the uptake was standardised with.",
    unit="kg",
    bounds=(20.0, 350.0),
    n_counts="measurements",
)
PET_WINDOW_COVERED = _quality(
    "pet_window_covered",
    pet_window_covered,
    long_name="Share of the window that was scanned",
    description="Time of the frames inside the window of the uptake over its length.",
    unit="1",
    bounds=(0.0, 1.0 + 1e-9),
)
PET_MOTION = _quality(
    "pet_motion",
    pet_motion,
    long_name="Head motion between PET frames",
    description=(
        "Largest displacement of the head (RMS over a sphere of 80 mm) between the frames of the window, estimated by "
        "rigid alignment or read from the motion parameters of the derivative."
    ),
    unit="mm",
    bounds=(0.0, np.inf),
)
PET_BRAIN_WITH_SIGNAL = _quality(
    "pet_brain_with_signal",
    pet_brain_with_signal,
    long_name="Share of the brain with PET signal",
    description="Share of the brain of the anatomy with more than a fifth of its median uptake in the window.",
    unit="1",
    bounds=(0.0, 1.0),
)

MARKERS: tuple[Marker, ...] = (
    TSPO_SUVR,
    TSPO_SUVR_BRAIN,
    TSPO_SUVR_CEREBELLUM,
    TSPO_SUV,
    TSPO_VT_LOGAN,
    TSPO_VT_MA1,
    TSPO_SD,
    TSPO_MAX,
    TSPO_KURTOSIS,
    TSPO_ENTROPY,
    PET_DOSE,
    PET_BODY_MASS,
    PET_WINDOW_COVERED,
    PET_MOTION,
    PET_BRAIN_WITH_SIGNAL,
)
