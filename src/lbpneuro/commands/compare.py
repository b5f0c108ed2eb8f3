"""``lbpneuro compare``: groups of a study at one time, values beyond a limit included."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """\
FOLDER is the output of lbpneuro, or a BIDS dataset with phenotype/ tables. Outcomes are named as in lbpneuro trial; by
default all markers of which someone's value lies beyond a limit (reason censored_at_limit) are compared.

Per group: mean and median. Against the reference: difference, Hedges' g, and the chance that someone of the group has
the larger value. Where values lie beyond a limit, means and differences come from a likelihood (Tobit), medians from
Kaplan-Meier, and no mean is ever taken over a limit.

examples
  lbpneuro compare study/out --by group --reference control
  lbpneuro compare study/out --by group --reference control --outcome ppt_remote --covariate age sex
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(
        prog="lbpneuro compare",
        description="Compare groups of a study, with what is known of values beyond a limit.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("folder", type=Path, metavar="FOLDER", help="output of lbpneuro, or a BIDS dataset")
    add("--by", required=True, metavar="COLUMN", help="column of participants.tsv with the group")
    add("--reference", required=True, metavar="LEVEL", help="group that the others are compared with")
    add("--outcome", nargs="+", default=[], metavar="NAME", help="what is compared")
    add("--covariate", nargs="+", default=[], metavar="COLUMN", help="of participants.tsv, adjusted for")
    add("--level", type=float, default=0.95, metavar="SHARE", help="of all intervals (default 0.95)")
    return made


def main(argv: Sequence[str]) -> int:
    """Compare groups, write the table, and print it."""
    options = parser().parse_args(argv)
    from lbpneuro.stats.compare_files import run_compare

    table, path = run_compare(
        options.folder,
        by=options.by,
        reference=options.reference,
        names=options.outcome,
        covariates=options.covariate,
        level=options.level,
    )
    print(_text(table))
    print(f"\n  {path}")
    return 0


def _text(table: pd.DataFrame) -> str:
    lines = [f"{'outcome':<30}{'session':<12}{'group':<16}{'':<21}{'value':>10}  {'interval or p':<22}beyond a limit"]
    for row in table.to_dict("records"):
        known = row["value"] == row["value"] and row["value"] is not None
        what = f"{row['value']:>10.3f}  {_interval(row):<22}{row['n_censored']:g}" if known else f"{'n/a':>10}  "
        note = f"  {row['note']}" if isinstance(row["note"], str) else ""
        who = f"{row['outcome']:<30}{row['session']:<12}{row['group']:<16}{row['estimator']:<21}"
        lines.append(f"{who}{what}{note}")
    return "\n".join(lines)


def _interval(row: dict[Hashable, Any]) -> str:
    known = row["ci_low"] == row["ci_low"]
    return f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]" if known else f"p {row['p']:.4f}"
