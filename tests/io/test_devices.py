"""A change from one device to another is no change of a person."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lbpneuro.io.devices import devices_used, task_of, without_other_devices
from lbpneuro.io.files import write_json

SESSIONS = ("ses-base", "ses-after", "ses-late")
OLD, NEW = ({"model": name, "probe_cm2": 1.0, "rate": None} for name in ("old algometer", "new algometer"))


def sidecar(out: Path, who: str, session: str | None, **devices) -> None:
    prefix = "_".join(filter(None, (who, session)))
    path = out / who / (session or "") / "beh" / f"{prefix}_desc-sensory_markers.json"
    write_json(path, {"Devices": devices})


def values(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["participant_id", "session_id", "outcome"])


def left(table: pd.DataFrame, out: Path, **options) -> tuple[list[tuple[str, ...]], list[str]]:
    kept, said = without_other_devices(table, devices_used(out, ["sub-1", "sub-2"]), sessions=SESSIONS, **options)
    return [tuple(row) for row in kept.to_numpy()], said


def test_values_of_another_device_are_left_out_and_said(tmp_path: Path) -> None:
    sidecar(tmp_path, "sub-1", "ses-base", ppt=OLD, cpm=OLD)
    sidecar(tmp_path, "sub-1", "ses-after", ppt=NEW, cpm=OLD)
    sidecar(tmp_path, "sub-1", "ses-late", ppt=OLD)
    sidecar(tmp_path, "sub-2", "ses-after", ppt=NEW)
    sidecar(tmp_path, "sub-2", "ses-late", ppt=NEW)
    rows = [("sub-1", session, "ppt_remote") for session in SESSIONS]
    rows += [("sub-1", "ses-after", "cpm_inhibition__ppt__parallel"), ("sub-1", "ses-after", "rmdq")]
    rows += [("sub-1", "ses-after", "qst_z__ppt__hand"), ("sub-2", "ses-late", "ppt_remote")]
    kept, said = left(values(*rows), tmp_path)
    assert set(rows) - set(kept) == {("sub-1", "ses-after", "ppt_remote"), ("sub-1", "ses-after", "qst_z__ppt__hand")}
    assert len(said) == 1
    assert "sub-1, task ppt: model old algometer then new algometer (ses-base, ses-after)." in said[0]


def test_what_one_session_does_not_tell_is_no_difference(tmp_path: Path) -> None:
    sidecar(tmp_path, "sub-1", "ses-base", ppt={**OLD, "model": None})
    sidecar(tmp_path, "sub-1", "ses-after", ppt=OLD)
    sidecar(tmp_path, "sub-1", "ses-late", ppt={**OLD, "probe_cm2": 0.5})
    rows = [("sub-1", session, "ppt__hand") for session in SESSIONS]
    kept, said = left(values(*rows), tmp_path)
    assert kept == rows[:2]
    assert "probe_cm2 1.0 then 0.5" in said[0]


def test_sessions_that_are_not_compared_do_not_count(tmp_path: Path) -> None:
    sidecar(tmp_path, "sub-1", "ses-pilot", ppt=OLD)
    sidecar(tmp_path, "sub-1", "ses-base", ppt=NEW)
    sidecar(tmp_path, "sub-1", None, ppt=OLD)
    assert [test.session for test in devices_used(tmp_path, ["sub-1"])] == ["n/a", "ses-base", "ses-pilot"]
    kept, said = left(values(("sub-1", "ses-base", "ppt_local")), tmp_path)
    assert (len(kept), said) == (1, [])


def test_the_task_of_an_outcome() -> None:
    names = ["ppt", "ppt_widespread", "cpt__hand", "tsp_wur__heat", "cpm_pct__ppt__parallel", "qst_z__cpt__hand"]
    assert [task_of(name) for name in names] == ["ppt", "ppt", "cpt", "tsp", "cpm", "cpt"]
    assert [task_of(name) for name in ("tpd__L__vertical", "pain_nrs__now", "nrs.nrs_now")] == [None] * 3
