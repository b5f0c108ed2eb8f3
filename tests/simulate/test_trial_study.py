"""A simulated trial of tests and questionnaires: planted effects, dropout, and centres with devices of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import main
from lbpneuro.errors import InputError, Reason
from lbpneuro.io.config import read_config
from lbpneuro.io.files import read_json, read_tsv, write_tsv
from lbpneuro.io.qst_reference import COLUMNS
from lbpneuro.io.sensory import read_tests, sensory_data, with_norms
from lbpneuro.markers.qst_z import qst_z
from lbpneuro.simulate.people import CENTRES, Visit, person
from lbpneuro.simulate.sensory import SensorySettings, sensitivity
from lbpneuro.simulate.sensory_files import write_sensory
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.trial_study import CONTROL, TREATED, Course, arm_of, attended, mean_effects, simulate_trial

SETTINGS = SensorySettings()


def people(n: int, *, centres: int = 2) -> list:
    return [person(number, seed=5, effect=1.0, pain=True, centres=centres) for number in range(1, n + 1)]


def test_arms_and_centres_are_balanced() -> None:
    table = pd.DataFrame({"arm": [arm_of(one) for one in people(40)], "centre": [one.centre for one in people(40)]})
    assert (table.value_counts() == 10).all()
    assert len(table.value_counts()) == 4
    assert {one.group for one in people(40)} == {"LBP"}
    assert {one.centre for one in people(40, centres=1)} == {""}


def test_the_effect_is_that_of_the_course() -> None:
    """Pain of the week: 4.8 less 0.5 points times what the arms have left, for those who do not meet an end."""
    course = Course(spread=0.0)
    effects = mean_effects(people(30), course, seed=5).set_index(["outcome", "session"])["effect"]
    for session, share in (("ses-02", 0.55 - 0.85), ("ses-03", 0.40 - 0.75)):
        assert effects["pain_nrs__7d_average", session] == pytest.approx(4.3 * share, abs=0.01)
        assert effects["ppt_remote", session] == pytest.approx(SETTINGS.ppt_lbp * share)
        assert effects["cpm_inhibition__ppt__parallel", session] == pytest.approx(SETTINGS.inhibition_lbp * share)
    none = mean_effects(people(10), course.scaled(0.0), seed=5)
    assert none["effect"].abs().max() == 0


def test_who_had_much_pain_is_missing_more_often() -> None:
    """Dropout depends on the pain that was noted at the session before, in both arms alike."""
    course = Course()
    came, pain = [], []
    for one in people(300):
        visits = attended(one, course, seed=5)
        came.append(len(visits) == 3)
        pain.append(visits[1].person.patient)
    came, pain = np.array(came), np.array(pain)
    assert 0.03 < 1 - came.mean() < 0.3
    assert pain[~came].mean() > pain[came].mean() + 0.03
    assert all(len(attended(one, Course(dropout=0.0), seed=5)) == 3 for one in people(20))


def test_centres_shift_the_thresholds_by_what_is_planted() -> None:
    truth = [sensitivity(Visit(one, 0, 5), SETTINGS) for one in people(400)]
    centre = np.array([one.centre for one in people(400)])
    shift = {
        kind: np.mean(np.array(values)[centre == "B"]) - np.mean(np.array(values)[centre == "A"])
        for kind, values in (
            ("ppt", [each.ppt["tibialis", "L"] for each in truth]),
            ("cpt", [each.cpt["hand", "L"] for each in truth]),
        )
    }
    assert shift["ppt"] == pytest.approx(SETTINGS.ppt_centre[1], abs=0.04)
    assert shift["cpt"] == pytest.approx(SETTINGS.cpt_centre[1], abs=2.0)
    same = [sensitivity(Visit(one, 0, 5), SETTINGS) for one in people(4, centres=1)]
    assert truth[2].ppt["tibialis", "L"] - same[2].ppt["tibialis", "L"] == pytest.approx(SETTINGS.ppt_centre[1])


def test_a_norm_of_another_centre_is_refused(tmp_path) -> None:
    """A norm of the device of centre A gives z-scores to its people, and ``other_device`` to those of centre B."""
    norm = dict(
        zip(COLUMNS, ["ppt", None, None, None, None, "log10", 2.6, 0.15, 40, "internal: centre A"], strict=False)
    )
    norm |= {"device": "simulated algometer of centre A", "probe_cm2": 1.0, "rate": 50.0}
    write_tsv(tmp_path / "norms.tsv", pd.DataFrame([norm]))
    settings = {**read_config()["sensory"], "reference": str(tmp_path / "norms.tsv")}
    found = {}
    for one in (people(4)[0], people(4)[2]):
        write_sensory(Study(root=tmp_path, voxel_mm=4.0), Visit(one, 0, 5))
        files = sorted((tmp_path / "raw" / f"sub-{one.label}" / "beh").glob("*.tsv"))
        tests = read_tests(files)
        data = with_norms(sensory_data(tests, settings), tests, age=40.0, male=0.0)
        found[one.centre] = qst_z(data)["ppt", "tibialis"]
    assert np.isfinite(found["A"].value)
    assert found["B"].reasons == (Reason.OTHER_DEVICE,)


def test_the_files_of_a_trial(tmp_path) -> None:
    options = ["--trial", "--participants", "12", "--centres", "2", "--nprocs", "1"]
    assert main(["simulate", str(tmp_path), *options]) == 0
    table = read_tsv(tmp_path / "raw" / "participants.tsv")
    assert set(table["arm"]) == {CONTROL, TREATED}
    assert set(table["centre"]) == {"A", "B"}
    assert set(read_json(tmp_path / "raw" / "participants.json")) == set(table)
    offsets = read_tsv(tmp_path / "truth_centres.tsv").set_index(["centre", "marker"])["offset"]
    assert offsets["B", "ppt_remote"] == SETTINGS.ppt_centre[1]
    assert offsets["A", "cpt"] == 0
    truth = read_tsv(tmp_path / "truth.tsv", dtype=str)
    visits = {path.parent.parent.name for path in (tmp_path / "raw").glob("sub-*/ses-*/beh")}
    assert visits == {f"sub-{number:02d}" for number in range(1, 13)}
    assert set(truth["session_id"]) == {"ses-01", "ses-02", "ses-03"}
    assert {"ppt_remote", "pain_nrs", "rmdq", "tsp_diff"} <= set(truth["marker"])
    sidecar = read_json(next(tmp_path.glob("raw/sub-03/ses-01/beh/*_task-ppt_beh.json")))
    assert sidecar["ManufacturersModelName"] == "simulated algometer of centre B"


@pytest.mark.parametrize("centres", [0, len(CENTRES) + 1])
def test_too_many_centres_are_refused(tmp_path, centres: int) -> None:
    with pytest.raises(InputError, match="`centres` must be between 1 and 2"):
        simulate_trial(tmp_path, people=12, centres=centres)
