"""The protocol of a plasticity run: what sidecars say, blocks by time, sham sessions, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io import bouts
from lbpneuro.markers.plasticity import Blocks

SETTINGS = {
    "blocks": ["post00", "post10", "post20"],
    "bouts": ["anodal", "anodal"],
    "bout_minutes": [7, 5],
    "gap_minutes": 3,
    "jitter_minutes": 3,
    "interval": "welch",
    "bootstrap": 300,
}


def protocol(**metadata):
    return bouts.read_protocol(metadata, SETTINGS, path="here")


def test_default_is_anodal_twice_and_said_to_be_assumed():
    found = protocol()
    assert (found.polarity, found.assumed) == ((1, 1), True)
    assert found.words == "anodal, anodal; 7-3-5 min"


def test_what_the_sidecar_states_goes_before_the_settings():
    found = protocol(BoutPolarity=[-1, -1], BoutDurationMinutes=[9, 9], BoutGapMinutes=10)
    assert (found.polarity, found.assumed) == ((-1, -1), False)
    assert found.words == "inhibitory, inhibitory; 9-10-9 min"
    assert protocol(BoutPolarity=["cTBS", "iTBS"]).polarity == (-1, 1)
    assert protocol(BoutPolarity=["sham", "sham"]).polarity == (0, 0)
    assert protocol(BoutPolarity=[]).polarity == ()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"BoutPolarity": "anodal"}, "must list 1, -1 or 0 per bout"),
        ({"BoutPolarity": [2, 1]}, "must list 1, -1 or 0 per bout"),
        ({"BoutPolarity": ["up", "down"]}, "must list 1, -1 or 0 per bout"),
        ({"BoutDurationMinutes": "7"}, "BoutDurationMinutes must be minutes"),
        ({"BlockStartMinutes": [0, 10]}, "BlockStartMinutes must give minutes per block"),
        ({"BlockStartMinutes": {"pre": "early"}}, "BlockStartMinutes must give minutes per block"),
    ],
)
def test_wrong_statements(metadata, message):
    with pytest.raises(InputError, match=message):
        protocol(**metadata)


def test_lateness_of_named_blocks():
    starts = {"pre": 0, "between": 10, "post00": 18, "post10": 32, "post20": 38}
    assert bouts.lateness(protocol(BlockStartMinutes=starts), SETTINGS["blocks"]) == {
        "post00": 0.0,
        "post10": 4.0,
        "post20": 0.0,
    }
    stated = protocol(BlockStartMinutes=starts, BoutStartMinutes=[2, 12])
    assert bouts.lateness(stated, SETTINGS["blocks"])["post00"] == 1.0
    assert bouts.lateness(protocol(), SETTINGS["blocks"]) == {}


def trials(**minutes):
    """Ten pulses a block, 5 s apart, from the given minutes on."""
    onset = np.concatenate([60 * start + 5.0 * np.arange(10) for start in minutes.values()])
    return pd.DataFrame({"onset_s": onset, "block": None})


def test_blocks_by_time():
    """Bouts at 3 to 10 and 13 to 18 minutes; post10 comes 2 minutes late, something at 36 fits nothing."""
    table = trials(pre=1, in_bout=5, between=11, post00=18.5, post10=30, stray=32.9, post20=38)
    found, late = bouts.with_blocks(table, protocol(BoutStartMinutes=[3, 13]), SETTINGS, path="here")
    names = found["block"].fillna("none").to_numpy().reshape(7, 10)
    expected = ["pre", "none", "between", "post00", "post10", "none", "post20"]
    assert [set(row) for row in names] == [{name} for name in expected]
    assert late == {"post00": pytest.approx(0.5), "post10": pytest.approx(2.0), "post20": pytest.approx(0.0)}


def test_named_blocks_stay():
    table = trials(pre=1, post00=18).assign(block=["pre"] * 10 + ["post00"] * 10)
    found, late = bouts.with_blocks(table, protocol(BoutStartMinutes=[3, 13]), SETTINGS, path="here")
    pd.testing.assert_frame_equal(found, table)
    assert late == {}


def test_without_names_and_times_it_is_said_what_is_needed():
    with pytest.raises(InputError, match="BoutStartMinutes"):
        bouts.with_blocks(trials(pre=1), protocol(), SETTINGS, path="here")


def test_files_of_the_sham_session_stand_apart():
    files = [Path(f"sub-01/ses-{label}/emg/sub-01_ses-{label}_task-plasticity_meps.tsv") for label in ("real", "sham")]
    assert bouts.of_session(files, "ses-real", sham="sham") == (files[:1], files[1:])
    assert bouts.of_session(files[1:], "ses-sham", sham="sham") == (files[1:], [])
    assert bouts.of_session(files, "ses-real", sham=None) == (files, [])


def test_tables_of_blocks_and_trials():
    rng = np.random.default_rng(0)
    sizes = {name: uv * rng.lognormal(0, 0.5, 20) for name, uv in (("pre", 1000), ("between", 1500), ("post10", 700))}
    blocks = Blocks(
        amplitudes_uv=sizes,
        delivered={**dict.fromkeys(sizes, 25), "post00": 5},
        polarity=(1, 1),
        intensity_changed=False,
        settings=SETTINGS,
        late={"post10": 1.5},
    )
    table = bouts.block_table(blocks).set_index("block")
    assert list(table.index) == ["pre", "between", "post00", "post10"]
    assert [*bouts.BLOCK_COLUMNS][1:] == list(table.columns)
    row = table.loc["post10"]
    assert row["ratio"] == pytest.approx(sizes["post10"].mean() / sizes["pre"].mean())
    assert row["welch_low"] < row["log_ratio"] < row["welch_high"]
    assert row["bootstrap_low"] == pytest.approx(row["welch_low"], abs=0.1)
    assert row["late_min"] == 1.5
    assert table.loc["post00", "n"] == 0
    assert np.isnan(table.loc["pre", "log_ratio"])
    course = bouts.course_table(blocks)
    assert course["block"].value_counts().to_dict() == {"pre": 20, "between": 20, "post10": 20}
