"""Reflex and excitability through the whole workflow: simulated by the command, measured, against what was planted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from lbpneuro.registry import family
from lbpneuro.simulate.recovery import pair_with_truth
from tests.workflow.test_pipeline import command

pytestmark = pytest.mark.slow

PEOPLE, SESSIONS = 3, 2
FAMILIES = ("reflex", "excitability")
TASKS = ("reflex", "excitability", "excitabilityactive")
CLOSE = {"nfr_magnitude": 0.07, "silent_period": 2.0}
"""Largest errors of what is the mean of many trials; of 24 visits with four seeds they were 0.06 and 1.7 ms."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with two sessions of these recordings and nothing else."""
    folder = tmp_path_factory.mktemp("neurophysiology") / "study"
    asked = ("--participants", PEOPLE, "--sessions", SESSIONS, "--seed", 3, "--resolution", 8, "--nprocs", 2)
    done = command("simulate", folder, *asked, "--reflex", "--excitability")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "raw" / "phenotype")
    for visit in folder.glob("raw/sub-*/ses-*"):
        for other in ("anat", "func", "nibs", "beh"):
            shutil.rmtree(visit / other)
        for path in visit.glob("emg/*_task-*"):
            if not any(f"_task-{task}_" in path.name for task in TASKS):
                path.unlink()
    return folder


@pytest.fixture(scope="module")
def out(study: Path) -> Path:
    folder = study.parent / "out"
    done = command(study / "raw", folder, "participant", "group", "--nprocs", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pairs(out: Path, study: Path) -> pd.DataFrame:
    """Planted and found values of the two families."""
    both = pair_with_truth(out, study / "truth.tsv")
    names = [marker.name for each in FAMILIES for marker in family(each)]
    return both[both["marker"].isin(names)]


def test_every_planted_value_is_found(pairs: pd.DataFrame) -> None:
    assert len(pairs) == PEOPLE * SESSIONS * (4 + 11)
    assert pairs["status"].isin(["ok", "flag"]).all(), pairs[~pairs["status"].isin(["ok", "flag"])]


def test_values_lie_around_the_truth(pairs: pd.DataFrame) -> None:
    error = (pairs["value"] - pairs["truth"]).abs()
    assert (error < 4 * pairs["se"]).all(), pairs
    stated = pairs["marker"].isin(CLOSE)
    assert (error[stated] < pairs["marker"][stated].map(CLOSE)).all(), pairs[stated]
    inside = (pairs["ci_low"] <= pairs["truth"]) & (pairs["truth"] <= pairs["ci_high"])
    assert inside.mean() > 0.90
    for marker in ("nfr_threshold", "rmt", "amt"):
        own = pairs[pairs["marker"] == marker]
        assert own["value"].corr(own["truth"]) > 0.95, marker


def test_recovery_tells_it(out: Path, study: Path) -> None:
    done = command("recovery", out, study / "truth.tsv")
    assert done.returncode == 0, done.stderr
    assert "gray matter of the thalamus" in done.stdout


def test_pages_show_figures_and_agreement(out: Path) -> None:
    page = (out / "sub-01.html").read_text()
    for name in ("withdrawal-reflex", "thresholds", "paired-pulses", "excitability-sweeps"):
        for session in ("ses-01", "ses-02"):
            assert f'id="{name}-{session}"' in page
    group = (out / "group.html").read_text()
    assert 'id="agreement"' in group
    table = pd.read_csv(out / "reliability.tsv", sep="\t", na_values="n/a")
    assert {"rmt", "nfr_threshold"} <= set(table["marker"])
    assert table.loc[table["marker"] == "rmt", "icc"].item() > 0.8
