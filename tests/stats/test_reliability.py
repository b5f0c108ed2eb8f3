"""Agreement of sessions: what pingouin says of the same values, planted error, and changes of single people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lbpneuro.errors import InputError
from lbpneuro.io.tables import long_table, marker_rows, read_long
from lbpneuro.kernels.reliability import intraclass_correlation, measurement_error
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.registry import INDEX_COLUMNS, MARKERS
from lbpneuro.stats.reliability import CHANGE_COLUMNS, COLUMNS, reliability, sentence
from lbpneuro.steps import reliability as step


def values(seed, *, n=12, sessions=2, error=0.5, drift=0.3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1)) + error * rng.standard_normal((n, sessions)) + drift * np.arange(sessions)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_pingouin(seed):
    """ICC(A,1), which pingouin calls ICC2, and its interval, which it rounds."""
    pingouin = pytest.importorskip("pingouin")
    table = values(seed)
    long = pd.DataFrame(table).reset_index().melt(id_vars="index", var_name="session", value_name="value")
    expected = pingouin.intraclass_corr(long, targets="index", raters="session", ratings="value").set_index("Type")
    row = expected.loc[next(name for name in expected.index if name in ("ICC2", "ICC(A,1)"))]
    found = intraclass_correlation(table, kind="2,1")
    assert found.icc == pytest.approx(float(row["ICC"]), abs=1e-6)
    low, high = row[next(name for name in row.index if name.startswith("CI95"))]
    assert (found.ci_low, found.ci_high) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))


def test_equal_sessions_agree_in_full():
    table = np.repeat([[1.0], [2.0], [4.0]], 2, axis=1)
    for kind in ("2,1", "3,1"):
        found = intraclass_correlation(table, kind=kind)
        assert (found.icc, found.ci_low, found.ci_high) == (1, 1, 1)
    assert (measurement_error(table).sem, measurement_error(table).sem_high) == (0, 0)


def test_planted_error_is_recovered():
    sems = [measurement_error(values(seed, n=40, error=0.5, drift=0.0)).sem for seed in range(60)]
    assert np.mean(sems) == pytest.approx(0.5, rel=0.05)
    drifting = [measurement_error(values(seed, n=200, error=0.5, drift=1.0)).sem for seed in range(20)]
    assert np.mean(drifting) == pytest.approx(np.sqrt(0.25 + 0.5), rel=0.05)


@pytest.mark.parametrize(("n", "sessions"), [(6, 2), (15, 2), (15, 3)])
def test_the_interval_of_the_error_holds_the_planted_one(n, sessions):
    errors = [measurement_error(values(seed, n=n, sessions=sessions, drift=0.0)) for seed in range(600)]
    assert 0.93 < np.mean([each.sem_low <= 0.5 <= each.sem_high for each in errors]) < 0.98


def test_the_interval_without_drift_is_that_of_a_variance():
    """Mean square of error alone: f = n - 1, with the chi-square quantiles of scipy."""
    table = np.array([[1.0, 2.0], [4.0, 3.0], [6.0, 6.5], [9.0, 8.5]])
    found = measurement_error(table)
    variance = np.var(table[:, 1] - table[:, 0], ddof=1) / 2
    edges = np.sqrt(3 * variance / stats.chi2.ppf([0.975, 0.025], 3))
    np.testing.assert_allclose((found.sem_low, found.sem_high), edges)
    assert found.mdc95_interval == pytest.approx(1.959964 * np.sqrt(2) * edges)


def test_smallest_detectable_change_holds_ninety_five_percent():
    table = values(3, n=4000, drift=0.0)
    change = np.abs(table[:, 1] - table[:, 0])
    assert np.mean(change > measurement_error(table).mdc95) == pytest.approx(0.05, abs=0.01)


def test_error_by_hand():
    """Rows (1, 2), (3, 3), (5, 7): mean squares 13.5/..., counted with a two-way table."""
    table = np.array([[1.0, 2], [3, 3], [5, 7]])
    rows, columns, whole = table.mean(axis=1), table.mean(axis=0), table.mean()
    error = ((table - rows[:, None] - columns + whole) ** 2).sum() / 2
    between = 3 * ((columns - whole) ** 2).sum()
    found = measurement_error(table)
    assert found.sem == pytest.approx(np.sqrt(max(0, (between - error) / 3) + error))
    assert found.mdc95 == pytest.approx(1.959964 * np.sqrt(2) * found.sem)
    assert np.isnan(measurement_error(table[:2]).sem)
    with pytest.raises(InputError, match="at least 2 sessions"):
        measurement_error(table[:, :1])


def study(table, sessions=("ses-01", "ses-02")):
    marker = next(marker for marker in MARKERS if marker.name == "tiv")
    rows = []
    for person, row in enumerate(table, start=1):
        for session, value in zip(sessions, row, strict=True):
            estimate = Estimate.of(1400 + value, se=1.0, n=1)
            who = {"participant": f"sub-{person:02d}", "session": session}
            rows += marker_rows(marker, {(): estimate}, source="s", method="m", **who)
    return long_table(rows, index_columns=INDEX_COLUMNS)


def test_study_level_table(tmp_path):
    table = values(1, n=10)
    table[0] = [0.0, 9.0]
    agreement, changes = reliability(study(table))
    assert list(agreement.columns) == list(COLUMNS)
    assert list(changes.columns) == list(CHANGE_COLUMNS)
    row = agreement.iloc[0]
    assert (row["marker"], row["sessions"], row["n"]) == ("tiv", "ses-01, ses-02", 10)
    assert row["icc"] == pytest.approx(intraclass_correlation(table, kind="2,1").icc)
    assert changes.loc[changes["participant_id"] == "sub-01", "change"].item() == pytest.approx(9)
    assert row["n_beyond"] == changes["beyond"].sum() == 1
    assert "1 comparisons of 1 markers" in sentence(agreement, markers=["tiv"])


def test_one_session_or_few_people_have_no_row():
    one, changes = reliability(study(values(1)[:, :1], sessions=("ses-01",)))
    assert one.empty
    assert changes.empty
    assert reliability(study(values(1, n=2)))[0].empty
    assert "No marker" in sentence(one, markers=[])


def test_three_sessions_are_compared_in_turn():
    agreement, _ = reliability(study(values(1, sessions=3), sessions=("ses-01", "ses-02", "ses-03")))
    assert agreement["sessions"].tolist() == ["ses-01, ses-02", "ses-02, ses-03"]


def test_step(tmp_path):
    from lbpneuro.io.files import read_json, read_tsv, write_json, write_tsv

    write_tsv(tmp_path / "markers_long.tsv", study(values(1)))
    assert len(read_long(tmp_path / "markers_long.tsv")) == 24
    write_json(tmp_path / "config.json", {})
    out = tmp_path / "reliability.tsv"
    given = ["--in", str(tmp_path / "markers_long.tsv"), "--out", str(out), "--config", str(tmp_path / "config.json")]
    assert step.main(given) == 0
    assert read_tsv(out)["n"].tolist() == [12]
    assert len(read_tsv(tmp_path / "reliability_changes.tsv")) == 12
    assert "Meaning" in read_json(out.with_suffix(".json"))
