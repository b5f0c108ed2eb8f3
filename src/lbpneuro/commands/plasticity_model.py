"""``lbpneuro plasticity-model``: a mixed model of the single responses of everybody, a second estimator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbpneuro.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """\
reads the single responses that the analysis left (sub-*/**/*_desc-course_meps.tsv) and the polarity of the bouts beside
the rows of each person; sessions with sham bouts, and bouts of different polarity, are left out.
writes OUT_DIR/plasticity_model.tsv (a line per block: mean index, interval, spread between people) and
OUT_DIR/plasticity_model_people.tsv (a line per person and block: index, and the same drawn towards the group's mean).
An index that is drawn in is nearer to the truth on average; it is no longer independent of the others of the study.
"""


def main(argv: Sequence[str]) -> int:
    """Fit the model to the responses below an output folder, and write its tables."""
    parser = argparse.ArgumentParser(
        prog="lbpneuro plasticity-model",
        description="Mixed model of single responses: blocks within people.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out_dir", type=Path, help="output folder of an analysis")
    options = parser.parse_args(argv)
    from lbpneuro.io.files import write_json, write_tsv
    from lbpneuro.stats.plasticity_model import COLUMNS, PERSON_COLUMNS, fit

    blocks, people = fit(responses(options.out_dir))
    for name, table, columns in (("", blocks, COLUMNS), ("_people", people, PERSON_COLUMNS)):
        path = options.out_dir / f"plasticity_model{name}.tsv"
        write_json(path.with_suffix(".json"), {key: {"Description": text} for key, text in columns.items()})
        write_tsv(path, table)
    print(blocks.to_string(index=False, float_format="%.3f"))
    return 0


def responses(out_dir: Path) -> pd.DataFrame:
    """Return the single responses of all sessions: ``person``, ``block``, ``p2p_uv``, ``polarity`` (0: not used).

    Raises
    ------
    InputError
        If the folder has none.
    """
    import pandas as pd

    from lbpneuro.io.files import read_json, read_tsv

    parts = []
    for path in sorted(out_dir.glob("sub-*/**/*_desc-plasticity_markers.json")):
        sidecar = read_json(path)
        courses = [name for name in sidecar.get("Outputs", []) if name.endswith("_desc-course_meps.tsv")]
        polarity = sidecar.get("BoutPolarity", [])
        same = polarity[0] if len(set(polarity)) == 1 else 0
        person = path.name.removesuffix("_desc-plasticity_markers.json")
        parts += [read_tsv(out_dir / name).assign(person=person, polarity=same) for name in courses]
    if not parts:
        raise InputError(f"{out_dir}: no single responses of a plasticity run; analyse the participants first.")
    return pd.concat(parts, ignore_index=True)
