"""Simulated questionnaires: what is planted is what the scores find, as often as their intervals say."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from lbpneuro.errors import Reason
from lbpneuro.io.config import read_config
from lbpneuro.io.phenotype import read_sheet
from lbpneuro.markers.instrument import instruments
from lbpneuro.markers.scales import MARKERS, Phenotype, Sheet, scored
from lbpneuro.simulate.blood import blood_truth
from lbpneuro.simulate.cohort import write_phenotype
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.scales import TOOLS, ScaleSettings, filled, scale_truth

SETTINGS = read_config()["scales"]
MANY_BLANKS = ScaleSettings(blank=0.03, skipper=0.0, straight=0.0)


def visit(number: int, session: int = 0) -> Visit:
    return Visit(person(number, seed=8, effect=1.0), session, 8)


@cache
def pairs(tool: str, score: str, n: int = 1200) -> list[tuple[float, float, float, float]]:
    """(truth, value, interval) of people with pain, with three per cent of the items blank."""
    instrument, found = instruments()[tool], []
    for number in range(1, 2 * n, 2):
        sheet = filled(visit(number), instrument, MANY_BLANKS)
        phenotype = Phenotype(sheets={tool: Sheet(answers=sheet.ticked)}, settings=SETTINGS)
        estimate = scored(instrument, phenotype)[score].estimate
        found.append((sheet.true[score], estimate.value, estimate.ci_low, estimate.ci_high))
    return found


@pytest.mark.parametrize(
    ("tool", "score"), [("frebaq", "total"), ("odi", "total"), ("pcs", "total"), ("tsk17", "total"), ("nrs", "now")]
)
def test_intervals_hold_the_true_score_and_it_is_not_biased(tool, score):
    truth, value, low, high = np.array(pairs(tool, score)).T
    known = np.isfinite(value)
    assert known.mean() > 0.9
    inside = ((low <= truth) & (truth <= high))[known].mean()
    assert 0.93 <= inside <= 0.975
    bias = (value - truth)[known].mean()
    assert abs(bias) < 3 * (value - truth)[known].std(ddof=1) / math.sqrt(known.sum()) + 0.02


@pytest.mark.parametrize("score", ["rumination", "helplessness"])
def test_without_an_error_of_measurement_the_truth_is_the_whole_total(score):
    truth, value, low, _ = np.array(pairs("pcs", score)).T
    guessed = np.isfinite(low)
    whole = ~guessed & np.isfinite(value)
    assert np.isclose(value[whole], truth[whole]).mean() > 0.98  # all but those whose other answers are all the same
    assert guessed.sum() > 50
    assert abs((value - truth)[guessed].mean()) < 0.2


def test_strict_zero_is_biased_by_blanks_and_the_proportional_rule_is_not():
    """Four of 24 blank, scored 0: a seventh of the score is lost."""
    answers = [filled(visit(number), instruments()["rmdq"], MANY_BLANKS).complete for number in range(1, 600, 2)]
    rng, lost = np.random.default_rng(1), {"strict_zero": [], "proportional": []}
    for complete in answers:
        blank = {**complete, **{f"{item:02d}": math.nan for item in rng.choice(24, 4, replace=False) + 1}}
        for rule, errors in lost.items():
            data = Phenotype(sheets={"rmdq": Sheet(answers=blank)}, settings={**SETTINGS, "rmdq_missing": rule})
            value = scored(instruments()["rmdq"], data)["total"].estimate.value
            errors.append(value - sum(complete.values()))
    assert np.mean(lost["strict_zero"]) < -1.3
    assert abs(np.mean(lost["proportional"])) < 0.25


def test_a_person_answers_alike_in_every_session_and_not_the_same():
    tool = instruments()["frebaq"]
    first, second = (filled(visit(1, session), tool) for session in (1, 2))
    assert first.true == second.true
    assert first.complete != second.complete


def test_people_skip_items_and_tick_all_the_way_down():
    sheets = [filled(visit(number), instruments()["tsk17"]) for number in range(1, 401)]
    straight = [sheet for sheet in sheets if sheet.straight]
    assert 5 < len(straight) < 30
    assert set(straight[0].complete.values()) == {3.0}
    blanks = [sum(map(math.isnan, sheet.ticked.values())) for sheet in sheets]
    assert max(blanks) >= 4
    number = next(n for n in range(1, 401) if sheets[n - 1].straight)
    assert "tsk17" not in {row["marker"] for row in scale_truth(visit(number))}


def test_written_tables_are_read_back(tmp_path):
    visits = [visit(number, session) for number in (1, 2) for session in (1, 2)]
    write_phenotype(tmp_path, visits)
    for name in TOOLS:
        tool = instruments()[name]
        for one in visits:
            found = read_sheet(
                tmp_path / f"{name}.tsv",
                tool,
                participant=one.participant_id,
                session=one.session_id,
                settings=SETTINGS,
            )
            np.testing.assert_equal(dict(found.answers), filled(one, tool).ticked)
    assert found.version is None
    nobody = {"participant": "sub-09", "session": "ses-01", "settings": SETTINGS}
    assert read_sheet(tmp_path / "csi.tsv", instruments()["csi"], **nobody) is Reason.NOT_ACQUIRED


def test_truth_is_planted_for_every_tool_and_level():
    rows = [*scale_truth(visit(1)), *blood_truth(visit(1))]
    planted = {(row["marker"], row.get("subscale") or row.get("window")) for row in rows}
    config = read_config()
    wanted = {
        (marker.name, *(level or (None,)))
        for marker in MARKERS
        for level in marker.levels(config)
        if marker.index != ("scale",) and marker.name not in ("tsk11", "neuropathic_component")
    }
    assert planted == wanted
