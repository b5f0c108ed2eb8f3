"""A small output folder with everything the pages can show, written without running any step."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import yaml

from lbpneuro.errors import Reason
from lbpneuro.io.config import read_config
from lbpneuro.io.files import write_json, write_nifti, write_tsv
from lbpneuro.io.resources import default_config, workflow_folder
from lbpneuro.io.scores import score_table
from lbpneuro.io.study import DATATYPES
from lbpneuro.io.tables import long_table, marker_rows, write_plain_parquet
from lbpneuro.markers.descriptor import Estimate, Marker
from lbpneuro.markers.instrument import instruments
from lbpneuro.markers.scales import Phenotype, Sheet
from lbpneuro.registry import FAMILIES, INDEX_COLUMNS, MARKERS, family
from lbpneuro.simulate.people import Visit as SimulatedVisit
from lbpneuro.simulate.people import person
from lbpneuro.simulate.tactile import SETTINGS as TACTILE
from lbpneuro.simulate.tactile import TASKS

MIDDLE = {
    "tiv": (1450.0, 7.0),
    "gm_total": (640.0, 6.4),
    "gm_total_ratio": (441.0, 5.0),
    "gm_volume": (21.3, 0.43),
    "gm_volume_ratio": (14.7, 0.31),
    "gm_coverage": (0.98, np.nan),
    "fc_r": (0.21, 0.11),
    "pag_vmpfc_z": (0.213, 0.12),
    "roi_tsnr": (38.2, np.nan),
    "fd_mean": (0.17, np.nan),
    "kept_time": (462.0, np.nan),
    "residual_dimension": (61.0, np.nan),
    "map_area": (14.0, 1.4),
    "map_volume": (8.6, 0.7),
    "cog_x": (-22.4, 1.2),
    "cog_y": (6.1, 1.5),
    "overlap_min": (0.62, 0.05),
    "block_log_ratio": (0.31, 0.14),
    "hp_index": (0.28, 0.2),
    "tpd": (55.0, 3.4),
    "loc_bias": (-4.0, 2.0),
    "lrj_rt": (1900.0, 90.0),
    "lrj_inverse_efficiency": (2100.0, 110.0),
    "lrj_accuracy": (0.87, 0.05),
    "rmt": (46.0, 0.9),
    "nfr_threshold": (11.0, 0.6),
    "amt": (39.0, 1.0),
    "curve_s50": (60.0, 1.2),
    "sici": (0.55, 0.09),
    "icf": (1.3, 0.2),
    "lici": (0.3, 0.06),
    "mep_amplitude": (740.0, 90.0),
    "mep_latency": (22.4, 0.2),
    "frebaq": (17.0, 2.16),
    "pain_nrs": (5.0, 1.3),
    "rmdq": (14.0, 3.7),
    "odi": (38.0, 6.5),
    "pcs": (11.0, 4.6),
    "tsk17": (42.0, 3.2),
    "tsk11": (28.0, 2.5),
    "paindetect": (20.0, np.nan),
    "neuropathic_component": (1.0, np.nan),
}
BRAIN_MM = np.array([66.0, 82.0, 62.0])


def settings(root: Path) -> dict[str, Any]:
    """Return the default settings with the folders of a study below ``root``."""
    config = yaml.safe_load(default_config().read_text())
    folders = {"bids_dir": str(root / "raw"), "out_dir": str(root / "out"), "work_dir": str(root / "work")}
    config["dataset"] |= {**folders, "derivatives": {"fmriprep": str(root / "fmriprep")}}
    config["functional"]["rois"] = str(workflow_folder() / "config" / "rois.tsv")
    return config


def make_study(root: Path, *, participants: int = 6, sessions: Sequence[str | None] = (None,)) -> Path:
    """Write an output folder below ``root`` and return it: sub-01 has it all, sub-02 no TMS, sub-03 a broken scan."""
    out, config = root / "out", settings(root)
    write_json(root / "config.json", config)
    rows: list[dict[str, Any]] = []
    for number in range(1, participants + 1):
        for session in sessions:
            rows += write_session(out, f"sub-{number:02d}", session=session, config=config, number=number)
    write_tsv(out / "markers_long.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    write_states(out / "desc-dynamic_states.tsv")
    groups = ["LBP" if number % 2 else "control" for number in range(1, participants + 1)]
    people = [f"sub-{number:02d}" for number in range(1, participants + 1)]
    write_tsv(out / "participants.tsv", pd.DataFrame({"participant_id": people, "group": groups}))
    return out


def write_session(
    out: Path, participant: str, *, session: str | None, config: dict[str, Any], number: int
) -> list[dict[str, Any]]:
    """Write the tables, sidecars and drawable files of one session and return its rows."""
    folder = out / participant / (session or "")
    prefix = "_".join([participant, *([session] if session else [])])
    rows: list[dict[str, Any]] = []
    for name in FAMILIES:
        own = family_rows(name, participant, session=session, config=config, number=number)
        base = folder / DATATYPES[name]
        outputs = drawables(name, base, prefix) if number == 1 else []
        table = base / f"{prefix}_desc-{name}_markers.tsv"
        write_tsv(table, long_table(own, index_columns=INDEX_COLUMNS))
        write_json(table.with_suffix(".json"), sidecar(name, out, outputs, number=number))
        rows += own
    write_tsv(folder / f"{prefix}_markers.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    return rows


def sidecar(name: str, out: Path, outputs: Sequence[Path], *, number: int) -> dict[str, Any]:
    """Return the sidecar of a family; the functional step of sub-03 stopped."""
    content: dict[str, Any] = {
        "Family": name,
        "Source": "fmriprep",
        "Method": f"method of the {name} step",
        "Sources": {f"bids:fmriprep:{name}.nii.gz": "crc32:00"},
        "Outputs": [path.relative_to(out).as_posix() for path in outputs],
        "Settings": {"coverage_min": 0.5, "windows": [1, 2]},
        "SoftwareVersions": {"lbpneuro": "0.1.0"},
        "Remark": "Recorded <b>remark</b>",
    }
    if name == "excitability" and outputs:
        content |= EXCITABILITY_FACTS
    if name == "reflex":
        content["LogisticWidth"] = 0.8
    if number == 3 and name == "functional":
        message = f"{out}/sub-03/func/bold.nii.gz: the file is truncated."
        content["Error"] = {"reason": "invalid_input", "message": message}
    return content


EXCITABILITY_FACTS: dict[str, Any] = {
    "Curves": [
        {
            "Muscle": "FDI",
            "Hemisphere": "L",
            "s50": 60.0,
            "width": 4.0,
            "plateau": 1800.0,
            "floor": 10.0,
            "reached": 0.95,
        }
    ],
    "Logistic": [
        {"Muscle": "FDI", "Hemisphere": "L", "State": "rest", "Width": 1.5, "N": 70},
        {"Muscle": "FDI", "Hemisphere": "L", "State": "active", "Width": 1.5, "N": 70},
    ],
    "Rejected": [
        {
            "Task": "excitability",
            "Muscle": "FDI",
            "Trials": 72,
            "Kept": 68,
            "Rejected": {"background_high": 3, "clipped": 1},
        }
    ],
}


def family_rows(
    name: str, participant: str, *, session: str | None, config: dict[str, Any], number: int
) -> list[dict[str, Any]]:
    """Return the rows of a family: values around the middle, and the ways of having none."""
    rng = np.random.default_rng([number, *(session or "").encode(), *name.encode()])
    rows: list[dict[str, Any]] = []
    for marker in family(name):
        levels = {level: estimate(marker, name, number=number, rng=rng) for level in marker.levels(config)}
        rows += marker_rows(marker, levels, participant=participant, session=session, source="fmriprep", method="m")
    return rows


def estimate(marker: Marker, name: str, *, number: int, rng: np.random.Generator) -> Estimate:
    """Return a value or its absence: sub-02 has no TMS, the scan of sub-03 is broken, sub-04 is flagged."""
    if number == 2 and name in ("excitability", "tms", "plasticity"):
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if number == 3 and name == "functional":
        return Estimate.fail(Reason.INVALID_INPUT)
    middle, se = MIDDLE.get(marker.name, (0.6, 0.04))
    spread = se if np.isfinite(se) else 0.01 * abs(middle)
    low, high = marker.bounds
    value = float(np.clip(middle + 1.5 * spread * rng.standard_normal(), low, high))
    flags = [Reason.MODERATE_MOTION] if number == 4 and name == "functional" else []
    return Estimate.of(value, se=se, n=42, flags=flags)


def drawables(name: str, base: Path, prefix: str) -> list[Path]:
    """Write what the family's step leaves to be drawn."""
    writers = {"structural": anat, "functional": func, "dynamic": dynamic, "shift": shift}
    writers |= {"excitability": excitability, "reflex": reflex}
    writers |= {"tms": tms, "plasticity": plasticity, "pet": pet, "change": change, "scales": scales}
    writers |= {"tactile": tactile, "sensory": sensory}
    return writers[name](base, prefix) if name in writers else []


def world(voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mm coordinates (n_x, n_y, n_z, 3) and affine of a grid around the brain, first axis to the left."""
    shape = np.ceil(np.array([182, 218, 182]) / voxel_mm).astype(int)
    affine = np.diag([-voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = [90.0, -126.0, -72.0]
    grid = np.stack(np.indices(shape), axis=-1)
    return grid @ affine[:3, :3].T + affine[:3, 3], affine


def brain(voxel_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an image of an egg with darker inside, its mm coordinates and its affine."""
    mm, affine = world(voxel_mm)
    radius = np.linalg.norm((mm - [0, -18, 8]) / BRAIN_MM, axis=-1)
    rng = np.random.default_rng(1)
    image = np.where(radius < 1, 700 + 250 * np.cos(6 * radius), 20) + rng.normal(0, 25, radius.shape)
    return np.maximum(image, 0).astype(np.float32), mm, affine


def ball(mm: np.ndarray, middle: Sequence[float], radius_mm: float) -> np.ndarray:
    return np.linalg.norm(mm - np.asarray(middle), axis=-1) <= radius_mm


def anat(base: Path, prefix: str) -> list[Path]:
    image, mm, affine = brain(3.0)
    labels = np.zeros(image.shape, dtype=np.int16)
    places = {
        "dlpfc_L": (-40, 34, 28),
        "dlpfc_R": (40, 34, 28),
        "thalamus_L": (-11, -18, 8),
        "thalamus_R": (11, -18, 8),
        "s1trunk_hcp_L": (-24, -36, 62),
        "s1trunk_hcp_R": (26, -33, 60),
    }
    for number, (name, place) in enumerate(places.items(), start=1):
        labels[ball(mm, place, 13 if "dlpfc" in name else 9)] = number
    t1w, dseg = base / f"{prefix}_desc-preproc_T1w.nii.gz", base / f"{prefix}_desc-roi_dseg.nii.gz"
    write_nifti(t1w, nib.Nifti1Image(image, affine))
    write_nifti(dseg, nib.Nifti1Image(labels, affine))
    table = pd.DataFrame({"index": range(1, len(places) + 1), "name": list(places)})
    write_tsv(base / f"{prefix}_desc-roi_dseg.tsv", table)
    moved = base / f"{prefix}_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz"
    write_nifti(moved, nib.Nifti1Image(image, affine))
    return [t1w, dseg, moved, *tissues(base, prefix)]


def change(base: Path, prefix: str) -> list[Path]:
    """The mean of two sessions with a cortical region and a nucleus on each side."""
    image, mm, affine = brain(3.0)
    labels = np.zeros(image.shape, dtype=np.int16)
    places = {
        "dlpfc_L": (-40, 34, 28),
        "dlpfc_R": (40, 34, 28),
        "thalamus_L": (-11, -18, 8),
        "thalamus_R": (11, -18, 8),
    }
    for number, middle in enumerate(places.values(), start=1):
        labels[ball(mm, middle, 9)] = number
    t1w, dseg = base / f"{prefix}_desc-change_T1w.nii.gz", base / f"{prefix}_desc-change_dseg.nii.gz"
    write_nifti(t1w, nib.Nifti1Image(image, affine))
    write_nifti(dseg, nib.Nifti1Image(labels, affine))
    table = base / f"{prefix}_desc-change_dseg.tsv"
    write_tsv(table, pd.DataFrame({"index": [1, 2, 3, 4], "name": list(places)}))
    return [t1w, dseg]


def tissues(base: Path, prefix: str) -> list[Path]:
    """Shells of fluid and gray matter around white matter."""
    _, mm, affine = brain(3.0)
    radius = np.linalg.norm((mm - [0, -18, 8]) / BRAIN_MM, axis=-1)
    files = []
    for tissue, (low, high) in {"WM": (0.0, 0.75), "GM": (0.75, 0.92), "CSF": (0.92, 1.0)}.items():
        files.append(base / f"{prefix}_label-{tissue}_probseg.nii.gz")
        inside = ((radius >= low) & (radius < high)).astype(np.float32)
        write_nifti(files[-1], nib.Nifti1Image(inside, affine))
    return files


def func(base: Path, prefix: str) -> list[Path]:
    image, mm, affine = brain(3.0)
    rng = np.random.default_rng(2)
    near = np.exp(-((np.linalg.norm(mm - [0, -30, -10], axis=-1) / 25) ** 2))
    correlation = np.where(image > 100, 0.9 * near + 0.12 * rng.standard_normal(image.shape), 0).astype(np.float32)
    run = f"{prefix}_task-rest_space-MNI152NLin2009cAsym"
    files = [base / f"{run}_desc-mean_boldref.nii.gz", base / f"{run}_seed-pag_stat-z_boldmap.nii.gz"]
    write_nifti(files[0], nib.Nifti1Image(image, affine))
    write_nifti(files[1], nib.Nifti1Image(correlation, affine))
    files.append(base / f"{run}_seed-accumbens_stat-z_boldmap.nii.gz")
    write_nifti(files[-1], nib.Nifti1Image(correlation[::-1], affine))
    files.append(base / f"{run}_desc-roi_probseg.nii.gz")
    weights = [ball(mm, (0, -30, -10), 7), ball(mm, (6, 42, -12), 7) | ball(mm, (-6, 45, -6), 7)]
    write_nifti(files[-1], nib.Nifti1Image(np.stack(weights, axis=-1).astype(np.float32), affine))
    write_json(base / f"{run}_desc-roi_probseg.json", {"LabelMap": ["pag", "vmpfc"]})
    moved = np.abs(rng.normal(0.12, 0.06, 240))
    moved[[60, 61, 150]] = 0.6, 0.4, 0.9
    moved[0] = np.nan
    motion = pd.DataFrame({"fd_jenkinson": moved, "censored": (moved > 0.25).astype(int)})
    files.append(base / f"{prefix}_task-rest_desc-motion_timeseries.tsv")
    write_tsv(files[-1], motion)
    write_json(files[-1].with_suffix(".json"), {"RepetitionTime": 2.0})
    return files


def dynamic(base: Path, prefix: str) -> list[Path]:
    rng = np.random.default_rng(4)
    state = np.repeat([1.0, 2, 1, np.nan, 1, 2], 40)
    table = pd.DataFrame({"run": "task-rest", "onset": 2.0 * np.arange(240), "state": pd.array(state, dtype="Int64")})
    table["fd_jenkinson"] = 0.1 + 0.05 * rng.random(240)
    files = [base / f"{prefix}_desc-states_timeseries.tsv", base / f"{prefix}_desc-dynamic_states.tsv"]
    write_tsv(files[0], table)
    write_json(files[0].with_suffix(".json"), {"WindowSeconds": 66.0})
    write_states(files[1])
    return files


def write_states(path: Path) -> None:
    """Write reference states as the step does."""
    rng = np.random.default_rng(5)
    edges = [(nucleus, cortex) for nucleus in ("vpl_L", "md_L") for cortex in ("s1_L", "insula_L", "mpfc")]
    centroids = pd.DataFrame(edges, columns=["node_1", "node_2"])
    write_tsv(path, centroids.assign(state_1=rng.normal(0.1, 0.2, 6), state_2=rng.normal(0.5, 0.2, 6)))
    stability = {"2": {"AdjustedRand": 0.61, "SD": 0.1, "Splits": 20}, "3": {"AdjustedRand": None}}
    write_json(path.with_suffix(".json"), {"Participants": 6, "Windows": 600, "Stability": stability})


def shift(base: Path, prefix: str) -> list[Path]:
    rng = np.random.default_rng(6)
    rating = 45 + 20 * np.sin(np.arange(200) / 9)
    columns = {"rating": rating, "rating_convolved": np.roll(rating - rating[0], 2)}
    for name, size in (("pain", 0.02), ("emotion", 0.01), ("reward", 0.005)):
        columns[f"{name}_fitted"] = size * (columns["rating_convolved"] - columns["rating_convolved"].mean())
        columns[name] = columns[f"{name}_fitted"] + 0.4 * rng.standard_normal(200)
    path = base / f"{prefix}_task-rating_desc-shift_timeseries.tsv"
    write_tsv(path, pd.DataFrame(columns))
    write_json(path.with_suffix(".json"), {"RepetitionTime": 2.0, "Control": False})
    return [path]


def tms(base: Path, prefix: str) -> list[Path]:
    rng = np.random.default_rng(3)
    rows = []
    for muscle, (x0, y0) in {"multifidus_deep": (-22, 8), "longissimus": (-26, -4)}.items():
        for site, (x, y) in enumerate((x, y) for x in range(-50, 11, 10) for y in range(-30, 31, 10)):
            share = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 15**2)) * rng.lognormal(0, 0.2)
            rows.append({"muscle": muscle, "hemisphere": "L", "site_id": site, "x_mm": x, "y_mm": y, "share": share})
    table = pd.DataFrame(rows)
    table["share"] /= table.groupby("muscle")["share"].transform("max")
    table["strict_peak"] = (table["share"] == 1).astype(int)
    table["published_peak"] = (table["share"] > 0.85).astype(int)
    table["support"] = np.where(table["strict_peak"] == 1, 0.83, np.nan)
    files = [
        base / f"{prefix}_task-motormap_desc-sitemap_meps.tsv",
        base / f"{prefix}_task-motormap_desc-average_emg.tsv",
        base / f"{prefix}_task-motormap_desc-sites_emg.parquet",
    ]
    write_tsv(files[0], table)
    write_tsv(files[1], waves("muscle", {"multifidus_deep": 320, "longissimus": 210}))
    write_plain_parquet(files[2], site_waves(table))
    return [*files, *single_sweeps(base / f"{prefix}_task-motormap", ["multifidus_deep", "longissimus"], rng)]


def excitability(base: Path, prefix: str) -> list[Path]:
    """Pulses of nine intensities at rest and contracted, single sweeps, and their trial table."""
    rng = np.random.default_rng(8)
    start = base / f"{prefix}_task-excitability"
    rows = []
    for measure, middle in (("rest", 52.0), ("active", 45.0), ("curve", 52.0)):
        for intensity in np.repeat(np.linspace(40, 72, 9), 8):
            size = 1800 / (1 + np.exp(-(intensity - middle - 8) / 4)) * rng.lognormal(0, 0.5) + 10
            rows.append(
                {"measure": measure, "intensity_mso": intensity, "p2p_uv": size, "kept": int(rng.random() > 0.05)}
            )
    path = start.with_name(f"{start.name}_desc-intensities_meps.tsv")
    write_tsv(path, pd.DataFrame(rows).assign(muscle="FDI", hemisphere="L"))
    return [path, *single_sweeps(start, ["FDI"], rng)]


def single_sweeps(start: Path, muscles: list[str], rng: np.random.Generator) -> list[Path]:
    """Twenty-four single responses of every muscle, each ninth rejected, and their trial table."""
    files = [start.with_name(f"{start.name}_desc-{name}") for name in ("sweeps_emg.parquet", "trials_meps.tsv")]
    time = np.arange(-50, 100, 0.5)
    shape = np.where((time > 20) & (time < 32), np.sin((time - 20) / 12 * 2 * np.pi), 0)
    trials = [(muscle, trial) for muscle in muscles for trial in range(1, 25)]
    sweeps = {
        f"{muscle}:{trial}": 400 * rng.lognormal(0, 0.5) * shape + rng.normal(0, 6, time.size)
        for muscle, trial in trials
    }
    write_plain_parquet(files[0], pd.DataFrame({"time_ms": time, **sweeps}).astype("float32"))
    table = pd.DataFrame(trials, columns=["target_muscle", "trial"])
    write_tsv(files[1], table.assign(reject=(table["trial"] % 9 == 0).astype(int)))
    return files


def site_waves(table: pd.DataFrame) -> pd.DataFrame:
    wave = waves("muscle", {"a": 300}).query("-10 <= time_ms <= 70")
    traces = {f"{row.muscle}:{row.hemisphere}:{row.site_id}": row.share * wave["mean_uv"] for row in table.itertuples()}
    return pd.DataFrame({"time_ms": wave["time_ms"], **traces}).astype("float32")


def reflex(base: Path, prefix: str) -> list[Path]:
    """Three series of stimuli from 4 to 18 mA with a reflex above 10 mA."""
    rng = np.random.default_rng(9)
    stim = np.tile(np.arange(4.0, 19, 2), 3)
    table = pd.DataFrame({"stim_ma": stim, "train_position": np.nan, "reflex": (stim > 10).astype(int), "reject": 0})
    table.loc[5, "reject"] = 1
    time = np.arange(-70, 250, 0.5)
    burst = (time > 105) & (time < 145)
    waves = {str(k): (60 * burst * (ma > 10) + 3) * rng.standard_normal(time.size) for k, ma in enumerate(stim)}
    start = base / f"{prefix}_task-reflex"
    files = [start.with_name(f"{start.name}_desc-{name}") for name in ("trials_reflex.tsv", "sweeps_emg.parquet")]
    write_tsv(files[0], table)
    write_plain_parquet(files[1], pd.DataFrame({"time_ms": time, **waves}).astype("float32"))
    return files


def plasticity(base: Path, prefix: str) -> list[Path]:
    sizes = {"pre": 800, "between": 1100, "post00": 900, "post10": 700, "post20": 760}
    start = base / f"{prefix}_task-plasticity_desc-"
    names = ("average_emg", "blocks_meps", "course_meps")
    paths = [start.with_name(f"{start.name}{name}.tsv") for name in names]
    write_tsv(paths[0], waves("block", sizes))
    write_tsv(paths[1], pd.DataFrame({"block": list(sizes), "n": 30, "log_sd": 0.55}))
    rng = np.random.default_rng(4)
    course = [
        {"block": name, "p2p_uv": size * rng.lognormal(0, 0.55)} for name, size in sizes.items() for _ in range(30)
    ]
    write_tsv(paths[2], pd.DataFrame(course))
    return [*paths, *single_sweeps(base / f"{prefix}_task-plasticity", ["FDI"], rng)]


def pet(base: Path, prefix: str) -> list[Path]:
    start = np.arange(0, 5400, 300.0)
    course = np.exp(-start / 4000) * (1 - np.exp(-(start + 100) / 200))
    sizes = {"thalamus": 9.0, "s1back_mgh": 6.5, "occipital": 6.0, "whole_brain": 6.2}
    columns = {"frame_start": start, "frame_end": start + 300, **{name: size * course for name, size in sizes.items()}}
    path = base / f"{prefix}_desc-regions_tacs.tsv"
    write_tsv(path, pd.DataFrame(columns))
    write_json(path.with_suffix(".json"), {"WindowMinutes": [60, 90]})
    return [path]


def tactile(base: Path, prefix: str) -> list[Path]:
    """The trial tables of a simulated person, with their sidecars beside them."""
    visit = SimulatedVisit(person(1, seed=2, effect=1.0), 0, 2)
    paths = []
    for task, (table, about) in TASKS.items():
        paths.append(base / f"{prefix}_task-{task}_beh.tsv")
        write_tsv(paths[-1], table(visit, TACTILE))
        write_json(paths[-1].with_suffix(".json"), dict(about))
    return paths


def scales(base: Path, prefix: str) -> list[Path]:
    """Scores of somebody who left out two items of the RMDQ and all of the Tampa scale."""
    settings = read_config()["scales"]
    ticked = {
        "frebaq": [1, 2, 3, 4, 0, 1, 2, 3, 1],
        "nrs": [4, 5, 7, 5, 8],
        "rmdq": [1] * 14 + [0] * 8 + [math.nan] * 2,
        "odi": [2] * 9 + [1],
        "pcs": [2, 1, 3, 0, 1, 2, 3, 4, 2, 1, 0, 2, 3],
        "paindetect": [2, 3, 1, 4, 2, 3, 1, 3, 1],
    }
    sheets = {
        tool: Sheet(answers=dict(zip(instruments()[tool].answers, map(float, answers), strict=True)))
        for tool, answers in ticked.items()
    }
    path = base / f"{prefix}_desc-scales_scores.tsv"
    write_tsv(path, score_table(Phenotype(sheets=sheets, settings=settings)))
    return [path]


def sensory(base: Path, prefix: str) -> list[Path]:
    """Thresholds of which one each lies above and below a limit, two trains, and two repeats of conditioning."""
    columns = ["test", "site", "side", "value", "ci_low", "ci_high", "n", "n_censored", "bound"]
    places = [
        ("ppt", "lumbar", "L", 300.0, 250.0, 360.0, 3, 0, "none"),
        ("ppt", "lumbar", "R", 980.0, np.nan, np.nan, 3, 2, "lower"),
        ("ppt", "tibialis", "L", 400.0, np.nan, np.nan, 1, 0, "none"),
        ("ppt", "sternum", "n/a", 350.0, 300.0, 410.0, 3, 0, "none"),
        ("cpt", "hand", "L", 0.0, np.nan, np.nan, 3, 3, "upper"),
        ("cpt", "hand", "R", 9.0, 5.0, 13.0, 3, 0, "none"),
    ]
    trains = [("heat", train, stimulus, 20.0 + 5 * stimulus + train) for train in (1, 2) for stimulus in range(4)]
    blocks = [
        ("ppt", timing, repeat, block, value + repeat, 2, int(repeat == 2 and value == 320))
        for repeat in (1, 2)
        for timing, pair in (("parallel", (250.0, 320.0)), ("sequential", (250.0, 260.0)))
        for block, value in zip(("before", "conditioned"), pair, strict=True)
    ]
    tables = {
        "desc-sites_thresholds": pd.DataFrame(places, columns=columns),
        "desc-trains_ratings": pd.DataFrame(trains, columns=["modality", "train", "stimulus", "rating"]),
        "desc-conditioning_stimuli": pd.DataFrame(
            blocks, columns=["test_stimulus", "timing", "repeat", "block", "value", "n", "limited"]
        ),
    }
    paths = {base / f"{prefix}_{name}.tsv": table for name, table in tables.items()}
    for path, table in paths.items():
        write_tsv(path, table)
    return list(paths)


def waves(column: str, sizes: dict[str, float], *, hemi: str = "L") -> pd.DataFrame:
    time_ms = np.arange(-20, 80, 0.5)
    shape = np.exp(-(((time_ms - 24) / 5) ** 2)) * np.sin((time_ms - 24) / 2.4)
    tables = [
        pd.DataFrame({column: name, "hemisphere": hemi, "time_ms": time_ms, "mean_uv": size * shape, "sem_uv": 12.0})
        for name, size in sizes.items()
    ]
    return pd.concat(tables)


def markers_of(out: Path) -> int:
    """Return how many rows one session of the study has."""
    config = json.loads((out.parent / "config.json").read_text())
    return sum(len(marker.levels(config)) for marker in MARKERS)
