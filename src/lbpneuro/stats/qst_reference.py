"""Norms of sensory tests from one's own controls, for z-scores that are labelled ``norm: internal``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.devices import devices_used
from lbpneuro.io.files import read_tsv, write_json, write_tsv
from lbpneuro.io.outcomes import with_bounds
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.qst_reference import COLUMNS
from lbpneuro.io.reference_cohort import age_and_sex
from lbpneuro.io.tables import LONG_NAME, read_long
from lbpneuro.kernels.censored import tobit
from lbpneuro.markers.qst_z import PARAMETERS, PINPRICK

if TYPE_CHECKING:
    import pandas as pd

LEAST_PEOPLE = 20
"""Fewer controls give a norm whose own error is as large as what it is to tell."""
MARKERS = {"ppt": "ppt", "cpt": "cpt", "tsp_wur": "wur"}
"""The parameter of each marker that has norms; ppt is a log already."""
TASKS = {"ppt": "ppt", "cpt": "cpt", "wur": "tsp"}
SEXES = {0.0: "F", 1.0: "M"}


def write_norms(out_dir: Path, path: Path, *, column: str, group: str) -> str:
    """Write norms from the people of a group, with their sidecar; return what they hold.

    Parameters
    ----------
    out_dir
        Output folder with ``markers_long.tsv``, ``participants.tsv`` and the sidecars of the sensory family.
    path
        The table to write, for the setting ``sensory.reference``.
    column, group
        The norm are the participants with this value in this column.

    Raises
    ------
    InputError
        If a table or the column is absent, the group was tested with different devices, or no parameter has 20 people.
    """
    participants = read_tsv(out_dir / "participants.tsv", dtype=str)
    if column not in participants:
        known = ", ".join(map(str, participants.columns))
        raise InputError(f"{out_dir / 'participants.tsv'}: there is no column {column}, but {known}.")
    people = participants.loc[participants[column] == group, "participant_id"].tolist()
    table = norms(
        read_long(out_dir / f"{LONG_NAME}.tsv"),
        participants,
        people=people,
        devices=_devices(out_dir, people),
        source=f"internal: {column} {group}",
    )
    write_tsv(path, table)
    write_json(
        path.with_suffix(".json"),
        {
            "Description": "Norms of sensory tests from a study's own controls.",
            "Cohort": {"column": column, "group": group, "people": len(people)},
            **{name: {"Description": text} for name, text in COLUMNS.items()},
            "SoftwareVersions": software_versions(),
        },
    )
    return f"{path}: {len(table)} norms of {table['n'].min()} to {table['n'].max()} people ({column} {group})."


def norms(
    rows: pd.DataFrame,
    participants: pd.DataFrame,
    *,
    people: Sequence[str],
    devices: Mapping[str, Mapping[str, Any]],
    source: str,
) -> pd.DataFrame:
    """Return norms (:data:`lbpneuro.io.qst_reference.COLUMNS`) of the first session of the people.

    Mean and SD on the scale of the parameter by maximum likelihood, in which a threshold beyond the limit of the device
    counts as what is known of it. Each sex has rows of its own if both have 20 people or more; age is not modelled.

    Raises
    ------
    InputError
        If no parameter and site has 20 people.
    """
    import pandas as pd

    known = _first_sessions(rows[rows["participant_id"].isin(list(people)) & rows["marker"].isin(list(MARKERS))])
    sexes = age_and_sex(participants.set_index("participant_id"))["male"].map(SEXES)
    found = []
    for (marker, site), values in _by_place(known):
        parameter = MARKERS[marker]
        bounds = _scaled(values, parameter)
        for sex, chosen in _strata(bounds, sexes):
            if fit := _fit(chosen):
                device = devices.get(TASKS[parameter], {})
                found.append({**_facts(parameter, site, sex, device), **fit, "source": source})
    if not found:
        raise InputError(
            f"Norms need {LEAST_PEOPLE} people with a sensory test; the group has {len(people)} people, of whom "
            f"{known.loc[known['value'].notna(), 'participant_id'].nunique()} have values."
        )
    return pd.DataFrame(found, columns=list(COLUMNS))


def _first_sessions(rows: pd.DataFrame) -> pd.DataFrame:
    sessions = rows["session_id"].fillna("").astype(str)
    return rows[sessions == sessions.groupby(rows["participant_id"]).transform("min")]


def _by_place(rows: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return the rows by marker and site; wind-up of pinpricks alone, at the site where it was tested."""
    pinprick = (rows["marker"] != "tsp_wur") | (rows["modality"] == PINPRICK)
    keyed = rows[pinprick].assign(site=rows["site"].fillna("n/a"))
    return [((str(marker), str(site)), group) for (marker, site), group in keyed.groupby(["marker", "site"])]


def _scaled(values: pd.DataFrame, parameter: str) -> pd.DataFrame:
    """Return bounds by participant on the scale of the norm; a ratio of 0 has no logarithm and is left out."""
    bounds = with_bounds(values).set_index("participant_id")[["low", "high"]].astype(float).dropna()
    if parameter == "ppt" or not PARAMETERS[parameter].log:
        return bounds
    positive = bounds[(bounds > 0).all(axis=1)]
    return positive.map(np.log10)


def _strata(bounds: pd.DataFrame, sexes: pd.Series) -> Iterable[tuple[str | None, pd.DataFrame]]:
    by_sex = {sex: bounds[sexes.reindex(bounds.index).eq(sex)] for sex in SEXES.values()}
    if all(len(each) >= LEAST_PEOPLE for each in by_sex.values()):
        return list(by_sex.items())
    return [(None, bounds)] if len(bounds) >= LEAST_PEOPLE else []


def _fit(bounds: pd.DataFrame) -> dict[str, float] | None:
    """Return mean, SD and number of people; None where too many values lie beyond a limit, or all are the same."""
    try:
        found = tobit(bounds["low"].to_numpy(), bounds["high"].to_numpy(), design=np.ones((len(bounds), 1)))
    except QualityError:
        return None
    return {"mean": float(found.coefficients[0]), "sd": found.sigma, "n": len(bounds)}


def _facts(parameter: str, site: str, sex: str | None, device: Mapping[str, Any]) -> dict[str, Any]:
    scale = "log10" if PARAMETERS[parameter].log else "none"
    known = {"device": device.get("model"), "probe_cm2": device.get("probe_cm2"), "rate": device.get("rate")}
    return {"parameter": parameter, "site": site, "sex": sex, "transform": scale, **known}


def _devices(out_dir: Path, people: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return with what the people were tested, by task; InputError if that is not the same for all."""
    found: dict[str, dict[str, Any]] = {}
    for test in devices_used(out_dir, people):
        if found.setdefault(test.task, test.device) != test.device:
            raise InputError(
                f"{test.sidecar}: task {test.task} was tested with {test.device}, others with {found[test.task]}; "
                "norms must be of one device. Choose people of one device by --column and --group."
            )
    return found
