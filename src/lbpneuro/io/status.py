"""What became of every participant and family: done, failed with its reason, or missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.files import read_json
from lbpneuro.io.tables import read_long
from lbpneuro.markers.descriptor import Marker

if TYPE_CHECKING:
    import pandas as pd

BROKEN = (Reason.INVALID_INPUT, Reason.FILE_MISSING, Reason.STEP_FAILED)
"""Reasons that mean something went wrong, as against data that were looked at and found wanting."""


def study_status(out_dir: Path, markers: Sequence[Marker]) -> pd.DataFrame:
    """Return one row per participant, session and family: state, reasons and message.

    ``state`` is done, flagged, rejected (a quality gate forbids all values), failed, missing (not acquired) or
    unfinished (no result yet).

    Raises
    ------
    InputError
        If ``out_dir`` was not written by lbpneuro.
    """
    import pandas as pd

    rows = []
    for unit in study_plan(out_dir)["units"].values():
        path = out_dir / unit["folder"] / f"{unit['prefix']}_markers.tsv"
        table = read_long(path) if path.is_file() else None
        for family in dict.fromkeys(marker.family for marker in markers):
            names = [marker.name for marker in markers if marker.family == family]
            own = table[table["marker"].isin(names)] if table is not None else None
            state = _state(own)
            cut_off = state["state"] == "unfinished" or str(Reason.STEP_FAILED) in state["reason"].split(";")
            message = _where_to_look(out_dir, unit, family) if cut_off else _message(out_dir, unit, family)
            rows.append({**_who(unit), "family": family, **state, "message": message})
    return pd.DataFrame(rows)


def study_plan(out_dir: Path) -> dict[str, Any]:
    """Return the plan of the study whose output is ``out_dir``."""
    path = out_dir / "logs" / "plan.json"
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, so {out_dir} is not (yet) an output of lbpneuro.")
    return read_json(path)


def _who(unit: dict[str, Any]) -> dict[str, Any]:
    return {"participant_id": unit["participant"], "session_id": unit["session"]}


def _state(rows: pd.DataFrame | None) -> dict[str, str]:
    if rows is None or rows.empty:
        return {"state": "unfinished", "reason": ""}
    reasons = sorted({reason for cell in rows["reason"].dropna() for reason in cell.split(";")}, key=_gravity)
    return {"state": _summary(rows, reasons), "reason": ";".join(reasons)}


def _gravity(reason: str) -> int:
    return list(Reason).index(Reason(reason))


def _summary(rows: pd.DataFrame, reasons: Sequence[str]) -> str:
    if (rows["status"] == "missing").all():
        return "missing"
    if set(reasons) & set(BROKEN):
        return "failed"
    if rows["value"].isna().all():
        return "rejected"
    return "flagged" if reasons else "done"


def _message(out_dir: Path, unit: dict[str, Any], family: str) -> str:
    """What the step said of its input."""
    found = sorted((out_dir / unit["folder"]).glob(f"*/{unit['prefix']}_desc-{family}_markers.json"))
    return read_json(found[0]).get("Error", {}).get("message", "") if found else ""


def _where_to_look(out_dir: Path, unit: dict[str, Any], family: str) -> str:
    """The log of a job that did not finish, or the folder of those before it."""
    logs = Path("logs") / unit["folder"]
    own = logs / f"{unit['prefix']}_{family}.log"
    return f"its job did not finish; see {own if (out_dir / own).is_file() else logs}"


def status_text(table: pd.DataFrame, form: str) -> str:
    """Return the status as text (for reading), tsv or json (for programs)."""
    if form == "json":
        return f"{table.to_json(orient='records', indent=2)}\n"
    if form == "tsv":
        return str(table.to_csv(sep="\t", index=False, na_rep="n/a"))
    lines = [f"{count:5d} {state}" for state, count in table["state"].value_counts().items()]
    for row in table[table["state"] != "done"].to_dict("records"):
        who = row["participant_id"] + (f" {row['session_id']}" if row["session_id"] else "")
        lines.append(f"{who:<20} {row['family']:<11} {row['state']:<10} {row['reason']} {row['message']}".rstrip())
    return "\n".join(lines) + "\n"
