"""``lbpneuro effect-size``: standardised differences from published numbers."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any

from lbpneuro.errors import InputError

EPILOG = """\
difference is always the first group minus the second. Name the treated group first and the control second.

what is printed
  d            difference / standard deviation within groups (Cohen)
  g            d times the exact small-sample factor J (Hedges); report this one
  glass_delta  difference / standard deviation of one group, by default the second (--glass)
  d_change     difference of the changes / standard deviation of the change      } with --baseline,
  dppc2        difference of the changes / standard deviation at baseline, times J } --baseline-sd and --r
d, d_change and dppc2 of one trial differ, and none is wrong: they are divided by different standard deviations. Say
which one you report, and never pool two kinds.

intervals
  noncentral_t  default. All population effects with which the observed one agrees; d and g estimate the same
                population effect and therefore share it.
  wald          value -/+ 1.96 standard errors; what many meta-analysis programs print.
The bootstrap needs data: lbpneuro trial --ci bootstrap.

examples
  lbpneuro effect-size --mean 1.66 3.86 --sd 2.00 2.35 --n 35 35
      follow-up of a trial: d -1.008, g -0.997 with [-1.503, -0.507] (summaries of Bemani 2023)
  lbpneuro effect-size --mean 1.66 3.86 --sd 2.00 2.35 --n 35 35 --baseline 5.03 5.03 --baseline-sd 0.92 0.95 --r 0.5
      the same with the baseline; r is the correlation of baseline and follow-up within groups, and must be known
  lbpneuro effect-size --difference -1.0 -1.5 -0.4 --n 138 138
      from an adjusted difference and its interval (RESOLVE, Bagg 2022)
  lbpneuro effect-size --events 20 10 --n 40 45
      people who got better: risk difference (Newcombe), risk ratio, number needed to treat
"""

LABELS = {
    "difference": "difference",
    "d": "Cohen's d",
    "g": "Hedges' g",
    "glass_delta": "Glass's delta",
    "d_change": "d of change",
    "dppc2": "dppc2 (Morris)",
    "d_implied": "d, implied",
    "risk_difference": "risk difference",
    "risk_ratio": "risk ratio",
    "number_needed": "number needed",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser; its help says what each number is."""
    made = argparse.ArgumentParser(
        prog="lbpneuro effect-size",
        description="Effect sizes of two groups with intervals, from what a paper prints.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pair: dict[str, Any] = {"type": float, "nargs": 2}
    what = made.add_argument_group("numbers (one of the three, always with --n)")
    what.add_argument("--mean", **pair, metavar=("M1", "M2"), help="means of the two groups, with --sd")
    what.add_argument("--difference", type=float, nargs=3, metavar=("MD", "LOW", "HIGH"), help="difference, interval")
    what.add_argument("--events", **pair, metavar=("E1", "E2"), help="how many got better in each group")
    what.add_argument("--sd", **pair, metavar=("SD1", "SD2"), help="standard deviations over people, not errors")
    what.add_argument("--n", **pair, metavar=("N1", "N2"), required=True, help="people in each group")
    before = made.add_argument_group("baseline, for effects of change (all three)")
    before.add_argument("--baseline", **pair, metavar=("B1", "B2"), help="means before treatment")
    before.add_argument("--baseline-sd", **pair, metavar=("SD1", "SD2"), help="standard deviations before treatment")
    before.add_argument("--r", type=float, metavar="R", help="correlation of baseline and follow-up within groups")
    how = made.add_argument_group("how")
    how.add_argument("--ci", choices=("noncentral_t", "wald"), default="noncentral_t", help="kind of interval")
    how.add_argument("--level", type=float, default=0.95, metavar="SHARE", help="of all intervals (default 0.95)")
    how.add_argument("--glass", choices=("first", "second"), default="second", help="whose SD (default second)")
    how.add_argument("--json", action="store_true", help="print JSON")
    return made


def main(argv: Sequence[str]) -> int:
    """Print the effect sizes of the numbers on the command line."""
    made = parser()
    options = made.parse_args(argv)
    given = [name for name in ("mean", "difference", "events") if getattr(options, name) is not None]
    if len(given) != 1:
        made.error("give one of --mean (with --sd), --difference and --events.")
    sizes = {"mean": _of_means, "difference": _of_difference, "events": _of_counts}[given[0]](options)
    if options.json:
        print(json.dumps(_content(sizes, options), indent=2, allow_nan=False))
    else:
        print(_text(sizes, options, method=given[0]))
    return 0


def _of_means(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    from lbpneuro.stats.effect_size import Baseline, Intervals, sizes_of_summaries

    if options.sd is None:
        raise InputError("--mean needs --sd SD1 SD2, the standard deviations over people (SE times the root of n).")
    before = (options.baseline, options.baseline_sd, options.r)
    if any(part is not None for part in before) and any(part is None for part in before):
        raise InputError(
            "effects of change need --baseline, --baseline-sd and --r together. If a paper does not give r, try 0, 0.5 "
            "and 0.8 and report the range; d and g of the follow-up do not need it."
        )
    return sizes_of_summaries(
        mean=options.mean,
        sd=options.sd,
        n=options.n,
        control=("first", "second").index(options.glass),
        baseline=Baseline(mean=before[0], sd=before[1], r=before[2]) if before[0] is not None else None,
        how=Intervals(method=options.ci, level=options.level),
    )


def _of_difference(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    from lbpneuro.stats.effect_size import sizes_of_difference

    value, low, high = options.difference
    return sizes_of_difference(value, interval=(low, high), n=options.n, level=options.level)


def _of_counts(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    from lbpneuro.stats.effect_size import sizes_of_counts

    return sizes_of_counts(options.events, n=options.n, level=options.level)


def _content(sizes: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return what the JSON holds; infinity is the text ``infinity``, for JSON has no such number."""
    rows = {name: {key: _json_number(value) for key, value in row.items()} for name, row in sizes.items()}
    given = ("mean", "sd", "n", "baseline", "baseline_sd", "r", "difference", "events")
    return {
        **rows,
        "definition": "first group minus second",
        "interval": {"method": options.ci, "level": options.level},
        "input": {name: getattr(options, name) for name in given if getattr(options, name) is not None},
    }


def _json_number(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "infinity" if value > 0 else "-infinity"


def _text(sizes: dict[str, dict[str, Any]], options: argparse.Namespace, *, method: str) -> str:
    lines = [f"first group minus second; {100 * options.level:g} % intervals", ""]
    for name, row in sizes.items():
        if name == "number_needed":
            lines.append(f"{LABELS[name]:<17}{row['text']}")
            continue
        interval = f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
        lines.append(f"{LABELS[name]:<17}{row['value']:>8.3f}  {interval:<20}{_about(row)}".rstrip())
    return "\n".join([*lines, "", NOTES[method if method != "mean" else options.ci]])


def _about(row: dict[str, Any]) -> str:
    """Return what a standardised difference was divided by."""
    if "standardiser" not in row:
        return ""
    factor = f", times J = {row['correction']:.5f}" if row["correction"] != 1 else ""
    return f"divided by {row['standardiser']:.3f}, {row['standardised_by']}{factor}"


NOTES = {
    "noncentral_t": "Intervals: Welch's for the difference; for the others those of the population effect by the "
    "noncentral t.",
    "wald": "Intervals: Welch's for the difference, normal (Wald) ones for the others.",
    "difference": "The standard deviation is what the interval implies, after any adjustment: an effect on raw "
    "standard deviations is\nusually smaller.",
    "events": "Intervals: Newcombe's for the difference, and from the same limits for the ratio; the number needed is "
    "the reciprocal of the\ndifference, and its interval passes through infinity where that of the difference holds 0.",
}
