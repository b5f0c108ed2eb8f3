"""Numbers with honest digits, and words for every entry of a closed list."""

from __future__ import annotations

import math

import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.descriptor import Direction, Evidence
from lbpneuro.report import words
from lbpneuro.report.rows import level_words, unit_words


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (612.3456, 4.1, "612.3"),
        (612.3456, 41.0, "612"),
        (-0.12345, 0.2, "−0.12"),
        (-0.001, 0.2, "0.00"),
        (1.23456, 0.00123, "1.2346"),
        (0.123456, math.nan, "0.123"),
        (1234.56, math.nan, "1235"),
        (240.0, math.nan, "240"),
        (0.0, math.nan, "0"),
        (5.25, 0.0, "5.25"),
        (math.nan, 1.0, "–"),
        (math.inf, math.nan, "∞"),
        (-math.inf, math.nan, "−∞"),
    ],
)
def test_number_shows_the_second_digit_of_its_error(value, error, text):
    assert words.number(value, error=error) == text


def test_counts_are_whole_unless_effective():
    assert (words.count(210.0), words.count(43.11), words.count(math.nan)) == ("210", "43.1", "–")


def test_every_entry_of_the_closed_lists_has_words():
    assert set(words.STATUS_SYMBOL) == set(words.STATUS_MEANING) == set(Status)
    assert set(words.DIRECTION_SYMBOL) == set(words.DIRECTION_WORDS) == set(Direction)
    assert set(words.EVIDENCE_WORDS) == set(Evidence)
    assert set(words._REASON_WORDS) == set(Reason)
    assert all(words.reason_words(reason) for reason in Reason)


def test_reasons_are_one_phrase():
    assert words.because((Reason.FEW_TRIALS, Reason.CROSSTALK)) == "few trials; the two muscle channels share signal"
    assert words.because(()) == ""


def test_levels_and_units_are_written_as_the_field_writes_them():
    assert level_words(("dlpfc", "L")) == "DLPFC, left"
    assert level_words(("multifidus_deep", "n/a")) == "multifidus deep"
    assert level_words(("multifidus_deep", "L"), ("muscle", "hemi")) == "multifidus deep, left hemisphere"
    assert level_words(("mpfc_ins_L",), ("edge",)) == "mPFC-insula, left"
    assert level_words(("my_edge_L",), ("edge",)) == "my_edge_L"
    networks = ("network_a", "network_b")
    assert level_words(("DefaultMode", "DefaultMode"), networks) == "within default mode"
    assert level_words(("Salience", "FrontoParietal"), networks) == "salience with fronto parietal"
    assert level_words(("vta_R",), ("roi",)) == "VTA right"
    assert level_words(("hippocampus_anterior_L",), ("roi",)) == "hippocampus anterior left"
    assert level_words(("2",), ("state",)) == "state 2"
    assert level_words(("post10",)) == "10 min after"
    assert (unit_words("1"), unit_words("cm^2"), unit_words("mL/L")) == ("", "cm²", "mL/L")
