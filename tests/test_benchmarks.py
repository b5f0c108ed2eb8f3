"""The benchmarks run, both sides agree at a tiny size, and the page is that of the kept results. Nothing is timed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks import page, sides
from benchmarks.side import measured
from benchmarks.synthetic import make_run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    make_run(folder, voxel_mm=10.0, n_time=240)
    return folder


def test_seed_maps_of_both_sides_agree(folder):
    ours = np.tanh(sides.seed_map(folder)())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same, filtered = (
            np.tanh(sides.seed_map_nilearn(folder, model=model)()) for model in ("cosines", "butterworth")
        )
    exact = sides.seed_map_exact(folder, n_voxel=3000)()
    assert np.abs(ours - same).max() < 1e-5
    assert np.nanmax(np.abs(ours - exact)) < 1e-5
    known = np.isfinite(filtered)  # rounding takes r of the seed with itself beyond 1
    assert known.mean() > 0.99
    assert np.corrcoef(ours[known], filtered[known])[0, 1] > 0.9
    assert ours.std() > 0.05


def test_dynamic_connectivity_of_both_sides_agrees(folder):
    shape = {"n_time": 60, "n_node": 12, "width": 40}
    ours = sides.dynamic(folder, **shape)()
    assert ours.shape == (21, 12, 12)
    assert np.array_equal(sides.dynamic_again(folder, **shape)(), ours)
    assert np.abs(ours - sides.dynamic_nilearn(folder, **shape, shrunken=False)()).max() < 1e-5


def test_degree_of_both_sides_agrees(folder):
    shape = {"n_voxel": 200, "d": 30, "threshold": 0.25}
    ours, theirs = sides.degree(folder, **shape)(), sides.degree_numpy(folder, **shape)()
    assert np.array_equal(ours, theirs)
    assert 0 < ours.min() < ours.max() < 199


def test_the_other_sides_run(folder, monkeypatch):
    monkeypatch.setattr(sides, "GEMM_SIZE", 8)
    monkeypatch.setattr(sides, "COPY_SIZE", 8)
    assert sides.seed_maps(folder, n_seed=3, summaries=True)() == 5
    n_bytes = sides.decompress(folder, library="isal")()
    assert n_bytes == sides.decompress(folder, library="zlib")() == 352 + 240 * 2 * 20 * 23 * 20
    found = sides.products(folder, n_voxel=50, d=8, n_seed=2, n_roi=3)()
    assert min(found.values()) > 0
    assert sides.dynamic_products(folder, n_time=60, n_node=12, width=40)() == 21
    assert sides.scaled(folder, n_voxel=50, n_time=40, d=8, n_seed=2)() > 0


def test_a_side_is_timed_between_two_runs_of_the_other(folder):
    alone = measured("seed_map", folder)
    assert alone.ratio is None
    twice = measured("seed_maps", folder, repeats=2, over="seed_map", n_seed=60, summaries=True)
    assert twice.ratio > 1  # 62 maps instead of one
    assert twice.result == 62


def test_the_step_and_the_job_of_the_workflow_run(folder):
    found = sides.functional_step(folder, n_seed=2, fwhm_mm=0.0)()
    assert found["rows"] > 250
    assert found["maps"] == 4
    assert (
        sides.functional_job(folder, n_seed=1, fwhm_mm=0.0)() > 0.5
    )  # seconds: interpreter and imports alone take that


def test_parts_measured_later_join_those_that_are_kept(tmp_path):
    kept = {"facts": {"minutes": 3.1, "volumes": 1200}, "parts": {"reading": {"rows": [1]}, "products": {"rows": [2]}}}
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "hcp.json").write_text(json.dumps(kept), encoding="utf-8")
    later = {"facts": {"minutes": 1.0, "volumes": 1200}, "parts": {"products": {"rows": [3]}, "dynamic": {"rows": [4]}}}
    found = page.joined(later, root=tmp_path, kind="hcp")
    assert found["facts"]["minutes"] == 4.1
    assert {name: part["rows"] for name, part in found["parts"].items()} == {
        "reading": [1],
        "products": [3],
        "dynamic": [4],
    }
    assert page.joined(later, root=tmp_path, kind="default")["parts"] == later["parts"]


def test_a_side_in_its_own_process(folder):
    found = measured("read", folder, repeats=2)
    assert found.result > 240 * 1000
    assert found.cpu > 0
    assert found.peak_mb >= found.imports_mb > 10
    with pytest.raises(RuntimeError, match="no_such_side"):
        measured("no_such_side", folder)


@pytest.mark.parametrize(("kind", "name"), page.KEPT.items())
def test_the_page_is_that_of_the_kept_results(kind, name):
    results = ROOT / "benchmarks" / "results" / f"{kind}.json"
    if not results.exists():
        pytest.skip(f"no results of {kind} are kept")
    found = json.loads(results.read_text(encoding="utf-8"))
    written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == page.markdown(found, image=f"images/{name}.svg")
