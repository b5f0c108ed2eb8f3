"""What the group page says of QC-FC: one line per analysis in words, and the edges that are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.report.visit import NO_SESSION
from lbpneuro.report.words import number

if TYPE_CHECKING:
    import pandas as pd

NAME = "qcfc.tsv"
MODEL_WORDS = {"cortical": "as analysed", "cortical_alternative": "other confound strategy"}
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One analysis in the words and digits of the page."""

    atlas: str
    model: str
    strategy: str
    covariates: str
    people: str
    median: str = ""
    chance: str = ""
    significant: str = ""
    distance: str = ""
    distance_chance: str = ""
    dimensions: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """The analyses of a study, what they mean, and their edges; empty without QC-FC."""

    lines: tuple[Line, ...] = ()
    meaning: str = ""
    path: Path | None = None
    session: str = NO_SESSION

    def edges(self) -> pd.DataFrame | None:
        """Return the edges of the analyses without covariates, None if there are none."""
        import pandas as pd

        path = self.path.with_name(f"{self.path.stem}_edges.parquet") if self.path else None
        table = pd.read_parquet(path) if path and path.is_file() else None
        return None if table is None or table.empty else table[table["covariates"].isna()]


def read_coupling(files: Iterable[Path]) -> Coupling:
    """Return QC-FC from its table, if it is among the files."""
    path = next((path for path in files if path.name == NAME), None)
    if path is None:
        return Coupling()
    table = read_tsv(path)
    lines = tuple(_line(row) for row in table.to_dict("records"))
    return Coupling(lines=lines, meaning=str(read_json(path.with_suffix(".json")).get("Meaning", "")), path=path)


def _line(row: Mapping[Any, Any]) -> Line:
    head = {
        "atlas": str(row["atlas"]),
        "model": MODEL_WORDS.get(str(row["model"]), str(row["model"])),
        "strategy": str(row["strategy"]),
        "covariates": _text(row["covariates"]).replace(";", ", ") or "none",
        "people": number(float(row["n_people"])),
    }
    if _text(row["note"]):
        return Line(**head, verdict=_text(row["note"]))
    return Line(
        **head,
        median=f"{_r(row['median_abs_r'])} ({_r(row['ci_low'])} to {_r(row['ci_high'])})",
        chance=f"{_r(row['null_median_abs_r'])} ({_r(row['null_low'])} to {_r(row['null_high'])})",
        significant=f"{100 * float(row['share_significant']):.1f} %",
        distance=_r(row["spearman_distance"]),
        distance_chance=f"{_r(row['spearman_null_low'])} to {_r(row['spearman_null_high'])}",
        dimensions=f"{number(round(float(row['residual_dimension'])))} of {number(round(float(row['volumes'])))}",
        verdict=verdict(row),
    )


def verdict(row: Mapping[Any, Any]) -> str:
    """Return what the numbers of one analysis allow to say."""
    people = int(row["n_people"])
    if row["median_abs_r"] > row["null_high"]:
        said = f"Connectivity goes with motion more than chance gives with {people} people."
    else:
        said = f"No more than chance gives with {people} people; a weak relation could not be seen."
    if row["p_distance"] < SIGNIFICANT and row["spearman_distance"] < 0:
        said += " Near nodes are affected more, as motion does."
    return said


def _r(value: float) -> str:
    return number(float(value), error=0.01)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
