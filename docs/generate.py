"""Write the pages that follow from the registry and the schema, so that they cannot drift from the code.

``python docs/generate.py`` writes them; ``--check`` exits 1 if one of them is not what it should be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import Reason, Status
from lbpneuro.io.catalogue import expected
from lbpneuro.io.config import read_config
from lbpneuro.io.files import read_json
from lbpneuro.io.muscles import VOCABULARY
from lbpneuro.io.recording_fields import RECORDING_FIELDS
from lbpneuro.io.resources import config_schema
from lbpneuro.io.trial_schemas import TASKS, alternatives, columns, required, schema, schema_path, sidecar_fields
from lbpneuro.io.vendor_emg import READERS, UNREADABLE
from lbpneuro.markers.connectivity import EDGE_MARKERS
from lbpneuro.markers.descriptor import Marker
from lbpneuro.markers.edges import EDGES, Parts
from lbpneuro.registry import FAMILIES, MARKERS

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Written by docs/generate.py; edit the code, not this page. -->"


DOI = re.compile(r"10\.\d{4,9}/[^\s;,)]*[^\s;,).:]")


def doi_link(source: str) -> str:
    """A source with every DOI in it as a link."""
    return DOI.sub(r"[\g<0>](https://doi.org/\g<0>)", source) or "n/a"


def marker_section(marker: Marker) -> Iterator[str]:
    yield from (f"### `{marker.name}`", "", f"**{marker.long_name}** ({marker.units}). {marker.description}", "")
    facts = {
        "Repeats over": ", ".join(marker.index),
        "Expected in low back pain": expected(marker)
        + (f" ({doi_link(marker.direction_source)})" if marker.direction_source else ""),
        "Tier": marker.tiers,
        "Definition": f"{doi_link(marker.doi)} ({marker.evidence})",
        "Standard error": marker.se_method,
        "n counts": marker.n_counts,
        "Fact sheet": marker.fact_sheet,
        "Version": marker.version,
    }
    yield from (f"- {name}: {text}" for name, text in facts.items() if text)
    yield ""


def ends(parts: Parts) -> str:
    """The regions of one end; `side` stands for the side of the marker."""
    return " + ".join(roi if hemi == "n/a" else f"{roi} ({hemi})" for roi, hemi in parts)


def connections_section(markers: Sequence[Marker]) -> Iterator[str]:
    """The connections as one table, since all but their ends and sources is the same."""
    first = markers[0]
    yield from ("### Connections", "", CONNECTIONS_INTRODUCTION, "")
    yield from (f"- Standard error: {first.se_method}", f"- n counts: {first.n_counts}", "")
    yield "| marker | seed | target | model | expected | tier | definition |"
    yield "|---|---|---|---|---|---|---|"
    edges = {f"{edge.name}_z": edge for edge in EDGES}
    for marker in markers:
        edge = edges[marker.name]
        name = f"`{marker.name}`" + (" (per hemi)" if marker.index else "")
        about = (name, ends(edge.seed), ends(edge.target), edge.model, expected(marker), str(marker.tier))
        yield f"| {' | '.join(about)} | {doi_link(marker.doi)} ({marker.evidence}) |"
    yield from ("", "Where the expected directions come from:", "")
    for source in dict.fromkeys(marker.direction_source for marker in markers):
        names = [f"`{marker.name}`" for marker in markers if marker.direction_source == source]
        yield f"- {', '.join(names)}: {source}"
    yield ""


def markers_page() -> str:
    lines = [NOTE, "", "# Markers", "", MARKERS_INTRODUCTION, ""]
    for family, title in FAMILIES.items():
        lines += [f"## {title}", ""]
        if family == "functional":
            lines += connections_section(EDGE_MARKERS)
        for marker in MARKERS:
            if marker.family == family and marker not in EDGE_MARKERS:
                lines += marker_section(marker)
    lines += ["## Status and reasons", "", "Status: " + ", ".join(f"`{status}`" for status in Status) + ".", ""]
    lines += ["Reasons, the gravest first: " + ", ".join(f"`{reason}`" for reason in Reason) + "."]
    return "\n".join(lines) + "\n"


MARKERS_INTRODUCTION = """\
Every marker has one row per participant, session and level in the table, whether it could be computed or not.
*Definition* says how far the source of the definition was verified: `verified` (read in the source), `unverified`
(recalled or second-hand, to be checked before it is quoted) or `design` (a choice of ours, no publication behind it).
*contested* means that published studies disagree about the direction. Nothing here diagnoses a person."""


CONNECTIONS_INTRODUCTION = """\
Fisher z of the correlation between the mean unsmoothed series of two regions (`config/rois.tsv`), after one projection
for confounds, drift, frequencies outside the band and censored volumes. The *model* names the confound strategy:
`functional.confounds.cortical` or `.brainstem`. *Side* means: of the hemisphere of the row. How to read such rows is
in [Reading connectivity](connectivity.md)."""


def settings_rows(schema: dict[str, Any], defaults: Any, path: str = "") -> Iterator[str]:
    for key, child in schema["properties"].items():
        name = f"{path}.{key}" if path else key
        if "properties" in child and key != "filters":
            yield from (f"| **`{name}`** | | {child['description']} | |",)
            yield from settings_rows(child, defaults[key], name)
        else:
            allowed = ", ".join(f"`{value}`" for value in child.get("enum", []))
            yield f"| `{name}` | `{defaults[key]}` | {child['description']} {allowed} | {child.get('evidence', '')} |"


def settings_page() -> str:
    head = "One row per key, with its default. *Evidence* says how far the source of a number was verified."
    table = ["| key | default | meaning | evidence |", "|---|---|---|---|"]
    rows = settings_rows(read_json(config_schema()), read_config())
    return "\n".join([NOTE, "", "# Settings", "", head, "", *table, *rows]) + "\n"


def trial_tables_page() -> str:
    lines = [NOTE, "", "# Trial tables", "", TRIAL_TABLES_INTRODUCTION, ""]
    for task in TASKS:
        whole = schema(task)
        lines += [f"## `task-{task}`: {whole['title'].lower()}", "", whole["description"], ""]
        lines += [f"Schema: `workflow/schemas/trials/{schema_path(task).name}`.", *demands(task), ""]
        lines += ["| column | needed | entries | meaning |", "|---|---|---|---|"]
        lines += [entry_row(name, entry, needed=name in required(task)) for name, entry in columns(task).items()]
        lines += [entry_row(name, entry, needed=False) for name, entry in numbered_columns(task).items()]
        needed = whole["properties"]["sidecar"].get("required", [])
        lines += ["", "| field of the sidecar | needed | entries | meaning |", "|---|---|---|---|"]
        lines += [entry_row(name, entry, needed=name in needed) for name, entry in sidecar_fields(task).items()]
        lines += [""]
    return "\n".join(lines)


def numbered_columns(task: str) -> dict[str, Any]:
    """The columns of a numbered series (r1, r2 ...) by a name that shows what they are called."""
    series = schema(task)["properties"]["trials"]["items"].get("patternProperties", {})
    return {re.sub(r"\W.*", "", name.lstrip("^")) + "1, r2 ...": entry for name, entry in series.items()}


def demands(task: str) -> Iterator[str]:
    """What a table must keep besides the entries of its columns."""
    whole = schema(task)
    yield f"No two rows may have the same {', '.join(f'`{name}`' for name in whole['unique'])}."
    if choices := alternatives(task):
        yield "It needs " + " or ".join(" with ".join(f"`{name}`" for name in each) for each in choices) + "."
    if order := whole.get("order"):
        within = ", ".join(f"`{name}`" for name in order["within"])
        yield f"Within each {within} no other `{order['column']}` may start before the last `{order['first']}`."


def entry_row(name: str, entry: dict[str, Any], *, needed: bool) -> str:
    """A row of the table of columns or fields."""
    if "levels" in entry:
        allowed = "; ".join(f"`{level}` {meaning}" for level, meaning in entry["levels"].items())
    elif "enum" in entry:
        allowed = ", ".join(f"`{level}`" for level in entry["enum"])
    else:
        allowed = entry_kind(entry)
    return f"| `{name}` | {'yes' if needed else ''} | {allowed} | {entry['description']} |"


def entry_kind(entry: dict[str, Any]) -> str:
    """The kind of an entry in words, with its unit and range."""
    kinds = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
    kind = {"string": "text", "integer": "whole number"}.get(kinds[0], kinds[0])
    low = [f"from {entry['minimum']:g}"] if "minimum" in entry else []
    above = [f"above {entry['exclusiveMinimum']:g}"] if "exclusiveMinimum" in entry else []
    high = [f"to {entry['maximum']:g}"] if "maximum" in entry else []
    unit = [f"({entry['unit']})"] if "unit" in entry else []
    scale = ["on the declared scale"] if entry.get("rating") else []
    return " ".join([kind, *unit, *scale, *low, *above, *high])


TRIAL_TABLES_INTRODUCTION = """\
The sensory and tactile tests are read from one table of trials per test:
`sub-X[/ses-Y]/beh/sub-X[_ses-Y]_task-<task>[_run-<n>]_beh.tsv`, tab separated, `n/a` where a value is missing, with a
JSON sidecar of the same name (or one for all, `task-<task>_beh.json` beside `dataset_description.json`). Every entry is
checked against the JSON schema of its task; what does not pass is refused with the file, the line (the header is line
1) and the column.

- Columns that are not listed here are passed over; one whose name is close to a listed one is refused as mistyped.
- The unit of `value` stands in the column `unit`, or in the sidecar: `"value": {"Units": "kPa"}`. It is never guessed.
- Ratings are brought to 0-100 by `RatingScaleMaximum`; a rating beyond the declared scale is refused.
- Several runs of a task are read together; their sidecars must agree.
- Spreadsheets of another form become such tables by `lbpneuro import-table`."""


def fields_table() -> str:
    """What each field of a recording is for, and what its absence costs, by file."""
    lines: list[str] = []
    for file in dict.fromkeys(field.file for field in RECORDING_FIELDS):
        lines += [f"### `{file}`", "", "| field | without it | cost | reason |", "|---|---|---|---|"]
        for field in (each for each in RECORDING_FIELDS if each.file == file):
            reason = f"`{field.reason}`" if field.reason else ""
            name = field.name if field.name == "the file" else f"`{field.name}`"
            lines.append(f"| {name}{' (1)' if field.bids else ''} | {field.without} | {field.cost} | {reason} |")
        lines.append("")
    return "\n".join([*lines, "(1) EMG-BIDS requires it all the same."])


def formats_table() -> str:
    """Which files `import-emg` reads, and what to do with others."""
    read = ", ".join(f"`{extension}`" for extension in READERS)
    rows = [f"Read are {read}. Of others:", "", "| file | instead |", "|---|---|"]
    instead: dict[str, list[str]] = {}
    for extension, advice in UNREADABLE.items():
        instead.setdefault(advice, []).append(f"`{extension}`")
    rows += [f"| {', '.join(names)} | {advice} |" for advice, names in instead.items()]
    return "\n".join([*rows, "| anything else | export it as EDF, `.mat` or text (Neurosoft: EDF or ASCII) |"])


def muscles_table() -> str:
    """The names of muscles, with what is read as the same."""
    rows = ["| name | read as the same |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {', '.join(others)} |" for name, others in VOCABULARY.items())])


PARTS = {"fields": fields_table, "formats": formats_table, "muscles": muscles_table}


def with_parts(path: Path) -> str:
    """A page written by hand, with the parts between `<!-- NAME: begin -->` and `<!-- NAME: end -->` from the code."""
    text = path.read_text(encoding="utf-8")
    for name, part in PARTS.items():
        start, end = f"<!-- {name}: begin, written by docs/generate.py -->", f"<!-- {name}: end -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = f"{before}{start}\n\n{part()}\n\n{end}{rest.partition(end)[2]}"
    return text


def recording_page() -> str:
    return with_parts(ROOT / "docs" / "recording-tms.md")


PAGES = {
    ROOT / "docs" / "recording-tms.md": recording_page,
    ROOT / "docs" / "trial-tables.md": trial_tables_page,
    ROOT / "docs" / "markers.md": markers_page,
    ROOT / "docs" / "settings.md": settings_page,
    ROOT / "config" / "README.md": settings_page,
}


def main(argv: list[str]) -> int:
    wrong = [path for path, page in PAGES.items() if not path.exists() or path.read_text(encoding="utf-8") != page()]
    if "--check" in argv:
        for path in wrong:
            print(f"{path.relative_to(ROOT)} is not what the code says; run: make docs")
        return int(bool(wrong))
    for path in wrong:
        path.write_text(PAGES[path](), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
