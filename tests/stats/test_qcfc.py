"""QC-FC of studies: no relation, a planted one, who counts, and people whose motion and connectivity are real."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import NodeSeries
from lbpneuro.io.relmats import MODELS
from lbpneuro.kernels.correlation import correlation, fisher_z
from lbpneuro.kernels.nuisance import project, residual_basis
from lbpneuro.stats.qcfc import COLUMNS, Cohort, analyse, covariate_columns, find_matrices, groups, read_group, study
from tests.oracles.nodes import ball, node_run, nuisance, write_person
from tests.oracles.qcfc import partial_correlation

N_NODE, N_TIME = 12, 160
LIMITS = {"people_min": 10, "permutations": 199, "seed": 5}
BOCHUM = Path(__file__).resolve().parents[3] / "shared" / "data" / "rpn_bochum"


def a_cohort(rng, *, n_person: int = 40, n_node: int = 30, artefact: float = 0.0, local: bool = False) -> Cohort:
    """People whose edges share ten sources; motion adds ``artefact`` sd to all of them, or the more the nearer."""
    coords = rng.uniform(-60, 60, (n_node, 3))
    first, second = np.triu_indices(n_node, k=1)
    distance = np.linalg.norm(coords[first] - coords[second], axis=1)
    motion = rng.lognormal(-2, 0.5, n_person)
    shape = (distance < np.median(distance)) if local else np.ones(len(distance))
    standard = (motion - motion.mean()) / np.std(motion, ddof=1)
    z = 0.4 * rng.standard_normal((n_person, 10)) @ rng.standard_normal((10, len(distance)))
    z = 0.2 * (z / 2 + rng.standard_normal(z.shape) + artefact * standard[:, None] * shape)
    return Cohort(
        atlas="Ball",
        model="cortical",
        people=tuple(f"sub-{place:02d}" for place in range(n_person)),
        motion=motion,
        z=z.astype(np.float32),
        nodes=tuple(f"node_{place}" for place in range(n_node)),
        distance=distance,
        strategies={"36p": n_person},
        costs={"volumes": 200.0, "volumes_kept": 190.0, "regressors": 36.0, "residual_dimension": 50.0},
    )


def test_no_relation_gives_what_is_expected_of_none() -> None:
    """Over 300 studies: the median at its expectation, p-values below 5 % in 5 % of them."""
    rng = np.random.default_rng(20210709)
    found = [analyse(a_cohort(rng, n_person=25, n_node=15), covariates={}, **LIMITS).summary for _ in range(300)]
    medians = np.array([each["median_abs_r"] for each in found])
    assert medians.mean() == pytest.approx(found[0]["null_median_abs_r"], abs=0.005)
    for p in ("p", "p_distance"):
        assert 0.02 <= np.mean([each[p] <= 0.05 for each in found]) <= 0.085
    inside = [each["null_low"] <= each["median_abs_r"] <= each["null_high"] for each in found]
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.mean([each["share_significant"] > 0 for each in found]) < 0.1


def test_a_planted_artefact_raises_it(rng) -> None:
    clean = analyse(a_cohort(rng), covariates={}, **LIMITS).summary
    moved = analyse(a_cohort(rng, artefact=0.8), covariates={}, **LIMITS).summary
    assert moved["median_abs_r"] > 2 * clean["median_abs_r"]
    assert moved["median_abs_r"] > moved["null_high"]
    assert moved["p"] == 1 / 200
    assert moved["share_significant"] > 0.5
    assert moved["ci_low"] < moved["median_abs_r"] < moved["ci_high"]
    assert abs(moved["spearman_distance"]) < 0.3
    assert moved["lost_dimensions"] == 150


def test_an_artefact_of_near_nodes_shows_in_the_distance(rng) -> None:
    found = analyse(a_cohort(rng, artefact=0.8, local=True), covariates={}, **LIMITS).summary
    assert found["spearman_distance"] < -0.5
    assert found["slope_distance"] < 0
    assert found["p_distance"] == 1 / 200


def test_a_covariate_takes_its_own_relation_out(rng) -> None:
    """Old people move more and are connected less; of the same age, motion does not matter."""
    cohort = a_cohort(rng, n_person=60)
    age = rng.uniform(20, 80, 60)
    motion = 0.05 + 0.002 * age + 0.02 * rng.standard_normal(60)
    z = cohort.z - 0.01 * age[:, None].astype(np.float32)
    confounded = replace(cohort, motion=motion, z=z)
    alone = analyse(confounded, covariates={}, **LIMITS)
    held = analyse(confounded, covariates={"age": age[:, None]}, **LIMITS)
    assert alone.summary["share_significant"] > 0.5
    assert held.summary["share_significant"] < 0.05
    assert held.summary["covariates"] == "age"
    expected = [partial_correlation(motion, edge, age[:, None]) for edge in z.T.astype(float)]
    np.testing.assert_allclose(held.r, expected, atol=1e-6)
    assert held.summary["null_low"] <= held.summary["median_abs_r"] <= held.summary["null_high"]


def test_too_few_people_have_no_numbers(rng) -> None:
    found = analyse(a_cohort(rng, n_person=9), covariates={}, **LIMITS)
    assert found.summary["note"] == "fewer than 10 people: no numbers"
    assert "median_abs_r" not in found.summary
    same = a_cohort(rng)
    still = replace(same, motion=np.full(40, 0.1))
    assert analyse(still, covariates={}, **LIMITS).summary["note"] == "motion is the same in everyone"


def test_an_edge_of_few_people_is_left_out(rng) -> None:
    cohort = a_cohort(rng)
    cohort.z[9:, 0] = np.nan
    cohort.z[10:, 1] = np.nan
    found = analyse(cohort, covariates={}, **LIMITS)
    assert np.isnan(found.r[0])
    assert np.isfinite(found.r[1])
    assert found.summary["n_edges"] == len(found.r) - 1


def test_the_same_seed_gives_the_same_numbers(rng) -> None:
    cohort = a_cohort(rng)
    assert analyse(cohort, covariates={}, **LIMITS).summary == analyse(cohort, covariates={}, **LIMITS).summary


def test_covariates_are_numbers_or_categories() -> None:
    people = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2", "sub-3"],
            "age": [30.0, np.nan, 50.0],
            "sex": ["F", "M", "X"],
            "site": ["a", "a", "a"],
        }
    )
    found = covariate_columns(people, ["sub-3", "sub-1", "sub-2"], ["age", "sex", "site", "weight"])
    assert list(found) == ["age", "sex"]
    np.testing.assert_array_equal(found["age"], [[50], [30], [np.nan]])
    np.testing.assert_array_equal(found["sex"], [[0, 1], [0, 0], [1, 0]])


@pytest.fixture
def written(rng, tmp_path: Path) -> list[Path]:
    """Twelve people on disk; one has two runs, one a second session, one moved too much."""
    atlas = ball(N_NODE, rng)
    rows = []
    for place in range(12):
        who = f"sub-{place:02d}"
        visits = [("ses-1", "1"), ("ses-1", "2")] if place == 0 else [("ses-1", "1")]
        visits += [("ses-2", "1")] if place == 1 else []
        for session, label in visits:
            means = 100 + rng.standard_normal((N_TIME, N_NODE)) + rng.standard_normal((N_TIME, 1))
            models = {
                "cortical": nuisance(rng.standard_normal((N_TIME, 8 * int(label))), strategy="36p"),
                "cortical_alternative": nuisance(rng.standard_normal((N_TIME, 3)), strategy="acompcor24"),
            }
            fd = 0.9 if place == 2 else rng.uniform(0.05, 0.2)
            run = node_run(means, models=models, fd=fd, name=f"task-rest_run-{label}")
            nodes = NodeSeries(atlas=atlas, means=means, coverage=np.ones(N_NODE))
            path = write_person(tmp_path, run, nodes, who=who, session=session, run_label=label)
            rows += [path] if path not in rows else []
    return rows


def test_who_counts(written: list[Path], tmp_path: Path) -> None:
    found = groups(find_matrices(written, root=tmp_path))
    assert list(found) == [("Ball", "cortical"), ("Ball", "cortical_alternative")]
    people = found["Ball", "cortical"]
    assert len(people) == 11
    assert "sub-02" not in people
    assert [run.path.name.split("_")[3] for run in people["sub-00"]] == ["run-1", "run-2"]
    assert {run.session for run in people["sub-01"]} == {"ses-1"}


def test_a_matrix_that_cannot_be_read_is_left_out(written: list[Path], tmp_path: Path, caplog) -> None:
    broken, gone = sorted((tmp_path / "sub-05").glob("**/*_relmat.tsv"))
    broken.write_text(broken.read_text()[:200])
    gone.unlink()
    (tmp_path / "sub-06").joinpath("ses-1", "func", broken.name.replace("sub-05", "sub-06")).with_suffix(
        ".json"
    ).unlink()
    found = groups(find_matrices(written, root=tmp_path))
    people = [set(read_group(found["Ball", model], atlas="Ball", model=model).people) for model in MODELS]
    everyone = {f"sub-{place:02d}" for place in range(12)} - {"sub-02", "sub-05"}
    assert people == [everyone - {"sub-06"}, everyone]
    assert caplog.text.count("left out, because") == 3


def test_runs_are_averaged_by_their_dimensions(written: list[Path], tmp_path: Path) -> None:
    runs_of = groups(find_matrices(written, root=tmp_path))["Ball", "cortical"]
    cohort = read_group(runs_of, atlas="Ball", model="cortical")
    tables = [pd.read_csv(run.path, sep="\t").to_numpy() for run in runs_of["sub-00"]]
    d = np.array([run.sidecar["ResidualDimension"] for run in runs_of["sub-00"]])
    upper = np.triu_indices(N_NODE, k=1)
    expected = d @ np.arctanh([table[upper] for table in tables]) / d.sum()
    np.testing.assert_allclose(cohort.z[0], expected, atol=1e-6)
    fd = [run.sidecar["MeanFramewiseDisplacement"] for run in runs_of["sub-00"]]
    assert cohort.motion[0] == pytest.approx(np.mean(fd))
    assert cohort.costs["volumes"] == pytest.approx((2 * N_TIME + 10 * N_TIME) / 11)


def test_different_nodes_are_refused(written: list[Path], tmp_path: Path, rng) -> None:
    means = 100 + rng.standard_normal((N_TIME, N_NODE - 1))
    models = {"cortical": nuisance(rng.standard_normal((N_TIME, 8)), strategy="36p")}
    nodes = NodeSeries(atlas=ball(N_NODE - 1, rng), means=means, coverage=np.ones(N_NODE - 1))
    rows = [*written, write_person(tmp_path, node_run(means, models=models), nodes, who="sub-99", session="ses-1")]
    runs_of = groups(find_matrices(rows, root=tmp_path))["Ball", "cortical"]
    with pytest.raises(InputError, match=r"sub-99.*its nodes are not those of"):
        read_group(runs_of, atlas="Ball", model="cortical")


def test_a_study_from_its_files(written: list[Path], tmp_path: Path) -> None:
    people = pd.DataFrame({"participant_id": [f"sub-{n:02d}" for n in range(12)], "age": np.arange(12.0)})
    settings = {"people_min": 10, "permutations": 100, "covariates": ["age", "sex"]}
    table, edges, facts = study(written, root=tmp_path, participants=lambda _: people, settings=settings, seed=1)
    assert list(table.columns) == list(COLUMNS)
    assert table["covariates"].fillna("none").tolist() == ["none", "age"] * 2
    assert set(table["n_people"]) == {11}
    assert table["n_edges"].eq(66).all()
    assert table["regressors"].gt(0).all()
    assert len(edges) == 4 * 66
    assert facts["LeftOut"] == {"sub-02 ses-1 task-rest_run-1": ["high_motion"]}
    none, _, _ = study([], root=tmp_path, participants=lambda _: people, settings=settings, seed=1)
    assert none.empty


def bochum() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Displacement and regional series of 41 people."""
    moved, series = [], []
    with tarfile.open(BOCHUM / "regional_timeseries.tar.xz") as archive:
        for member in sorted((m for m in archive if m.name.endswith(".tsv")), key=lambda m: m.name):
            table = pd.read_csv(io.BytesIO(archive.extractfile(member).read()), sep="\t")
            fd = np.loadtxt(BOCHUM / "framewise_displacement" / f"FD_{Path(member.name).stem}.txt", skiprows=1)
            moved.append(np.concatenate([[fd.mean()], fd]))
            series.append(table.to_numpy())
    return moved, series


@pytest.mark.skipif(not BOCHUM.is_dir(), reason="needs ../shared/data/rpn_bochum")
def test_forty_one_real_people() -> None:
    """Motion still shows in series cleaned by others; taking motion out once more changes little, as it must."""
    moved, series = bochum()
    motion, found = np.array([fd.mean() for fd in moved]), {}
    upper, keep = np.triu_indices(122, k=1), np.ones(200, dtype=bool)
    fixed = {"t_r": 2.5, "band_hz": (0.01, 0.08), "polynomial": 1, "keep": keep}
    untouched = residual_basis(np.empty((200, 0)), **fixed)
    for kind in ("none", "motion"):
        z = np.empty((41, len(upper[0])), dtype=np.float32)
        for place, (fd, values) in enumerate(zip(moved, series, strict=True)):
            step = np.diff(fd, prepend=fd[0])
            terms = np.column_stack([fd, step, fd**2, step**2])
            basis = residual_basis(terms, **fixed) if kind == "motion" else untouched
            z[place] = fisher_z(correlation(project(basis, values[:, 1:], keep=keep)))[upper]
        people = tuple(f"sub-{place}" for place in range(41))
        cohort = replace(a_cohort(np.random.default_rng(1)), people=people, motion=motion, z=z, strategies={kind: 41})
        cohort = replace(cohort, distance=np.arange(len(upper[0]), dtype=float))
        found[kind] = analyse(cohort, covariates={}, **LIMITS).summary
    assert found["none"]["n_people"] == 41
    assert found["none"]["median_abs_r"] == pytest.approx(0.147, abs=0.003)
    assert found["motion"]["median_abs_r"] == pytest.approx(0.145, abs=0.003)
    assert found["none"]["null_median_abs_r"] == pytest.approx(0.108, abs=0.001)
    assert found["none"]["p"] < 0.1
