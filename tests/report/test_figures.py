"""What the figures draw, looked up on the axes before they become markup."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from lbpneuro.io.files import write_tsv
from lbpneuro.report.figures import dynamic, tms
from lbpneuro.report.visit import Visit
from tests.report.study import dynamic as dynamic_files
from tests.report.study import waves


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, in order."""
    figures: list[Figure] = []
    for module in (tms, dynamic):
        monkeypatch.setattr(module, "as_svg", lambda figure: figures.append(figure) or "")
    return figures


def visit(folder, table: pd.DataFrame) -> Visit:
    path = folder / "sub-01_task-motormap_desc-average_emg.tsv"
    write_tsv(path, table)
    config = {"mep": {"artifact_window_ms": [-2, 5]}}
    return Visit(participant="sub-01", session="n/a", rows=(), files={"tms": (path,)}, config=config)


def test_waveforms_of_two_hemispheres_have_a_panel_each(tmp_path, drawn):
    """A line that runs on from one hemisphere into the other would be neither's response."""
    left = waves("muscle", {"multifidus_deep": 300, "longissimus": 200}, hemi="L")
    right = waves("muscle", {"multifidus_deep": 100, "longissimus": 50}, hemi="R")
    tms.plot_mep_waveforms(visit(tmp_path, pd.concat([left, right])))
    panels = drawn[0].axes
    assert [panel.get_title(loc="left") or panel.get_title() for panel in panels] == [
        "left hemisphere",
        "right hemisphere",
    ]
    highest = [[np.ptp(line.get_ydata()) for line in panel.lines if len(line.get_ydata()) > 2] for panel in panels]
    shape = highest[0][0] / 300
    np.testing.assert_allclose(highest, [[300 * shape, 200 * shape], [100 * shape, 50 * shape]])


def test_waveforms_of_one_hemisphere_have_one_panel_without_title(tmp_path, drawn):
    tms.plot_mep_waveforms(visit(tmp_path, waves("muscle", {"longissimus": 200})))
    (panel,) = drawn[0].axes
    assert panel.get_title() == panel.get_title(loc="left") == ""
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["longissimus"]


def test_the_ellipse_reaches_as_far_as_the_intervals():
    panel = Figure().subplots()
    x, y = SimpleNamespace(value=-30.0, se=2.0), SimpleNamespace(value=5.0, se=1.0)
    tms._mark_centre(panel, x=x, y=y)
    (ellipse,) = [patch for patch in panel.patches if isinstance(patch, Ellipse)]
    assert ellipse.center == (-30, 5)
    assert (ellipse.width / 2, ellipse.height / 2) == pytest.approx((1.96 * 2, 1.96 * 1), abs=1e-3)


@pytest.mark.parametrize("with_reference", [True, False])
def test_states_stand_at_the_middle_of_their_windows(tmp_path, drawn, with_reference):
    """Windows of 66 s, one every 2 s; windows without a state are drawn nowhere. The matrices show r, not z."""
    files = tuple(dynamic_files(tmp_path, "sub-01")[: 2 if with_reference else 1])
    rows, config = (), {"dynamic": {"k": 2}}
    note = dynamic.plot_states(
        Visit(participant="sub-01", session="n/a", rows=rows, files={"dynamic": files}, config=config)
    ).note
    assert note == "Windows of 66 s; 60 % in state 1, 40 % in state 2."
    panels = drawn[0].axes
    first, second = (line.get_xdata() for line in panels[0].lines)
    assert (len(first), len(second)) == (120, 80)
    assert (first[0], second[0]) == (33, 33 + 2 * 40)
    if with_reference:
        centroids = pd.read_csv(files[1], sep="\t")
        shown = panels[3].collections[0].get_array()
        np.testing.assert_allclose(np.ravel(shown), np.tanh(centroids["state_2"]))
    else:
        assert len(panels) == 2
