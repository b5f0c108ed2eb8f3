"""The circular-shift p of an edge, in one run and in several: even under the null, small with a real connection."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from lbpneuro.errors import Reason
from lbpneuro.kernels.nulls import circular_shift_null
from lbpneuro.markers.bold import Functional, Run
from lbpneuro.markers.connectivity import FC_NULL_P, shift_estimate
from tests.oracles import runs
from tests.oracles.functional import SETTINGS, coloured
from tests.oracles.runs import BAND, a_pair, a_run

PAG_VMPFC = ((("pag", "n/a"),), (("vmpfc", "n/a"),))
N_PER_DESIGN = 12
estimates = partial(runs.estimates, (FC_NULL_P,))


def p_of(*found: Run, seed: int = 0, **settings: object) -> float:
    data = Functional(runs=found, settings={**SETTINGS, **settings}, seed=seed)
    return shift_estimate(data, PAG_VMPFC, model="brainstem").value


def a_design(rng: np.random.Generator, *, n_time: int) -> Run:
    fd = np.full(n_time, 0.1)
    fd[rng.integers(5, n_time, 10)], fd[0] = 0.4, np.nan
    return a_pair(rng, r=0, exponent=1, fd=fd)


def redrawn(run: Run, rng: np.random.Generator) -> Run:
    """The run with other series, unrelated to each other."""
    series = coloured(rng, n_time=len(run.keep), n_series=2, exponent=1, t_r=run.t_r, band_hz=BAND)
    return replace(run, means=1000 + series)


def test_one_run_has_the_p_of_the_kernel(rng):
    run = a_design(rng, n_time=260)
    basis = run.models["brainstem"].basis
    projected = basis.T @ run.means[run.keep]
    expected, n = circular_shift_null(
        projected[:, 0],
        targets=projected[:, 1:],
        basis=basis,
        keep=run.keep,
        t_r=2.0,
        min_shift_s=30.0,
        n_shifts=1000,
        rng=rng,
    )
    found = shift_estimate(Functional(runs=(run,), settings=SETTINGS), PAG_VMPFC, model="brainstem")
    assert (found.value, found.n) == (pytest.approx(expected[0]), n)
    # no more independent shifts than dimensions
    assert found.se == pytest.approx(np.sqrt(found.value * (1 - found.value) / basis.shape[1]))
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


@pytest.mark.parametrize("lengths", [(260,), (260, 200)])
def test_p_is_even_without_a_connection(lengths):
    """360 pairs of unrelated coloured series in one run, and in two runs of different length."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(30):
        designs = [a_design(rng, n_time=n_time) for n_time in lengths]
        found += [p_of(*(redrawn(run, rng) for run in designs), dof_min=5) for _ in range(N_PER_DESIGN)]
    found = np.array(found)
    # four standard errors of a share of 360
    for level in (0.05, 0.25, 0.5, 0.75):
        assert abs(np.mean(found <= level) - level) < 4 * np.sqrt(level * (1 - level) / 360) + 0.01


def test_a_connection_has_a_small_p_and_two_runs_tell_more_than_one(rng):
    designs = [a_pair(rng, r=0.35, exponent=1, fd=np.full(260, 0.1)) for _ in range(20)]
    alone = [p_of(run) for run in designs]
    together = [p_of(one, other) for one, other in pairwise(designs)]
    assert np.median(together) < np.median(alone) < 0.1
    # runs that disagree cancel out
    run = a_pair(rng, r=0.6, exponent=1, fd=np.full(260, 0.1))
    assert p_of(run) < 0.02
    assert p_of(run, replace(run, means=run.means * [1, -1])) > 0.9


def test_the_seed_of_the_study_decides_the_draws(rng):
    pair = tuple(redrawn(a_design(rng, n_time=n_time), rng) for n_time in (260, 240))
    assert p_of(*pair, seed=1) == p_of(*pair, seed=1)
    assert len({p_of(*pair, seed=seed) for seed in range(5)}) > 1


def test_every_edge_has_a_row_and_the_gates_of_its_connection(rng):
    run = a_run(rng)
    found = estimates(run)
    assert len(found) == 26
    assert found["fc_null_p", "pag_vmpfc"].value == pytest.approx(1 / (1 + found["fc_null_p", "pag_vmpfc"].n))
    moved = estimates(a_run(rng, fd=0.56), fd_spike_mm=1.0)["fc_null_p", "mpfc_pcc"]
    assert moved.reasons[0] is Reason.HIGH_MOTION
    short = {"shifts": 1000, "min_shift_s": 301}
    assert estimates(run, shift_null=short)["fc_null_p", "pag_vmpfc"].reasons == (Reason.TOO_FEW_VOLUMES,)
