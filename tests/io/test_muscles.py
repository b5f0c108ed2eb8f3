"""Names of muscles: what laboratories write, and what is not guessed."""

from __future__ import annotations

import pytest

from lbpneuro.io.config import read_config
from lbpneuro.io.muscles import KNOWN, VOCABULARY, known_muscle, side, vocabulary_text


@pytest.mark.parametrize(
    ("text", "muscle", "which"),
    [
        ("FDI", "FDI", None),
        ("fdi_R", "FDI", "R"),
        ("Right first dorsal interosseous", "FDI", "R"),
        ("1st dorsal interosseous muscle (left)", "FDI", "L"),
        ("multifidus_deep", "multifidus_deep", None),
        ("Deep multifidus fibres, right", "multifidus_deep", "R"),
        ("M. longissimus thoracis", "longissimus", None),
        ("erector spinae L5", "erector_spinae_L5", None),
        ("Transversus abdominis", "TrA", None),
        ("vastus lateralis, left and right", None, None),
    ],
)
def test_spelling_and_side(text, muscle, which):
    assert known_muscle(text) == muscle
    assert side(text) == which


@pytest.mark.parametrize(("text", "muscle"), [("multifidus", "multifidus"), ("erector spinae", "erector_spinae")])
def test_a_part_is_not_guessed(text, muscle):
    """A surface electrode over multifidus is not one in its deep fibres."""
    assert known_muscle(text) == muscle


def test_unknown_names():
    assert known_muscle("n/a") is None
    assert known_muscle("") is None
    assert known_muscle("channel 3") is None


def test_no_name_stands_for_two_muscles():
    names = [name for muscle, others in VOCABULARY.items() for name in (muscle, *others)]
    assert len(KNOWN) == len(names)


def test_every_muscle_of_the_settings_is_known_by_its_name():
    config = read_config()
    wanted = {*config["mep"]["windows_ms"], *config["tms"]["muscles"], config["plasticity"]["muscle"]}
    assert {name: known_muscle(name) for name in wanted} == {name: name for name in wanted}
    assert all(name in vocabulary_text() for name in wanted)
