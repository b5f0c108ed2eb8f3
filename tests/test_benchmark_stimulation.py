"""The benchmark of TMS: loop and bootstrap agree, the page is that of the kept results, the studies run; no timing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import recovery_stimulation, stimulation
from lbpneuro.kernels import map_bootstrap


def test_the_loop_agrees_with_the_bootstrap(monkeypatch):
    monkeypatch.setattr(stimulation, "DRAWS", 5)
    rng = np.random.default_rng(0)
    trials = recovery_stimulation.trials_of(rng, recovery_stimulation.planted(rng, 10.0), n_trial=4)
    again = map_bootstrap.resample_means(trials, n_draws=5, rng=np.random.default_rng(1))
    slow = stimulation.bootstrap_by_loop(trials, rng=np.random.default_rng(1))
    np.testing.assert_allclose(stimulation.functionals(again), slow, rtol=1e-12)


def test_the_page_is_that_of_the_kept_results():
    if not stimulation.RESULTS.exists():
        pytest.skip("no results are kept")
    assert stimulation.PAGE.read_text() == stimulation.page(json.loads(stimulation.RESULTS.read_text()))


def test_the_studies_run(monkeypatch):
    monkeypatch.setattr(recovery_stimulation, "DRAWS", 20)
    monkeypatch.setattr(recovery_stimulation, "SEPARATIONS_MM", (0.0, 20.0))
    maps = recovery_stimulation.maps(2, seed=1, n_trial=5)
    assert set(maps["separation_mm"]) == {0, 20}
    assert "cog_distance" in set(maps["marker"])
    assert recovery_stimulation.peaks(5, seed=1)["mean"].between(0, 6).all()
    assert recovery_stimulation.plasticity(3, seed=1)["welch"].between(0, 1).all()
    monkeypatch.setattr(recovery_stimulation, "SILENCES", recovery_stimulation.SILENCES[:1])
    assert recovery_stimulation.silence(2, seed=1)["bias"].abs().max() < 4
    assert recovery_stimulation.reflex(20, seed=1)["covered"].between(0.7, 1).all()
