"""Groups compared with values beyond a limit: other programs, planted truth, and what is said where nothing can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from lbpneuro import cli
from lbpneuro.errors import InputError
from lbpneuro.io.files import read_json, read_tsv, write_tsv
from lbpneuro.io.outcomes import Outcome
from lbpneuro.io.tables import LONG_NAME, long_table
from lbpneuro.kernels.censored import tobit
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.registry import INDEX_COLUMNS
from lbpneuro.stats.censored import COLUMNS, ESTIMATORS, compare, kaplan_meier_median

PRESSURE = Outcome(name="ppt", label="Pressure pain threshold", unit="kPa")
LIMIT = 600.0


def people(rng: np.random.Generator, *, n: int = 60, difference: float = -120.0) -> pd.DataFrame:
    patient = np.arange(n) % 2 == 1
    values = 560 + difference * patient + rng.normal(0, 150, n)
    who = [f"sub-{number:02d}" for number in range(n)]
    group = np.where(patient, "lbp", "control")
    return pd.DataFrame({"participant_id": who, "group": group, "true": values, "age": rng.normal(45, 10, n)})


def long(table: pd.DataFrame, *, ceiling: float = np.inf, floor: float = -np.inf) -> pd.DataFrame:
    true = table["true"]
    low = np.where(true > ceiling, ceiling, np.where(true < floor, -np.inf, true))
    high = np.where(true < floor, floor, np.where(true > ceiling, np.inf, true))
    rows = {"participant_id": table["participant_id"], "session_id": "n/a", "outcome": "ppt", "low": low, "high": high}
    return pd.DataFrame(rows).assign(value=np.where(low == high, low, np.nan))


def compared(table: pd.DataFrame, *, covariates=(), **limits) -> pd.DataFrame:
    groups = table.set_index("participant_id")["group"]
    more = table.set_index("participant_id")[list(covariates)]
    shared = {"groups": groups, "reference": "control", "covariates": more}
    return compare(long(table, **limits), [PRESSURE], **shared)


def row(found: pd.DataFrame, estimator: str, group: str = "lbp") -> pd.Series:
    rows = found[(found["estimator"] == estimator) & (found["group"] == group)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def table() -> pd.DataFrame:
    return people(np.random.default_rng(4))


def test_without_limits_it_is_what_everybody_computes(table: pd.DataFrame) -> None:
    found = compared(table)
    lbp, control = (table[table["group"] == name]["true"] for name in ("lbp", "control"))
    interval = stats.t.interval(0.95, len(lbp) - 1, lbp.mean(), stats.sem(lbp))
    mean = row(found, "mean")
    assert (mean["value"], mean["ci_low"], mean["ci_high"]) == pytest.approx((lbp.mean(), *interval), rel=1e-6)
    welch = stats.ttest_ind(lbp, control, equal_var=False)
    difference = row(found, "difference")
    assert difference["p"] == pytest.approx(welch.pvalue)
    assert (difference["ci_low"], difference["ci_high"]) == pytest.approx(tuple(welch.confidence_interval()))
    ranks = stats.mannwhitneyu(lbp, control, use_continuity=False, method="asymptotic")
    assert row(found, "superiority")["p"] == pytest.approx(ranks.pvalue)
    assert row(found, "superiority")["value"] == pytest.approx(ranks.statistic / len(lbp) / len(control))
    assert "log_rank" not in set(found["estimator"])
    fit = smf.ols("true ~ group + age", table).fit(cov_type="HC3", use_t=True)
    adjusted = row(compared(table, covariates=["age"]), "difference_adjusted")
    assert adjusted["value"] == pytest.approx(fit.params["group[T.lbp]"])
    assert adjusted["se"] == pytest.approx(fit.bse["group[T.lbp]"])


def test_with_a_limit_no_mean_is_taken_over_it(table: pd.DataFrame) -> None:
    found = compared(table, ceiling=LIMIT)
    beyond = table["true"] > LIMIT
    assert {"mean", "difference", "g"}.isdisjoint(set(found[found["n_censored"] > 0]["estimator"]))
    difference = row(found, "difference_tobit")
    assert difference["n_censored"] == beyond.sum()
    first = (table["group"] == "lbp").to_numpy(float)
    low = np.minimum(table["true"], LIMIT)
    fit = tobit(low, np.where(beyond, np.inf, low), design=np.column_stack([np.ones(60), first]))
    assert difference["value"] == pytest.approx(fit.coefficients[1])
    truth = row(compared(table), "difference")["value"]
    assert difference["value"] == pytest.approx(truth, abs=60)
    assert abs(difference["value"]) > abs(low[first == 1].mean() - low[first == 0].mean())
    statistic, p = survdiff(low, (~beyond).astype(int), first)
    assert row(found, "log_rank")["value"] == pytest.approx(statistic)
    assert row(found, "log_rank")["p"] == pytest.approx(p)


@pytest.mark.parametrize("limit", [{"ceiling": LIMIT}, {"floor": 420.0}])
def test_median_is_that_of_the_survival_curve(table: pd.DataFrame, limit: dict) -> None:
    values = long(table, **limit)
    low, high = values["low"].to_numpy(), values["high"].to_numpy()
    sign = 1 if "ceiling" in limit else -1
    times = low if sign > 0 else 2000 - high
    curve = SurvfuncRight(times, (low == high).astype(int))
    expected = np.array([curve.quantile(0.5), *curve.quantile_ci(0.5, method="cloglog")])
    expected = expected if sign > 0 else (2000 - expected)[[0, 2, 1]]
    assert kaplan_meier_median(low, high, level=0.95) == pytest.approx(tuple(expected))
    assert kaplan_meier_median(low, high, level=0.95)[0] == pytest.approx(np.sort(table["true"])[29], abs=12)


def test_intervals_of_a_group_hold_the_truth() -> None:
    """Control values of mean 560 and SD 150, 40 % above the limit; the naive mean is 70 kPa too small."""
    held, naive = [], []
    for seed in range(100):
        table = people(np.random.default_rng([seed, 3]), n=40)
        own = row(compared(table, ceiling=LIMIT), "mean_tobit", "control")
        held.append(own["ci_low"] <= 560 <= own["ci_high"])
        naive.append(np.minimum(table[table["group"] == "control"]["true"], LIMIT).mean() - 560)
    assert np.mean(held) == pytest.approx(0.95, abs=0.05)
    assert np.mean(naive) < -35


def test_what_cannot_be_estimated_is_said(table: pd.DataFrame) -> None:
    most = compared(table, ceiling=300.0)
    assert "more than half" in row(most, "median")["note"]
    assert "measured values" in row(most, "mean_tobit", "control")["note"]
    both = compared(table, ceiling=650.0, floor=400.0)
    assert "both sides" in row(both, "median")["note"]
    assert "both sides" in row(both, "log_rank")["note"]
    assert np.isfinite(row(both, "difference_tobit")["value"])
    all_beyond = compared(table, ceiling=-1000.0)
    assert "nobody has a measured value" in row(all_beyond, "log_rank")["note"]
    assert "all values are the same" in row(all_beyond, "difference_tobit")["note"]
    few = compared(table[(table["group"] == "control") | (np.arange(60) < 4)])
    assert "2 and 30 people" in row(few, "superiority")["note"]
    assert "3 are needed" in row(few, "median")["note"]
    unknown = compared(table.assign(age=np.where(table["group"] == "lbp", np.nan, 40.0)), covariates=["age"])
    assert "with covariates are needed" in row(unknown, "difference_adjusted")["note"]
    same = compared(table.assign(true=5.0))
    assert "`sd` must be above 0" in row(same, "g")["note"]
    with pytest.raises(InputError, match="nobody in a group"):
        compare(
            long(table).assign(outcome="other"),
            [PRESSURE],
            groups=table.set_index("participant_id")["group"],
            reference="control",
            covariates=pd.DataFrame(index=table["participant_id"]),
        )


def test_people_whose_limit_bounds_nothing_are_counted(table: pd.DataFrame) -> None:
    values = long(table, ceiling=LIMIT)
    lost = values["participant_id"].isin(["sub-01", "sub-03", "sub-04"])
    values.loc[lost, ["value", "low", "high"]] = [np.nan, -np.inf, np.inf]
    shared = {"groups": table.set_index("participant_id")["group"], "reference": "control"}
    found = compare(values, [PRESSURE], covariates=pd.DataFrame(index=table["participant_id"]), **shared)
    assert row(found, "median")["n_group"] == 28
    assert "2 people are left out" in row(found, "median")["note"]
    assert "3 people are left out" in row(found, "difference_tobit")["note"]
    expected = compare(values[~lost], [PRESSURE], covariates=pd.DataFrame(index=table["participant_id"]), **shared)
    assert row(found, "difference_tobit")["value"] == row(expected, "difference_tobit")["value"]


@pytest.fixture
def study(tmp_path: Path, table: pd.DataFrame) -> Path:
    """The marker table as steps write it, and participants.tsv."""
    rows = []
    for person in table.to_dict("records"):
        estimate = Estimate.of(person["true"] / 100, se=0.1)
        if person["true"] > LIMIT:
            estimate = Estimate.censored(low=LIMIT / 100)
        numbers = {name: getattr(estimate, name) for name in ("value", "se", "ci_low", "ci_high", "n")}
        fixed = {"participant_id": person["participant_id"], "marker": "gm_volume", "roi": "dlpfc", "hemi": "L"}
        rows.append({**fixed, **numbers, "status": str(estimate.status), "reason": ";".join(estimate.reasons) or None})
    write_tsv(tmp_path / f"{LONG_NAME}.tsv", long_table(rows, index_columns=INDEX_COLUMNS))
    write_tsv(tmp_path / "participants.tsv", table[["participant_id", "group", "age"]])
    return tmp_path


def test_from_marker_table_to_comparison(study: Path, table: pd.DataFrame, capsys) -> None:
    assert cli.main(["compare", str(study), "--by", "group", "--reference", "control"]) == 0
    said = capsys.readouterr().out
    assert "difference_tobit" in said
    found, dictionary = read_tsv(study / "compare_group.tsv"), read_json(study / "compare_group.json")
    assert list(found) == list(COLUMNS)
    assert set(found["estimator"]) <= set(ESTIMATORS)
    assert set(COLUMNS) <= set(dictionary)
    assert len(pd.read_parquet(study / "compare_group.parquet")) == len(found)
    direct = compared(table.assign(true=table["true"] / 100), ceiling=LIMIT / 100)
    assert row(found, "difference_tobit")["value"] == pytest.approx(row(direct, "difference_tobit")["value"], rel=1e-6)
    assert row(found, "difference_tobit")["n_censored"] == (table["true"] > LIMIT).sum()


def test_what_the_command_refuses(study: Path, tmp_path: Path, capsys) -> None:
    for options, said in (
        (["--by", "group", "--reference", "healthy"], "nobody is 'healthy'"),
        (["--by", "grp", "--reference", "control"], "no column grp"),
        (["--by", "group", "--reference", "control", "--covariate", "sex"], "no column sex"),
    ):
        assert cli.main(["compare", str(study), *options]) == 2
        assert said in capsys.readouterr().err
    rows = read_tsv(study / f"{LONG_NAME}.tsv", dtype=str)
    write_tsv(study / f"{LONG_NAME}.tsv", rows[rows["reason"].isna()])
    assert cli.main(["compare", str(study), "--by", "group", "--reference", "control"]) == 2
    assert "no value lies beyond a limit" in capsys.readouterr().err
    (study / f"{LONG_NAME}.tsv").unlink()
    assert cli.main(["compare", str(study), "--by", "group", "--reference", "control"]) == 2
    assert "name outcomes" in capsys.readouterr().err
