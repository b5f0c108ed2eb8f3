"""What is generated and kept in the repository is what the generators write today."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lbpneuro.io.files import write_json
from lbpneuro.io.plan import load_plan
from lbpneuro.io.tables import read_long
from lbpneuro.steps import plasticity, tms
from tests.workflow.study import settings

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "test_data" / "tiny"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)


def test_generated_pages_are_up_to_date() -> None:
    done = run("docs/generate.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tiny_study_is_what_its_generator_writes(tmp_path: Path) -> None:
    assert run("test_data/generate.py", tmp_path).returncode == 0
    assert (tmp_path / "SHA256SUMS").read_bytes() == (ROOT / "test_data" / "SHA256SUMS").read_bytes()
    written = {path.relative_to(tmp_path / "tiny"): path.read_bytes() for path in (tmp_path / "tiny").rglob("*.*")}
    assert written == {path.relative_to(TINY): path.read_bytes() for path in TINY.rglob("*.*")}


@pytest.fixture
def rows(tmp_path: Path):
    """Return the rows of a family step on the tiny study, by marker and level."""
    config = settings(tmp_path, bids_dir=str(TINY))
    write_json(tmp_path / "config.json", config)
    plan = load_plan(config)

    def values(step, family: str, participant: str) -> dict[tuple[str, ...], float]:
        out = tmp_path / "out" / participant / "emg" / f"{participant}_desc-{family}_markers.tsv"
        files = plan["units"][participant]["files"][family]
        where = ["--out", str(out), "--config", str(tmp_path / "config.json")]
        assert step.main(["--in", *files, *where, "--participant", participant]) == 0
        levels = ["marker", "muscle", "block"]
        return read_long(out).fillna(dict.fromkeys(levels, "-")).set_index(levels)["value"].to_dict()

    return values


def test_plasticity_of_the_tiny_study_by_hand(rows) -> None:
    """The mean log of ten amplitudes that are whole shares of the block's, one microvolt added."""
    amplitudes = runpy.run_path(str(ROOT / "test_data" / "generate.py"))["BLOCKS"]
    shares = np.array([80, 85, 90, 95, 100, 100, 105, 110, 115, 120])
    mean = {block: np.log(amplitude * shares // 100 + 1).mean() for block, amplitude in amplitudes.items()}
    first, second = rows(plasticity, "plasticity", "sub-01"), rows(plasticity, "plasticity", "sub-02")
    for block in ("post00", "post10", "post20"):
        assert first["hp_index", "-", block] == pytest.approx(mean["pre"] - mean[block])
        assert second["hp_index", "-", block] == pytest.approx(mean[block] - mean["pre"]), "inhibitory bouts"
    assert first["hp_first_bout", "-", "-"] == pytest.approx(mean["between"] - mean["pre"])
    assert first["hp_reversal", "-", "post10"] == pytest.approx(mean["between"] - mean["post10"])
    assert (first["hp_valid_priming", "-", "-"], second["hp_valid_priming", "-", "-"]) == (1, 0)


def test_motor_map_of_the_tiny_study_by_hand(rows) -> None:
    """Counted on the grid of site amplitudes, sites below a quarter of the largest left out."""
    found = rows(tms, "tms", "sub-01")
    assert found["overlap_min", "-", "-"] == pytest.approx(0.6058, abs=0.02)
    assert found["map_area", "multifidus_deep", "-"] == pytest.approx(5, abs=0.2)
    assert found["map_area", "longissimus", "-"] == pytest.approx(6, abs=0.2)
    assert found["map_volume", "multifidus_deep", "-"] == pytest.approx(3.10, abs=0.1)
    assert found["map_volume", "longissimus", "-"] == pytest.approx(3.20, abs=0.1)
    assert found["cog_x", "multifidus_deep", "-"] == pytest.approx(-30 + 17.742, abs=0.3)
    assert found["cog_y", "multifidus_deep", "-"] == pytest.approx(16.129, abs=0.3)
    assert found["cog_x", "longissimus", "-"] == pytest.approx(-30 + 21.250, abs=0.3)
    assert found["cog_y", "longissimus", "-"] == pytest.approx(10.938, abs=0.3)
