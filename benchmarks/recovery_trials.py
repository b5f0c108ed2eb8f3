"""How well planted effects of a trial are recovered.

``python -m benchmarks.recovery_trials [--n 2000] [--people 60] [--seed 1] [--null] [--slopes]``

Trials of two arms and two follow-ups are drawn, people who do badly at the first follow-up drop out before the
second, and all models are fitted. Printed are bias (with its Monte-Carlo error), the share of 95 % intervals that hold
the truth, and the mean standard error over the spread of the estimates. ``--null`` plants no effect: the share of
intervals without 0 is the rate of false positives. ``--slopes`` draws three follow-ups of people who change at paces of
their own, which a random intercept does not allow for, and a free covariance (MMRM) does.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from lbpneuro.simulate.trial import TrialModel, draw_trial
from lbpneuro.stats.effect_size import Intervals
from lbpneuro.stats.mixed import fit_mixed
from lbpneuro.stats.trial import adjusted_difference

MODELS = ("mixed", "mmrm")
SLOPES = TrialModel(
    mean=(6.0, 5.0, 4.5, 4.2),
    effect=(0.0, -1.0, -1.3, -1.5),
    sd_visit=(1.0, 1.0, 1.0, 1.0),
    sd_slope=0.8,
    dropout=0.8,
)


def one(seed: int, *, people: int, model: TrialModel) -> list[dict[str, float]]:
    """Return the estimates at the last follow-up of one trial."""
    treated, values = draw_trial(np.random.default_rng(seed), people=people, model=model)
    arms, none = treated.astype(float)[:, np.newaxis], np.empty((people, 0))
    last = values.shape[1] - 1
    there = np.isfinite(values[:, last])
    design = np.column_stack([np.ones(people), arms, values[:, 0]])[there]
    ancova = adjusted_difference(values[there, last], design, np.array([0.0, 1, 0]), level=0.95)
    models = {name: fit_mixed(values, arms=arms, covariates=none, level=0.95, free=name == "mmrm") for name in MODELS}
    return [
        {"estimator": "ancova", **ancova},
        *({"estimator": name, **each.at(0, last - 1)} for name, each in models.items() if not isinstance(each, str)),
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
    parser.add_argument("--slopes", action="store_true")
    options = parser.parse_args()
    model = SLOPES if options.slopes else TrialModel(dropout=0.8)
    model = replace(model, effect=(0,) * len(model.effect)) if options.null else model
    seeds = np.random.SeedSequence(options.seed).generate_state(options.n)
    rows = [row for seed in seeds for row in one(int(seed), people=options.people, model=model)]
    print(f"level {Intervals().level}, {options.people} people, effects {model.effect}")
    print(summary(pd.DataFrame(rows), truth=model.effect[-1]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
