"""``lbpneuro trial``: arms of a trial compared, from the marker table or from questionnaires."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """\
FOLDER is the output of lbpneuro (markers_long.tsv, participants.tsv) or a BIDS dataset with phenotype/ tables. The
arm is a column of participants.tsv; sessions are the times of measurement, and the first is the baseline.

outcomes (--outcome) are
  a column of markers.tsv     gm_volume__dlpfc__L
  a marker, all its levels    pain_nrs
  a questionnaire's column    nrs.nrs_7d_average      (phenotype/nrs.tsv, column nrs_7d_average)

written to FOLDER
  trial.tsv         arm minus control per outcome and follow-up: adjusted difference (baseline, covariates, HC3), mixed
                    model (time x arm), Cohen's d, Hedges' g, Glass's delta, d of change, dppc2, responders
  trial_arms.tsv    every arm at every session: n, mean, SD, change, responders, reliable change
  trial_people.tsv  every person: change, reliable change index, responder
and the section "Trial" of group.html, if that page is there.

A plan (--plan) is a YAML file with the same settings, and rules for improvement per outcome:
  arm: arm
  control: usual_care
  sessions: [baseline, week18, week52]
  covariates: [age, sex]
  outcomes:
    nrs.nrs_7d_average: {better: lower, mic: 2, mic_share: 0.3, reliability: 0.8, recovered: 0}

example
  lbpneuro trial study/out --arm arm --control usual_care --outcome pain_nrs__7d_average rmdq --covariate age sex
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(
        prog="lbpneuro trial",
        description="Compare the arms of a trial over its sessions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("folder", type=Path, metavar="FOLDER", help="output of lbpneuro, or a BIDS dataset")
    add("--plan", type=Path, metavar="YAML", help="analysis plan; options count more than it")
    add("--arm", metavar="COLUMN", help="column of participants.tsv with the arm")
    add("--control", metavar="LEVEL", help="arm that the others are compared with")
    add("--outcome", nargs="+", metavar="NAME", help="what is compared")
    add("--better", nargs="+", default=[], metavar="NAME=lower|higher", help="which way an outcome improves")
    add("--sessions", nargs="+", metavar="LABEL", help="in their order, the baseline first (default: by their number)")
    add("--covariate", nargs="+", metavar="COLUMN", help="of participants.tsv, adjusted for besides the baseline")
    add("--ci", choices=("noncentral_t", "wald", "bootstrap"), help="of effect sizes (default noncentral_t)")
    add("--level", type=float, metavar="SHARE", help="of all intervals (default 0.95)")
    add("--seed", type=int, metavar="N", help="of the bootstrap (default 1)")
    return made


def main(argv: Sequence[str]) -> int:
    """Analyse a trial, write its tables, bring the page up to date, and print what was found."""
    options = parser().parse_args(argv)
    from lbpneuro.io.trial_plan import read_trial_plan
    from lbpneuro.stats.trial_files import run_trial

    plan = read_trial_plan(options.plan, _given(options))
    _add_directions(plan["outcomes"], options.better)
    result, said = run_trial(options.folder, plan)
    print("\n".join([*said, "", _text(result.comparisons), ""]))
    for name in ("trial.tsv", "trial_arms.tsv", "trial_people.tsv", *_page(options.folder)):
        print(f"  {options.folder / name}")
    return 0


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "arm": options.arm,
        "control": options.control,
        "outcomes": {name: {} for name in options.outcome or []},
        "sessions": options.sessions,
        "covariates": options.covariate,
        "interval": options.ci,
        "level": options.level,
        "seed": options.seed,
    }


def _add_directions(outcomes: dict[str, dict[str, Any]], pairs: Sequence[str]) -> None:
    for pair in pairs:
        name, _, way = pair.partition("=")
        if way not in ("lower", "higher") or name not in outcomes:
            raise ConfigError(f"--better {pair}: expected NAME=lower or NAME=higher with the name of an outcome.")
        outcomes[name]["better"] = way


def _text(table: pd.DataFrame) -> str:
    """Return the adjusted differences and Hedges' g for reading; the rest is in the table."""
    shown = table[table["estimator"].isin(("ancova", "ancova_tobit", "mixed", "mmrm", "g"))]
    lines = [f"{'outcome':<28}{'session':<14}{'arm':<16}{'':<14}{'value':>9}  interval"]
    for row in shown.to_dict("records"):
        known = row["value"] is not None and row["value"] == row["value"]
        what = f"{row['value']:>9.3f}  [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" if known else f"{'n/a':>9}"
        note = f"  {row['note']}" if isinstance(row["note"], str) else ""
        lines.append(f"{row['outcome']:<28}{row['session']:<14}{row['arm']:<16}{row['estimator']:<14}{what}{note}")
    return "\n".join(lines)


def _page(folder: Path) -> list[str]:
    """Write the page of the study again, with the trial, if there is one; return its name."""
    page = folder / "group.html"
    if not page.is_file():
        return []
    from lbpneuro.report.render import write_group_page
    from lbpneuro.report.study import read_study

    files = [path for name in ("markers_long.tsv", "qcfc.tsv") if (path := folder / name).is_file()]
    write_group_page(page, read_study(files, group_column="group"))
    return [page.name]
