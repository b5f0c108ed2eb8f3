"""Tests of touch and left/right judgement of the simulated people, with the values behind their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.trial_schemas import columns
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

SIDES, AXES = ("L", "R"), ("horizontal", "vertical")
SITE = "lumbar"
STEP_MM, NARROWEST_MM, WIDEST_MM = 5.0, 20.0, 100.0
SAME_TO_STOP = 2
"""A run stops after so many answers of the new kind in a row."""
RUNS = 3
CATCHES = 6
FIGURES, OPTIONS = 20, 4
TOUCHES_PER_FIELD, FIELDS_MM = 2, 30.0
PICTURES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class TactileSettings:
    """True values as (without pain, with pain, SD between people), and what is the same in everybody.

    Of a share ``numb`` of the people the two-point threshold lies beyond the calliper.
    """

    threshold_mm: tuple[float, float, float] = (46.0, 58.0, 8.0)
    width_mm: float = 4.0
    false_alarm: float = 0.04
    lapse: float = 0.02
    numb: float = 0.04
    unknown_figures: tuple[float, float, float] = (0.2, 0.35, 0.08)
    bias_mm: tuple[float, float] = (5.0, -4.0)
    scatter_mm: tuple[float, float, float] = (9.0, 13.0, 2.0)
    accuracy: tuple[float, float, float] = (0.92, 0.84, 0.04)
    time_ms: tuple[float, float, float] = (1500.0, 2000.0, 200.0)
    log_time_sd: float = 0.35


SETTINGS = TactileSettings()


def _trait(visit: Visit, what: str, values: tuple[float, float, float], *, low: float, high: float) -> float:
    without, with_pain, sd = values
    mean = without + (with_pain - without) * visit.person.patient
    return float(np.clip(visit.lasting(f"tactile {what}").normal(mean, sd), low, high))


def write_tactile(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the trial tables of a visit, and their sidecars at the root; return the planted values."""
    folder = study.raw / visit.folder / "beh"
    for task, (table, _) in TASKS.items():
        write_tsv(folder / f"{visit.prefix}_task-{task}_beh.tsv", table(visit, SETTINGS))
    return tactile_truth(visit)


def tactile_truth(visit: Visit, settings: TactileSettings = SETTINGS) -> list[TruthRow]:
    """Return the planted values of a visit."""
    rows = [
        truth_row(visit, "tpd", value=threshold_mm(visit, side, axis, settings), side=side, axis=axis)
        for side in SIDES
        for axis in AXES
    ]
    for side in SIDES:
        rows += [
            truth_row(visit, name, value=value, side=side) for name, value in _side_truth(visit, side, settings).items()
        ]
        bias = _bias(side, settings)
        rows += [
            truth_row(visit, "loc_bias", value=value, side=side, axis=axis)
            for axis, value in zip(AXES, bias, strict=True)
        ]
    accuracy, time = judging(visit, settings)
    return [*rows, truth_row(visit, "lrj_accuracy", value=accuracy), truth_row(visit, "lrj_rt", value=time)]


def _side_truth(visit: Visit, side: str, settings: TactileSettings) -> dict[str, float]:
    from scipy import stats

    unknown, scatter = unknown_figures(visit, side, settings), scatter_mm(visit, settings)
    away = float(np.hypot(*_bias(side, settings)))
    return {
        "graph_error_rate": unknown * (1 - 1 / OPTIONS),
        "graph_error_rate_corrected": unknown,
        "loc_error": float(stats.rice.mean(away / scatter, scale=scatter)),
        "loc_sd": scatter,
    }


# ------------------------------------------------------------------------------------------- two-point discrimination


def threshold_mm(visit: Visit, side: str, axis: str, settings: TactileSettings = SETTINGS) -> float:
    """Return the true two-point threshold of a place, beyond the calliper in numb people."""
    numb = visit.lasting("tactile numb").random() < settings.numb
    own = _trait(visit, "threshold", settings.threshold_mm, low=30.0, high=85.0)
    place = visit.lasting(f"tactile {side} {axis}").normal(0, 3)
    return own + place + (WIDEST_MM if numb else 0.0) + (3.0 if axis == "horizontal" else -3.0)


def two_point_table(visit: Visit, settings: TactileSettings) -> pd.DataFrame:
    """Return the trials of two-point discrimination: runs in both directions at every place, and catches."""
    import pandas as pd

    tables = [_place_table(visit, side, axis, settings) for side in SIDES for axis in AXES]
    return pd.concat(tables, ignore_index=True)


def _place_table(visit: Visit, side: str, axis: str, settings: TactileSettings) -> pd.DataFrame:
    import pandas as pd

    rng = visit.passing(f"tactile tpd {side} {axis}")
    threshold = threshold_mm(visit, side, axis, settings)
    rows: list[dict[str, Any]] = []
    for run in range(1, 2 * RUNS + 1):
        rows += _run(rng, run, threshold=threshold, settings=settings)
    for place in sorted(rng.choice(len(rows), CATCHES, replace=False), reverse=True):
        felt = 2 if rng.random() < settings.false_alarm else 1
        rows.insert(int(place), {**rows[place], "distance_mm": 0.0, "response": felt, "catch": 1})
    table = pd.DataFrame(rows)
    table.insert(0, "trial", table.groupby("run").cumcount() + 1)
    return table.assign(site=SITE, side=side, axis=axis)


def _run(rng: np.random.Generator, number: int, *, threshold: float, settings: TactileSettings) -> list[dict[str, Any]]:
    """One run; it stops when the answer changed for good, or at the end of the calliper."""
    ascending = number % 2 == 1
    start = STEP_MM * rng.integers(0, 3)
    distances = np.arange(NARROWEST_MM + start, WIDEST_MM + 1, STEP_MM)
    distances = distances if ascending else distances[::-1] - start
    rows: list[dict[str, Any]] = []
    changed = 2 if ascending else 1
    for distance in distances:
        rise = 1 / (1 + np.exp(-(distance - threshold) / settings.width_mm))
        felt = 2 if rng.random() < settings.false_alarm + (1 - settings.false_alarm - settings.lapse) * rise else 1
        rows.append(
            {
                "run": number,
                "direction": "asc" if ascending else "desc",
                "distance_mm": float(distance),
                "response": felt,
                "catch": 0,
            }
        )
        if [row["response"] for row in rows[-SAME_TO_STOP:]] == [changed] * SAME_TO_STOP:
            break
    return rows


# ----------------------------------------------------------------------------------- graphaesthesia and localisation


def unknown_figures(visit: Visit, side: str, settings: TactileSettings = SETTINGS) -> float:
    """Return the share of figures that are not recognised, lucky guesses or not."""
    return _trait(visit, f"figures {side}", settings.unknown_figures, low=0.02, high=0.9)


def graph_table(visit: Visit, settings: TactileSettings) -> pd.DataFrame:
    """Return the figures drawn on both sides and what was named; who does not know guesses."""
    import pandas as pd

    rows = []
    for side in SIDES:
        rng = visit.passing(f"tactile graph {side}")
        unknown = unknown_figures(visit, side, settings)
        for trial in range(1, FIGURES + 1):
            drawn = int(rng.integers(OPTIONS))
            named = int(rng.integers(OPTIONS)) if rng.random() < unknown else drawn
            rows.append(
                {"site": SITE, "side": side, "trial": trial, "stimulus": "ABCD"[drawn], "response": "ABCD"[named]}
            )
    return pd.DataFrame(rows)


def scatter_mm(visit: Visit, settings: TactileSettings = SETTINGS) -> float:
    """Return the scatter of localisation per axis."""
    return _trait(visit, "scatter", settings.scatter_mm, low=3.0, high=30.0)


def _bias(side: str, settings: TactileSettings) -> tuple[float, float]:
    """Mean error: outwards and downwards."""
    outwards, upwards = settings.bias_mm
    return (outwards if side == "R" else -outwards), upwards


def localisation_table(visit: Visit, settings: TactileSettings) -> pd.DataFrame:
    """Return touches on a grid of three by three fields on each side, and the points and fields that were named."""
    import pandas as pd

    tables = []
    fields = np.array([(x, y) for y in (1, 0, -1) for x in (-1, 0, 1)])
    for side in SIDES:
        rng = visit.passing(f"tactile loc {side}")
        centre = np.array([60.0 if side == "R" else -60.0, 0.0])
        touched = rng.permutation(np.repeat(np.arange(9), TOUCHES_PER_FIELD))
        actual = centre + FIELDS_MM * fields[touched]
        felt = actual + _bias(side, settings) + rng.normal(0, scatter_mm(visit, settings), actual.shape)
        nearest = np.argmin(np.linalg.norm(felt[:, None] - centre - FIELDS_MM * fields, axis=-1), axis=1)
        points = {
            f"{what}_{axis}_mm": np.round(values[:, place], 1)
            for what, values in (("actual", actual), ("perceived", felt))
            for place, axis in enumerate("xy")
        }
        named = {"actual_field": touched + 1, "perceived_field": nearest + 1}
        tables.append(
            pd.DataFrame({"site": SITE, "side": side, "trial": np.arange(1, len(touched) + 1), **points, **named})
        )
    return pd.concat(tables, ignore_index=True)


# -------------------------------------------------------------------------------------------- left/right judgement


def judging(visit: Visit, settings: TactileSettings = SETTINGS) -> tuple[float, float]:
    """Return the true share of right judgements, and the median time in ms."""
    accuracy = _trait(visit, "accuracy", settings.accuracy, low=0.6, high=0.99)
    return accuracy, _trait(visit, "time", settings.time_ms, low=700.0, high=4000.0)


def laterality_table(visit: Visit, settings: TactileSettings) -> pd.DataFrame:
    """Return the judgements of pictures of the trunk."""
    import pandas as pd

    rng = visit.passing("tactile laterality")
    accuracy, time = judging(visit, settings)
    shown = rng.permutation(np.repeat(["L", "R"], PICTURES // 2))
    right = rng.random(PICTURES) < accuracy
    other = np.where(shown == "L", "R", "L")
    times = time * np.exp(settings.log_time_sd * rng.standard_normal(PICTURES))
    return pd.DataFrame(
        {
            "trial": np.arange(1, PICTURES + 1),
            "body_part": "trunk",
            "stimulus_side": shown,
            "response": np.where(right, shown, other),
            "rt_ms": np.round(times),
        }
    )


Table = Callable[[Visit, TactileSettings], "pd.DataFrame"]
TASKS: Mapping[str, tuple[Table, Mapping[str, Any]]] = {
    "tpd": (two_point_table, {"MaximumDistance": WIDEST_MM, "MinimumDistance": NARROWEST_MM, "StepSize": STEP_MM}),
    "graph": (graph_table, {"NumberOfOptions": OPTIONS}),
    "loc": (localisation_table, {"NumberOfFields": 9}),
    "laterality": (laterality_table, {}),
}


def write_tactile_sidecars(root: Path, visit: Visit) -> None:
    """Write one sidecar per test at the root of the dataset: its fields, and what every column means."""
    for task, (table, about) in TASKS.items():
        known = columns(task)
        described = {str(name): _column(known[str(name)]) for name in table(visit, SETTINGS)}
        write_json(root / f"task-{task}_beh.json", {"TaskName": task, **about, **described})


def _column(contract: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"Description": contract["description"]}
    entry |= {"Units": contract["unit"]} if "unit" in contract else {}
    return entry | ({"Levels": contract["levels"]} if "levels" in contract else {})
