"""Sensory tests of a session: trial tables to the arrays of the markers, with devices and norms."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.io.psychophysics import FILE_RUN, LOWEST, Trials, read_task
from lbpneuro.io.qst_reference import Device, norm_for, read_norms
from lbpneuro.kernels.psychophysics import Array
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.modulation import BLOCKS
from lbpneuro.markers.qst_z import PINPRICK, TESTED
from lbpneuro.markers.sensory import Conditioning, Modulation, Norm, Place, Ramps, SensoryData, Trains

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("lbpneuro")

TASKS = ("ppt", "cpt", "tsp", "cpm")
LIMIT_TOLERANCE = 1e-9
"""Relative; units are converted on both sides of a comparison with a limit."""
RATES = {"ppt": "rate_kPa_s", "cpt": "rate_degC_s"}


def read_tests(files: Sequence[Path]) -> dict[str, Trials]:
    """Return the trials of the sensory tests among the files of a session, by task.

    Raises
    ------
    InputError, UnitError
        As :func:`lbpneuro.io.psychophysics.read_trials`.
    """
    found = {task: read_task(files, task) for task in TASKS}
    return {task: trials for task, trials in found.items() if trials is not None}


def sensory_data(tests: Mapping[str, Trials], settings: Mapping[str, Any]) -> SensoryData:
    """Return the trials as arrays; ``settings`` is the section ``sensory``. Norms are added by :func:`with_norms`."""
    return SensoryData(
        settings=settings,
        ppt=_pressure(tests["ppt"]) if "ppt" in tests else {},
        cpt=_cold(tests["cpt"], settings["cpt"]["cutoff_c"]) if "cpt" in tests else {},
        trains=_trains(tests["tsp"]) if "tsp" in tests else {},
        modulation=_modulation(tests["cpm"], settings) if "cpm" in tests else {},
    )


def _by_place(table: pd.DataFrame) -> list[tuple[Place, pd.DataFrame]]:
    """Return the trials of every place in their order."""
    ordered = table.sort_values([FILE_RUN, "trial"], kind="stable")
    places = ordered.assign(side=ordered["side"].fillna("n/a")).groupby(["site", "side"], sort=True)
    return [((str(site), str(side)), rows) for (site, side), rows in places]


def _pressure(trials: Trials) -> dict[Place, Ramps]:
    return {
        place: Ramps(
            values=rows["value"].to_numpy(),
            above=_reached(rows["value"].to_numpy(), rows["tolerance_max"].to_numpy()),
            below=_reached(rows[LOWEST].to_numpy(), rows["value"].to_numpy()),
        )
        for place, rows in _by_place(trials.table)
    }


def _reached(values: Array, limits: Array) -> np.ndarray:
    """Return where values (n,) are at or beyond upper limits (n,); not where either is NaN."""
    return np.asarray(values >= limits - LIMIT_TOLERANCE * np.abs(limits))


def _cold(trials: Trials, cutoff_c: float) -> dict[Place, Ramps]:
    lowest = float(trials.metadata.get("CutOff", cutoff_c))
    return {
        place: Ramps(
            values=np.maximum(rows["value"].to_numpy(), lowest),
            above=np.zeros(len(rows), dtype=bool),
            below=rows["value"].to_numpy() <= lowest + LIMIT_TOLERANCE,
        )
        for place, rows in _by_place(trials.table)
    }


def _trains(trials: Trials) -> dict[str, Trains]:
    numbers = sorted(int(name[1:]) for name in map(str, trials.table.columns) if re.fullmatch(r"r\d+", name))
    table = trials.table.reindex(columns=[*trials.table.columns.difference(_series(numbers)), *_series(numbers)])
    table = table.sort_values([FILE_RUN, "trial"], kind="stable")
    return {
        str(modality): Trains(
            ratings=rows[_series(numbers)].to_numpy(dtype=float),
            single=rows["single"].to_numpy(),
            train=rows["train"].to_numpy(),
        )
        for modality, rows in table.groupby("modality", sort=True)
    }


def _series(numbers: Sequence[int]) -> list[str]:
    """The columns r1 to the last one, also those between that a table left out."""
    return [f"r{number}" for number in range(1, max(numbers, default=0) + 1)]


def _modulation(trials: Trials, settings: Mapping[str, Any]) -> dict[tuple[str, str], Modulation]:
    found = {}
    for stimulus, rows in trials.table.groupby("test_stimulus", sort=True):
        for timing, block in BLOCKS.items():
            if (rows["block"] == block).any():
                found[str(stimulus), timing] = Modulation(
                    applications=tuple(_applications(rows, block)),
                    strength=float(rows["conditioning_rating"].max()),
                    at_pain_site=_at_pain_site(rows, trials.metadata, settings),
                )
    return found


def _applications(rows: pd.DataFrame, block: str) -> list[Conditioning]:
    """Return one application per file, repeat and place; those of another file have numbers of their own."""
    keyed = rows.assign(site=rows["site"].fillna("n/a"), side=rows["side"].fillna("n/a"))
    repeats = {key: number for number, key in enumerate(keyed.groupby([FILE_RUN, "repeat"]).groups, start=1)}
    applications = []
    for (run, repeat, _, _), group in keyed.groupby([FILE_RUN, "repeat", "site", "side"]):
        base, conditioned = (group[group["block"] == name] for name in ("before", block))
        applications.append(
            Conditioning(
                repeat=repeats[run, repeat],
                base=base["value"].to_numpy(),
                conditioned=conditioned["value"].to_numpy(),
                base_limited=_limited(base),
                limited=_limited(conditioned),
                aborted=bool((group["conditioning_aborted"] == 1).any()),
            )
        )
    return applications


def _limited(rows: pd.DataFrame) -> bool:
    values = rows["value"].to_numpy()
    return bool((_reached(values, rows["tolerance_max"].to_numpy()) | _reached(rows[LOWEST].to_numpy(), values)).any())


def _at_pain_site(rows: pd.DataFrame, metadata: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether the conditioning stimulus was applied at a local site, or on the side that hurts more."""
    sides = {"L", "R"} if metadata.get("PainSide") == "both" else {metadata.get("PainSide")}
    sites = rows["conditioning_site"].dropna().str.replace(r"_[LR]$", "", regex=True)
    return bool(sites.isin(settings["sites"]["local"]).any() or rows["conditioning_side"].isin(sides - {None}).any())


# ------------------------------------------------------------------------------------------------- devices and norms


def device(trials: Trials) -> Device:
    """Return how a test was done: the model of the sidecar; probe and rate where all trials have the same."""
    model = trials.metadata.get("ManufacturersModelName")
    return Device(
        model=model, probe_cm2=_only(trials.table, "probe_cm2"), rate=_only(trials.table, RATES.get(trials.task, ""))
    )


def _only(table: pd.DataFrame, column: str) -> float | None:
    values = set(table[column]) if column in table else set()
    only = values.pop() if len(values) == 1 else math.nan
    return float(only) if math.isfinite(only) else None


def with_norms(data: SensoryData, tests: Mapping[str, Trials], *, age: float, male: float) -> SensoryData:
    """Return the data with the norm of every parameter and place, of the table of the settings.

    ``age`` in years and ``male`` (1 or 0) are NaN where they are not known.
    """
    rows = read_norms(Path(data.settings["reference"]))
    find = partial(norm_for, rows, age=age, sex={1.0: "M", 0.0: "F"}.get(male, "n/a"))
    norms: dict[Level, Norm | Reason] = {}
    for parameter, places in (("ppt", data.ppt), ("cpt", data.cpt)):
        for site in {site for site, _ in places}:
            used = device(tests[parameter])
            norms[parameter, site] = find(parameter=parameter, site=site, device=used)
    if PINPRICK in data.trains:
        table = tests["tsp"].table
        sites = table.loc[table["modality"] == PINPRICK, "site"].dropna().unique()
        site = str(sites[0]) if len(sites) == 1 else "n/a"
        norms["wur", TESTED] = find(parameter="wur", site=site, device=device(tests["tsp"]))
    return replace(data, norms=norms)


def not_in_settings(data: SensoryData) -> dict[str, list[str]]:
    """Return what was tested and no row is about, by the setting that does not list it."""
    settings = data.settings
    sites = {*settings["sites"]["local"], *settings["sites"]["remote"]}
    tested = {
        "sensory.sites": {site for places in (data.ppt, data.cpt) for site, _ in places} - sites,
        "sensory.tsp.modalities": set(data.trains) - set(settings["tsp"]["modalities"]),
        "sensory.cpm.test_stimuli": {name for name, _ in data.modulation} - set(settings["cpm"]["test_stimuli"]),
    }
    for setting, names in tested.items():
        if names:
            log.warning("%s were tested, but %s does not list them: they have no rows.", ", ".join(names), setting)
    return {setting: sorted(names) for setting, names in tested.items() if names}
