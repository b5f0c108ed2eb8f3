"""The benchmark of planted changes: its arithmetic, its planted field, and the variants of an image."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from benchmarks import atrophy_page
from benchmarks.atrophy import planted_field, variants

BEFORE = {"dlpfc_L": [10.0, 5.0], "thalamus_R": [8.0, 3.0], "s1_L": [7.0, 4.0]}


def entry(loss, factor, *, within=None):
    truth = {name: [-loss, -loss] if name != "s1_L" else [0.0, 0.0] for name in BEFORE}
    after = {name: [factor * number if name != "s1_L" else number for number in both] for name, both in BEFORE.items()}
    made = {"head": "a", "kind": "simulated", "level": "draft", "loss": loss, "truth": truth, "cpu_s": 40.0}
    made |= {"before": BEFORE, "volumes": after}
    if within is not None:
        made |= {"within": {name: [within, 0.1] for name in BEFORE}, "within_mm": 1.5, "within_cpu_s": 20.0}
    return made


def test_recovery_by_hand():
    """9 of 10 % found by itself; -10.526 % of the mean is all of it within the person."""
    found = atrophy_page.summary([entry(10.0, 0.91, within=-2000 / 190), entry(0.0, 1.02)])
    label = found["simulated; draft; label"]
    assert label["recovered dlpfc_L"][0] == pytest.approx(0.9)
    assert label["intact, median of |x|"] == pytest.approx(0)
    assert label["rescan, median of |x|"] == pytest.approx(2)
    assert label["rescan_cv"]["thalamus"] == pytest.approx(0.02 / np.sqrt(2))
    within = found["simulated; within, 1.5 mm; label"]
    assert within["recovered thalamus_R"][0] == pytest.approx(1)
    assert within["cpu_s"] == 20
    assert within["covered"] == pytest.approx(2 / 3)  # S1 did not change, but -10.5 was found
    assert "thalamus" not in found["simulated; draft; gm"]["rescan_cv"]


def test_what_is_beyond_the_error_of_two_scans_is_detected():
    """Two scans differ by less than 1.96 root 2 times their coefficient of variation."""
    settings = atrophy_page.read_config()["structural"]["rescan_cv"]["embedded_standard"]
    small = entry(10.0, 1 - 1.9 * np.sqrt(2) * settings["nucleus"]) | {"level": "standard"}
    large = entry(10.0, 1 - 2.0 * np.sqrt(2) * settings["nucleus"]) | {"level": "standard"}
    large["volumes"] = large["volumes"] | {"s1_L": [70.0, 4.0]}
    assert settings["nucleus"] == settings["cortex"]
    assert atrophy_page.detected([small], "label") == {"planted": [0, 2], "intact": [0, 1]}
    assert atrophy_page.detected([large], "label") == {"planted": [2, 2], "intact": [1, 1]}
    assert atrophy_page.detected([large], "gm") == {"planted": [1, 1], "intact": [0, 1]}
    assert atrophy_page.detected([large | {"level": "standard, antsRegistrationSyN[s]"}], "label")["planted"] == [0, 0]
    assert atrophy_page.detected([entry(10.0, 1.0, within=-10.0)], "within") == {"planted": [2, 2], "intact": [1, 1]}


def test_the_page_and_the_figure_are_written(tmp_path):
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    page = tmp_path / "docs" / "anatomy.md"
    old = "\n\n".join("{}\nold\n{}".format(*atrophy_page.marks(name)) for name in atrophy_page.BLOCKS)
    page.write_text(f"# A\n\n{old}\n\n## B\n")
    results = tmp_path / "heads.json"
    results.write_text(json.dumps([entry(10.0, 0.91), entry(0.0, 1.02)]))
    atrophy_page.write(results, root=tmp_path)
    text = page.read_text()
    assert "old" not in text
    assert "| simulated | draft | label | 1 (2) | 90% | 90% | 0.0 | 2.0 |  | 2 of 2 | 0 of 1 | 40 | 180 |" in text
    assert text.endswith("## B\n")
    assert "SD" not in text
    assert (tmp_path / "docs" / "images" / "atrophy.svg").stat().st_size > 1000
    assert json.loads((tmp_path / "benchmarks" / "results" / "atrophy.json").read_text())


def test_rescans_and_variants_by_hand():
    """Two scans 2 % apart have a coefficient of variation of 1.41 %; nuclei are labels, cortex the tissue in them."""
    again = entry(0.0, 1.02) | {"totals": {"before": {"tiv": 1500.0, "gm_total": 700.0}}}
    again["totals"]["after"] = {"tiv": 1503.0, "gm_total": 693.0}
    again["volumes"]["dlpfc_L"], again["volumes"]["thalamus_R"] = [99.0, 5.0], [8.16, 99.0]
    assert atrophy_page.rescan_table([again])[2:] == [
        "| simulated | draft | 1 | 0.14 | 0.71 | 0.00 | 1.41 | thalamus 1.4 |",
    ]
    whole = {"tiv": [1500.0] * 2, "gm_total": [700.0] * 2}
    first = {"head": "a", "level": "draft", "variant": "first", "volumes": BEFORE | whole}
    moved = BEFORE | {"s1_L": [9.0, 4.2], "thalamus_R": [7.84, 1.0], "tiv": [1515.0] * 2, "gm_total": [700.0] * 2}
    assert atrophy_page.variants_table([first, first | {"variant": "mirrored", "volumes": moved}])[2:] == [
        "| a | draft | mirrored | +1.0 | +0.0 | 2.5, 5.0 | 2.0, 2.0 |",
    ]


def test_the_planted_field_has_the_wanted_jacobian_over_the_label():
    points = np.stack(np.meshgrid(*[np.arange(64) * 2.0] * 3, indexing="ij"))
    label = (np.linalg.norm(points - 64.0, axis=0) < 14).astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    grid, displacement, determinant = planted_field(label, affine, loss=10.0)
    inside = np.linalg.norm(grid.points() - 64.0, axis=1).reshape(grid.shape) < 14
    assert determinant[inside].mean() == pytest.approx(0.9, abs=0.015)
    assert displacement.shape == (3, *grid.shape)


def test_variants_show_the_same_head(tmp_path):
    values = np.zeros((20, 24, 22), dtype=np.float32)
    values[4:9, 6:18, 5:17] = 100
    affine = np.array([[2.0, 0, 0, -20], [0, 2, 0, -25], [0, 0, 2, -22], [0, 0, 0, 1]])
    path = tmp_path / "T1w.nii.gz"
    nib.save(nib.Nifti1Image(values, affine), path)

    def centre(image):
        data = np.maximum(np.asarray(image.dataobj, dtype=float), 0)
        index = np.argwhere(data > 0)
        return (image.affine @ [*np.average(index, axis=0, weights=data[data > 0]), 1])[:3]

    where = centre(nib.load(path))
    found = {name: centre(nib.load(file)) for name, file in variants(path, tmp_path)}
    np.testing.assert_allclose(found["turned"], where, atol=1e-3)
    np.testing.assert_allclose(found["larger voxels"], where, atol=0.3)
    np.testing.assert_allclose(found["mirrored"], where * [-1, 1, 1], atol=1e-3)
