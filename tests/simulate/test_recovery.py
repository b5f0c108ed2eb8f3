"""Recovery of planted values, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.files import write_tsv
from lbpneuro.io.tables import LONG_NAME, long_columns
from lbpneuro.simulate.recovery import pair_with_truth, recovery_table, summary
from lbpneuro.simulate.truth import INDEX_COLUMNS, truth_table

LEVEL = {"roi": "dlpfc", "hemi": "L"}


def found_row(participant: str, value: float, **columns) -> dict:
    half = 1.96 * 0.5
    numbers = {"value": value, "se": 0.5, "ci_low": value - half, "ci_high": value + half, "status": "ok"}
    return {"participant_id": participant, "marker": "gm_volume", "method_version": "1", **LEVEL, **numbers, **columns}


@pytest.fixture
def outcome(tmp_path):
    """Four people; errors +1, 0, -0.5 and a failed value."""
    found = [found_row("sub-01", 11), found_row("sub-02", 12, status="flag"), found_row("sub-03", 12.5)]
    found.append(found_row("sub-04", np.nan, status="fail", se=np.nan, ci_low=np.nan, ci_high=np.nan))
    planted = [
        {"participant_id": f"sub-{n:02d}", "session_id": None, "marker": "gm_volume", **LEVEL, "value": v}
        for n, v in enumerate((10, 12, 13, 14), start=1)
    ]
    write_tsv(tmp_path / f"{LONG_NAME}.tsv", pd.DataFrame(found, columns=long_columns(INDEX_COLUMNS)))
    write_tsv(tmp_path / "truth.tsv", truth_table(planted))
    return tmp_path


def test_recovery_by_hand(outcome):
    (row,) = recovery_table(outcome, outcome / "truth.tsv").to_dict("records")
    assert (row["marker"], row["roi"], row["hemi"]) == ("gm_volume", "dlpfc", "L")
    assert (row["n_planted"], row["n"]) == (4, 3)
    assert row["bias"] == pytest.approx(0.5 / 3)
    assert row["bias_over_se"] == pytest.approx(1 / 3)
    assert row["rmse"] == pytest.approx(np.sqrt(1.25 / 3))
    assert row["coverage"] == pytest.approx(2 / 3)
    assert row["r"] == pytest.approx(np.corrcoef([11, 12, 12.5], [10, 12, 13])[0, 1])


def test_summary_has_a_line_per_headline(outcome):
    """What the study did not plant has no line; what was planted and not found has."""
    (line,) = summary(recovery_table(outcome, outcome / "truth.tsv")).splitlines()
    assert "3 of   4 values: bias +0.33 SE, 95 % intervals right 67%, r 1.00" in line
    table = recovery_table(outcome, outcome / "truth.tsv").assign(n=0)
    assert summary(table).endswith("0 of   4 values: nothing to compare")


def test_bounds_by_hand(outcome):
    """Five people beyond a limit: two bounds hold the truth of 12, one above and one below do not, one says nothing."""
    limits = [(10, np.inf), (np.nan, 13), (12.5, np.inf), (-np.inf, 11), (-np.inf, np.inf)]
    rows = [
        found_row(f"sub-{n:02d}", np.nan, status="fail", se=np.nan, ci_low=low, ci_high=high, reason=reason)
        for n, ((low, high), reason) in enumerate(
            zip(limits, ["censored_at_limit", "censored_at_limit;few_trials", *["censored_at_limit"] * 3], strict=True)
        )
    ]
    truth = [{**{key: row[key] for key in ("participant_id", "marker", *LEVEL)}, "value": 12.0} for row in rows]
    write_tsv(outcome / f"{LONG_NAME}.tsv", pd.DataFrame(rows, columns=long_columns(INDEX_COLUMNS)))
    write_tsv(outcome / "truth.tsv", truth_table(truth))
    table = recovery_table(outcome, outcome / "truth.tsv")
    (row,) = table.to_dict("records")
    assert (row["n_planted"], row["n"], row["n_bounds"], row["bounds_hold"]) == (5, 0, 4, 0.5)
    assert summary(table).splitlines()[-1].endswith("4 bounds: 50% hold the truth")


def test_tables_of_two_studies_are_not_compared(outcome):
    truth = pd.read_csv(outcome / "truth.tsv", sep="\t")
    truth["participant_id"] = [f"sub-{number}" for number in range(90, 94)]
    write_tsv(outcome / "truth.tsv", truth)
    with pytest.raises(InputError, match="another study"):
        pair_with_truth(outcome, outcome / "truth.tsv")


def test_missing_marker_table_is_named(tmp_path):
    with pytest.raises(InputError, match="no marker table"):
        recovery_table(tmp_path, tmp_path / "truth.tsv")


def test_markers_with_an_index_that_the_truth_lacks_are_left_aside(outcome):
    table = pd.read_csv(outcome / f"{LONG_NAME}.tsv", sep="\t")
    rows = [{**table.iloc[0], "marker": "state_occupancy", "state": state} for state in ("1", "2")]
    write_tsv(outcome / f"{LONG_NAME}.tsv", pd.concat([table.assign(state=None), pd.DataFrame(rows)]))
    assert len(pair_with_truth(outcome, outcome / "truth.tsv")) == 4
