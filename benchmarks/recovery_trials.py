"""How well planted effects of a trial are recovered.

``python -m benchmarks.recovery_trials [--n 2000] [--people 60] [--seed 1] [--null]``

Trials of two arms and two follow-ups are drawn, people who do badly at the first follow-up drop out before the
second, and both models are fitted. Printed are bias (with its Monte-Carlo error), the share of 95 % intervals that hold
the truth, and the mean standard error over the spread of the estimates. ``--null`` plants no effect: the share of
intervals without 0 is the rate of false positives.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from lbpneuro.simulate.trial import TrialModel, draw_trial
from lbpneuro.stats.effect_size import Intervals
from lbpneuro.stats.mixed import fit_mixed
from lbpneuro.stats.trial import adjusted_difference


def one(seed: int, *, people: int, model: TrialModel) -> list[dict[str, float]]:
    """Return the estimates at the second follow-up of one trial."""
    treated, values = draw_trial(np.random.default_rng(seed), people=people, model=model)
    arms, none = treated.astype(float)[:, np.newaxis], np.empty((people, 0))
    there = np.isfinite(values[:, 2])
    design = np.column_stack([np.ones(people), arms, values[:, 0]])[there]
    ancova = adjusted_difference(values[there, 2], design, np.array([0.0, 1, 0]), level=0.95)
    mixed = fit_mixed(values, arms=arms, covariates=none, level=0.95)
    return [
        {"estimator": "ancova", **ancova},
        *([{"estimator": "mixed", **mixed.at(0, 1)}] if not isinstance(mixed, str) else []),
    ]


def summary(table: pd.DataFrame, *, truth: float) -> pd.DataFrame:
    rows = []
    for name, each in table.groupby("estimator"):
        spread = each["value"].std(ddof=1)
        rows.append(
            {
                "estimator": name,
                "trials": len(each),
                "bias": each["value"].mean() - truth,
                "bias_se": spread / np.sqrt(len(each)),
                "coverage": ((each["ci_low"] <= truth) & (each["ci_high"] >= truth)).mean(),
                "se_over_sd": each["se"].mean() / spread,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--null", action="store_true")
    options = parser.parse_args()
    model = TrialModel(dropout=0.8, effect=(0, 0, 0) if options.null else TrialModel().effect)
    seeds = np.random.SeedSequence(options.seed).generate_state(options.n)
    rows = [row for seed in seeds for row in one(int(seed), people=options.people, model=model)]
    print(f"level {Intervals().level}, {options.people} people, effects {model.effect}")
    print(summary(pd.DataFrame(rows), truth=model.effect[2]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
