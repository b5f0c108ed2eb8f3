"""The texts that come with the output dataset: dataset_description.json, README, .bidsignore, methods."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro import __version__
from lbpneuro.io.provenance import software_versions
from lbpneuro.markers.descriptor import Evidence, Marker

if TYPE_CHECKING:
    import pandas as pd

BIDS_VERSION = "1.11.1"
NOT_A_DIAGNOSIS = (
    "The values describe a person's measurements; none of them, alone or together, diagnoses low back pain or "
    "anything else in a person."
)

BIDSIGNORE = """\
*.html
*.parquet
/markers.*
/markers_long.*
/qcfc.*
/reliability*
/trial*
/compare_*
/plasticity_model*
*_markers.tsv
*_markers.json
*_meps.tsv
*_reflex.tsv
*_scores.tsv
*_thresholds.tsv
*_stimuli.tsv
*_ratings.tsv
*_meps.json
*_emg.tsv
*_emg.json
*_timeseries.*
*_states.*
*_relmat.*
*_boldmap.*
*_boldref.*
*_jacobian.*
*_xfm.*
*_anat.json
*_func.json
logs/
.lbpneuro.lock
figures/
"""

README = f"""\
Output of lbpneuro {__version__}: central-nervous-system markers of low back pain.

markers_long.tsv   one row per participant, session, marker and level (markers_long.json explains the columns)
markers.tsv        the same, one row per participant and session (markers.json explains the columns)
markers.parquet    the long table with types
reliability.tsv    agreement of sessions: ICC, SEM, smallest detectable change; reliability_changes.tsv: per person
qcfc.tsv           how far connectivity goes with head motion over people (qcfc.json explains the columns)
group.html         the cohort at a glance; sub-*.html, one page per participant
logs/CITATION.md   methods text of what ran, with versions and sources
logs/provenance.json   software versions, settings, and every input with its checksum

{NOT_A_DIAGNOSIS}
"""


def dataset_description(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return dataset_description.json of the output: what made it, from which datasets (paths relative to it)."""
    dataset = config["dataset"]
    out = Path(dataset["out_dir"])
    links = {"raw": dataset["bids_dir"], **dataset["derivatives"]}
    relative = {name: Path(os.path.relpath(path, out)).as_posix() for name, path in links.items()}
    return {
        "Name": "lbpneuro: markers of low back pain",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "n/a",
        "GeneratedBy": [{"Name": "lbpneuro", "Version": __version__}],
        "SourceDatasets": [{"URL": path} for path in relative.values()],
        "DatasetLinks": relative,
    }


def citation(
    tables: Sequence[pd.DataFrame],
    config: Mapping[str, Any],
    markers: Sequence[Marker],
    families: Mapping[str, str],
) -> str:
    """Return the methods text of what ran, in Markdown: numbers of people, methods, settings, versions, sources."""
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    sections = [_family_text(name, title, table, markers, config) for name, title in families.items()]
    versions = "; ".join(_with_reference(name, number) for name, number in software_versions().items())
    opening = (
        f"Markers were computed with lbpneuro {__version__} for {table['participant_id'].nunique()} participants "
        f"({_sessions(table)}). Every value has a standard error or interval, a status and, where it is empty, a "
        f"reason. {NOT_A_DIAGNOSIS}"
    )
    return "\n".join(
        [
            "# Methods",
            "",
            opening,
            "",
            *(line for section in sections for line in section),
            "## Software",
            "",
            f"{versions}.",
            "",
            "This text may be used freely (CC0).",
            "",
        ]
    )


REFERENCES = {
    "numpy": "10.1038/s41586-020-2649-2",
    "scipy": "10.1038/s41592-019-0686-2",
    "pandas": "10.25080/Majora-92bf1922-00a",
    "nibabel": "10.5281/zenodo.591597",
    "nilearn": "10.5281/zenodo.8397156",
    "mne": "10.3389/fnins.2013.00267",
    "antspyx": "10.1038/s41598-021-87564-6",
    "snakemake": "10.12688/f1000research.29032.2",
}
"""What the authors of the software ask to be cited."""


def _with_reference(name: str, number: str) -> str:
    return f"{name} {number}" + (f" (doi:{REFERENCES[name]})" if name in REFERENCES else "")


def _sessions(table: pd.DataFrame) -> str:
    sessions = table[["participant_id", "session_id"]].drop_duplicates()
    return f"{len(sessions)} participant-sessions"


def _family_text(
    name: str, title: str, table: pd.DataFrame, markers: Sequence[Marker], config: Mapping[str, Any]
) -> list[str]:
    members = [marker for marker in markers if marker.family == name]
    rows = table[table["marker"].isin([marker.name for marker in members])]
    with_value = rows.loc[rows["value"].notna(), "participant_id"].nunique()
    methods = sorted(rows["method"].dropna().unique())
    sources = sorted(rows["source"].dropna().unique())
    settings = ", ".join(f"{key} = {value}" for key, value in config[name].items() if key not in ("rois", "states"))
    lines = [f"## {title}", "", f"{with_value} participants have at least one value."]
    if methods:
        lines[-1] += f" Method: {'; '.join(methods)}. Input: {'; '.join(sources)}. Settings: {settings}."
    lines += ["", *(_marker_line(marker) for marker in members), ""]
    return lines


def _marker_line(marker: Marker) -> str:
    source = f" Source: {marker.doi}." if marker.doi not in ("", "n/a") else ""
    status = "" if marker.evidence is Evidence.VERIFIED else f" Status of the definition: {marker.evidence}."
    return f"- **{marker.long_name}** (`{marker.name}`, {marker.units}). {marker.description}{source}{status}"
