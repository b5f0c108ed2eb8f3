"""Analysis of a trial: other programs, planted effects, responders by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import optimize

from lbpneuro.errors import InputError
from lbpneuro.io.outcomes import Outcome
from lbpneuro.simulate.trial import TrialModel, draw_trial
from lbpneuro.stats.effect_size import Intervals
from lbpneuro.stats.mixed import fit_mixed, robust_covariance
from lbpneuro.stats.trial import Result, adjusted_difference, analyse, favours, intention_to_treat
from lbpneuro.stats.trial_design import Design, Rules
from lbpneuro.stats.trial_rules import outcome_rules

SESSIONS = ("ses-1", "ses-2", "ses-3")
PAIN = Outcome(name="pain", label="Pain", unit="1", better="lower")
NOBODY = np.empty((0, 0))


def design(treated: np.ndarray, *, covariates: dict | None = None, sessions=SESSIONS, **more) -> Design:
    who = [f"sub-{number:03d}" for number in range(len(treated))]
    arms = pd.Series(np.where(treated, "new", "usual"), index=who)
    table = pd.DataFrame(covariates or {}, index=who)
    return Design(arms=arms, control="usual", sessions=sessions, covariates=table, **more)


def long(values: np.ndarray, plan: Design, *, low=None, high=None, outcome: str = "pain") -> pd.DataFrame:
    parts = {"value": values, "low": values if low is None else low, "high": values if high is None else high}
    index = pd.MultiIndex.from_product([plan.arms.index, plan.sessions], names=["participant_id", "session_id"])
    table = pd.DataFrame({name: part.ravel() for name, part in parts.items()}, index=index).reset_index()
    return table[table["low"].notna()].assign(outcome=outcome)


def analysed(values: np.ndarray, plan: Design, *, rules: Rules | None = None, **bounds) -> Result:
    given = {"pain": rules} if rules else {}
    return analyse(long(values, plan, **bounds), [PAIN], design=plan, rules=given)


def row(result: Result, estimator: str, session: str = "ses-3", arm: str = "new") -> pd.Series:
    table = result.comparisons
    found = table[(table["estimator"] == estimator) & (table["session"] == session) & (table["arm"] == arm)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture
def trial() -> tuple[Design, np.ndarray]:
    rng = np.random.default_rng(3)
    treated, values = draw_trial(rng, people=70, model=TrialModel(dropout=0.6))
    values[3, 0] = np.nan
    return design(treated, covariates={"age": rng.normal(45, 10, 70)}), values


def frame(plan: Design, values: np.ndarray) -> pd.DataFrame:
    wide = pd.DataFrame(values, columns=["before", "mid", "end"], index=plan.arms.index)
    return wide.assign(new=(plan.arms == "new").astype(float), age=plan.covariates["age"], who=np.arange(len(wide)))


def test_adjusted_difference_is_that_of_statsmodels(trial) -> None:
    plan, values = trial
    found = row(analysed(values, plan), "ancova")
    fit = smf.ols("end ~ new + before + age", frame(plan, values)).fit(cov_type="HC3", use_t=True)
    assert found["value"] == pytest.approx(fit.params["new"])
    assert found["se"] == pytest.approx(fit.bse["new"])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(fit.conf_int().loc["new"]))
    assert found["p"] == pytest.approx(fit.pvalues["new"])
    assert found["n_arm"] + found["n_control"] == fit.nobs


def test_mixed_model_is_that_of_statsmodels(trial) -> None:
    plan, values = trial
    table = frame(plan, values).melt(["before", "new", "age", "who"], ["mid", "end"], var_name="time", value_name="y")
    table = table.dropna()
    formula = "y ~ 0 + C(time) + C(time):new + C(time):before + age"
    fit = smf.mixedlm(formula, table, groups=table["who"]).fit(reml=True)
    result = analysed(values, plan)
    for session, name in (("ses-2", "mid"), ("ses-3", "end")):
        found = row(result, "mixed", session)
        assert found["value"] == pytest.approx(fit.params[f"C(time)[{name}]:new"], rel=1e-4)
        assert found["se"] == pytest.approx(fit.bse[f"C(time)[{name}]:new"], rel=0.25), "robust beside model-based"
    average = row(result, "mixed_average", "all")
    both = [row(result, "mixed", session)["value"] for session in ("ses-2", "ses-3")]
    assert average["value"] == pytest.approx(np.mean(both))
    assert 0 < row(result, "time_by_arm", "all")["p"] < 1


def test_robust_errors_of_people_with_one_value_are_hc3() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(30), rng.normal(size=30)])
    y = rng.normal(size=30) * (1 + np.abs(x[:, 1]))
    fit = smf.ols("y ~ x", pd.DataFrame({"y": y, "x": x[:, 1]})).fit(cov_type="HC3")
    found = robust_covariance(fit.resid, x, np.arange(30), np.zeros(30, dtype=int), variance=np.array([[5.0]]))
    assert found == pytest.approx(fit.cov_params().to_numpy())


def test_robust_errors_by_the_formula_written_out() -> None:
    rng = np.random.default_rng(7)
    person = np.repeat(np.arange(12), [1, 2, 3] * 4)
    x, residuals = np.column_stack([np.ones(24), rng.normal(size=24)]), rng.normal(size=24)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    inverse = {n: np.linalg.inv(1.5 * np.eye(n) + 0.8 * np.ones((n, n))) for n in (1, 2, 3)}
    parts = [(x[person == who], residuals[person == who]) for who in range(12)]
    for own, _ in parts:
        bread += own.T @ inverse[len(own)] @ own
    bread = np.linalg.inv(bread)
    for own, left in parts:
        v = inverse[len(own)]
        apart = np.linalg.inv(np.eye(len(own)) - own @ bread @ own.T @ v)
        score = own.T @ v @ apart @ left
        meat += np.outer(score, score)
    time = np.concatenate([np.arange(n) for n in [1, 2, 3] * 4])
    found = robust_covariance(residuals, x, person, time, variance=1.5 * np.eye(3) + 0.8)
    assert found == pytest.approx(bread @ meat @ bread)


def test_order_of_the_errors_of_a_person_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(20), 2)
    x, residuals = np.column_stack([np.ones(40), rng.normal(size=40)]), rng.normal(size=40)
    order = rng.permutation(40)
    time, variance = np.tile([0, 1], 20), np.array([[3.0, 2.0], [2.0, 4.0]])
    first = robust_covariance(residuals, x, person, time, variance=variance)
    again = robust_covariance(residuals[order], x[order], person[order], time[order], variance=variance)
    assert again == pytest.approx(first)


def test_a_free_covariance_of_complete_data_is_least_squares_at_each_time() -> None:
    """All follow-ups have the same regressors: whatever their covariance, the differences are those of each alone."""
    treated, values = draw_trial(np.random.default_rng(12), people=40, model=TrialModel(sd_slope=0.7))
    mixed = fit_mixed(values, arms=treated[:, None].astype(float), covariates=np.empty((40, 0)), level=0.95, free=True)
    columns = np.column_stack([np.ones(40), treated, values[:, 0]])
    for follow in (0, 1):
        own = adjusted_difference(values[:, 1 + follow], columns, np.array([0.0, 1, 0]), level=0.95)
        found = mixed.at(0, follow)
        assert [found["value"], found["se"]] == pytest.approx([own["value"], own["se"]], rel=1e-6)


def test_a_free_covariance_with_dropout_is_the_largest_restricted_likelihood() -> None:
    """Beside a general optimiser over all covariances, their Cholesky factor spelled out."""
    model = TrialModel(dropout=0.8, sd_slope=0.7)
    treated, values = draw_trial(np.random.default_rng(13), people=50, model=model)
    follow, centred = values[:, 1:], values[:, 0] - values[:, 0].mean()
    people = [(np.flatnonzero(np.isfinite(row)), row[np.isfinite(row)]) for row in follow]
    columns = [np.kron(np.eye(2)[at], [1.0, treated[i], centred[i]]) for i, (at, _) in enumerate(people)]

    def fitted(factor):
        root = np.array([[np.exp(factor[0]), 0], [factor[1], np.exp(factor[2])]])
        v = [(root @ root.T)[np.ix_(at, at)] for at, _ in people]
        information = sum(x.T @ np.linalg.solve(w, x) for x, w in zip(columns, v, strict=True))
        weighted = sum(x.T @ np.linalg.solve(w, y) for x, w, (_, y) in zip(columns, v, people, strict=True))
        beta = np.linalg.solve(information, weighted)
        left = [y - x @ beta for x, (_, y) in zip(columns, people, strict=True)]
        height = sum(np.linalg.slogdet(w)[1] + r @ np.linalg.solve(w, r) for w, r in zip(v, left, strict=True))
        return height + np.linalg.slogdet(information)[1], beta

    best = optimize.minimize(lambda factor: fitted(factor)[0], [0.3, 0.5, 0.3], method="Nelder-Mead",
                             options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000})  # fmt: skip
    beta = fitted(best.x)[1]
    mixed = fit_mixed(values, arms=treated[:, None].astype(float), covariates=np.empty((50, 0)), level=0.95, free=True)
    assert mixed.effects.ravel() == pytest.approx([beta[1], beta[4]], abs=2e-4)


def test_one_follow_up_needs_no_mixed_model(trial) -> None:
    plan, values = trial
    short = replace(plan, sessions=SESSIONS[:2])
    found = row(analysed(values[:, :2], short), "mixed", "ses-2")
    assert "one follow-up" in found["note"]
    assert pd.isna(found["value"])


def test_values_without_spread_between_people_are_fitted_and_said() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, (40, 3)) - 1.5 * rng.normal(0, 1, (40, 1)) * [0, 1, -1]
    arms = (np.arange(40) % 2).astype(float)[:, np.newaxis]
    mixed = fit_mixed(values, arms=arms, covariates=np.empty((40, 0)), level=0.95)
    assert "no spread between people" in mixed.note
    assert np.isfinite(mixed.at(0, 0)["se"])


def test_what_no_mixed_model_can_be_made_of_is_said() -> None:
    arms, none = (np.arange(20) % 2).astype(float)[:, np.newaxis], np.empty((20, 0))
    values = np.random.default_rng(5).normal(size=(20, 3))
    assert "nobody has a value at follow-up 2" in fit_mixed(
        np.where([False, False, True], np.nan, values), arms=arms, covariates=none, level=0.95
    )
    assert "depend on each other" in fit_mixed(values, arms=arms, covariates=arms, level=0.95)
    assert "all values are the same" in fit_mixed(
        np.where([False, True, True], 1.0, values), arms=arms, covariates=none, level=0.95
    )


def test_a_failure_to_converge_is_named(monkeypatch) -> None:
    import statsmodels.api as sm

    def singular(*_args, **_options):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(sm.MixedLM, "fit", singular)
    rng = np.random.default_rng(6)
    treated, values = draw_trial(rng, people=30)
    assert (
        row(analysed(values, design(treated)), "mixed")["note"] == "the mixed model did not converge: Singular matrix"
    )


def test_recovers_planted_effects_with_dropout() -> None:
    """40 trials of 60 people; the long study is benchmarks/recovery_trials.py."""
    found = []
    for seed in range(40):
        treated, values = draw_trial(np.random.default_rng([seed, 5]), people=60, model=TrialModel(dropout=0.8))
        arms = treated.astype(float)[:, np.newaxis]
        found.append(fit_mixed(values, arms=arms, covariates=np.empty((60, 0)), level=0.95).at(0, 1))
    table = pd.DataFrame(found)
    assert table["value"].mean() == pytest.approx(-1.5, abs=0.25)
    assert ((table["ci_low"] <= -1.5) & (table["ci_high"] >= -1.5)).mean() >= 0.9
    assert table["se"].mean() == pytest.approx(table["value"].std(ddof=1), rel=0.3)


def test_no_effect_is_rarely_found() -> None:
    p = []
    for seed in range(1500):
        treated, values = draw_trial(np.random.default_rng(1000 + seed), people=40, model=TrialModel(effect=(0, 0, 0)))
        columns = np.column_stack([np.ones(40), treated, values[:, 0]])
        p.append(adjusted_difference(values[:, 1], columns, np.array([0.0, 1, 0]), level=0.95)["p"])
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.017)


def test_responders_and_classes_by_hand() -> None:
    before = np.array([6.0, 6, 6, 6, 6, 8, 8, 8, 8, 8])
    after = np.array([5.5, 5, 4, 4, 7, 2, 3, 5, 8, np.nan])
    treated = np.arange(10) >= 5
    rules = Rules(better="lower", mic=2, mic_share=0.3, sem=0.7, recovered=2, source="by hand")
    result = analysed(np.column_stack([before, after]), design(treated, sessions=SESSIONS[:2]), rules=rules)
    people = result.people.set_index("participant_id")
    assert people["responder"].tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 0]
    assert people["mdc95"].iloc[0] == pytest.approx(1.96 * np.sqrt(2) * 0.7, rel=1e-4)
    assert people["change_class"].tolist() == [
        "unchanged", "unchanged", "improved", "improved", "unchanged", "recovered", "improved", "improved", "unchanged",
    ]  # fmt: skip
    arms = result.arms[result.arms["session"] == "ses-2"].set_index("arm")
    assert arms.loc["new", ["n_randomised", "n", "responders", "recovered", "improved"]].tolist() == [5, 4, 3, 1, 2]
    assert "risk_difference" not in set(result.comparisons["estimator"]), "four people are too few to compare"


def test_missing_people_count_as_no_responders_in_one_row() -> None:
    rng = np.random.default_rng(8)
    treated, values = draw_trial(rng, people=60, model=TrialModel(effect=(0, -2, -3)))
    values[treated.nonzero()[0][:10], 1:] = np.nan
    rules = Rules(better="lower", mic=2)
    result = analysed(values, design(treated), rules=rules)
    seen, strict = row(result, "risk_difference"), row(result, "risk_difference_missing_no")
    assert (seen["n_arm"], strict["n_arm"]) == (20, 30)
    assert strict["value"] < seen["value"]
    needed = row(result, "number_needed")
    assert needed["value"] == pytest.approx(1 / seen["value"])
    assert "benefit" in needed["note"]


def test_effect_sizes_are_those_of_the_people_followed(trial) -> None:
    import pingouin as pg

    plan, values = trial
    result = analysed(values, plan)
    new = (plan.arms == "new").to_numpy()
    end = [values[who & np.isfinite(values[:, 2]), 2] for who in (new, ~new)]
    assert row(result, "d")["value"] == pytest.approx(pg.compute_effsize(*end, eftype="cohen"))
    change = values[:, 2] - values[:, 0]
    changes = [change[who & np.isfinite(change)] for who in (new, ~new)]
    assert row(result, "d_change")["value"] == pytest.approx(pg.compute_effsize(*changes, eftype="cohen"))
    assert row(result, "difference")["value"] == pytest.approx(end[0].mean() - end[1].mean())


def test_bootstrap_is_seeded_and_near_the_exact_interval(trial) -> None:
    plan, values = trial
    how = replace(plan, how=Intervals(method="bootstrap"), resamples=500)
    first, again = (row(analysed(values, how), "g") for _ in range(2))
    exact = row(analysed(values, plan), "g")
    assert (first["ci_low"], first["ci_high"]) == (again["ci_low"], again["ci_high"])
    assert first["value"] == pytest.approx(exact["value"])
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((exact["ci_low"], exact["ci_high"]), abs=0.2)


def test_values_beyond_a_limit_are_never_averaged() -> None:
    rng = np.random.default_rng(9)
    treated, values = draw_trial(rng, people=80, model=TrialModel(effect=(0, 1, 1.5), mean=(5, 6, 6)))
    limit = 8.0
    beyond = values[:, 2] > limit
    known, low, high = (values.copy() for _ in range(3))
    known[beyond, 2], low[beyond, 2], high[beyond, 2] = np.nan, limit, np.inf
    result = analysed(known, design(treated), low=low, high=high)
    for estimator in ("g", "difference", "mixed"):
        found = row(result, estimator)
        assert np.isnan(found["value"])
        assert "beyond a limit" in found["note"]
    arms = result.arms[result.arms["session"] == "ses-3"]
    assert arms["n_censored"].sum() == beyond.sum()
    assert arms["mean"].isna().all()
    adjusted = row(result, "ancova_tobit")
    truth = row(analysed(values, design(treated)), "ancova")
    assert adjusted["value"] == pytest.approx(truth["value"], abs=0.35)
    assert f"{beyond.sum()} of 80 values" in adjusted["note"]
    baseline = values.copy(), np.where([True, False, False], -np.inf, values), values
    censored = analysed(np.where([True, False, False], np.nan, values), design(treated), low=baseline[1], high=values)
    assert "baselines lie beyond a limit" in row(censored, "ancova")["note"]
    low[0, 2], high[0, 2], known[0, 2] = -np.inf, np.inf, np.nan
    unbounded = analysed(known, design(treated), low=low, high=high)
    assert "does not bound them" in row(unbounded, "ancova_tobit")["note"]


def test_three_arms_are_compared_with_one_control() -> None:
    rng = np.random.default_rng(10)
    treated, values = draw_trial(rng, people=90)
    plan = design(treated)
    arms = plan.arms.copy()
    arms.iloc[:30:2] = "third"
    result = analysed(values, replace(plan, arms=arms))
    assert set(result.comparisons["arm"]) == {"new", "third"}
    alone = smf.ols("end ~ new + third + before", pd.DataFrame(values, columns=["before", "mid", "end"]).assign(
        new=(arms == "new").to_numpy(float), third=(arms == "third").to_numpy(float))).fit()  # fmt: skip
    assert row(result, "ancova", arm="third")["value"] == pytest.approx(alone.params["third"])
    assert row(result, "mixed", arm="third")["n_arm"] == 15
    low, high = values.copy(), values.copy()
    third = np.flatnonzero(arms == "third")[:4]
    low[third, 2], high[third, 2] = 3.0, np.inf
    known = np.where(low == high, values, np.nan)
    censored = analysed(known, replace(plan, arms=arms), low=low, high=high)
    assert "4 of 90 values" in row(censored, "ancova_tobit", arm="new")["note"], "one model holds all arms"
    assert np.isfinite(row(censored, "g", arm="new")["value"]), "of two arms without a limit"


def test_which_arm_an_interval_speaks_for() -> None:
    less = {"ci_low": -2.0, "ci_high": -0.5}
    assert favours("ancova", less, better="lower") == "arm"
    assert favours("ancova", less, better="higher") == "control"
    assert favours("risk_difference", less, better="lower") == "control", "fewer responders"
    assert favours("risk_ratio", {"ci_low": 1.2, "ci_high": 3}, better="lower") == "arm"
    assert favours("risk_ratio", {"ci_low": 0.8, "ci_high": 3}, better="lower") == "neither"
    assert favours("ancova", less, better="") is None


def test_the_intention_to_treat_set_is_stated(trial) -> None:
    plan, values = trial
    said = intention_to_treat(analysed(values, plan), plan)
    assert "new 35, usual 35" in said[0]
    assert str(int(np.isfinite(values[:, 2]).sum() - np.isfinite(values[::2, 2]).sum())) in said[1]
    assert "missing at random" in said[2]


def test_reliability_gives_the_error_from_the_spread_at_baseline(trial) -> None:
    plan, values = trial
    result = analysed(values, plan, rules=Rules(better="lower", reliability=0.8))
    sd = np.nanstd(values[:, 0], ddof=1)
    assert result.people["mdc95"].iloc[0] == pytest.approx(1.95996 * np.sqrt(2) * sd * np.sqrt(0.2), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan, values: (replace(plan, sessions=SESSIONS[:1]), values[:, :1]), "lbpneuro compare"),
        (lambda plan, values: (plan, np.where([True, False, False], np.nan, values)), "nobody has a value at baseline"),
        (lambda plan, values: (plan, np.where([False, True, True], np.nan, values)), "at follow-up"),
    ],
)
def test_no_trial_is_refused_in_a_sentence(trial, change, said: str) -> None:
    plan, values = change(*trial)
    with pytest.raises(InputError, match=said):
        analysed(values, plan)


def test_a_small_arm_is_refused_and_a_small_comparison_left_empty(trial) -> None:
    plan, values = trial
    arms = plan.arms.copy()
    arms.iloc[0] = "lonely"
    with pytest.raises(InputError, match="arm lonely has 1 people"):
        analysed(values, replace(plan, arms=arms))
    few = values.copy()
    few[(plan.arms == "new").to_numpy().nonzero()[0][3:], 2] = np.nan
    found = row(analysed(few, plan), "ancova")
    assert pd.isna(found["value"])
    assert "5 in each are needed" in found["note"]


def test_a_covariate_that_says_the_same_as_the_arm_is_named(trial) -> None:
    plan, values = trial
    same = replace(plan, covariates=pd.DataFrame({"twice": (plan.arms == "new").astype(float)}))
    assert "depend on each other" in row(analysed(values, same), "ancova")["note"]


def test_rules_of_questionnaires_are_known_and_the_plan_counts_more() -> None:
    names = ["pain_nrs__7d_average", "nrs.nrs_now", "rmdq", "odi.odi_total", "pcs__rumination", "gm_volume__dlpfc__L"]
    outcomes = [Outcome(name=name, label="", unit="1", better="higher" if name[0] == "g" else "") for name in names]
    entries = {"rmdq": {"mic": 4, "reliability": 0.9}, "pain_nrs": {"recovered": 1}}
    rules = outcome_rules(entries, outcomes)
    assert (rules["nrs.nrs_now"].mic, rules["nrs.nrs_now"].mic_share, rules["nrs.nrs_now"].recovered) == (2, 0.3, 0)
    assert rules["pain_nrs__7d_average"].recovered == 1
    assert (rules["rmdq"].mic, rules["rmdq"].sem, rules["rmdq"].reliability) == (4, None, 0.9)
    assert rules["odi.odi_total"].sem == 6.5
    assert "10.1007/s00586-019-06222-8" in rules["odi.odi_total"].source
    assert (rules["pcs__rumination"].better, rules["pcs__rumination"].sem) == ("lower", None)
    assert rules["gm_volume__dlpfc__L"] == Rules(better="higher")
