"""What the figures draw, looked up on the axes before they become markup."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.registry import MARKERS, family
from lbpneuro.report import canvas
from lbpneuro.report.figures import (
    change,
    connections,
    dynamic,
    excitability,
    functional,
    pet,
    plasticity,
    sensory,
    shift,
    structural,
    sweeps,
    tms,
)
from lbpneuro.report.study import Study
from lbpneuro.report.visit import AbsentError, Visit
from tests.report.study import EXCITABILITY_FACTS, func, single_sweeps, waves, write_states
from tests.report.study import anat as anat_files
from tests.report.study import dynamic as dynamic_files
from tests.report.study import excitability as excitability_files
from tests.report.study import pet as pet_files
from tests.report.study import plasticity as plasticity_files
from tests.report.study import sensory as sensory_files
from tests.report.study import shift as shift_files
from tests.report.test_marks import row


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, in order."""
    figures: list[Figure] = []
    for module in (tms, plasticity, excitability, sweeps, dynamic, connections, shift, pet, change, sensory):
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


def excitability_visit(folder):
    files = excitability_files(folder, "sub-01")
    config = read_config()
    rmt, s50 = (
        row(value, marker=by_name(name), se=1.0, level=("FDI", "L"))
        for name, value in (("rmt", 46.0), ("curve_s50", 60.0))
    )
    sidecars = {"excitability": EXCITABILITY_FACTS}
    return Visit(
        participant="sub-01",
        session="n/a",
        rows=(rmt, s50),
        files={"excitability": tuple(files)},
        sidecars=sidecars,
        config=config,
    )


def by_name(name):
    return next(marker for marker in MARKERS if marker.name == name)


def test_thresholds_are_drawn_where_the_rows_say(tmp_path, drawn):
    excitability.plot_thresholds(excitability_visit(tmp_path))
    left, right = drawn[0].axes
    middles = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1]
    assert middles == [46.0]
    fitted = next(line for line in left.lines if len(line.get_xdata()) == 200)
    assert np.interp(46.0, fitted.get_xdata(), fitted.get_ydata()) == pytest.approx(0.5, abs=0.01)
    curve = next(line for line in right.lines if len(line.get_xdata()) == 200)
    assert np.interp(60.0, curve.get_xdata(), curve.get_ydata()) == pytest.approx(1 + 10 + 900, rel=0.01)
    assert curve.get_linestyle() == "-"


def test_rejected_sweeps_have_a_colour_of_their_own(tmp_path, drawn):
    drawing = sweeps.plot_excitability_sweeps(excitability_visit(tmp_path))
    colours = [line.get_color() for line in drawn[0].axes[0].lines if len(line.get_xdata()) > 2]
    assert colours.count(canvas.RED) == 2
    assert colours.count(canvas.BLUE) == 22
    assert "22 of 24 shown sweeps are kept" in drawing.note


@pytest.mark.parametrize(
    ("family", "plot", "panels"), [("tms", sweeps.plot_map_sweeps, 2), ("plasticity", sweeps.plot_plasticity_sweeps, 1)]
)
def test_sweeps_of_maps_and_blocks_have_a_panel_per_muscle(tmp_path, drawn, family, plot, panels):
    muscles = ["multifidus_deep", "longissimus"][:panels]
    files = tuple(single_sweeps(tmp_path / f"sub-01_task-{family}", muscles, np.random.default_rng(1)))
    plot(Visit(participant="sub-01", session="n/a", rows=(), files={family: files}, config=read_config()))
    assert len(drawn[0].axes) == panels
    for panel, muscle in zip(drawn[0].axes, muscles if panels == 2 else ["multifidus_deep"], strict=True):
        shaded = [(area.get_x(), area.get_x() + area.get_width()) for area in panel.patches]
        assert shaded == [(-2, 5), tuple(read_config()["mep"]["windows_ms"][muscle])]


def test_paired_pulses_need_a_pair(tmp_path, drawn):
    with pytest.raises(AbsentError):
        excitability.plot_paired_pulses(excitability_visit(tmp_path))
    rows = [
        row(value, marker=by_name(name), se=0.1, level=("FDI", "L")) for name, value in (("sici", 0.5), ("icf", 1.4))
    ]
    excitability.plot_paired_pulses(Visit(participant="sub-01", session="n/a", rows=tuple(rows)))
    places = [line.get_xdata()[0] for line in drawn[-1].axes[0].lines if len(line.get_xdata()) == 1]
    assert places == [1.4, 0.5]


def test_waveforms_of_one_hemisphere_have_one_panel_without_title(tmp_path, drawn):
    tms.plot_mep_waveforms(visit(tmp_path, waves("muscle", {"longissimus": 200})))
    (panel,) = drawn[0].axes
    assert panel.get_title() == panel.get_title(loc="left") == ""
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["longissimus"]


def anatomy_visit(files) -> Visit:
    return Visit(participant="sub-01", session="n/a", rows=(), files={"structural": tuple(files)}, config={})


def test_tissue_borders_and_the_fit_need_their_files(tmp_path):
    files = anat_files(tmp_path, "sub-01")
    for plot, needed in ((structural.plot_tissue_contours, "label-CSF"), (structural.plot_template_fit, "space-MNI")):
        assert "<img" in plot(anatomy_visit(files)).markup
        with pytest.raises(AbsentError):
            plot(anatomy_visit([path for path in files if needed not in path.name]))


def test_maps_without_a_brain_are_not_drawn(tmp_path):
    files = anat_files(tmp_path, "sub-01")
    empty = tmp_path / "sub-01_label-WM_probseg.nii.gz"
    for tissue in ("CSF", "GM", "WM"):
        path = empty.with_name(empty.name.replace("WM", tissue))
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.zeros(image.shape, dtype=np.float32), image.affine), path)
    with pytest.raises(AbsentError, match="no brain"):
        structural.plot_tissue_contours(anatomy_visit(files))


def test_the_ellipse_holds_95_percent_of_the_errors():
    panel, rng = Figure().subplots(), np.random.default_rng(0)
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    tms._mark_centre(panel, [-30.0, 5.0], covariance)
    (ellipse,) = [patch for patch in panel.patches if isinstance(patch, Ellipse)]
    errors = rng.multivariate_normal([-30, 5], covariance, 4000)
    assert ellipse.center == (-30, 5)
    assert ellipse.get_patch_transform().inverted().transform(errors).shape == (4000, 2)
    radius = np.linalg.norm(ellipse.get_patch_transform().inverted().transform(errors), axis=1)
    assert (radius <= 1).mean() == pytest.approx(0.95, abs=0.01)


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


NAMED = {marker.name: marker for marker in MARKERS}


def connected(values: dict[tuple[str, ...], float], **options) -> Visit:
    """A visit with rows of the functional family, by (marker, level...)."""
    rows = tuple(
        row(value, marker=NAMED[name], level=tuple(level), **options) for (name, *level), value in values.items()
    )
    return Visit(participant="sub-01", session="n/a", rows=rows)


def test_connections_show_both_strategies_by_system(drawn):
    values = {
        ("vpl_s1_z", "L"): 0.5,
        ("pag_vmpfc_z",): 0.3,
        ("fc_z_alternative", "pag_vmpfc"): -0.1,
        ("fc_z_alternative", "vpl_s1_L"): 0.4,
        ("mpfc_pcc_z",): -0.4,
        ("fc_z_alternative", "mpfc_pcc"): -0.6,
        ("custom_z", "mine"): 0.2,
    }
    note = connections.plot_connections(connected(values, se=0.16)).note
    (panel,) = drawn[0].axes
    dots = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    assert dots == [0.3, -0.1, -0.4, -0.6, 0.5, 0.4, 0.2]
    reach = [tuple(line.get_xdata()) for line in panel.lines if line.get_marker() == "None" and line.get_ydata()[0] > 0]
    assert reach[0] == pytest.approx((0.3 - 0.32, 0.3 + 0.32))
    texts = [text.get_text() for text in panel.texts]
    assert [text for text in texts if text in (*connections.SYSTEMS.values(), connections.OWN)] == [
        "Descending pain modulation, PAG",
        "mPFC and default mode",
        "Thalamocortical",
        "Your own connections",
    ]
    assert {"PAG – vmPFC", "VPL – S1, left", "mine", "↕ contested"} <= set(texts)
    assert note == (
        "Half of the intervals are wider than 0.64; 2 of 4 hold 0. "
        "The two strategies differ in sign in 1 of 3 connections."
    )


def test_a_connection_without_value_says_why_and_all_without_are_no_figure(drawn):
    lost = {"status": Status.FAIL, "reasons": (Reason.SIGNAL_DROPOUT,)}
    without = connected({("pag_ins_z",): np.nan}, **lost)
    rows = (*connected({("pag_vmpfc_z",): 0.3}).rows, *without.rows)
    connections.plot_connections(Visit(participant="sub-01", session="n/a", rows=rows))
    assert any("no value: the region has lost" in text.get_text() for text in drawn[0].axes[0].texts)
    with pytest.raises(AbsentError, match="the region has lost most of its signal"):
        connections.plot_connections(without)


def test_networks_fill_one_triangle(drawn):
    pairs = {("network_z", "A", "A"): 0.3, ("network_z", "A", "B"): -0.1, ("network_z", "B", "B"): 0.2}
    connections.plot_networks(connected(pairs, se=0.02))
    panel = drawn[0].axes[0]
    matrix = np.ma.getdata(panel.collections[0].get_array()).reshape(2, 2)
    np.testing.assert_array_equal(matrix, [[0.3, np.nan], [-0.1, 0.2]])
    assert sorted(text.get_text() for text in panel.texts) == sorted(
        ["0.300\n± 0.040", "−0.100\n± 0.040", "0.200\n± 0.040"]
    )
    with pytest.raises(AbsentError):
        connections.plot_networks(connected({}))


def test_seed_maps_have_a_row_per_main_seed_through_its_place(tmp_path, monkeypatch):
    figures: list[Figure] = []
    monkeypatch.setattr(functional, "as_png", lambda figure: figures.append(figure) or "")
    files = tuple(path for path in func(tmp_path, "sub-01") if path.name.endswith(".nii.gz"))
    shown = Visit(participant="sub-01", session="n/a", rows=(), files={"functional": files})
    functional.plot_seed_map(shown)
    titles = [axes.get_title() for axes in figures[0].axes if axes.get_title()]
    assert len(titles) == 2 * 4
    assert titles[0].startswith("PAG, x = ")
    assert titles[4].startswith("accumbens, x = ")
    place = functional.peak(functional._seed_maps(shown)["pag"])
    assert np.linalg.norm(place - [0, -30, -10]) < 15
    assert titles[1] == f"y = {round(place[1])} mm".replace("-", "−")
    with pytest.raises(AbsentError):
        functional.plot_seed_map(Visit(participant="sub-01", session="n/a", rows=(), files={"functional": files[:1]}))


def test_states_of_the_study_are_drawn_once_with_how_sure_they_are(tmp_path, drawn):
    path = tmp_path / "desc-dynamic_states.tsv"
    write_states(path)
    study = Study(cohort=None, states=path)
    dynamic.plot_group_states(study)
    reference = pd.read_csv(path, sep="\t")
    shown = [np.ravel(panel.collections[0].get_array()) for panel in drawn[0].axes[:2]]
    np.testing.assert_allclose(shown, np.tanh([reference["state_1"], reference["state_2"]]))
    assert [panel.get_title(loc="left") for panel in drawn[0].axes[:2]] == ["State 1", "State 2"]
    assert study.about_states[0] == "Learned from 6 people and 600 windows."
    assert "2 states 0.61." in study.about_states[1]
    write_tsv(path, reference.iloc[:0])
    for nothing in (study, Study(cohort=None)):
        with pytest.raises(AbsentError):
            dynamic.plot_group_states(nothing)


def test_the_rating_figure_has_times_below_and_no_two_sets_of_one_colour(tmp_path, drawn):
    files = tuple(shift_files(tmp_path, "sub-01"))
    rows = connected({("shift_pain_beta",): 0.02, ("shift_emotion_beta",): 0.01}).rows
    shift.plot_rating_response(Visit(participant="sub-01", session="n/a", rows=rows, files={"shift": files}))
    drawn[0].canvas.draw()
    *_, last, effects = drawn[0].axes
    assert [label.get_text() for label in last.get_xticklabels()][1:3] == ["50", "100"]
    assert not any(label.get_visible() for label in drawn[0].axes[0].get_xticklabels())
    assert [label.get_text() for label in effects.get_xticklabels()] == ["pain", "emotion", "reward"]
    assert len(set(shift.COLOURS.values())) == 3


def test_uptake_is_drawn_with_its_window_and_references(tmp_path, drawn) -> None:
    files = tuple(pet_files(tmp_path, "sub-01"))
    rows = connected({("tspo_suvr", "thalamus", "n/a"): 1.4, ("tspo_suvr_brain", "thalamus", "n/a"): 1.3}).rows
    pet.plot_tspo_uptake(Visit(participant="sub-01", session="n/a", rows=rows, files={"pet": files}))
    curves, ratios = drawn[-1].axes
    assert [line.get_label() for line in curves.lines] == ["thalamus", "S1, back", "occipital", "whole brain"]
    assert [box.get_x() for box in curves.patches] == [60]
    assert [each.get_label() for each in ratios.containers] == ["occipital cortex", "whole brain"]
    with pytest.raises(AbsentError):
        pet.plot_tspo_uptake(Visit(participant="sub-01", session="n/a", rows=(), files={"pet": files}))


def sensory_visit(folder, values: dict[tuple[str, ...], float] | None = None) -> Visit:
    files = tuple(sensory_files(folder, "sub-01"))
    rows = connected(values or {}).rows
    return Visit(participant="sub-01", session="n/a", rows=rows, files={"sensory": files})


def test_thresholds_beyond_a_limit_are_drawn_as_such(tmp_path, drawn) -> None:
    note = sensory.plot_body_map(sensory_visit(tmp_path)).note
    assert note == "Not on the drawing: sternum."
    body, _bar, pressure, cold = drawn[-1].axes
    spots = {line.get_marker(): line for line in body.lines}
    assert set(spots) == {"o", "^"}
    assert spots["^"].get_markerfacecolor() == "none"
    assert spots["^"].get_xdata()[0] > sensory.GAP  # the right side is on the right of the back
    assert {text.get_text() for text in body.texts} == {"front", "back", "L", "R", "300", ">980", "400"}
    assert [label.get_text() for label in cold.get_yticklabels()] == ["hand, left", "hand, right"]
    arrows = {panel: [each.xyann for each in panel.texts] for panel in (pressure, cold)}
    assert [x for x, _ in arrows[pressure]] == [34]
    assert [x for x, _ in arrows[cold]] == [-34]
    assert pressure.get_xlim() == (100, pytest.approx(1078)), "the same for all but who lies beyond it"
    assert len(cold.containers) == 1  # of the two sides only one has an interval


def test_sites_are_coloured_by_z_score_where_there_is_a_norm(tmp_path, drawn) -> None:
    sensory.plot_body_map(sensory_visit(tmp_path, {("qst_z", "ppt", "lumbar"): 2.5}))
    body, bar, *_ = drawn[-1].axes
    assert bar.get_xlabel().startswith("z-score")
    colours = {line.get_xdata()[0]: line.get_markerfacecolor() for line in body.lines}
    red, _, blue, _ = colours[sensory.GAP - 3.2]
    assert red > blue
    assert colours[5.8] == "none"  # no norm for this site


def test_trains_have_the_mean_slope_and_conditioning_its_change(tmp_path, drawn) -> None:
    values = {
        ("tsp_slope", "heat"): 5.0,
        ("tsp_diff", "heat"): 10.0,
        ("cpm_inhibition", "ppt", "parallel"): 70.0,
    }
    shown = sensory_visit(tmp_path, values)
    sensory.plot_rating_trains(shown)
    (panel,) = drawn[-1].axes
    assert panel.get_title(loc="left").startswith("heat: last - first 10")
    fitted = panel.lines[-1].get_ydata()
    np.testing.assert_allclose(fitted, [26.5, 31.5, 36.5])
    sensory.plot_conditioning(shown)
    (panel,) = drawn[-1].axes
    np.testing.assert_allclose(panel.lines[-1].get_ydata(), [251.5, 321.5, 261.5])
    rings = [line for line in panel.lines if line.get_markersize() == 7]
    assert [list(zip(*ring.get_data(), strict=True)) for ring in rings] == [[], [(1, 322.0)]], "of the second repeat"
    assert [text.get_text() for text in panel.texts] == ["+70"]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["before", "during", "after"]


def test_trains_that_were_rated_as_a_whole_are_not_drawn(tmp_path) -> None:
    path = tmp_path / "sub-01_desc-trains_ratings.tsv"
    write_tsv(path, pd.DataFrame({"modality": ["heat"], "train": [1], "stimulus": [np.nan], "rating": [30.0]}))
    with pytest.raises(AbsentError, match="only whole trains"):
        sensory.plot_rating_trains(Visit(participant="sub-01", session="n/a", rows=(), files={"sensory": (path,)}))


def test_changes_stand_by_region_and_side_with_what_is_known_of_their_intervals(drawn) -> None:
    marker = NAMED["label_change_symmetric"]
    values = {("dlpfc", "L"): (4.0, 1.0), ("dlpfc", "R"): (1.0, 1.0), ("thalamus", "L"): (-2.0, np.nan)}
    rows = tuple(row(value, marker=marker, level=level, se=se) for level, (value, se) in values.items())
    change.plot_gray_matter_changes(Visit(participant="sub-01", session="ses-2", rows=rows))
    (panel,) = drawn[-1].axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["dlpfc", "thalamus"]
    left, right = panel.containers
    assert (left.get_label(), right.get_label()) == ("L", "R")
    np.testing.assert_allclose(left.lines[0].get_xdata().astype(float), [4, -2])
    np.testing.assert_allclose(right.lines[0].get_ydata().astype(float), [0.15])
    halves = [np.ptp(segment[:, 0]) / 2 for segment in left.lines[2][0].get_segments()]
    np.testing.assert_allclose(halves, [2, 0], atol=1e-9)
    with pytest.raises(AbsentError, match="no earlier session"):
        alone = (row(np.nan, marker=marker, level=("dlpfc", "L"), reasons=(Reason.FIRST_SESSION,)),)
        change.plot_gray_matter_changes(Visit(participant="sub-01", session="ses-1", rows=alone))


def test_smudging_shows_four_values_and_the_overlap_by_chance(tmp_path, drawn):
    rows = tuple(
        row(value, marker=next(each for each in family("tms") if each.name == name), level=level, se=0.025)
        for name, level, value in (
            ("overlap_min", ("L",), 0.6),
            ("overlap_chance", ("L",), 0.2),
            ("cog_distance", ("L",), -1.0),
            ("map_spread", ("longissimus", "L"), 14.0),
        )
    )
    config = {"tms": {"hemispheres": ["L"]}}
    tms.plot_smudging(Visit(participant="sub-01", session="n/a", rows=rows, config=config))
    overlap, distance, peaks, _ = drawn[0].axes
    assert [bar.get_x() for bar in overlap.patches] == [pytest.approx(0.15)]
    assert overlap.lines[1].get_xdata() == 0.6
    assert distance.get_xlim()[0] <= -1.05
    assert [text.get_text() for text in peaks.texts] == ["no value"]
    with pytest.raises(AbsentError):
        tms.plot_smudging(Visit(participant="sub-01", session="n/a", rows=rows[1:2], config=config))


def test_peaks_of_a_grid_are_marked_with_their_support(tmp_path, drawn):
    """Of one muscle: a strict peak with the share of resamples that have it, and one of the published rule alone."""
    x, y = (each.ravel() for each in np.meshgrid(np.arange(-50.0, 1, 10), np.arange(-20.0, 21, 10)))
    sites = pd.DataFrame({"site_id": range(x.size), "x_mm": x, "y_mm": y, "hemisphere": "L", "muscle": "TrA"})
    sites = sites.assign(share=np.exp(-((x + 30) ** 2 + y**2) / 400), published_peak=0, strict_peak=0, support=np.nan)
    sites.loc[(x == -30) & (y == 0), ["published_peak", "strict_peak", "support"]] = (1, 1, 0.83)
    sites.loc[(x == -20) & (y == 10), "published_peak"] = 1
    path = tmp_path / "sub-01_task-motormap_desc-sitemap_meps.tsv"
    write_tsv(path, sites)
    config = {"tms": {"muscles": ["TrA"], "tau": 0.25, "hemispheres": ["L"]}}
    where = {"files": {"tms": (path,)}, "sidecars": {"tms": {"Layout": {"L": "grid"}}}, "config": config}
    tms.plot_muscle_maps(Visit(participant="sub-01", session="n/a", rows=(), **where))
    panel, *others = drawn[0].axes[:3]
    assert [text.get_text() for text in panel.texts] == ["83 %"]
    triangles = {line.get_fillstyle(): line.get_xydata().tolist() for line in panel.lines if line.get_marker() == "^"}
    assert triangles == {"none": [[-20, 10]], "full": [[-30, 0]]}
    assert [each.axison for each in others] == [False, False]


def test_a_walk_is_drawn_as_its_surface(tmp_path, drawn):
    x, y = np.meshgrid(np.arange(-40.0, 1, 2), np.arange(-20.0, 21, 2))
    surface = pd.DataFrame({"x_mm": x.ravel(), "y_mm": y.ravel(), "hemisphere": "L"})
    surface["mean_uv"] = 300 * np.exp(-((surface["x_mm"] + 20) ** 2 + surface["y_mm"] ** 2) / 200)
    pulses = pd.DataFrame(
        {"site_id": range(40), "x_mm": -1.0 * np.arange(40), "y_mm": 3.0, "hemisphere": "L", "share": 0.5}
    )
    muscles = ("multifidus_deep", "longissimus")
    paths = [tmp_path / f"sub-01_task-motormap_desc-{name}_meps.tsv" for name in ("sitemap", "surface")]
    for path, table in zip(paths, (pulses, surface), strict=True):
        write_tsv(path, pd.concat([table.assign(muscle=muscle) for muscle in muscles]))
    centre = {"Centre": [-20.0, 0.0], "Covariance": [[1.0, 0.0], [0.0, 1.0]]}
    sidecar = {"Layout": {"L": "walk"}, "CentreOfGravity_mm": {"L": {muscles[0]: centre}}}
    config = {"tms": {"muscles": list(muscles), "tau": 0.25, "hemispheres": ["L"]}}
    where = {"files": {"tms": tuple(paths)}, "sidecars": {"tms": sidecar}, "config": config}
    tms.plot_muscle_maps(Visit(participant="sub-01", session="n/a", rows=(), **where))
    first, second, _ = drawn[0].axes[:3]
    assert first.images[0].get_array().shape == (21, 21)
    assert len(first.patches) == 1
    assert len(second.patches) == 0
    assert len(first.lines[0].get_xdata()) == 40


def test_band_of_chance_follows_from_scatter_and_number(tmp_path, drawn):
    study = tmp_path / "sub-01"
    study.mkdir()
    paths = tuple(plasticity_files(study, "sub-01"))
    marker = next(each for each in family("plasticity") if each.name == "block_log_ratio")
    blocks = ("between", "post00", "post10", "post20")
    rows = tuple(row(0.2, marker=marker, level=(name,), se=0.1) for name in blocks)
    note = plasticity.plot_block_time_course(
        Visit(participant="sub-01", session="n/a", rows=rows, files={"plasticity": paths})
    ).note
    reach = 1.959964 * 0.55 * np.sqrt(2 / 30)
    assert f"between {np.exp(-reach):.2f} and {np.exp(reach):.2f}" in note
    edges = [line.get_ydata()[0] for line in drawn[0].axes[0].lines if line.get_linestyle() == "--"]
    assert edges == pytest.approx([np.exp(-reach), np.exp(reach)])
    (trials,) = (read_tsv(path) for path in paths if "_desc-course_" in path.name)
    dots = [line.get_xdata().size for line in drawn[0].axes[0].lines if line.get_alpha() == 0.5]
    assert dots == trials.groupby("block", sort=False).size().tolist()
