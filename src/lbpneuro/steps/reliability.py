"""Step ``reliability``: the marker table of a study to ICC, SEM and smallest detectable change between sessions."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.tables import read_long
from lbpneuro.markers.descriptor import Tier
from lbpneuro.registry import MARKERS
from lbpneuro.stats.reliability import CHANGE_COLUMNS, COLUMNS, MEANING, reliability, sentence
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the agreement as ``--out`` and the change of every person beside it."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    agreement, changes = reliability(read_long(options.files[0]))
    beside = options.out.with_name(f"{options.out.stem}_changes.tsv")
    primary = [marker.name for marker in MARKERS if marker.tier is Tier.PRIMARY]
    for path, table, columns in ((options.out, agreement, COLUMNS), (beside, changes, CHANGE_COLUMNS)):
        write_tsv(path, table)
        dictionary = {name: {"Description": text} for name, text in columns.items()}
        about = {"Description": "Agreement of sessions, all markers.", "Meaning": MEANING, **dictionary}
        write_json(path.with_suffix(".json"), {**about, "SoftwareVersions": software_versions()})
    log.info("%s: %s", options.out.name, sentence(agreement, markers=primary))
    return 0
