"""What every kernel keeps: inputs untouched, the same answer twice, float64 out, and one bad element stays alone.

A public function that is added to the kernels without an entry here fails the first test.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lbpneuro.kernels
from lbpneuro.kernels import (
    correlation,
    effect_size,
    map_fit,
    map_peaks,
    map_surface,
    mep,
    mep_timing,
    motor_map,
    nuisance,
    proportions,
    psychophysics,
    responders,
    scales,
    spectral,
    tactile,
    windows,
)

Function = Callable[..., Any]
BAND = (0.01, 0.08)
SFREQ = 2000.0
TIMES = np.arange(-0.3, 0.2, 1 / SFREQ)
QUIET = (-0.25, -0.02)
WINDOW = (0.01, 0.05)
COORDS = np.stack(np.meshgrid(np.arange(-40.0, 1, 10), np.arange(-20.0, 21, 10)), axis=-1).reshape(-1, 2)


NEAR = motor_map.neighbours(COORDS)


def public_functions() -> dict[str, Function]:
    """Every function of the kernels that another module may call, by module and name."""
    found = {}
    for module in pkgutil.iter_modules(lbpneuro.kernels.__path__):
        if module.name.startswith("_"):
            continue
        content = importlib.import_module(f"lbpneuro.kernels.{module.name}")
        for name, function in inspect.getmembers(content, inspect.isfunction):
            if function.__module__ == content.__name__ and not name.startswith("_"):
                found[f"{module.name}.{name}"] = function
    return found


def bold(rng: np.random.Generator) -> np.ndarray:
    return 100 + rng.standard_normal((150, 6))


def keep() -> np.ndarray:
    return np.arange(150) % 20 != 3


def basis(rng: np.random.Generator) -> np.ndarray:
    confounds = rng.standard_normal((150, 3))
    return nuisance.residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep())


def gain(rng: np.random.Generator) -> dict[str, np.ndarray]:
    frequencies, held = nuisance.band_gain(basis(rng), t_r=2.0, band_hz=BAND, keep=keep())
    return {"gain": held, "frequencies_hz": frequencies}


def laws(rng: np.random.Generator) -> correlation.PowerLaws:
    return correlation.power_laws(**gain(rng))


def spectral_basis(rng: np.random.Generator) -> dict[str, Any]:
    confounds = rng.standard_normal((150, 3))
    every = nuisance.residual_basis(confounds, t_r=2.0, band_hz=(0.008, 0.25), polynomial=1, keep=keep())
    return {"basis": every, "t_r": 2.0, "keep": keep()}


def spectral_forms(rng: np.random.Generator) -> dict[str, Any]:
    forms = spectral.band_forms(edges_hz=[0.0, 0.027, 0.1, 0.25], **spectral_basis(rng))
    return {"projected": rng.standard_normal((forms.observed.shape[1], 4)), "forms": forms}


def shifts(rng: np.random.Generator) -> dict[str, np.ndarray]:
    held = basis(rng)
    return {"seed": rng.standard_normal(held.shape[1]), "basis": held, "keep": keep()}


def epochs(rng: np.random.Generator, *, n_trial: int = 6) -> np.ndarray:
    response = 2e-4 * np.exp(-(((TIMES - 0.025) / 0.006) ** 2)) * np.sin(TIMES * 800)
    return response + 5e-6 * rng.standard_normal((n_trial, 2, TIMES.size))


def masks() -> np.ndarray:
    return np.stack([mep_timing.within(TIMES, WINDOW)] * 2)


def mep_settings() -> mep.MepSettings:
    windows = [WINDOW, WINDOW]
    more = {"band": (20.0, 450.0), "hum": 50.0, "correction": "quadrature", "background_max": 1e-4}
    return mep.MepSettings(windows=windows, background=QUIET, blank=(-0.002, 0.005), **more)


def site_map(rng: np.random.Generator) -> np.ndarray:
    height = np.exp(-np.sum((COORDS - [-20, 0]) ** 2, axis=1) / 400)
    return 100 * height * rng.uniform(0.8, 1.2, (2, len(COORDS)))


def trials(rng: np.random.Generator) -> np.ndarray:
    return (site_map(rng)[..., None] + 5) * rng.lognormal(0, 0.4, (2, len(COORDS), 6))


def surfaces(rng: np.random.Generator) -> tuple[map_surface.Surface, ...]:
    return tuple(map_surface.fit_surface(COORDS, each) for each in site_map(rng)[:2])


def fitted(rng: np.random.Generator) -> map_fit.JointMap:
    return map_fit.fit_trials(trials(rng), COORDS.copy())


def probability(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 0.33, (3, 4, 5, 6))


def people(rng: np.random.Generator) -> np.ndarray:
    """Fisher z of seven edges in twenty people."""
    return rng.standard_normal((20, 7))


def two_groups(rng: np.random.Generator) -> effect_size.Groups:
    """Summaries of three outcomes."""
    return effect_size.groups(mean=rng.normal(0, 1, (2, 3)), sd=rng.uniform(1, 2, (2, 3)), n=[[20] * 3, [30] * 3])


def both_times(rng: np.random.Generator) -> dict[str, Any]:
    return {"before": two_groups(rng), "after": two_groups(rng), "r": np.array([0.1, 0.5, 0.8])}


def beyond(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Twenty values of which those above 1 are only known to be."""
    values = rng.normal(0, 1, 20)
    return {"lower": np.minimum(values, 1), "upper": np.where(values > 1, np.inf, values)}


def pet_frames() -> dict[str, np.ndarray]:
    return {"start_s": np.arange(12) * 120.0, "duration_s": np.full(12, 120.0)}


def window_shares() -> np.ndarray:
    return windows.window_weights(windows.taper(30, sigma=2), width=30, step=10, keep=keep())


TIMED = {"times": TIMES}
RESPONSE = {"masks": masks(), "background": QUIET}
CASES: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    "aqueduct.aqueduct_axis": lambda rng: {
        "csf": rng.uniform(0, 1, (12, 14, 10)),
        "affine": np.array([[1.0, 0, 0, -6], [0, 1, 0, -7], [0, 0, 1, -5], [0, 0, 0, 1]]),
        "template": np.array([[0, 0, -4.0], [0, 1, 4]]),
    },
    "aqueduct.axis_at": lambda rng: {"points": np.array([[0, 0, -4.0], [0, 1, 4]]), "height_mm": np.arange(4.0)},
    "censored.tobit": lambda rng: {**beyond(rng), "design": np.column_stack([np.ones(20), np.arange(20) % 2])},
    "censored.gehan_test": lambda rng: {**beyond(rng), "first": np.arange(20) % 2 == 0},
    "correlation.unit_norm": lambda rng: {"projected": bold(rng)},
    "correlation.correlation": lambda rng: {"projected": bold(rng)},
    "correlation.seed_correlation": lambda rng: {"seed": bold(rng)[:, 0], "projected": bold(rng)},
    "correlation.fisher_z": lambda rng: {"r": rng.uniform(-1, 1, 5)},
    "correlation.fisher_z_se": lambda rng: {"dimension": rng.uniform(3, 90, 5)},
    "correlation.effective_dimension": lambda rng: {
        "pair": rng.standard_normal((basis(rng).shape[1], 2)),
        "laws": laws(rng),
    },
    "correlation.effective_dimensions": lambda rng: {
        "projected": rng.standard_normal((basis(rng).shape[1], 4)),
        "pairs": np.array([[0, 1], [2, 0]]),
        "laws": laws(rng),
    },
    "correlation.power_laws": gain,
    "correlation.likelihood": lambda rng: {
        "series": rng.standard_normal((basis(rng).shape[1], 3)),
        "laws": laws(rng),
    },
    "correlation.seed_dimension": lambda rng: {
        "seed": rng.standard_normal(basis(rng).shape[1]),
        "projected": rng.standard_normal((basis(rng).shape[1], 3)),
        "laws": laws(rng),
    },
    "correlation.pooled_z": lambda rng: {"z": rng.standard_normal(3), "dimension": rng.uniform(9, 40, 3)},
    "correlation.inverse_norm": lambda rng: {"projected": bold(rng)},
    "correlation.pack_triangle": lambda rng: {"matrix": rng.standard_normal((2, 4, 4))},
    "correlation.unpack_triangle": lambda rng: {"packed": rng.standard_normal((2, 6)), "diagonal": 1.0},
    "correlation.ledoit_wolf": lambda rng: {"projected": bold(rng)},
    "correlation.partial_correlation": lambda rng: {"projected": bold(rng)},
    "correlation.network_dimension": lambda rng: {
        "projected": rng.standard_normal((basis(rng).shape[1], 3)),
        "laws": laws(rng),
    },
    "correlation.mean_z_se": lambda rng: {
        "r": np.corrcoef(rng.standard_normal((4, 30))),
        "weights": np.ones((2, 4, 4)),
        "dimension": 30.0,
    },
    "correlation.jackknife": lambda rng: {"statistic": lambda y: y.mean(axis=-2), "projected": bold(rng)},
    "correlation.jackknife_se": lambda rng: {"statistic": lambda y: y.mean(axis=-2), "projected": bold(rng)},
    "correlation.autocorrelated_dimension": lambda rng: {"first": bold(rng), "second": bold(rng)},
    "correlation.until_noise": lambda rng: {"correlations": rng.uniform(-1, 1, (9, 3)), "limit": 0.2},
    "effect_size.groups": lambda rng: {
        "mean": rng.normal(0, 1, (2, 3)),
        "sd": np.ones((2, 3)),
        "n": np.full((2, 3), 9),
    },
    "effect_size.groups_of": lambda rng: {"first": rng.normal(0, 1, (9, 3)), "second": rng.normal(0, 1, (8, 3))},
    "effect_size.hedges_correction": lambda rng: {"df": rng.uniform(2, 90, 5)},
    "effect_size.pooled_sd": lambda rng: {"data": two_groups(rng)},
    "effect_size.cohen_d": lambda rng: {"data": two_groups(rng)},
    "effect_size.hedges_g": lambda rng: {"data": two_groups(rng)},
    "effect_size.glass_delta": lambda rng: {"data": two_groups(rng)},
    "effect_size.change_sd": both_times,
    "effect_size.d_of_change": both_times,
    "effect_size.dppc2": both_times,
    "effect_size.effect_interval": lambda rng: {"effect": effect_size.hedges_g(two_groups(rng))},
    "effect_size.d_of_difference": lambda rng: {
        "difference": -1.0,
        "interval": (-1.5, -0.4),
        "n": np.array([130, 131]),
    },
    "effect_size.bootstrap_interval": lambda rng: {
        "first": rng.standard_normal(12),
        "second": rng.standard_normal(15),
        "effect": lambda a, b: a.mean(axis=0) - b.mean(axis=0),
        "rng": np.random.default_rng(3),
        "n_resamples": 99,
    },
    "labels.usable_voxels": lambda rng: {"series": bold(rng)},
    "labels.region_means": lambda rng: {"series": bold(rng), "weights": rng.uniform(0, 1, (2, 6))},
    "labels.label_weights": lambda rng: {"labels": rng.integers(0, 4, 6), "ids": np.array([3, 1])},
    "labels.label_sums": lambda rng: {
        "values": rng.standard_normal(6),
        "labels": np.array([1, 2, 3, 1, 2, 3]),
        "ids": np.array([1, 2, 3]),
    },
    "nuisance.frequencies_hz": lambda rng: {"n_time": 150, "t_r": 2.0},
    "nuisance.cosines": lambda rng: {"n_time": 150, "orders": np.arange(4)},
    "nuisance.orders_in": lambda rng: {"band_hz": BAND, "n_time": 150, "t_r": 2.0},
    "nuisance.legendre": lambda rng: {"n_time": 150, "degree": 2},
    "nuisance.residual_basis": lambda rng: {
        "confounds": bold(rng),
        "t_r": 2.0,
        "band_hz": BAND,
        "polynomial": 1,
        "keep": keep(),
    },
    "nuisance.low_pass_basis": lambda rng: {
        "n_time": 150,
        "t_r": 2.0,
        "high_hz": 0.08,
        "keep": keep(),
        "band_share": 0.5,
    },
    "nuisance.unit_columns": lambda rng: {"columns": bold(rng)},
    "nuisance.complement": lambda rng: {"basis": basis(rng), "nuisance": rng.standard_normal((keep().sum(), 2))},
    "nuisance.band_gain": lambda rng: {"basis": basis(rng), "t_r": 2.0, "band_hz": BAND, "keep": keep()},
    "nuisance.project": lambda rng: {"basis": basis(rng), "series": bold(rng), "keep": keep()},
    "nuisance.by_frequency": lambda rng: {"basis": basis(rng), "keep": keep()},
    "nuisance.project_each": lambda rng: {"bases": [basis(rng)], "series": bold(rng), "keep": keep()},
    "nuisance.cleaned": lambda rng: {
        "basis": basis(rng),
        "projected": rng.standard_normal((basis(rng).shape[1], 3)),
        "keep": keep(),
    },
    "pet.decay_constant": lambda rng: {"radionuclide": "C11"},
    "pet.decay_factors": lambda rng: {**pet_frames(), "decay_per_s": 5e-4},
    "pet.standardised_uptake": lambda rng: {"activity_bq_ml": rng.uniform(1, 9, 5), "dose_bq": 4e8, "mass_g": 7e4},
    "pet.window_overlap": lambda rng: {**pet_frames(), "window_s": (500.0, 1000.0)},
    "pet.window_mean": lambda rng: {"curves": rng.uniform(1, 9, (3, 12)), "overlap_s": np.arange(12.0)},
    "pet.window_ratio": lambda rng: {
        "target": rng.uniform(1, 9, (3, 12)),
        "reference": rng.uniform(5, 9, 12),
        "overlap_s": np.arange(12.0),
    },
    "pet.weighted_means": lambda rng: {"values": rng.uniform(1, 9, (20, 12)), "weights": rng.uniform(0, 1, (3, 20))},
    "pet.spread": lambda rng: {"values": rng.standard_normal(50)},
    "pet.entropy": lambda rng: {"values": rng.standard_normal(50), "bin_width": 0.1},
    "pet.displacement_mm": lambda rng: {
        "motion": np.eye(4) + np.pad(rng.normal(0, 0.1, (6, 3, 1)), ((0, 0), (0, 1), (3, 0))),
        "centre_mm": np.zeros(3),
        "radius_mm": 80.0,
    },
    "pet_models.integral_to": lambda rng: {
        "times_s": np.arange(5.0, 90, 5),
        "values": rng.uniform(1, 9, 17),
        "at_s": rng.uniform(0, 99, 6),
    },
    "pet_models.frame_means": lambda rng: {
        "times_s": np.arange(5.0, 90, 5),
        "values": rng.uniform(1, 9, 17),
        **pet_frames(),
    },
    "pet_models.tissue_integral": lambda rng: {"curves": rng.uniform(1, 9, (3, 12)), **pet_frames()},
    "pet_models.without_blood": lambda rng: {
        "curves": rng.uniform(1, 9, (3, 12)),
        "blood": rng.uniform(1, 9, 12),
        "fraction": 0.05,
    },
    "pet_models.distribution_volume": lambda rng: {
        "curves": rng.uniform(1, 9, (3, 12)),
        **pet_frames(),
        "plasma_integral": np.cumsum(rng.uniform(100, 200, 12)),
        "used": np.arange(12) > 3,
        "noise": np.ones(12),
        "method": "ma1",
    },
    "pet_models.relative_noise": lambda rng: {
        "mean": rng.uniform(1, 9, 12),
        **pet_frames(),
        "decay_per_s": 5e-4,
    },
    "pet_models.linear_from": lambda rng: {
        "middle_s": np.arange(12.0),
        "starts_s": np.arange(9.0),
        "misfit": rng.uniform(0, 0.3, 9),
        "limit": 0.1,
    },
    "psychophysics.pressure_kpa": lambda rng: {
        "value": rng.uniform(1, 9, 5),
        "unit": "N",
        "probe_cm2": rng.uniform(0.5, 2, 5),
    },
    "psychophysics.mean": lambda rng: {"values": rng.uniform(1, 9, 5)},
    "psychophysics.combination": lambda rng: {
        "means": [psychophysics.mean(rng.uniform(1, 9, n)) for n in (3, 4)],
        "weights": [0.5, -0.5],
    },
    "psychophysics.average": lambda rng: {"means": [psychophysics.mean(rng.uniform(1, 9, n)) for n in (3, 4)]},
    "psychophysics.log10_mean": lambda rng: {"values": rng.uniform(1, 9, 5)},
    "psychophysics.coefficient_of_variation": lambda rng: {"values": rng.uniform(1, 9, 5)},
    "psychophysics.train_differences": lambda rng: {"ratings": rng.uniform(1, 9, (4, 10))},
    "psychophysics.train_slopes": lambda rng: {"ratings": rng.uniform(1, 9, (4, 10))},
    "psychophysics.line_errors": lambda rng: {"ratings": rng.uniform(1, 9, 10)},
    "psychophysics.ratio_of_means": lambda rng: {
        "numerator": rng.uniform(1, 9, 5),
        "denominator": rng.uniform(1, 9, 5),
    },
    "psychophysics.z_score": lambda rng: {
        "value": float(rng.uniform(1, 9)),
        "se": 0.1,
        "norm_mean": 4.0,
        "norm_sd": 2.0,
        "norm_n": 40,
        "sign": -1.0,
    },
    "psychophysics.rating_100": lambda rng: {"rating": rng.uniform(0, 10, (2, 5)), "low": 0.0, "high": 10.0},
    "reliability.intraclass_correlation": lambda rng: {"values": rng.standard_normal((9, 2)), "kind": "2,1"},
    "reliability.absolute_difference": lambda rng: {"values": rng.uniform(1, 2, (9, 2))},
    "reliability.within_person_cv": lambda rng: {"values": rng.uniform(1, 2, (9, 2))},
    "qcfc.residuals": lambda rng: {"values": people(rng), "covariates": rng.standard_normal((20, 2))},
    "qcfc.edge_correlation": lambda rng: {"quality": rng.standard_normal(20), "edges": people(rng)},
    "qcfc.left_out_correlation": lambda rng: {"quality": rng.standard_normal(20), "edges": people(rng)},
    "qcfc.two_sided_p": lambda rng: {"r": rng.uniform(-1, 1, 5), "dof": 18},
    "qcfc.null_median": lambda rng: {"dof": rng.uniform(3, 90, 5)},
    "qcfc.false_discovery": lambda rng: {"p": rng.uniform(0, 1, 9)},
    "qcfc.distance_dependence": lambda rng: {"r": rng.uniform(-1, 1, (3, 9)), "distance": rng.uniform(5, 90, 9)},
    "qcfc.ranks": lambda rng: {"values": rng.standard_normal((3, 9))},
    "qcfc.jackknife_error": lambda rng: {"left_out": people(rng)},
    "quality.fd_power": lambda rng: {"motion": rng.normal(0, 0.1, (20, 6))},
    "quality.fd_jenkinson": lambda rng: {"motion": rng.normal(0, 0.1, (20, 6))},
    "quality.rigid_matrices": lambda rng: {"motion": rng.normal(0, 0.1, (20, 6))},
    "quality.spikes": lambda rng: {"fd_mm": rng.uniform(0, 1, 20), "threshold_mm": 0.5},
    "quality.kept_volumes": lambda rng: {
        "fd_mm": rng.uniform(0, 1, 20),
        "steady": np.arange(20) > 1,
        "threshold_mm": 0.5,
    },
    "quality.tsnr": lambda rng: {"series": bold(rng), "keep": keep()},
    "quality.tsnr_left_out": lambda rng: {"series": bold(rng), "keep": keep()},
    "quality.long_segments": lambda rng: {"keep": keep(), "shortest": 3},
    "quality.jackknife_spread": lambda rng: {"left_out": rng.standard_normal((20, 3))},
    "scales.item_total": lambda rng: {"points": np.where(rng.random(10) < 0.2, np.nan, rng.integers(0, 5, 10))},
    "scales.sum_of": lambda rng: {"totals": [scales.item_total(rng.uniform(0, 4, 5)) for _ in range(2)]},
    "scales.all_the_same": lambda rng: {"answers": rng.integers(0, 5, 10).astype(float)},
    "smoothing.smooth_in_mask": lambda rng: {
        "values": rng.standard_normal((3, 40)),
        "mask": np.arange(60).reshape(3, 4, 5) % 3 != 0,
        "fwhm_voxels": (2.0, 2.0, 3.0),
    },
    "quality.block_jackknife_se": lambda rng: {"statistic": np.mean, "n_time": 90},
    "reliable_change.standard_error_of_measurement": lambda rng: {
        "sd": rng.uniform(1, 2, 3),
        "reliability": rng.uniform(0, 1, 3),
    },
    "reliable_change.minimal_detectable_change": lambda rng: {"sem": rng.uniform(1, 2, 3)},
    "reliable_change.reliable_change_index": lambda rng: {
        "before": rng.standard_normal(9),
        "after": rng.standard_normal(9),
        "sem": 0.5,
    },
    "reliable_change.change_classes": lambda rng: {
        "before": rng.standard_normal(9),
        "after": rng.standard_normal(9),
        "sem": 0.5,
        "lower_is_better": True,
    },
    "reliable_change.cutoff_between": lambda rng: {"mean": (6.0, 0.0), "sd": (2.0, 1.0)},
    "responders.responders": lambda rng: {
        "before": rng.standard_normal(9),
        "after": rng.standard_normal(9),
        "mic": 1.0,
    },
    "responders.wilson": lambda rng: {"count": rng.integers(0, 9, 4), "n": np.full(4, 9)},
    "responders.risk_difference": lambda rng: {"count": rng.integers(1, 9, (2, 4)), "n": np.full((2, 4), 9)},
    "responders.risk_ratio": lambda rng: {"count": rng.integers(1, 9, (2, 4)), "n": np.full((2, 4), 9)},
    "responders.number_needed": lambda rng: {
        "difference": responders.risk_difference(rng.integers(1, 9, 2), np.array([9, 9]))
    },
    "retroicor.peak_times": lambda rng: {
        "wave": np.sin(np.arange(900) * 0.5) + 0.1 * rng.standard_normal(900),
        "sampling_hz": 12.0,
        "rate_hz": (0.5, 3.0),
    },
    "retroicor.rhythm": lambda rng: {"peaks_s": np.cumsum(rng.uniform(0.8, 1.2, 30)), "rate_hz": (0.5, 3.0)},
    "retroicor.cardiac_phase": lambda rng: {"peaks_s": np.cumsum(rng.uniform(0.8, 1.2, 30)), "times_s": np.arange(20)},
    "retroicor.respiratory_phase": lambda rng: {
        "wave": rng.standard_normal(300),
        "sampling_hz": 10.0,
        "times_s": np.arange(20),
    },
    "retroicor.retroicor": lambda rng: {
        "cardiac": rng.uniform(0, 6, 20),
        "respiratory": rng.uniform(-3, 3, 20),
    },
    "retroicor.retroicor_names": lambda rng: {"cardiac": True, "respiratory": True},
    "spectral.tapers": lambda rng: {"keep": keep()},
    "spectral.band_forms": lambda rng: spectral_basis(rng) | {"edges_hz": [0.0, 0.027, 0.1, 0.25]},
    "spectral.observed_power": lambda rng: spectral_forms(rng),
    "spectral.band_power": lambda rng: spectral_forms(rng),
    "spectral.band_power_covariance": lambda rng: {
        "power": rng.uniform(1, 2, (3, 4)),
        "forms": spectral_forms(rng)["forms"],
    },
    "spectral.band_ratio": lambda rng: {
        "projected": spectral_forms(rng)["projected"],
        "band_hz": (0.01, 0.027),
        "total_hz": (0.01, 0.1),
        **spectral_basis(rng),
    },
    "spectral.falff": lambda rng: {
        "projected": spectral_forms(rng)["projected"],
        "band_hz": BAND,
        **spectral_basis(rng),
    },
    "nulls.circular_shift_null": lambda rng: {
        **shifts(rng),
        "targets": rng.standard_normal((basis(rng).shape[1], 6)),
        "t_r": 2.0,
        "min_shift_s": 30.0,
        "n_shifts": 50,
        "rng": np.random.default_rng(3),
    },
    "nulls.allowed_shifts": lambda rng: {"n_time": 150, "t_r": 2.0, "min_shift_s": 30.0},
    "nulls.shift_scores": lambda rng: {"seeds": rng.standard_normal((40, 9)), "targets": rng.standard_normal((40, 6))},
    "nulls.shift_p": lambda rng: {
        "correlation": rng.uniform(-1, 1, (20, 6)),
        "variance": rng.uniform(0.01, 0.02, (20, 6)),
    },
    "nulls.shifted_seeds": lambda rng: {**shifts(rng), "shifts": np.arange(15, 20)},
    "summaries.mean_correlation": lambda rng: {"projected": bold(rng)},
    "summaries.mean_squared_correlation": lambda rng: {"projected": bold(rng)},
    "summaries.without_noise": lambda rng: {"mean_square": rng.uniform(0, 1, 5), "dimension": 20.0},
    "summaries.degree": lambda rng: {"projected": bold(rng), "threshold": 0.2, "sign": "positive"},
    "surrogates.filled": lambda rng: {"series": np.where(rng.random((40, 2)) < 0.1, np.nan, rng.random((40, 2)))},
    "surrogates.phase_randomised": lambda rng: {"series": bold(rng), "rng": np.random.default_rng(3)},
    "surrogates.autocovariances": lambda rng: {"series": bold(rng), "order": 2},
    "surrogates.var_model": lambda rng: {"series": bold(rng), "order": 2},
    "surrogates.var_surrogate": lambda rng: {"series": bold(rng), "order": 2, "rng": np.random.default_rng(3)},
    "windows.taper": lambda rng: {"n": 30, "sigma": 3.0},
    "windows.window_volumes": lambda rng: {"t_r": 2.0, "volumes_min": 30, "seconds_min": 44.0},
    "windows.window_weights": lambda rng: {"weights": np.ones(30), "width": 30, "step": 5, "keep": keep()},
    "windows.window_means": lambda rng: {"series": bold(rng)[:, 0], "weights": window_shares()},
    "windows.windowed_correlation": lambda rng: {"series": bold(rng), "weights": window_shares()},
    "windows.windowed_pairs": lambda rng: {
        "series": bold(rng),
        "weights": window_shares(),
        "pairs": np.array([[0, 1], [3, 2]]),
    },
    "windows.assign_states": lambda rng: {
        "windows": rng.standard_normal((40, 6)),
        "centroids": rng.standard_normal((2, 6)),
        "metric": "cityblock",
    },
    "windows.learn_states": lambda rng: {
        "windows": rng.standard_normal((40, 6)),
        "k": 2,
        "rng": np.random.default_rng(3),
        "n_init": 3,
        "metric": "cityblock",
    },
    "windows.state_stability": lambda rng: {
        "windows": rng.standard_normal((40, 6)),
        "people": np.arange(40) // 10,
        "k": 2,
        "rng": np.random.default_rng(3),
        "n_splits": 2,
        "n_init": 3,
        "metric": "euclidean",
    },
    "windows.adjusted_rand": lambda rng: {"first": rng.integers(0, 3, 40), "second": rng.integers(0, 3, 40)},
    "windows.stable_k": lambda rng: {"stability": {2: rng.random(5), 3: rng.random(5)}},
    "windows.lag_products": lambda rng: {"series": bold(rng), "pairs": np.array([[0, 1], [3, 2]])},
    "windows.window_mean_variance": lambda rng: {
        "weights": window_shares(),
        "inside": np.arange(len(window_shares())) % 3 == 0,
        "products": 0.7 ** np.arange(window_shares().shape[1]),
    },
    "windows.independent_windows": lambda rng: {"labels": rng.integers(-1, 2, 40), "k": 2, "block": 5},
    "windows.share_interval": lambda rng: {"share": rng.random(5), "n": 1 + 9 * rng.random(5)},
    "windows.joined": lambda rng: {"runs": [rng.integers(0, 3, 9), rng.integers(0, 3, 7)]},
    "windows.occupancy": lambda rng: {"labels": rng.integers(-1, 3, (4, 40)), "k": 3},
    "windows.run_lengths": lambda rng: {"labels": rng.integers(-1, 3, 40)},
    "windows.dwell_times": lambda rng: {"labels": rng.integers(-1, 3, 40), "k": 3, "step_s": 2.0},
    "windows.transitions": lambda rng: {"labels": rng.integers(-1, 3, 40), "step_s": 2.0},
    "windows.block_resamples": lambda rng: {
        "lengths": [30, 20],
        "block": 7,
        "n_resamples": 5,
        "rng": np.random.default_rng(3),
    },
    "glm.noise_covariances": lambda rng: {"basis": basis(rng), "keep": keep()},
    "glm.fit_effects": lambda rng: {
        "projected": rng.standard_normal((9, 3)),
        "regressors": rng.standard_normal((9, 2)),
        "noise": np.eye(9)[None],
    },
    "deformation.jacobian_determinant": lambda rng: {
        "coordinates": np.indices((4, 5, 6)) + 0.1 * rng.standard_normal((3, 4, 5, 6)),
        "affine": np.eye(4),
    },
    "volumes.tissue_volume": lambda rng: {"probability": probability(rng), "voxel_mm3": 8.0},
    "volumes.regional_volume": lambda rng: {
        "probability": probability(rng),
        "weights": probability(rng),
        "voxel_mm3": 8.0,
    },
    "volumes.regional_mean": lambda rng: {"probability": probability(rng), "weights": probability(rng)},
    "volumes.coverage": lambda rng: {"weights": probability(rng), "inside": probability(rng) > 0.1},
    "volumes.segmented": lambda rng: {"gm": probability(rng), "wm": probability(rng), "csf": probability(rng)},
    "volumes.without_background": lambda rng: {"probability": probability(rng), "background": probability(rng) < 0.1},
    "volumes.ratio_se": lambda rng: {"ratio": 0.4, "numerator_cv": 0.01, "denominator_cv": 0.02},
    "regression.ols_hc3": lambda rng: {"outcomes": rng.random((12, 3)), "design": rng.random((12, 4))},
    "regression.departure": lambda rng: {
        "value": rng.random(5),
        "value_se": rng.random(5),
        "design": rng.random((5, 4)),
        "design_se": rng.random((5, 4)),
        "fit": (rng.random((5, 4)), np.eye(4) * np.ones((5, 1, 1))),
    },
    "plasticity.log_amplitude": lambda rng: {"p2p_uv": rng.lognormal(6, 0.5, (2, 20))},
    "plasticity.log_contrast": lambda rng: {
        "blocks_uv": [rng.lognormal(6, 0.5, 20), rng.lognormal(6, 1, 9)],
        "weights": [0.5, -1.0],
    },
    "plasticity.trapezoid_weights": lambda rng: {"minutes": [0.0, 10.0, 25.0]},
    "plasticity.log_ratio": lambda rng: {"block_uv": rng.lognormal(6, 0.5, 20), "reference_uv": rng.lognormal(6, 1, 9)},
    "psychometric.logistic_threshold": lambda rng: {
        "intensity": np.repeat(np.arange(40.0, 60), 2),
        "answered": (np.repeat(np.arange(40.0, 60), 2) + rng.normal(0, 2, 40) > 50).astype(float),
        "limits": (0.0, 100.0),
    },
    "recruitment.recruitment_curve": lambda rng: {
        "intensity": np.repeat(np.arange(40.0, 80, 4), 4),
        "amplitude_uv": 1000
        / (1 + np.exp(-(np.repeat(np.arange(40.0, 80, 4), 4) - 60) / 4))
        * rng.lognormal(0, 0.3, 40),
    },
    "recruitment.ratio_of_means": lambda rng: {"conditioned": rng.lognormal(0, 1, 12), "test": rng.lognormal(1, 1, 15)},
    "reflex.at_one_kilohertz": lambda rng: {"epochs": rng.standard_normal((4, TIMES.size)), **TIMED},
    "reflex.interval_scores": lambda rng: {
        "epochs": rng.standard_normal((4, 500)),
        "times": np.arange(-250, 250) / 1000.0,
        "window": (0.09, 0.15),
        "baseline": (-0.065, -0.005),
        "early": 0.04,
    },
    "reflex.squared_correlation": lambda rng: {"quiet": rng.standard_normal((4, 61))},
    "reflex.without_small_sample_bias": lambda rng: {
        "after": np.abs(rng.standard_normal((4, 61))),
        "before": np.abs(rng.standard_normal((4, 61))),
        "alike": rng.uniform(0, 0.2, 19),
    },
    "reflex.staircase_threshold": lambda rng: {"intensity": rng.uniform(2, 9, 20), "answered": rng.random(20) > 0.5},
    "reflex.train_slope": lambda rng: {"position": np.tile(np.arange(1.0, 6), 3), "magnitude": rng.standard_normal(15)},
    "reliability.measurement_error": lambda rng: {"values": rng.standard_normal((9, 2))},
    "recruitment.mean_amplitude": lambda rng: {"values": rng.lognormal(0, 1, 12)},
    "mep_timing.within": lambda rng: {**TIMED, "window": WINDOW},
    "mep.subtract_hum": lambda rng: {"epochs": epochs(rng), **TIMED, "frequency": 50.0, "window": QUIET},
    "mep.blank_pulse": lambda rng: {"epochs": epochs(rng), **TIMED, "window": (-0.002, 0.005)},
    "mep.subtract_decay": lambda rng: {"epochs": epochs(rng), **TIMED, "start": 0.005, "baseline": QUIET},
    "mep.band_pass": lambda rng: {"epochs": epochs(rng), "sfreq": SFREQ, "band": (20.0, 450.0)},
    "mep.peak_to_peak": lambda rng: {"epochs": epochs(rng), "mask": masks()},
    "mep.root_mean_square": lambda rng: {"epochs": epochs(rng), "mask": masks()},
    "mep.shape_amplitude": lambda rng: {"epochs": epochs(rng), "spans": masks()},
    "mep.above_background": lambda rng: {
        "amplitude": rng.uniform(1, 9, (6, 2)),
        "background": rng.uniform(1, 3, (6, 2)),
        "correction": "quadrature",
    },
    "mep.response_span": lambda rng: {"epochs": epochs(rng), **TIMED, **RESPONSE},
    "mep.noise_peak_to_peak": lambda rng: {"epochs": epochs(rng), **TIMED, **RESPONSE},
    "mep.without_interval": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        "intervals": np.array([0, 0.1, 0.003, 0, 0.1, 0]),
    },
    "mep.rectified_mean": lambda rng: {"epochs": epochs(rng), "mask": masks()},
    "mep.area_above_background": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        "spans": masks(),
        "background_mean": rng.uniform(0, 1e-5, (6, 2)),
    },
    "mep.has_artefact_tail": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        "background": QUIET,
        "blank": (-0.002, 0.005),
    },
    "mep_timing.smooth_rectified": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        "quiet": mep_timing.within(TIMES, QUIET),
    },
    "mep_timing.onset_latency": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        **RESPONSE,
        "present": np.ones((6, 2), bool),
    },
    "mep_timing.average_latency": lambda rng: {"epochs": epochs(rng), **TIMED, **RESPONSE},
    "mep_timing.silent_period": lambda rng: {
        "epochs": epochs(rng),
        **TIMED,
        "onset": np.full((6, 2), 0.02),
        "background": QUIET,
    },
    "mep_timing.return_delay": lambda rng: {
        "background": rng.uniform(0, 1, (6, 2, 40)),
        **TIMED,
        "half": np.full((6, 2, 1), 0.25),
    },
    "mep.touches_limits": lambda rng: {
        "epochs": epochs(rng),
        "mask": masks(),
        "limits": np.array([[-1e-4, 1e-4], [-1, 1]]),
    },
    "mep.cross_correlation_peak": lambda rng: {
        "first": epochs(rng)[:, 0],
        "second": epochs(rng)[:, 1],
        "max_lag": 3,
    },
    "mep.without_artefact": lambda rng: {"epochs": epochs(rng), **TIMED, "settings": mep_settings()},
    "mep.background_reasons": lambda rng: {"background_rms": rng.uniform(0, 2e-4, (6, 2)), "settings": mep_settings()},
    "mep.rejection": lambda rng: {
        "raw": epochs(rng),
        "masks": masks(),
        "reasons": np.full((6, 2), mep.KEPT, dtype="<U24"),
        "limits": np.array([[-1e-4, 1e-4], [-1, 1]]),
    },
    "mep.measure_responses": lambda rng: {"epochs": epochs(rng), **TIMED, "sfreq": SFREQ, "settings": mep_settings()},
    "mep.response_windows": lambda rng: {"muscles": ["a"], "windows_ms": {"a": [10, 50]}},
    "motor_map.active_map": lambda rng: {"site_means": site_map(rng), "tau": 0.2},
    "motor_map.share_of_maximum": lambda rng: {"site_means": site_map(rng)},
    "motor_map.map_area": lambda rng: {"site_means": site_map(rng), "tau": 0.2, "cell_cm2": 1.0},
    "motor_map.map_volume": lambda rng: {"site_means": site_map(rng), "tau": 0.2},
    "motor_map.centre_of_gravity": lambda rng: {"site_means": site_map(rng), "coords": COORDS, "tau": 0.2},
    "motor_map.overlap_min": lambda rng: {"first": site_map(rng), "second": site_map(rng)[::-1], "tau": 0.2},
    "motor_map.map_area_above": lambda rng: {"site_means": site_map(rng), "threshold": 20.0, "cell_cm2": 1.0},
    "motor_map.map_volume_absolute": lambda rng: {"site_means": site_map(rng), "cell_cm2": 1.0},
    "motor_map.site_shares": lambda rng: {"site_means": site_map(rng), "tau": 0.2},
    "motor_map.map_entropy": lambda rng: {"site_means": site_map(rng)},
    "motor_map.effective_sites": lambda rng: {"site_means": site_map(rng)},
    "motor_map.map_spread": lambda rng: {"site_means": site_map(rng), "coords": COORDS},
    "motor_map.overlap_bhattacharyya": lambda rng: {
        "first": site_map(rng),
        "second": site_map(rng)[::-1],
        "tau": 0.2,
    },
    "motor_map.overlap_dice": lambda rng: {"first": site_map(rng), "second": site_map(rng)[::-1], "tau": 0.2},
    "motor_map.overlap_share": lambda rng: {"first": site_map(rng), "second": site_map(rng)[::-1], "tau": 0.2},
    "motor_map.signed_root": lambda rng: {"square": rng.standard_normal(5)},
    "motor_map.debiased_length": lambda rng: {"vector": np.ones(2), "errors": rng.standard_normal((30, 2))},
    "motor_map.distances": lambda rng: {"coords": COORDS},
    "motor_map.neighbours": lambda rng: {"coords": COORDS},
    "motor_map.imputation": lambda rng: {"coords": COORDS, "present": np.arange(len(COORDS)) != 12},
    "motor_map.asymmetry": lambda rng: {"left": (3.0, 1.0), "right": (2.0, 1.0)},
    "motor_map.grid_spacing": lambda rng: {"coords": COORDS},
    "motor_map.border_sites": lambda rng: {"coords": COORDS},
    "motor_map.site_means": lambda rng: {"trials": trials(rng), "min_trials": 2},
    "map_fit.trial_noise": lambda rng: {"trials": trials(rng)[0]},
    "map_fit.candidate_priors": lambda rng: {"coords": COORDS},
    "map_fit.log_evidence": lambda rng: {"data": rng.standard_normal(4), "covariance": np.eye(4)},
    "map_fit.fit_map": lambda rng: {
        "means": site_map(rng)[0],
        "coords": COORDS,
        "additive": np.full(len(COORDS), 4.0),
        "relative": np.full(len(COORDS), 0.05),
    },
    "map_fit.join_maps": lambda rng: {
        "fits": [
            map_fit.fit_map(each, COORDS, additive=np.full(len(COORDS), 4.0), relative=np.full(len(COORDS), 0.05))
            for each in site_map(rng)
        ],
        "noise_correlation": np.array([[1.0, 0.3], [0.3, 1.0]]),
    },
    "map_fit.residual_correlation": lambda rng: {"trials": trials(rng)},
    "map_fit.fit_trials": lambda rng: {"trials": trials(rng), "coords": COORDS},
    "map_fit.draw_maps": lambda rng: {"joint": fitted(rng), "n_draws": 20, "rng": np.random.default_rng(3)},
    "map_bootstrap.resample_means": lambda rng: {
        "trials": trials(rng),
        "n_draws": 5,
        "rng": np.random.default_rng(3),
    },
    "map_bootstrap.shuffled_overlap": lambda rng: {
        "maps": site_map(rng)[:2],
        "tau": 0.2,
        "n_draws": 5,
        "rng": np.random.default_rng(3),
    },
    "map_peaks.published_peaks": lambda rng: {"maps": site_map(rng), "near": NEAR, "rule": map_peaks.PeakRule()},
    "map_peaks.strict_peaks": lambda rng: {"maps": site_map(rng), "near": NEAR, "rule": map_peaks.PeakRule()},
    "map_peaks.peak_support": lambda rng: {
        "peaks": rng.random(len(COORDS)) < 0.2,
        "resampled": rng.random((5, len(COORDS))) < 0.2,
        "near": NEAR,
    },
    "map_surface.outlying": lambda rng: {"values": rng.random(20)},
    "coil.deviations": lambda rng: {"axes": rng.standard_normal((20, 3)), "places": 30 * rng.standard_normal((20, 3))},
    "coil.outlying": lambda rng: {"angles": rng.random(20), "sd": 1.5, "least": 0.1},
    "map_surface.lattice": lambda rng: {"coords": COORDS, "size": 6},
    "map_surface.rim": lambda rng: {"covered": rng.random(36) < 0.8, "size": 6},
    "map_surface.cell_area_cm2": lambda rng: {"coords": COORDS, "size": 6},
    "map_surface.matern": lambda rng: {"first": COORDS, "second": COORDS + 1.0, "length": 12.0},
    "map_surface.fit_surface": lambda rng: {"coords": COORDS, "amplitude": site_map(rng)[0]},
    "map_surface.residual_correlation": lambda rng: {"surfaces": surfaces(rng)},
    "map_surface.draw_surfaces": lambda rng: {
        "surfaces": surfaces(rng),
        "points": COORDS + 0.5,
        "n_draws": 5,
        "rng": np.random.default_rng(3),
    },
    "map_surface.linear_surface": lambda rng: {"coords": COORDS, "amplitude": site_map(rng), "points": COORDS - 0.5},
    "map_surface.resample_linear": lambda rng: {
        "coords": COORDS,
        "amplitude": site_map(rng),
        "points": COORDS - 0.5,
        "n_draws": 3,
        "rng": np.random.default_rng(3),
    },
    "proportions.wilson": lambda rng: {"count": 7, "n": 20},
    "proportions.without_guessing": lambda rng: {"errors": proportions.wilson(7, 20), "options": 4},
    "psychometric.rises": lambda rng: {"stimulus": np.arange(20.0), "yes": np.arange(20) > 9},
    "psychometric.fit_psychometric": lambda rng: {
        "stimulus": np.repeat(np.arange(10.0, 60, 10), 5),
        "yes": rng.random(25) < np.repeat(np.arange(0.1, 1, 0.2), 5),
        "function": "normal",
        "lapse": 0.02,
    },
    "tactile.run_threshold": lambda rng: {
        "distance": np.arange(10.0, 50, 10),
        "response": np.array([1, 1, 2, 2]),
        "ascending": True,
    },
    "tactile.run_mean": lambda rng: {
        "ascending": rng.normal(50, 5, 3),
        "descending": rng.normal(45, 5, 3),
        "step_mm": 5.0,
    },
    "tactile.usual_step": lambda rng: {"distance": np.arange(10.0, 50, 5)},
    "tactile.localisation": lambda rng: {
        "actual_mm": rng.normal(0, 30, (9, 2)),
        "perceived_mm": rng.normal(0, 30, (9, 2)),
    },
    "tactile.median_time": lambda rng: {"times": rng.uniform(1, 3, 40)},
    "tactile.inverse_efficiency": lambda rng: {
        "median": tactile.median_time(rng.uniform(1, 3, 40)),
        "correct": proportions.wilson(32, 40),
    },
    "tangent.tangent_plane": lambda rng: {"points": np.column_stack([COORDS, rng.normal(60, 5, len(COORDS))])},
    "voxels.places_in_file": lambda rng: {"mask": rng.random((3, 4, 5)) < 0.6},
    "voxels.voxels_of": lambda rng: {"mask": rng.random((3, 4, 5)) < 0.6},
    "voxels.columns_of": lambda rng: {"mask": rng.random((3, 4, 5)) < 0.6},
    "voxels.in_mask": lambda rng: {"volume": rng.standard_normal((3, 4, 5)), "mask": rng.random((3, 4, 5)) < 0.6},
    "voxels.as_volume": lambda rng: {
        "values": rng.standard_normal(40),
        "mask": np.arange(60).reshape(3, 4, 5) % 3 != 0,
    },
}
# of images, which are read as float32
FROM_FLOAT32 = ("labels.", "quality.tsnr", "volumes.tissue", "volumes.regional", "volumes.coverage")
ZERO_WITHOUT_DATA = (  # nothing is active
    "motor_map.active_map",
    "motor_map.map_area",
    "motor_map.map_area_above",
    "motor_map.map_volume_absolute",
)
EVERY_KERNEL = pytest.mark.parametrize("name", CASES)


def arrays(content: Any) -> Iterator[np.ndarray]:
    """Every array within arguments or a result: in sequences, mappings and dataclasses."""
    if isinstance(content, np.ndarray):
        yield content
    elif dataclasses.is_dataclass(content) and not isinstance(content, type):
        yield from arrays([getattr(content, field.name) for field in dataclasses.fields(content)])
    elif isinstance(content, dict):
        yield from arrays(list(content.values()))
    elif isinstance(content, list | tuple):
        for part in content:
            yield from arrays(part)


def called(name: str, **changed: Any) -> Any:
    return public_functions()[name](**{**CASES[name](np.random.default_rng(11)), **changed})


def test_every_public_kernel_is_listed() -> None:
    assert set(CASES) == set(public_functions())


@EVERY_KERNEL
def test_inputs_stay_as_they_are_and_the_answer_is_the_same_twice(name: str) -> None:
    function, results = public_functions()[name], []
    for _ in range(2):
        arguments = CASES[name](np.random.default_rng(11))
        before = [array.copy() for array in arrays(arguments)]
        for array in arrays(arguments):
            array.setflags(write=False)
        results.append(list(arrays([function(**arguments)])))
        for array, copy in zip(arrays(arguments), before, strict=True):
            np.testing.assert_array_equal(array, copy)
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@EVERY_KERNEL
def test_numbers_come_out_as_float64(name: str) -> None:
    for array in arrays([called(name)]):
        assert array.dtype.kind != "f" or array.dtype == np.float64


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(FROM_FLOAT32)])
def test_images_in_single_precision_give_float64(name: str) -> None:
    single = {
        key: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
        for key, value in CASES[name](np.random.default_rng(11)).items()
    }
    double = {
        key: value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value
        for key, value in single.items()
    }
    function = public_functions()[name]
    for found, expected in zip(arrays([function(**single)]), arrays([function(**double)]), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "argument", "axis_in", "axis_out"),
    [
        ("correlation.unit_norm", "projected", 1, 1),
        ("correlation.seed_correlation", "projected", 1, 0),
        ("correlation.inverse_norm", "projected", 1, 0),
        ("correlation.jackknife_se", "projected", 1, 0),
        ("correlation.autocorrelated_dimension", "first", 1, 0),
        ("nuisance.project_each", "series", 1, 2),
        ("correlation.fisher_z", "r", 0, 0),
        ("correlation.fisher_z_se", "dimension", 0, 0),
        ("nuisance.project", "series", 1, 1),
        ("spectral.observed_power", "projected", 1, 1),
        ("spectral.band_power", "projected", 1, 1),
        ("spectral.falff", "projected", 1, 0),
        ("nuisance.cleaned", "projected", 1, 1),
        ("labels.usable_voxels", "series", 1, 0),
        ("qcfc.residuals", "values", 1, 1),
        ("qcfc.edge_correlation", "edges", 1, 0),
        ("qcfc.left_out_correlation", "edges", 1, 1),
        ("qcfc.two_sided_p", "r", 0, 0),
        ("qcfc.null_median", "dof", 0, 0),
        ("quality.tsnr", "series", 1, 0),
        ("quality.spikes", "fd_mm", 0, 0),
        ("volumes.tissue_volume", "probability", 0, 0),
        ("windows.windowed_correlation", "weights", 0, 0),
        ("windows.window_means", "weights", 0, 0),
        ("volumes.regional_volume", "probability", 0, 0),
        ("plasticity.log_amplitude", "p2p_uv", 0, 0),
        ("mep.subtract_hum", "epochs", 0, 0),
        ("mep.blank_pulse", "epochs", 0, 0),
        ("mep.band_pass", "epochs", 0, 0),
        ("mep.peak_to_peak", "epochs", 0, 0),
        ("mep.root_mean_square", "epochs", 0, 0),
        ("mep.rectified_mean", "epochs", 0, 0),
        ("mep.area_above_background", "epochs", 0, 0),
        ("mep_timing.onset_latency", "epochs", 0, 0),
        ("mep.above_background", "amplitude", 0, 0),
        ("motor_map.active_map", "site_means", 0, 0),
        ("motor_map.share_of_maximum", "site_means", 0, 0),
        ("motor_map.map_area", "site_means", 0, 0),
        ("motor_map.map_volume", "site_means", 0, 0),
        ("motor_map.centre_of_gravity", "site_means", 0, 0),
        ("motor_map.overlap_min", "first", 0, 0),
        ("motor_map.overlap_bhattacharyya", "first", 0, 0),
        ("motor_map.overlap_dice", "first", 0, 0),
        ("motor_map.overlap_share", "first", 0, 0),
        ("motor_map.map_area_above", "site_means", 0, 0),
        ("motor_map.map_volume_absolute", "site_means", 0, 0),
        ("motor_map.map_entropy", "site_means", 0, 0),
        ("motor_map.effective_sites", "site_means", 0, 0),
        ("motor_map.map_spread", "site_means", 0, 0),
        ("motor_map.site_shares", "site_means", 0, 0),
        ("motor_map.site_means", "trials", 0, 0),
    ],
)
def test_one_element_of_nan_changes_no_other(name: str, argument: str, axis_in: int, axis_out: int) -> None:
    whole = CASES[name](np.random.default_rng(11))[argument]
    spoilt = np.moveaxis(whole.astype(float), axis_in, 0)
    spoilt[1] = np.nan
    with np.errstate(invalid="ignore"):
        found = np.moveaxis(called(name, **{argument: np.moveaxis(spoilt, 0, axis_in)}), axis_out, 0)
    expected = np.moveaxis(called(name), axis_out, 0)
    others = [place for place in range(len(expected)) if place != 1]
    assert np.isfinite(expected[others]).any()
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-9, atol=1e-15)
    assert found.dtype.kind == "b" or not np.isfinite(found[1]).any() or name in ZERO_WITHOUT_DATA


@pytest.mark.parametrize("name", ["mep.subtract_decay", "mep.shape_amplitude", "mep.noise_peak_to_peak"])
def test_what_is_taken_over_trials_leaves_a_bad_trial_out(name: str) -> None:
    spoilt = epochs(np.random.default_rng(11))
    spoilt[1] = np.nan
    found, expected = called(name, epochs=spoilt), called(name, epochs=np.delete(spoilt, 1, axis=0))
    np.testing.assert_allclose(np.delete(found, 1, axis=0) if found.ndim > 1 else found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "argument", "shift", "tolerance"),
    [
        ("nuisance.project", "series", 1e4, 5e-3),
        ("nuisance.residual_basis", "confounds", 1e4, 5e-3),
        ("mep.peak_to_peak", "epochs", 0.01, 1e-8),
        ("mep.noise_peak_to_peak", "epochs", 0.01, 1e-8),
        ("quality.fd_power", "motion", 5.0, 1e-9),
    ],
)
def test_a_constant_in_the_data_does_not_matter(name: str, argument: str, shift: float, tolerance: float) -> None:
    data = CASES[name](np.random.default_rng(11))[argument]
    if shift > 1e3:  # BOLD comes as float32, which keeps 1e4 to 5e-4
        data = data.astype(np.float32)
    shifted = (data + np.asarray(shift, dtype=data.dtype)).astype(data.dtype)
    np.testing.assert_allclose(called(name, **{argument: shifted}), called(name, **{argument: data}), atol=tolerance)
