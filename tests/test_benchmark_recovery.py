"""The recovery studies run at a tiny size, and their lines say what the simulated rows say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import recovery, recovery_series
from lbpneuro.markers.edges import LABELS


def test_the_lines_of_a_study_by_hand():
    """Values off by 1, 0, -2 with an error of 2: two intervals miss the truth, one leaves out 0, one is not known."""
    both = pd.DataFrame(
        {
            "marker": "z",
            "level": "a",
            "truth": [0.0, 0.0, 1.0, 0.0],
            "value": [1.0, 0.0, -1.0, np.nan],
            "se": [2.0, 2.0, 2.0, np.nan],
            "ci_low": [0.5, -1.0, -2.0, np.nan],
            "ci_high": [1.5, 1.0, 0.5, np.nan],
            "status": ["ok", "ok", "ok", "fail"],
        }
    )
    (line,) = recovery.agreements(both, ["marker", "level"]).to_dict("records")
    assert (line["marker"], line["n_planted"], line["n"]) == ("z_a", 4, 3)
    assert line["bias_over_se"] == pytest.approx(-1 / 3 / 2)
    assert line["coverage"] == pytest.approx(1 / 3)
    assert line["not_zero"] == pytest.approx(1 / 3)
    assert line["mc_error"] == pytest.approx(np.sqrt(5 / 3) / 2 / np.sqrt(3))


def test_arrays_have_all_conditions_and_are_the_same_again():
    both, censored = recovery_series.arrays(6, seed=2)
    assert len(both) == 6 * len(recovery_series.CONDITIONS) * len(recovery_series.R)
    assert both.groupby(["marker", "level"]).ngroups == len(recovery_series.CONDITIONS) * len(recovery_series.R)
    assert np.all(both["ci_low"] < both["ci_high"])
    assert len(censored) == 6
    assert censored[0] == 0
    assert 0.03 < censored[-1] < 0.2
    pd.testing.assert_frame_equal(recovery_series.arrays(6, seed=2)[0], both)


@pytest.mark.parametrize("null", [False, True])
def test_sessions_have_all_markers(null):
    both = recovery_series.sessions(2, seed=3, null=null)
    assert set(both["marker"]) == {"*_z", "fc_partial_z", "mpfc_hub", "nac_slow5", "shift_rest", "network_z"}
    edges = both[both["marker"] == "*_z"]
    assert set(edges["level"]) == set(LABELS)
    assert np.all(edges["truth"] == 0) == null
    assert np.abs(edges["value"] - edges["truth"]).max() < 6 * edges["se"].max()


@pytest.mark.parametrize(("study", "lines"), [("arrays", 15), ("sessions", 6 + 26 + 26 + 1 + 2 + 1 + 3)])
def test_the_command(study, lines, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["recovery", "--study", study, "--n", "2"])
    recovery.main()
    printed = capsys.readouterr().out.splitlines()
    assert len([line for line in printed if not line.startswith("censored")]) == 1 + lines
