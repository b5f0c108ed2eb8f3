"""Markers of inflammation: units, limits of detection as bounds, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason, Status, UnitError
from lbpneuro.io.blood import blood_or_reason, read_blood
from lbpneuro.io.config import read_config
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.markers.scales import BLOOD_MARKERS, Concentration, Phenotype
from lbpneuro.simulate.blood import LIMITS, blood_table, concentration
from lbpneuro.simulate.people import Visit, person

PATH_UNITS = {"crp": "mg/L", "il6": "pg/mL", "tnf": "pg/mL"}


def table(folder: Path, header: str, row: str, **units) -> Path:
    path = folder / "inflammation.tsv"
    path.write_text(f"participant_id\t{header}\nsub-01\t{row}\n".replace(" ", "\t"))
    path.with_suffix(".json").write_text(
        json.dumps({name: {"Units": unit} for name, unit in {**PATH_UNITS, **units}.items()})
    )
    return path


def read(path: Path) -> dict[str, Concentration]:
    return read_blood(path, participant="sub-01", session=None)


def bounds(found: dict[str, Concentration]) -> dict[str, tuple[float, ...]]:
    """What is known of each: (value,) or (low, high)."""
    return {name: (each.low, each.high) if math.isnan(each.value) else (each.value,) for name, each in found.items()}


def rows(blood) -> dict:
    data = Phenotype(sheets={}, settings=read_config()["scales"], blood=blood)
    return {marker.name: marker.function(data)[()] for marker in BLOOD_MARKERS}


def test_values_bounds_and_absence(tmp_path):
    found = read(table(tmp_path, "crp il6 tnf", "2.4 <0.7 n/a"))
    assert bounds(found) == {"crp": (2.4,), "il6": (-math.inf, 0.7)}
    estimates = rows(found)
    assert (estimates["crp"].value, estimates["crp"].status) == (2.4, Status.OK)
    below = estimates["il6"]
    assert math.isnan(below.value)
    assert (below.reasons, below.ci_low, below.ci_high) == ((Reason.CENSORED_AT_LIMIT,), -math.inf, 0.7)
    assert estimates["tnf"].reasons == (Reason.NOT_ACQUIRED,)


@pytest.mark.parametrize(("cell", "bound"), [("0.1", 0.3), ("0", 0.3), ("0.3", None)])
def test_a_number_below_the_limit_of_detection_is_no_more_than_that(tmp_path, cell, bound):
    found = read(table(tmp_path, "crp crp_lod", f"{cell} 0.3"))
    assert bounds(found)["crp"] == ((-math.inf, bound) if bound else (0.3,))


def test_the_limit_may_stand_in_the_sidecar_and_values_may_lie_above(tmp_path):
    path = table(tmp_path, "crp tnf", ">300 0.5")
    path.with_suffix(".json").write_text(
        json.dumps({"crp": {"Units": "mg/L"}, "tnf": {"Units": "ng/L", "LimitOfDetection": 2}})
    )
    assert bounds(read(path)) == {"crp": (300.0, math.inf), "tnf": (-math.inf, 2.0)}


def test_units_are_brought_to_one(tmp_path):
    found = read(table(tmp_path, "crp il6", "0.24 <0.0007", crp="mg/dL", il6="ng/mL"))
    assert found["crp"].value == pytest.approx(2.4)
    assert found["il6"].high == pytest.approx(0.7)


@pytest.mark.parametrize("unit", ["mmol/L", None])
def test_a_unit_that_is_not_told_or_known_is_refused(tmp_path, unit):
    with pytest.raises(UnitError, match=r"the unit of crp is .* expected Units to be one of mg/L, mg/dL"):
        read(table(tmp_path, "crp", "2", crp=unit))


@pytest.mark.parametrize(
    ("cell", "said"),
    [("0", "0 is below any limit"), ("-1", "0 or more"), ("low", "found 'low'"), ("<x", "<x"), ("inf", "0 or more")],
)
def test_what_is_no_concentration_is_refused_with_its_place(tmp_path, cell, said):
    with pytest.raises(InputError, match=said) as caught:
        read(table(tmp_path, "crp", cell))
    assert "inflammation.tsv, line 2, column crp" in str(caught.value)


def test_a_bad_table_is_told_and_no_table_is_nothing(tmp_path):
    problems: list[str] = []
    who = {"participant": "sub-01", "session": None, "problems": problems}
    bad = blood_or_reason([table(tmp_path, "crp", "low")], **who)
    assert bad is Reason.INVALID_INPUT
    assert len(problems) == 1
    assert rows(bad)["crp"].reasons == (Reason.INVALID_INPUT,)
    assert blood_or_reason([], **who) == {}


def test_the_simulated_table_is_read_back_with_its_limits(tmp_path):
    visits = [Visit(person(number, seed=3, effect=1.0), 0, 3) for number in range(1, 61)]
    simulated, about = blood_table(visits)
    write_tsv(tmp_path / "inflammation.tsv", simulated)
    write_json(tmp_path / "inflammation.json", about)
    censored = 0
    for visit in visits:
        found = read_blood(tmp_path / "inflammation.tsv", participant=visit.participant_id, session=None)
        true = concentration(visit, "crp")
        if true < LIMITS["crp"]:
            censored += 1
            assert bounds(found)["crp"] == (-math.inf, LIMITS["crp"])
        else:
            np.testing.assert_allclose(found["crp"].value, true, rtol=1e-5)
    assert 2 < censored < 30
