"""Small SVG drawings: positions by hand."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.markers.descriptor import Tier
from lbpneuro.registry import FAMILIES, MARKERS
from lbpneuro.report.cohort import (
    Cohort,
    acquired_families,
    distributions,
    drawn_columns,
    family_states,
    grid,
    head_counts,
    reason_counts,
)
from lbpneuro.report.marks import (
    MOST_DOTS,
    Strip,
    interval_bar,
    mean_interval,
    round_ticks,
    scale_of,
    strip_plot,
    thinned,
)
from lbpneuro.report.rows import Row, layout, leading, measured, not_acquired, worst
from lbpneuro.report.rows import absent as all_absent

OVERLAP = next(marker for marker in MARKERS if marker.name == "overlap_min")
VOLUME = next(marker for marker in MARKERS if marker.name == "gm_volume")


def row(value=0.5, *, marker=OVERLAP, level=("L",), participant="sub-01", se=0.05, status=Status.OK, reasons=()):
    return Row(
        marker=marker, level=level, participant=participant, session="n/a", value=value, se=se,
        ci_low=value - 2 * se, ci_high=value + 2 * se, n=10.0, status=status, reasons=reasons,
        source="s", method="m", version="1",
    )  # fmt: skip


def absent(participant="sub-02", status=Status.MISSING, reason=Reason.NOT_ACQUIRED, **options):
    return row(math.nan, se=math.nan, participant=participant, status=status, reasons=(reason,), **options)


def test_share_is_drawn_between_its_bounds():
    bar = str(interval_bar(row(0.25), scale_of(row(0.25), [])))
    assert 'cx="30.0"' in bar
    assert 'x="18.0"' in bar
    assert 'width="24.0"' in bar


def test_volume_is_drawn_on_the_span_of_its_region():
    rows = [
        row(10, marker=VOLUME, level=("dlpfc", "L"), se=1),
        row(12, marker=VOLUME, level=("dlpfc", "R"), se=1),
        row(2, marker=VOLUME, level=("thalamus", "L"), se=1),
    ]
    assert scale_of(rows[0], rows) == pytest.approx((8 - 0.3, 14 + 0.3))
    assert scale_of(rows[2], rows) == pytest.approx((0 - 0.7, 14 + 0.7))
    assert scale_of(rows[0], rows[:1]) is None


def test_no_bar_without_a_value_or_scale():
    assert interval_bar(absent(), (0, 1)) == ""
    assert interval_bar(row(), None) == ""


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.12, 0.88, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1402, 1466, [1400, 1420, 1440, 1460, 1480]),
        (-3, 3, [-4, -2, 0, 2, 4]),
    ],
)
def test_ticks_are_round_and_hold_the_values(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 1.0, -7.3, 1e-9, 1e9])
def test_ticks_of_one_value_surround_it(value):
    ticks = round_ticks(value, value)
    assert 2 <= len(ticks) <= 7
    assert ticks[0] <= value <= ticks[-1]


@pytest.mark.parametrize("seed", range(20))
def test_ticks_are_few_and_evenly_spaced(seed):
    rng = np.random.default_rng(seed)
    low = rng.normal(0, 10.0 ** rng.integers(-5, 5))
    high = low + rng.exponential(10.0 ** rng.integers(-3, 5))
    ticks = round_ticks(low, high)
    assert ticks[0] <= low + 1e-9 * abs(low)
    assert ticks[-1] >= high - 1e-9 * abs(high)
    assert 2 <= len(ticks) <= 7
    assert np.ptp(np.diff(ticks)) < 1e-6 * (ticks[1] - ticks[0]) + 1e-9


def test_mean_and_interval_of_five_by_hand():
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    reach = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert (mean, low, high) == pytest.approx((3.0, 3 - reach, 3 + reach))
    assert math.isnan(mean_interval([1.0, 2.0, 3.0, 4.0])[1])


def test_strip_shows_everyone_and_counts_the_absent():
    strips = [Strip("LBP", [row(0.4), row(0.6, status=Status.FLAG, reasons=(Reason.FEW_TRIALS,)), absent()])]
    markup = str(strip_plot(strips))
    assert markup.count("<circle") == 2
    assert markup.count('<circle class="flag"') == 1
    assert "+1 ○" in markup
    assert "LBP: 2 values" in markup
    assert strip_plot([Strip("LBP", [absent()])]) == ""


def test_no_mean_is_drawn_over_values_beyond_a_limit():
    measured = [row(value) for value in (0.2, 0.3, 0.4, 0.5, 0.6)]
    beyond = absent(status=Status.FAIL, reason=Reason.CENSORED_AT_LIMIT)
    assert 'class="mean"' in str(strip_plot([Strip("LBP", measured)]))
    markup = str(strip_plot([Strip("LBP", [*measured, beyond])]))
    assert 'class="mean"' not in markup
    assert "+1 ⇥" in markup
    assert "○" not in markup
    assert "mean –" in markup
    assert "1 beyond a limit" in markup


def test_colour_is_that_of_the_group_in_all_sessions():
    one = dataclasses.replace(row(0.4), session="ses-1")
    rows = [one, dataclasses.replace(one, session="ses-2"), dataclasses.replace(one, participant="sub-02")]
    strips = distributions(Cohort(rows=rows, groups={"sub-01": "LBP", "sub-02": "control"}))["overlap_min__L"]
    assert [(strip.label, strip.series) for strip in strips] == [
        ("control, ses-1", 0),
        ("LBP, ses-1", 1),
        ("LBP, ses-2", 1),
    ]


def test_large_groups_are_thinned_by_rank_and_keep_their_ends():
    rows = [row(value) for value in range(1003)]
    kept = thinned(rows)
    assert len(kept) <= MOST_DOTS + 1
    assert (kept[0].value, kept[-1].value) == (0, 1002)
    assert thinned(rows[:MOST_DOTS]) == rows[:MOST_DOTS]


def test_positions_rise_with_values():
    rows = [row(value) for value in (0.1, 0.5, 0.9)]
    found = [float(x) for x in re.findall(r'cx="([\d.]+)"', str(strip_plot([Strip("a", rows)])))]
    assert found == sorted(found)


def test_family_is_as_bad_as_its_leading_markers():
    assert worst([row(), row()]) is Status.OK
    assert worst([row(), row(status=Status.FLAG, reasons=(Reason.FEW_TRIALS,))]) is Status.FLAG
    assert worst([absent(), absent()]) is Status.MISSING
    assert worst([absent(status=Status.FAIL, reason=Reason.NO_MAP), row(1.0, marker=VOLUME)]) is Status.FAIL


def test_a_check_without_data_does_not_stain_its_family():
    overlap = next(marker for marker in MARKERS if marker.name == "brainstem_overlap")
    unchecked = absent(participant="sub-01", marker=overlap, level=(), reason=Reason.NO_DERIVATIVE)
    edge = row(0.3, marker=next(marker for marker in MARKERS if marker.name == "pag_vmpfc_z"), level=())
    assert worst([edge, unchecked]) is Status.OK
    assert worst([unchecked]) is Status.MISSING
    states = family_states(Cohort(rows=[edge, unchecked], groups={"sub-01": "LBP"}))
    assert states["sub-01", "n/a"]["functional"].reasons == ()


def test_headings_of_columns_are_short():
    marker = next(marker for marker in MARKERS if marker.name == "mpfc_ins_z")
    assert row(marker=marker, level=("L",)).heading == "mPFC-insula, z, left"
    partial = next(marker for marker in MARKERS if marker.name == "fc_partial_z")
    assert row(marker=partial, level=("vpl_s1_R",)).heading == "Partial z, VPL-S1, right"
    assert row(marker=VOLUME, level=("dlpfc", "L")).heading == "Regional gray-matter volume, DLPFC, left"


def test_leading_markers_include_every_family():
    rows = [row(1.0, marker=marker, level=("x",) * len(marker.index)) for marker in MARKERS]
    found = leading(rows)
    assert {marker.family for marker in MARKERS} == {each.marker.family for each in found}
    assert not any(each.marker.tier is Tier.QUALITY for each in found)


def test_cohort_counts_people_sessions_and_reasons():
    cohort = Cohort(rows=[row(0.4), absent()], groups={"sub-01": "LBP", "sub-02": "LBP", "sub-03": "control"})
    assert cohort.sessions == [("sub-01", "n/a"), ("sub-02", "n/a"), ("sub-03", "n/a")]
    counted = {line["group"]: (line["participants"], line["families"]["tms"]) for line in head_counts(cohort)}
    assert counted == {"LBP": (2, 1), "control": (1, 0)}
    reasons = {(family, reason): n for family, _, reason, n in reason_counts(family_states(cohort))}
    assert reasons["tms", Reason.NOT_ACQUIRED] == 2
    assert reasons["structural", Reason.NOT_ACQUIRED] == 3


def test_too_large_a_table_shows_primary_markers_and_says_so():
    secondary = next(marker for marker in MARKERS if marker.name == "map_area")
    assert (OVERLAP.tier, secondary.tier) == (Tier.PRIMARY, Tier.SECONDARY)
    names = [f"sub-{number}" for number in range(5)]
    rows = [row(0.5, participant=who) for who in names] + [row(0.5, participant=who, marker=secondary) for who in names]
    cohort = Cohort(rows=[r for r in rows if r.marker is OVERLAP], groups={})
    assert grid(cohort).left_out == ""
    small = grid(cohort, most=3)
    assert len(small.lines) == 3
    assert "first 3 sessions" in small.left_out
    both = Cohort(rows=rows, groups={})
    assert [head.marker for head in grid(both).columns] == [OVERLAP, secondary]
    fits = grid(both, most=9)
    assert ([head.marker for head in fits.columns], len(fits.lines)) == ([OVERLAP], 5)


def test_the_table_leaves_out_families_that_nobody_has():
    """In a study of one session everybody's changes say that there is nothing to compare with."""
    change = next(marker for marker in MARKERS if marker.family == "change")
    first = absent(marker=change, level=("dlpfc", "L"), reason=Reason.FIRST_SESSION)
    assert [head.marker for head in grid(Cohort(rows=[row(0.5), first], groups={})).columns] == [OVERLAP]
    assert [head.marker for head in grid(Cohort(rows=[first], groups={})).columns] == [change]
    later = row(1.0, marker=change, level=("dlpfc", "L"))
    assert {head.marker for head in grid(Cohort(rows=[row(0.5), first, later], groups={})).columns} == {OVERLAP, change}


def every_row(session="n/a"):
    """A row of every marker at every level of the default settings, with one edge of the user's own."""
    config = read_config()
    config["functional"]["edges"] = {"mine": {"seed": ["pag"], "target": ["s1_L"]}}
    return [
        dataclasses.replace(row(0.5, marker=marker, level=level), session=session)
        for marker in MARKERS
        for level in marker.levels(config)
    ]


def test_layout_shows_every_row_once_and_folds_what_is_many_or_exploratory():
    rows = [each for each in every_row() if each.marker.family == "functional"]
    found = layout(rows)
    placed = [*found.shown, *found.folded, *(each for table in found.crossed for each in table.rows)]
    assert sorted(each.column for each in placed) == sorted(each.column for each in rows)
    assert {each.marker.name for each in found.folded} >= {"mpfc_hub", "shift_rest", "fd_mean"}
    assert {"pag_vmpfc_z", "nac_slow5", "custom_z"} <= {each.marker.name for each in found.shown}
    edges, networks, regions = [[marker.name for marker in table.markers] for table in found.crossed]
    assert edges[:3] == ["fc_r", "fc_z_alternative", "fc_partial_z"]
    assert networks == ["network_z"]
    assert regions == ["roi_coverage", "roi_tsnr", "roi_signal"]
    for table in found.crossed:
        for line in table.lines:
            assert len({each.level for each in line if each}) == 1
            assert all(each is None or each.marker is marker for marker, each in zip(table.markers, line, strict=True))


def test_a_family_without_leading_tiers_hides_nothing():
    rows = [each for each in every_row() if each.marker.family == "shift" and each.marker.tier is Tier.EXPLORATORY]
    assert layout(rows).shown == tuple(rows)


def test_sessions_of_a_connection_stand_on_lines_of_their_own():
    rows = [each for name in ("ses-1", "ses-2") for each in every_row(name) if each.marker.name.startswith("fc_")]
    (table,) = layout(rows).crossed
    assert len(table.lines) == 2 * len({each.level for each in rows})
    assert all(len({each.session for each in line}) == 1 for line in table.lines)
    assert all(len(line) == len(table.markers) for line in table.lines)


def test_a_line_without_one_of_the_markers_leaves_its_column_empty():
    edges = [each for each in every_row() if each.marker.name in {"fc_r", "fc_z_alternative"}]
    lacking = next(each for each in edges if each.marker.name == "fc_r")
    rows = [each for each in edges if each is not lacking]
    (table,) = layout(rows).crossed
    (line,) = [line for line in table.lines if None in line]
    assert [marker.name for marker in table.markers] == ["fc_r", "fc_z_alternative"]
    assert (line[0], line[1].level) == (None, lacking.level)
    assert sorted(each.column for each in table.rows) == sorted(each.column for each in rows)


def test_nothing_acquired_means_every_row_missing():
    assert all_absent([absent(), absent()])
    assert not all_absent([absent(), absent(status=Status.FAIL, reason=Reason.NO_MAP)])
    assert not all_absent([absent(), row()])


def test_the_study_shows_the_columns_and_families_that_anybody_has():
    measured_once, never = every_row()[0], absent(participant="sub-01")
    lacking = dataclasses.replace(measured_once, participant="sub-02", reasons=(Reason.NOT_ACQUIRED,))
    cohort = Cohort(rows=[measured_once, lacking, never], groups={})
    assert list(cohort.columns) == [measured_once.column]
    assert acquired_families(family_states(cohort)) == [measured_once.marker.family]
    nobody = Cohort(rows=[never], groups={})
    assert acquired_families(family_states(nobody)) == list(FAMILIES)


def test_levels_that_no_session_has_are_named_in_one_line():
    thresholds = [each for each in every_row() if each.marker.name == "ppt"]
    never = [dataclasses.replace(each, reasons=(Reason.NOT_ACQUIRED,)) for each in thresholds[1:]]
    shown, named = measured([thresholds[0], *never])
    assert shown == [thresholds[0]]
    assert named == [each.where for each in never]
    once = dataclasses.replace(never[0], session="ses-02", reasons=())
    shown, named = measured([thresholds[0], *never, once])
    assert shown == [thresholds[0], never[0], once]
    assert named == [each.where for each in never[1:]]
    assert measured(never) == (never, [])


def test_a_family_that_was_measured_badly_was_acquired():
    lacking = absent()
    assert not_acquired([lacking, lacking])
    assert not not_acquired([lacking, absent(status=Status.FAIL, reason=Reason.NO_MAP)])
    assert not not_acquired([])


def test_distributions_are_drawn_of_leading_tiers_only():
    found = drawn_columns(Cohort(rows=every_row(), groups={}))
    assert {each.marker.family for each in found.values()} == {marker.family for marker in MARKERS}
    assert {"pag_vmpfc_z", "mpfc_ins_z__L", "nac_slow5__R", "shift_pain_beta"} <= set(found)
    assert not any(column.startswith(("fc_", "network_z", "roi_", "mpfc_hub")) for column in found)
