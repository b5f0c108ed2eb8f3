"""The people of a study, and the random numbers they are drawn from."""

from __future__ import annotations

import numpy as np
from scipy import stats

from lbpneuro.simulate.anatomy import AnatomySettings, volume_changes
from lbpneuro.simulate.bold import BoldSettings, latent_correlation
from lbpneuro.simulate.people import Visit, participants_table, person
from lbpneuro.simulate.seeding import generator
from lbpneuro.simulate.stimulation import PlasticitySettings, log_responses


def people(n: int = 40, **settings):
    return [person(number, **{"seed": 1, "effect": 1.0, **settings}) for number in range(1, n + 1)]


def test_pain_belongs_to_the_group_with_pain():
    table, _ = participants_table(people())
    with_pain, without = (table[table["group"] == group] for group in ("LBP", "control"))
    assert len(with_pain) == len(without) == 20
    assert with_pain["pain_nrs"].between(1, 10).all()
    assert (with_pain["pain_duration_years"] > 0).all()
    assert without[["pain_nrs", "pain_duration_years"]].eq(0).all(axis=None)
    assert table["age"].between(18, 70).all()


def test_effect_changes_patients_alone():
    assert [one.patient for one in people(4, effect=0.5)] == [0.5, 0, 0.5, 0]


def test_generators_differ_by_everything_that_names_them():
    def draw(**names) -> float:
        return float(generator(3, **{"participant": 1, "session": 1, "what": "map", **names}).random())

    values = [draw(), draw(participant=2), draw(session=2), draw(what="bold")]
    assert len(set(values)) == 4
    assert draw() == values[0]


def test_names_of_a_visit():
    one = person(7, seed=1, effect=1.0)
    assert (Visit(one, 0, 1).prefix, Visit(one, 0, 1).folder) == ("sub-07", "sub-07")
    assert (Visit(one, 2, 1).prefix, Visit(one, 2, 1).folder) == ("sub-07_ses-02", "sub-07/ses-02")
    lasting = [Visit(one, session, 1).lasting("size").random() for session in (1, 2)]
    passing = [Visit(one, session, 1).passing("size").random() for session in (1, 2)]
    assert lasting[0] == lasting[1]
    assert np.ptp(passing) > 0


def test_without_effect_the_groups_are_one_and_with_it_they_part_in_proportion():
    numbers = range(1, 161)
    in_pain = np.array([number % 2 == 1 for number in numbers])
    null, once, twice = (np.array([planted_in(n, effect=effect) for n in numbers]) for effect in (0.0, 1.0, 2.0))
    t, _ = stats.ttest_ind(null[in_pain], null[~in_pain])
    assert np.abs(t).max() < 3
    np.testing.assert_array_equal(once[~in_pain], null[~in_pain])
    first, second = ((each - null)[in_pain].mean(axis=0) for each in (once, twice))
    assert (np.sign(first) == [-1, -1, -1, -1, 1, 1]).all()
    np.testing.assert_allclose(second / first, 2, atol=0.15)


def planted_in(number: int, *, effect: float) -> list[float]:
    """What is planted in one person: volumes of four regions, Fisher z of the connection, response to both bouts."""
    visit = Visit(person(number, seed=4, effect=effect), 0, 4)
    volumes = volume_changes(visit, AnatomySettings())
    connectivity = latent_correlation(visit, BoldSettings())[0, 1]
    responses = log_responses(visit, PlasticitySettings())
    return [*volumes.values(), float(np.arctanh(connectivity)), responses["post10"] - responses["pre"]]
