"""With what the sensory tests of everybody were done, from the sidecars of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io.files import read_json
from lbpneuro.io.index import entities
from lbpneuro.io.outcomes import ONE_SESSION

if TYPE_CHECKING:
    import pandas as pd

TASKS = {"ppt": "ppt", "cpt": "cpt", "tsp": "tsp", "cpm": "cpm", "wur": "tsp"}
"""The task of a marker or parameter, by the beginning of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One task of one person in one session: the device (model, probe_cm2, rate; None where not told), and where."""

    participant: str
    session: str
    task: str
    device: dict[str, Any]
    sidecar: Path

    def other(self, device: dict[str, Any]) -> list[str]:
        """Return what both tell and is not the same, in words."""
        pairs = {name: (device.get(name), value) for name, value in self.device.items()}
        return [
            f"{name} {was} then {now}" for name, (was, now) in pairs.items() if None not in (was, now) and was != now
        ]


def devices_used(out_dir: Path, people: Iterable[str]) -> list[Used]:
    """Return the sensory tests of people in the order of people, sessions and tasks."""
    return [
        Used(participant=participant, session=_session(sidecar), task=task, device=device, sidecar=sidecar)
        for participant in people
        for sidecar in sorted((out_dir / participant).glob("**/beh/*_desc-sensory_markers.json"))
        for task, device in read_json(sidecar).get("Devices", {}).items()
    ]


def _session(sidecar: Path) -> str:
    label = entities(sidecar).get("ses")
    return f"ses-{label}" if label else ONE_SESSION


def task_of(outcome: str) -> str | None:
    """Return the task of a column of the wide marker table; None if it is of no sensory test.

    >>> task_of("ppt_remote"), task_of("qst_z__wur__tested"), task_of("rmdq")
    ('ppt', 'tsp', None)
    """
    marker, *level = outcome.split("__")
    return TASKS.get(level[0] if marker == "qst_z" and level else marker.split("_")[0])


def without_other_devices(
    table: pd.DataFrame, tests: Sequence[Used], *, sessions: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return values without those of another device than the person's first, and in sentences what was left out.

    A change from one device to another is not one of the person.

    Parameters
    ----------
    table
        Values as `lbpneuro.io.outcomes.read_outcomes` returns them.
    tests
        With what everybody was tested.
    sessions
        In their order.
    """
    order = {session: place for place, session in enumerate(sessions)}
    first: dict[tuple[str, str], Used] = {}
    moved: dict[tuple[str, str, str], str] = {}
    known = [test for test in tests if test.session in order]
    for test in sorted(known, key=lambda test: order[test.session]):
        before = first.setdefault((test.participant, test.task), test)
        if differs := test.other(before.device):
            moved[test.participant, test.session, test.task] = (
                f"{test.participant}, task {test.task}: {'; '.join(differs)} ({before.session}, {test.session})"
            )
    tasks = table["outcome"].map(task_of)
    keys = list(zip(table["participant_id"], table["session_id"], tasks, strict=True))
    said = dict.fromkeys(moved[key] for key in keys if key in moved)
    return table[[key not in moved for key in keys]], [
        f"Left out, for a change between two devices is not one of the person: {each}." for each in said
    ]
