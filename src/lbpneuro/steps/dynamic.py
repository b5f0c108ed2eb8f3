"""Step ``dynamic``: cleaned series and reference states to the rows of the thalamocortical states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.dynamics import read_session, read_states, series_files, write_windows
from lbpneuro.io.files import read_json
from lbpneuro.markers.dynamic import scan_refusals
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = (
    "Correlation in sliding windows (a rectangle convolved with a Gaussian), Fisher z, nearest reference state; "
    "censored volumes weigh nothing"
)


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("dynamic", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the runs of the session with the reference states; write the state of every window.

    ``files`` are the rows of the connectivity step, and the reference states.
    """
    rows = next(path for path in files if path.name.endswith("_markers.tsv"))
    reference = next(path for path in files if path != rows)
    states = read_states(reference, config)
    series = series_files(rows, root=out.root)
    data = read_session(series, config, states=states)
    if states is not None and not scan_refusals(data):
        write_windows(out.file("func", "timeseries", ".tsv", desc="states"), data)
    sidecar = {"Series": [path.name for path in series], "StatesLearnedFrom": states.people if states else 0}
    # what the series were made from, not the folder they were written to
    source = read_json(rows.with_suffix(".json")).get("Source")
    return Measured(data=data, method=METHOD, source=source, sidecar=sidecar)
