"""Step: what makes the output a BIDS dataset, the methods text of what ran, and where results came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io.description import BIDSIGNORE, README, citation, dataset_description
from lbpneuro.io.files import read_json, write_json, write_text
from lbpneuro.io.meps import same_signals, trial_sidecars
from lbpneuro.io.plan import load_plan
from lbpneuro.io.provenance import study_provenance
from lbpneuro.io.tables import read_long
from lbpneuro.registry import FAMILIES, MARKERS
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write dataset_description.json, README, .bidsignore, logs/provenance.json, and the methods as ``--out``."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    out = Path(config["dataset"]["out_dir"])
    write_json(out / "dataset_description.json", dataset_description(config))
    write_text(out / ".bidsignore", BIDSIGNORE)
    write_text(out / "README", README)
    units = load_plan(config)["units"].values()
    twice = same_signals([path for unit in units for path in trial_sidecars(unit)])
    for names in twice:
        log.warning("The same signal under several names: %s. One of them is a copy.", ", ".join(names))
    provenance = {**study_provenance(config, units), **({"SameSignal": twice} if twice else {})}
    write_json(options.out.with_name("provenance.json"), provenance)
    tables = [read_long(path) for path in options.files]
    write_text(options.out, citation(tables, config, MARKERS, FAMILIES))
    return 0
