"""Values, intervals and gates of the connectivity markers on runs made of arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.io.regions import read_regions
from lbpneuro.io.resources import workflow_folder
from lbpneuro.kernels.correlation import fisher_z_se, partial_correlation
from lbpneuro.kernels.nuisance import cleaned, project
from lbpneuro.markers import bold
from lbpneuro.markers.bold import Functional
from lbpneuro.markers.connectivity import EDGE_MARKERS, MARKERS, MPFC_HUB, NAC_SLOW5, SHIFT_REST, edge_estimate
from lbpneuro.markers.descriptor import Direction, Tier
from lbpneuro.markers.edges import CONTROL_ENDS, EDGES, LABELS, PAIN_NODES, wanted_regions
from tests.oracles import runs
from tests.oracles.functional import SETTINGS, coloured
from tests.oracles.runs import BAND, PAG, REGIONS, VMPFC, a_pair, a_run, models_of, spoilt, with_value

estimates = partial(runs.estimates, MARKERS)
BY_NAME = {marker.name: marker for marker in MARKERS}
R = ("fc_r", "pag_vmpfc")


def test_a_clean_run(rng):
    found = estimates(a_run(rng))
    assert {estimate.status for estimate in found.values()} == {Status.OK}
    z, r = found["pag_vmpfc_z"], found[R]
    assert abs(z.value - 0.693) < 2 * z.se
    assert z.se == pytest.approx(float(fisher_z_se(z.n)))
    assert r.value == pytest.approx(np.tanh(z.value))
    assert (r.ci_low, r.ci_high) == pytest.approx((np.tanh(z.ci_low), np.tanh(z.ci_high)))
    assert found["fc_z_alternative", "pag_vmpfc"].value != z.value
    assert abs(found["fc_z_alternative", "pag_vmpfc"].value - 0.693) < 2 * z.se


def test_every_edge_has_a_marker_and_its_levels(rng):
    found = estimates(a_run(rng))
    assert [marker.name for marker in EDGE_MARKERS] == [f"{edge.name}_z" for edge in EDGES]
    for label, (edge, side) in LABELS.items():
        z = found[(f"{edge.name}_z", side) if side else f"{edge.name}_z"]
        assert np.tanh(z.value) == pytest.approx(found["fc_r", label].value)
    assert len(LABELS) == 26
    assert [edge.name for edge in EDGES if edge.tier is Tier.PRIMARY] == ["pag_vmpfc"]


def test_directions_are_those_that_were_read():
    lower = {"lpag_pcc", "mpfc_pcc", "anthc_mpfc", "vta_mpfc", "vta_hipp"}
    higher = {"vlpag_s1", "mpfc_ins", "nac_dlpfc"}
    for edge in EDGES:
        expected = Direction.LOWER if edge.name in lower else Direction.HIGHER if edge.name in higher else None
        assert edge.direction is (expected or Direction.CONTESTED), edge.name
        assert BY_NAME["fc_r"].direction_at((edge.label(edge.sides[0]),)) is edge.direction
        assert edge.direction_source
    assert "meta-analysis" in BY_NAME["pag_vmpfc_z"].direction_source


def test_regions_of_the_table_are_those_of_the_edges():
    known = list(read_regions(workflow_folder() / "config" / "rois.tsv"))
    wanted = wanted_regions({**SETTINGS, "edges": {"a": {"seed": ["m1_L"], "target": ["m1_R"]}}}, known, nodes=["sma"])
    assert set(REGIONS) | {("m1", "L"), ("m1", "R"), ("sma", "L"), ("sma", "R")} == set(wanted)
    assert set(wanted) <= set(known)
    with pytest.raises(InputError, match="name the region mpcf, which the table of regions lacks"):
        wanted_regions({**SETTINGS, "seeds": ["mpcf"]}, known)


def test_the_parts_of_an_end_count_by_their_size(rng):
    """10 voxels of one and 30 of the other: a quarter and three quarters of the series; one without voxels does not."""
    run = a_run(rng)
    columns = run.columns([("vta", "L"), ("vta", "R")])
    size = run.size.copy()
    size[columns] = 10, 30
    series = bold.end_series(replace(run, size=size), [("vta", "L"), ("vta", "R")])
    np.testing.assert_allclose(series, run.means[:, columns] @ [0.25, 0.75])
    means = run.means.copy()
    means[:, columns[0]] = np.nan
    size[columns[0]] = 0
    series = bold.end_series(replace(run, means=means, size=size), [("vta", "L"), ("vta", "R")])
    np.testing.assert_allclose(series, run.means[:, columns[1]])


def test_kept_time_at_the_gates(rng):
    """4.0 min kept is not failed, 3.9 min is; 8.0 min is not flagged."""
    run = a_run(rng, n_time=300, n_confounds=0)
    assert estimates(spoilt(run, 180))["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)
    for name in ("pag_vmpfc_z", R, "mpfc_hub", "shift_rest", ("nac_slow5", "L")):
        assert estimates(spoilt(run, 183))[name].reasons == (Reason.TOO_FEW_VOLUMES,)
    assert estimates(spoilt(run, 60))["pag_vmpfc_z"].status is Status.OK
    assert estimates(spoilt(run, 61))["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)


def test_kept_time_is_not_lost_to_rounding(rng):
    """300 volumes of 0.8 s are 240 s, whatever floating point makes of it."""
    run = a_run(rng, n_time=300, t_r=0.8, n_confounds=0)
    assert Reason.TOO_FEW_VOLUMES not in estimates(run)["pag_vmpfc_z"].reasons


@pytest.mark.parametrize(
    ("fd", "reasons"),
    [(0.2, ()), (0.21, (Reason.MODERATE_MOTION,)), (0.25, (Reason.MODERATE_MOTION,))],
)
def test_mean_displacement(rng, fd, reasons):
    assert estimates(a_run(rng, fd=fd))["pag_vmpfc_z"].reasons == reasons


def test_mean_displacement_beyond_the_limit(rng):
    assert estimates(a_run(rng, fd=0.56), fd_spike_mm=1.0)["pag_vmpfc_z"].reasons[0] is Reason.HIGH_MOTION


def test_one_large_displacement(rng):
    fd = np.full(300, 0.05)
    fd[100] = 5.0
    assert estimates(a_run(rng, fd=fd))["pag_vmpfc_z"].status is Status.OK
    fd[100] = 5.001
    assert estimates(a_run(rng, fd=fd))["pag_vmpfc_z"].reasons == (Reason.HIGH_MOTION,)


def test_share_of_spikes(rng):
    fd = np.full(301, 0.05)
    fd[1:61] = 0.3  # 60 of 300 known displacements: exactly 20 %
    assert Reason.HIGH_MOTION not in estimates(a_run(rng, n_time=301, fd=fd, n_confounds=0))["pag_vmpfc_z"].reasons
    fd[61] = 0.3
    assert estimates(a_run(rng, n_time=301, fd=fd, n_confounds=0))["pag_vmpfc_z"].reasons == (Reason.HIGH_MOTION,)


def test_volumes_before_the_steady_state_do_not_count(rng):
    fd = np.full(300, 0.05)
    fd[1:4] = 9.0
    run = a_run(rng, fd=fd)
    assert estimates(replace(run, steady=np.arange(300) >= 5))["pag_vmpfc_z"].status is Status.OK


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("coverage", 0.499, Reason.COVERAGE_TOO_LOW),
        ("coverage", np.nan, Reason.COVERAGE_TOO_LOW),
        ("signal", 0.499, Reason.SIGNAL_DROPOUT),
    ],
)
def test_an_edge_fails_for_its_own_regions_only(rng, name, value, reason):
    found = estimates(with_value(a_run(rng), name, value, "mpfc"))
    failed = {label for label, (edge, side) in LABELS.items() if ("mpfc", "n/a") in sum(edge.ends(side), ())}
    assert len(failed) == 8
    for label in LABELS:
        expected = (reason,) if label in failed else ()
        assert found["fc_r", label].reasons == found["fc_z_alternative", label].reasons == expected, label
        if label not in failed:
            assert found["fc_partial_z", label].status is Status.OK
    assert found["mpfc_hub"].reasons == (reason,)
    assert found["shift_rest"].status is Status.OK
    at_limit = estimates(with_value(a_run(rng), name, 0.5, "mpfc"))
    assert {estimate.status for estimate in at_limit.values()} == {Status.OK}


@pytest.mark.parametrize(("tsnr", "status"), [(31, Status.OK), (25, Status.FLAG), (19, Status.FAIL)])
def test_signal_to_noise_of_the_brainstem(rng, tsnr, status):
    """The prefrontal region has no such gate."""
    run = a_run(rng)
    found = estimates(with_value(run, "tsnr", tsnr, "pag"))
    assert found["pag_vmpfc_z"].status is found["pag_amyg_z", "L"].status is status
    assert found["vta_mpfc_z"].status is found["mpfc_pcc_z"].status is Status.OK
    assert estimates(with_value(run, "tsnr", tsnr, "vmpfc"))["pag_vmpfc_z"].status is Status.OK


def test_no_signal_at_all(rng):
    run = a_run(rng)
    means = run.means.copy()
    means[:, VMPFC] = 1000.0
    assert estimates(replace(run, means=means))["pag_vmpfc_z"].reasons == (Reason.ZERO_VARIANCE,)


def test_one_series_in_both_regions_has_no_correlation(rng):
    """r of exactly 1 means the same data twice, and its Fisher z is infinite."""
    run = a_run(rng)
    means = run.means.copy()
    means[:, VMPFC] = means[:, PAG]
    found = estimates(replace(run, means=means))
    for name in ("pag_vmpfc_z", R):
        assert (found[name].status, found[name].reasons) == (Status.FAIL, (Reason.OUT_OF_BOUNDS,))


def test_too_few_dimensions(rng):
    # 600 s: 2 * 600 * 0.07 + 1 = 85 cosines, less the drift
    assert estimates(a_run(rng, n_confounds=60))["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_DOF,)
    assert estimates(a_run(rng, n_confounds=59))["pag_vmpfc_z"].status is Status.OK
    run = a_run(rng)
    lost = {**run.models, "brainstem": replace(run.models["brainstem"], basis=None)}
    found = estimates(replace(run, models=lost))
    assert found["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_DOF,)
    assert found["mpfc_pcc_z"].status is Status.OK
    assert found["fc_z_alternative", "pag_vmpfc"].status is Status.OK


def test_two_repetition_times_are_told(rng):
    found = estimates(a_run(rng, doubtful_timing=True))
    assert {e.reasons for e in found.values()} == {(Reason.DOUBTFUL_TIMING,)}
    assert {e.status for e in found.values()} == {Status.FLAG}


def test_a_task_and_reduced_confounds_are_told(rng):
    run = a_run(rng, resting=False)
    assert {e.reasons for e in estimates(run).values()} == {(Reason.NOT_RESTING_STATE,)}
    run = a_run(rng)
    fewer = {**run.models, "brainstem": replace(run.models["brainstem"], reduced=True)}
    found = estimates(replace(run, models=fewer))
    assert found["pag_vmpfc_z"].reasons == (Reason.REDUCED_CONFOUNDS,)
    assert found["mpfc_pcc_z"].status is Status.OK


def test_runs_are_pooled_and_bad_ones_left_out(rng):
    one, two, bad = a_run(rng), a_run(rng, n_time=200), a_run(rng, fd=0.6, r=-0.9)
    first, second = estimates(one)["pag_vmpfc_z"], estimates(two)["pag_vmpfc_z"]
    weight = np.array([first.n - 2, second.n - 2])
    together = estimates(one, bad, two)
    assert together["pag_vmpfc_z"].value == pytest.approx(weight @ [first.value, second.value] / weight.sum())
    assert together["pag_vmpfc_z"].se == pytest.approx(1 / np.sqrt(weight.sum()))


def test_short_runs_are_enough_together(rng):
    run = a_run(rng, n_time=110, n_confounds=0)
    assert estimates(run)["pag_vmpfc_z"].reasons == (Reason.TOO_FEW_VOLUMES,)
    assert estimates(run, run)["pag_vmpfc_z"].reasons == (Reason.SHORT_SCAN,)


def test_no_volume_at_all(rng):
    run = a_run(rng)
    nothing = np.zeros(300, dtype=bool)
    models = {name: replace(model, basis=None) for name, model in run.models.items()}
    found = estimates(replace(run, steady=nothing, keep=nothing, models=models))
    assert {estimate.reasons[0] for estimate in found.values()} == {Reason.TOO_FEW_VOLUMES}


def test_arrays_are_not_changed(rng):
    run = a_run(rng)
    for array in (run.fd_mm, run.steady, run.keep, run.means, run.coverage, run.size, run.nodes):
        array.setflags(write=False)
    assert str(estimates(run)) == str(estimates(replace(run)))


def test_shift_changes_nothing(rng):
    run = a_run(rng)
    first = estimates(run)
    second = estimates(replace(run, means=run.means + 1e4, nodes=run.nodes - 500))
    for name, estimate in first.items():
        assert second[name].value == pytest.approx(estimate.value, abs=1e-7), name


def test_edges_of_the_users_own(rng):
    own = {
        "same": {"seed": ["vmpfc"], "target": ["pag"], "model": "brainstem"},
        "hands": {"seed": ["s1"], "target": ["accumbens_L"]},
    }
    run = a_run(rng)
    found = estimates(run, edges=own)
    assert found["custom_z", "same"].value == pytest.approx(found["pag_vmpfc_z"].value)
    basis = run.basis("cortical")
    ends = np.column_stack(
        [
            run.means[:, run.columns([("s1", "L"), ("s1", "R")])].mean(axis=1),
            run.means[:, run.columns([("accumbens", "L")])],
        ]
    )
    series = cleaned(basis, project(basis, ends, keep=run.keep), keep=run.keep)[run.keep]
    assert found["custom_z", "hands"].value == pytest.approx(np.arctanh(np.corrcoef(series.T)[0, 1]))


def test_partial_correlation_is_given_the_other_regions(rng):
    """With a common source of PAG and vmPFC that is also the mPFC's, little is left between the two."""
    run = a_run(rng, exponent=1)
    means = run.means.copy()
    source = means[:, run.columns([("mpfc", "n/a")])[0]] - 1000
    for column in (PAG, VMPFC, *run.columns([("amygdala", "L"), ("accumbens", "L")])):
        means[:, column] = 1000 + source + 0.7 * rng.standard_normal(len(source))
    run = replace(run, means=means)
    found = estimates(run)
    z, partial_z = found["pag_vmpfc_z"], found["fc_partial_z", "pag_vmpfc"]
    assert z.value > 0.6
    assert abs(partial_z.value) < 0.4 * z.value
    assert 0 < partial_z.se < 0.4
    # by hand: the two ends and all that lies elsewhere, as the table of controls lists it
    ends = [[("pag", "n/a")], [("vmpfc", "n/a")], *CONTROL_ENDS]
    ends = ends[:2] + [end for end in ends[2:] if end not in ((("pag", "n/a"),), (("vmpfc", "n/a"),))]
    y = project(run.basis("brainstem"), np.column_stack([bold.end_series(run, end) for end in ends]), keep=run.keep)
    assert partial_z.value == pytest.approx(np.arctanh(partial_correlation(y)[0][0, 1]), abs=1e-9)
    hidden = estimates(with_value(run, "coverage", 0.1, "amygdala"))["fc_partial_z", "pag_vmpfc"]
    assert hidden.status is Status.OK
    assert hidden.value != partial_z.value


def test_a_partial_correlation_that_is_all_shrinkage_has_no_error(rng):
    """Nothing but independent noise: the shrunken matrix is diagonal, and 0 -/+ 0 would be a lie."""
    found = [e for name, e in estimates(a_run(rng, r=0.0)).items() if name[0] == "fc_partial_z"]
    assert all(np.isnan(e.se) for e in found if e.value == 0)
    assert not any(e.se == 0 for e in found)


def test_hub_is_free_of_noise_and_knows_strength(rng):
    """Nothing but noise: the mean over runs is 0 within half its error, at any length; a mean of |z| would not be.

    What is taken off, the noise variance of an estimated dimension, is a little too much in short runs.
    """
    values = {n_time: [] for n_time in (200, 300)}
    for n_time, found in values.items():
        for seed in range(24):
            run = a_run(np.random.default_rng(seed), n_time=n_time, exponent=1)
            found.append(MPFC_HUB.function(Functional(runs=(run,), settings=SETTINGS))[()])
    for n_time, found in values.items():
        spread, se = np.std([e.value for e in found], ddof=1), np.mean([e.se for e in found])
        noise = np.mean([1 / (e.n - 2) for e in found])
        assert abs(np.mean([e.value for e in found])) < min(0.5 * se + 3 * spread / np.sqrt(24), 0.3 * noise), n_time
        assert 0.8 < se / spread < 2  # wide where there is nothing, which is said in the docs
    run = a_run(rng)
    source = run.means[:, run.columns([("mpfc", "n/a")])]
    strong = replace(run, nodes=1000 + 0.5 * (run.nodes - 1000) + 0.5 * (source - 1000))
    # r of 0.71 with every node: z of 0.88
    found = MPFC_HUB.function(Functional(runs=(strong,), settings=SETTINGS))[()]
    assert found.value == pytest.approx(0.88**2, rel=0.25)


def test_hub_leaves_out_nodes_within_the_seed_and_needs_half_of_the_others(rng):
    run = a_run(rng)
    nodes = run.nodes.copy()
    nodes[:, :5] = run.means[:, run.columns([("mpfc", "n/a")])]
    beyond = np.arange(160) >= 5
    fewer = replace(run, nodes=run.nodes[:, 5:], beyond_mpfc=beyond[5:])
    plain = MPFC_HUB.function(Functional(runs=(fewer,), settings=SETTINGS))
    found = MPFC_HUB.function(Functional(runs=(replace(run, nodes=nodes, beyond_mpfc=beyond),), settings=SETTINGS))
    assert found[()].value == pytest.approx(plain[()].value)
    nodes[:, 100:] = np.nan
    found = MPFC_HUB.function(Functional(runs=(replace(run, nodes=nodes, beyond_mpfc=beyond),), settings=SETTINGS))
    assert found[()].reasons == (Reason.COVERAGE_TOO_LOW,)


def test_slow5_knows_slow_from_fast(rng):
    """White noise has 0.017 of 0.09 Hz in the band; noise that falls with frequency has more of it."""
    white, pink = a_run(rng, n_time=400, exponent=0), a_run(rng, n_time=400, exponent=2)
    shares = [NAC_SLOW5.function(Functional(runs=(run,), settings=SETTINGS))[("L",)] for run in (white, pink)]
    assert abs(shares[0].value - 17 / 90) < 2.5 * shares[0].se
    assert shares[1].value > 0.4
    assert shares[0].ci_low < shares[0].value < shares[0].ci_high
    both = NAC_SLOW5.function(Functional(runs=(white, pink), settings=SETTINGS))[("L",)]
    assert shares[0].value < both.value < shares[1].value
    assert both.n == 800


def test_slow5_needs_five_minutes_and_its_frequencies(rng):
    short = a_run(rng, n_time=149, n_confounds=0)  # 298 s
    assert estimates(short, short)["nac_slow5", "L"].reasons == (Reason.TOO_FEW_VOLUMES,)
    slow = a_run(rng, n_time=100, t_r=6.0, n_confounds=0)
    assert estimates(slow)["nac_slow5", "R"].reasons == (Reason.TOO_FEW_VOLUMES,)


def test_shift_is_emotion_less_pain(rng):
    run = a_run(rng)
    means = run.means.copy()
    shared = coloured(rng, n_time=300, n_series=1, exponent=0, t_r=2.0, band_hz=BAND)
    columns = [run.columns(end)[0] for end in PAIN_NODES]
    means[:, columns] += shared
    found = SHIFT_REST.function(Functional(runs=(replace(run, means=means),), settings=SETTINGS))[()]
    # r of 0.5 among the pain regions, 0 among the emotion regions
    assert found.value == pytest.approx(-0.55, abs=3 * found.se)
    assert found.se < 0.15


@pytest.mark.parametrize(("exponent", "r"), [(0, 0.0), (1, 0.2), (1, 0.6)])
def test_intervals_cover_the_planted_correlation(exponent, r):
    """From the run to the row: bias within SE / 4, the 95 % interval of r covers 90 to 98 %."""
    n_seeds, errors, ses, covered = 250, [], [], 0
    with threadpool_limits(1):
        for seed in range(n_seeds):
            fd = np.where(np.random.default_rng(seed).random(300) < 0.08, 0.4, 0.1)
            run = a_pair(np.random.default_rng(10_000 + seed), r=r, exponent=exponent, fd=fd)
            data = Functional(runs=(run,), settings=SETTINGS)
            z = edge_estimate(data, LABELS["pag_vmpfc"][0].ends(""), model="brainstem")
            errors.append(z.value - np.arctanh(r))
            ses.append(z.se)
            covered += np.tanh(z.ci_low) <= r <= np.tanh(z.ci_high)
    assert abs(np.mean(errors)) < np.mean(ses) / 4
    assert 0.90 <= covered / n_seeds <= 0.98


def test_spike_regression_is_dropping_the_volumes(rng):
    """One-hot regressors of some volumes leave what leaving these volumes out leaves, up to the upper frequency."""
    spiky = np.arange(120) % 17 == 3
    confounds = rng.standard_normal((120, 5))
    series = rng.standard_normal((120, 6)) + rng.standard_normal((120, 1))
    everything = np.ones(120, dtype=bool)
    wide = {"t_r": 2.0, "band_hz": (0.01, 0.25), "polynomial": 1}
    one_hot = bold_basis(np.column_stack([confounds, np.eye(120)[:, spiky]]), keep=everything, **wide)
    dropped = bold_basis(confounds, keep=~spiky, **wide)
    assert one_hot.shape[1] == dropped.shape[1]
    regressed = cleaned(one_hot, project(one_hot, series, keep=everything), keep=everything)
    censored = cleaned(dropped, project(dropped, series, keep=~spiky), keep=~spiky)
    np.testing.assert_allclose(regressed[spiky], 0, atol=1e-9)
    np.testing.assert_allclose(regressed[~spiky], censored[~spiky], atol=1e-9)


def bold_basis(confounds, **options):
    from lbpneuro.kernels.nuisance import residual_basis

    return residual_basis(confounds, **options)


def test_models_are_told_apart(rng):
    """Every edge takes the model of its own table row."""
    run = a_run(rng)
    other = models_of(rng.standard_normal((300, 12)), t_r=2.0, keep=run.keep, alternative=np.empty((300, 0)))
    first = estimates(run)
    changed = estimates(replace(run, models={**run.models, "brainstem": other["brainstem"]}))
    for label, (edge, _) in LABELS.items():
        same = changed["fc_r", label].value == first["fc_r", label].value
        assert same == (edge.model == "cortical"), label


def test_no_alternative_where_both_strategies_came_down_to_the_same(rng):
    run = a_run(rng)
    same = {name: replace(model, strategy="acompcor6", reduced=True) for name, model in run.models.items()}
    found = estimates(replace(run, models=same))
    assert found[R].status is Status.FLAG
    assert found["fc_z_alternative", "pag_vmpfc"].reasons == (Reason.NO_ALTERNATIVE,)
