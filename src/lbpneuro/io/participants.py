"""participants.tsv: who is in the study, read forgivingly and written in BIDS form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv

if TYPE_CHECKING:
    import pandas as pd


def participants_table(bids_dir: Path, participants: Sequence[str]) -> pd.DataFrame:
    """Return one row per participant of the study with the columns of ``participants.tsv``; n/a where it has none.

    A participant listed twice with different values has none that could be trusted, so theirs become n/a; the
    problem is reported by `participants_problems`.
    """
    import pandas as pd

    listed = _listed(bids_dir).drop_duplicates()
    unique = listed[~listed["participant_id"].duplicated(keep=False)]
    return pd.DataFrame({"participant_id": list(participants)}).merge(unique, on="participant_id", how="left")


def _listed(bids_dir: Path) -> pd.DataFrame:
    import pandas as pd

    path = bids_dir / "participants.tsv"
    nobody = pd.DataFrame({"participant_id": pd.Series(dtype=str)})
    if not path.is_file() or not path.stat().st_size:
        return nobody
    table = read_tsv(path)
    return table.astype({"participant_id": str}) if "participant_id" in table else nobody


def participants_problems(bids_dir: Path, participants: Sequence[str]) -> list[str]:
    """Return what is wrong with participants.tsv, one sentence each, with file and row, and how to mend it."""
    path = bids_dir / "participants.tsv"
    if not path.is_file():
        return [f"{path}: there is no such file, so groups and covariates are n/a."]
    try:
        table = _listed(bids_dir)
    except InputError as error:
        return [str(error)]
    if table.empty:
        return [f"{path}: no participant is listed, so groups and covariates are n/a; one row each is expected."]
    problems = [
        f"{path}: {label} is listed in rows {', '.join(str(row + 2) for row in group.index)}; keep one row."
        for label, group in table.groupby("participant_id", sort=True)
        if len(group) > 1
    ]
    without = sorted(set(participants) - set(table["participant_id"]))
    if without:
        problems.append(f"{path}: {', '.join(without)} are not listed; their groups and covariates are n/a.")
    return problems
