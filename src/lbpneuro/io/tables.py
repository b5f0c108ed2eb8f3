"""Marker tables: long and wide, per participant and for the cohort, with their data dictionary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.io.files import atomic, read_tsv
from lbpneuro.markers.descriptor import Estimate, Level, Marker

if TYPE_CHECKING:
    import pandas as pd

KEY_COLUMNS = ("participant_id", "session_id", "marker")
NUMBER_COLUMNS = ("value", "se", "ci_low", "ci_high", "n")
WIDE_PARTS = ("value", "se", "status", "reason")

LONG_NAME = "markers_long"
WIDE_NAME = "markers"

COLUMN_DICTIONARY: dict[str, str] = {
    "participant_id": "Participant.",
    "session_id": "Session; n/a in a study without sessions.",
    "marker": "Marker name; every marker is described in markers.json.",
    "value": "Value in the unit of the marker; empty values have a reason.",
    "unit": "Unit of value, se, ci_low and ci_high.",
    "se": "Standard error of the value.",
    "ci_low": "Lower limit of the 95 % interval.",
    "ci_high": "Upper limit of the 95 % interval.",
    "n": "Number of observations behind the value; what is counted is said in markers.json (NCounts).",
    "status": "ok, flag (value with a caveat), fail (data exist but allow no value) or missing (no data).",
    "reason": "Why the value is flagged or empty; several are joined by a semicolon, the gravest first.",
    "source": "Where the inputs came from.",
    "method": "How the value was computed.",
    "method_version": "Version of the definition of the marker.",
}


def long_columns(index_columns: Sequence[str]) -> list[str]:
    """Return the columns of the long table in their order."""
    before, after = ("value", "unit", "se", "ci_low", "ci_high", "n"), ("status", "reason", "source", "method")
    return [*KEY_COLUMNS, *index_columns, *before, *after, "method_version"]


def marker_rows(
    marker: Marker,
    estimates: Mapping[Level, Estimate],
    *,
    participant: str,
    session: str | None,
    source: str | None = None,
    method: str | Mapping[Level, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of one marker of one participant and session, one per level; ``method`` may differ by level."""
    fixed = {"participant_id": participant, "session_id": session, "marker": marker.name}
    return [
        {
            **fixed,
            "unit": marker.unit_at(level),
            **dict(zip(marker.index, level, strict=True)),
            **_numbers(estimate),
            "source": source,
            "method": method.get(level) if isinstance(method, Mapping) else method,
            "method_version": marker.version,
        }
        for level, estimate in estimates.items()
    ]


def _numbers(estimate: Estimate) -> dict[str, Any]:
    numbers = {column: getattr(estimate, column) for column in NUMBER_COLUMNS}
    return {**numbers, "status": str(estimate.status), "reason": ";".join(estimate.reasons) or None}


def empty_rows(
    markers: Iterable[Marker],
    *,
    participant: str,
    session: str | None,
    estimate: Estimate,
    config: Mapping[str, Any],
    source: str | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of ``markers`` that could not be computed, all with the same empty ``estimate``."""
    rows = []
    for marker in markers:
        levels = dict.fromkeys(marker.levels(config), estimate)
        rows += marker_rows(marker, levels, participant=participant, session=session, source=source)
    return rows


def long_table(rows: Sequence[Mapping[str, Any]], *, index_columns: Sequence[str]) -> pd.DataFrame:
    """Return rows as a table in the one column order, with numbers as float64."""
    import pandas as pd

    table = pd.DataFrame(list(rows), columns=long_columns(index_columns))
    return table.astype(dict.fromkeys(NUMBER_COLUMNS, "float64"))


def read_long(path: Path) -> pd.DataFrame:
    """Return a long marker table from TSV; numbers are float64, everything else text or missing.

    Raises
    ------
    InputError
        If the file is no marker table.
    """
    # a level that looks like a number (state 1) is text all the same
    table = read_tsv(path, dtype=defaultdict(lambda: str, dict.fromkeys(NUMBER_COLUMNS, float)))
    absent = [column for column in COLUMN_DICTIONARY if column not in table]
    if absent:
        raise InputError(f"{path}: expected a marker table, but the columns {', '.join(absent)} are absent.")
    return table.astype({column: "float64" if column in NUMBER_COLUMNS else object for column in table})


def wide_name(marker: str, levels: Iterable[str]) -> str:
    """Return the column of the wide table, e.g. ``gm_volume__dlpfc__L``."""
    return "__".join((marker, *levels))


def wide_table(table: pd.DataFrame, markers: Sequence[Marker]) -> pd.DataFrame:
    """Return one row per participant and session: per marker level the value, its ``__se``, ``__status``, ``__reason``.

    Order of rows and columns is that of the long ``table``; both hold the same numbers.
    """
    index = {marker.name: marker.index for marker in markers}
    filled = table.assign(
        **{column: table[column].fillna("n/a") for column in {name for each in index.values() for name in each}}
    )
    names = [
        wide_name(row["marker"], (row[column] for column in index[row["marker"]])) for row in filled.to_dict("records")
    ]
    keys = ["participant_id", "session_id"]
    filled = table.assign(column=names, session_id=table["session_id"].fillna("n/a"))
    wide = filled.pivot(index=keys, columns="column", values=list(WIDE_PARTS))
    order = [(part, name) for name in dict.fromkeys(names) for part in WIDE_PARTS]
    wide = wide[order]
    wide.columns = [name if part == "value" else f"{name}__{part}" for part, name in order]
    rows = filled[keys].drop_duplicates()
    wide = wide.loc[list(rows.itertuples(index=False, name=None))].reset_index()
    wide["session_id"] = wide["session_id"].where(wide["session_id"] != "n/a")
    numbers = [
        name for (part, _), name in zip(order, wide.columns[len(keys) :], strict=True) if part in ("value", "se")
    ]
    return wide.astype(dict.fromkeys(numbers, "float64"))


def marker_dictionary(marker: Marker) -> dict[str, Any]:
    """Return the entry of a marker in a BIDS data dictionary, derived from its descriptor alone."""
    low, high = marker.bounds
    entry = {
        "LongName": marker.long_name,
        "Description": marker.description,
        "Units": marker.units,
        "Family": marker.family,
        "Index": list(marker.index),
        "NCounts": marker.n_counts,
        "StandardError": marker.se_method,
        "ExpectedDirection": marker.directions,
        "DirectionSource": marker.direction_source,
        "Tier": marker.tiers,
        "Definition": marker.doi,
        "SourceStatus": str(marker.evidence),
        "FactSheet": marker.fact_sheet,
        "Minimum": low if low > float("-inf") else None,
        "Maximum": high if high < float("inf") else None,
        "MethodVersion": marker.version,
    }
    return {key: value for key, value in entry.items() if value not in (None, "", [])}


def data_dictionary(wide: pd.DataFrame, markers: Sequence[Marker]) -> dict[str, Any]:
    """Return the dictionary of every column of the wide table and of every column of the long one."""
    by_name = {marker.name: marker for marker in markers}
    columns = {}
    for column in wide:
        name, *levels = str(column).split("__")
        if name in by_name:
            columns[str(column)] = _column_entry(by_name[name], levels)
        else:
            columns[str(column)] = {"Description": COLUMN_DICTIONARY[name]}
    return columns


def _column_entry(marker: Marker, levels: list[str]) -> dict[str, Any]:
    part = levels[-1] if levels and levels[-1] in WIDE_PARTS else "value"
    where = ", ".join(f"{column} {level}" for column, level in zip(marker.index, levels, strict=False))
    level = tuple(each for each in levels if each not in WIDE_PARTS)
    if part == "value":
        at_level = {
            "Units": marker.unit_at(level),
            "ExpectedDirection": str(marker.direction_at(level)),
            "Tier": str(marker.tier_at(level)),
            "Level": where,
        }
        return {**marker_dictionary(marker), **(at_level if where else {})}
    entry: dict[str, Any] = {
        "LongName": f"{marker.long_name}{': ' + where if where else ''}, {part}",
        "Description": COLUMN_DICTIONARY[part],
    }
    if part == "se":
        entry["Units"] = marker.unit_at(level)
    if part == "status":
        entry["Levels"] = {str(status): "" for status in Status}
    return entry


def long_dictionary(markers: Sequence[Marker], index_columns: Sequence[str]) -> dict[str, Any]:
    """Return the dictionary of the long table: its columns, the closed lists, and every marker."""
    columns: dict[str, Any] = {name: {"Description": text} for name, text in COLUMN_DICTIONARY.items()}
    for name in index_columns:
        columns[name] = {"Description": "What the marker repeats over; n/a where it does not."}
    columns["status"]["Levels"] = [str(status) for status in Status]
    columns["reason"]["Levels"] = [str(reason) for reason in Reason]
    columns["marker"]["Levels"] = {marker.name: marker_dictionary(marker) for marker in markers}
    return columns


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write ``table`` as Parquet with text columns as strings; equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.float64() if name in NUMBER_COLUMNS else pa.string()) for name in table.columns],
    )
    arrow = pa.Table.from_pandas(table.astype(object).where(table.notna(), None), schema=schema, preserve_index=False)
    with atomic(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(None), temporary, compression="zstd")


def write_plain_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write any table as Parquet: text as strings, numbers as they are; equal tables give equal bytes."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        name: pa.from_numpy_dtype(column.dtype) if pd.api.types.is_numeric_dtype(column) else pa.string()
        for name, column in table.items()
    }
    text = table.astype({name: object for name, kind in types.items() if kind == pa.string()})
    arrow = pa.Table.from_pandas(
        text.where(text.notna(), None), schema=pa.schema(list(types.items())), preserve_index=False
    )
    with atomic(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(None), temporary, compression="zstd")


def read_cohort_table(out_dir: str | Path) -> pd.DataFrame:
    """Return the cohort's long table with closed lists as categories; see ``lbpneuro.load_markers``."""
    path = Path(out_dir) / f"{LONG_NAME}.tsv"
    if not path.is_file():
        raise InputError(
            f"{path}: there is no marker table; run `lbpneuro BIDS_DIR {out_dir} participant group` first."
        )
    table = read_long(path)
    text = [column for column in table if column not in (*NUMBER_COLUMNS, "reason")]
    return table.astype({**dict.fromkeys(text, "category"), "reason": "str"})


def participant_table(
    paths: Iterable[Path],
    markers: Sequence[Marker],
    *,
    index_columns: Sequence[str],
    config: Mapping[str, Any],
    participant: str,
    session: str | None,
    without: Collection[str] = (),
) -> pd.DataFrame:
    """Return the long table of one participant and session from the rows of the families at ``paths``.

    Rows are in the order of the registry; within a marker the order is kept. A marker that none of the files holds was
    not acquired if its family is one of ``without``; else the job of its family did not finish (step_failed).
    """
    import pandas as pd

    tables = [read_long(path) for path in paths]
    known = {name for table in tables for name in table["marker"]}
    who: dict[str, Any] = {"config": config, "participant": participant, "session": session}
    for reason, absent in ((Estimate.missing(Reason.NOT_ACQUIRED), True), (Estimate.fail(Reason.STEP_FAILED), False)):
        lost = [each for each in markers if each.name not in known and (each.family in without) is absent]
        rows = empty_rows(lost, estimate=reason, **who)
        tables += [long_table(rows, index_columns=index_columns)] if rows else []
    table = pd.concat([each for each in tables if len(each)], ignore_index=True)
    order = {marker.name: position for position, marker in enumerate(markers)}
    table = table.sort_values("marker", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    return table.reindex(columns=long_columns(index_columns))


def cohort_table(
    paths: Iterable[Path],
    plan: Mapping[str, Any],
    markers: Sequence[Marker],
    *,
    index_columns: Sequence[str],
    config: Mapping[str, Any],
) -> pd.DataFrame:
    """Return the long table of all participants and sessions of the ``plan``.

    A participant whose table is not among ``paths``, because a job of theirs did not finish, has a row for every
    marker with the reason step_failed.
    """
    import pandas as pd

    found = {path.name.removesuffix("_markers.tsv"): path for path in paths}
    tables = []
    for prefix, unit in plan["units"].items():
        if prefix in found:
            tables.append(read_long(found[prefix]))
            continue
        who = {"participant": unit["participant"], "session": unit["session"]}
        rows = empty_rows(markers, estimate=Estimate.fail(Reason.STEP_FAILED), config=config, **who)
        tables.append(long_table(rows, index_columns=index_columns))
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True).reindex(columns=long_columns(index_columns))
