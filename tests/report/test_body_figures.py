"""Figures of questionnaires and of the tests of touch, looked up on the axes before they become markup."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.registry import MARKERS
from lbpneuro.report.figures import scales, tactile
from lbpneuro.report.rows import Row
from lbpneuro.report.visit import AbsentError, Visit
from tests.report.study import scales as scale_files
from tests.report.study import tactile as trial_files

BY_NAME = {marker.name: marker for marker in MARKERS}
CONFIG = read_config()


@pytest.fixture
def drawn(monkeypatch):
    figures: list[Figure] = []
    for module in (scales, tactile):
        monkeypatch.setattr(module, "as_svg", lambda figure: figures.append(figure) or "")
    return figures


def row(marker: str, value: float, *level: str, session: str = "ses-1", se: float = 2.0, **more) -> Row:
    ends = {"ci_low": value - 2 * se, "ci_high": value + 2 * se, "status": Status.OK, "reasons": (), **more}
    who = {"participant": "sub-01", "session": session, "source": "", "method": "", "version": "1"}
    return Row(marker=BY_NAME[marker], level=level, value=value, se=se, n=9, **who, **ends)


def visit(files, rows, session: str = "ses-1", earlier: tuple[Row, ...] = ()) -> Visit:
    kept = {"tactile": tuple(files), "scales": tuple(files)}
    everything = (*earlier, *rows)
    return Visit(
        participant="sub-01", session=session, rows=tuple(rows), files=kept, config=CONFIG, all_rows=everything
    )


def test_scores_have_their_bands_and_a_hollow_box_per_blank_item(tmp_path, drawn):
    files = scale_files(tmp_path, "sub-01")
    found = scales.plot_scale_scores(visit(files, [row("rmdq", 14.0), row("odi", 38.0)]))
    assert found.note == "Blank items: Roland-Morris Disability Questionnaire: 23, 24."
    rmdq, odi = drawn[0].axes
    boxes = [patch for patch in rmdq.patches if patch.get_y() < 0.3]
    hollow = [patch for patch in boxes if patch.get_facecolor()[3] == 0]
    assert (len(boxes), len(hollow)) == (24, 2)
    assert sorted(patch.get_x() for patch in hollow) == sorted(patch.get_x() for patch in boxes)[-2:]
    bands = [patch for patch in odi.patches if patch.get_y() > 0.3]
    assert [patch.get_x() for patch in bands] == [0, 21, 41, 61, 81]
    assert "moderate" in {text.get_text().split(", ")[-1] for text in odi.texts}


def test_the_course_has_the_band_of_two_measurements_around_the_first(tmp_path, drawn):
    files = scale_files(tmp_path, "sub-01_ses-2")
    first = row("odi", 50.0, session="ses-1", se=6.5)
    scales.plot_scale_scores(visit(files, [row("odi", 30.0, session="ses-2", se=6.5)], "ses-2", (first,)))
    course = drawn[0].axes[1]
    assert list(course.lines[0].get_ydata()) == [50, 30]
    (band,) = course.patches
    assert band.get_height() == pytest.approx(2 * 1.959964 * math.sqrt(2) * 6.5)
    assert band.get_y() + band.get_height() / 2 == pytest.approx(50)


def test_without_scores_nothing_is_drawn(tmp_path):
    with pytest.raises(AbsentError):
        scales.plot_scale_scores(visit(scale_files(tmp_path, "sub-01"), []))


def test_the_threshold_lies_on_the_curve_and_a_censored_one_is_an_arrow(tmp_path, drawn):
    files = trial_files(tmp_path, "sub-01")
    beyond = {"ci_low": 100.0, "ci_high": math.inf, "status": Status.FAIL, "reasons": (Reason.CENSORED_AT_LIMIT,)}
    rows = [row("tpd", 57.0, "L", "horizontal"), row("tpd", math.nan, "L", "vertical", **beyond)]
    tactile.plot_two_point(visit(files, rows))
    first, second = drawn[0].axes[:2]
    assert any(np.allclose(line.get_xdata(), 57.0) for line in first.lines)
    assert "57.0 mm" in [text.get_text() for text in first.texts]
    assert "above 100 mm" in [text.get_text() for text in second.texts]
    assert any(line.get_marker() == ">" for line in second.lines)
    curves = [line for line in first.lines if len(line.get_xdata()) > 100]
    assert len(curves) == 1
    assert (np.diff(curves[0].get_ydata()) >= 0).all()


def test_runs_are_ticks_where_no_curve_was_fitted(tmp_path, drawn):
    files = trial_files(tmp_path, "sub-01")
    few = {**CONFIG, "tactile": {**CONFIG["tactile"], "fit_trials_min": 500}}
    one = Visit(participant="sub-01", session="n/a", rows=(), files={"tactile": tuple(files)}, config=few)
    tactile.plot_two_point(one)
    assert {line.get_marker() for line in drawn[0].axes[0].lines} == {"^", "v"}


def test_localisation_has_an_arrow_per_touch_and_an_ellipse_per_side(tmp_path, drawn):
    tactile.plot_localisation(visit(trial_files(tmp_path, "sub-01"), []))
    back, errors = drawn[0].axes
    assert sum(1 for text in back.texts if getattr(text, "arrow_patch", None)) == 36
    assert len([patch for patch in errors.patches if isinstance(patch, Ellipse)]) == 2


def test_judgements_show_the_median_and_chance(tmp_path, drawn):
    rows = [row("lrj_rt", 1900.0, se=90.0), row("lrj_accuracy", 0.87, se=0.04)]
    tactile.plot_laterality(visit(trial_files(tmp_path, "sub-01"), rows))
    times, share = drawn[0].axes
    assert any(np.allclose(line.get_xdata(), 1900) for line in times.lines)
    assert any(np.allclose(line.get_ydata(), 0.5) for line in share.lines)


def test_tests_that_were_not_done_are_not_drawn(tmp_path):
    files = [path for path in trial_files(tmp_path, "sub-01") if "task-graph" in path.name]
    for plot in (tactile.plot_two_point, tactile.plot_localisation, tactile.plot_laterality):
        with pytest.raises(AbsentError):
            plot(visit(files, []))
