"""The template of a TMS study: valid, readable by what reads studies, and never over somebody's recordings."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from lbpneuro import cli
from lbpneuro.errors import InputError
from lbpneuro.io import emg, nibs
from lbpneuro.kernels.tangent import tangent_plane
from lbpneuro.simulate.stimulation import MapSettings, grid_mm
from lbpneuro.simulate.stimulation_files import HEAD_CENTRE_MM, HEAD_RADIUS_MM, on_head
from lbpneuro.simulate.tms_template import write_template


@pytest.fixture(scope="module", params=["tms", "tms-navigated"])
def template(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("template") / request.param
    assert cli.main(["simulate", str(out), "--template", request.param]) == 0
    return out


def stimulation_of(template, task):
    files = sorted((template / "sub-01").glob(f"*/*_task-{task}_*.tsv"))
    events = next(path for path in files if path.name.endswith("_events.tsv"))
    return nibs.read_stimulation(files, events=events), events


def test_the_validator_finds_no_error(template):
    validator = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"
    run = subprocess.run([validator, template, "--format", "json"], capture_output=True, text=True, timeout=120)
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert (template / ".bidsignore").read_text() == "nibs\n"


@pytest.mark.parametrize(
    ("task", "intensity", "threshold"), [("motormap", 72, "amt_mso"), ("plasticity", 58, "rmt_mso")]
)
def test_it_is_in_the_current_draft(template, task, intensity, threshold):
    stimulation, events = stimulation_of(template, task)
    assert stimulation.draft is nibs.DRAFTS[0]
    assert stimulation.notes == ()
    pulses = nibs.describe_pulses(emg.read_pulses(events, duration=1e4), stimulation, origin=events)
    assert set(pulses["stim_type"]) == {"single"}
    assert set(pulses["intensity_mso"]) == {intensity}
    assert pulses[threshold].notna().all()
    assert set(pulses["hemisphere"]) == {"L"}


def test_positions_lie_on_the_cap_or_on_the_head(template):
    positions = stimulation_of(template, "motormap")[0].positions
    if template.name == "tms":
        np.testing.assert_allclose(positions[["x_mm", "y_mm"]], grid_mm(MapSettings()))
        assert positions["z_mm"].isna().all()
    else:
        from_centre = positions[["x_mm", "y_mm", "z_mm"]].to_numpy() - HEAD_CENTRE_MM
        np.testing.assert_allclose(np.linalg.norm(from_centre, axis=1), HEAD_RADIUS_MM, atol=0.01)


def test_distances_survive_the_head():
    """Laid flat again, sites a centimetre apart on the scalp are so to 12 %, and no axis is turned around."""
    grid = grid_mm(MapSettings())
    points = on_head(grid)
    flat = tangent_plane(points).project(points)
    near = pdist(grid) < 10.5
    np.testing.assert_allclose(pdist(flat)[near], 10, rtol=0.12)
    assert np.corrcoef(flat[:, 0], grid[:, 0])[0, 1] > 0.97
    assert np.corrcoef(flat[:, 1], grid[:, 1])[0, 1] > 0.97


def test_nobodys_recordings_are_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("data")
    with pytest.raises(InputError, match="the folder is not empty"):
        write_template(tmp_path, navigated=False)
    other = tmp_path / "other"
    write_template(other, navigated=False)
    write_template(other, navigated=True)
    assert "navigated" in (other / "README").read_text()
