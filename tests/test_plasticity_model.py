"""The mixed model of plasticity: planted means and spreads, agreement with means of balanced data, the command."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import main
from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.stats.plasticity_model import fit

CHANGES = {"pre": 0.0, "between": 0.3, "post10": -0.4}


def responses(*, people=16, trials=12, between=0.2, seed=0, polarity=1):
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        level = rng.normal(6.8, 0.5)
        for block, change in CHANGES.items():
            centre = level + change + rng.normal(0, between)
            sizes = np.exp(centre + 0.6 * rng.standard_normal(trials))
            rows += [{"person": f"sub-{person:02d}", "block": block, "p2p_uv": size} for size in sizes]
    return pd.DataFrame(rows).assign(polarity=polarity)


def test_balanced_blocks_agree_with_the_means_of_people():
    """Of balanced data the fixed effects are differences of means, and their error that of the people's differences."""
    table = responses(between=0.35)
    blocks, people = fit(table)
    found = blocks.set_index("block")
    means = np.log(table["p2p_uv"] + 1).groupby([table["person"], table["block"]]).mean().unstack()
    for block in ("between", "post10"):
        index = -(means[block] - means["pre"])
        assert found.loc[block, "estimate"] == pytest.approx(index.mean(), abs=1e-4)
        assert found.loc[block, "se"] == pytest.approx(index.std(ddof=1) / 4, rel=0.35)
        own = people[people["block"] == block].set_index("person")["index"]
        pd.testing.assert_series_equal(own, index, check_names=False, check_exact=False)
    assert found["converged"].eq(1).all()


def test_planted_values_are_recovered_and_indices_drawn_in():
    blocks, people = fit(responses(people=40, seed=3))
    found = blocks.set_index("block").loc["post10"]
    assert found["ci_low"] < 0.4 < found["ci_high"]
    assert found["between_sd"] == pytest.approx(0.2, abs=0.07)
    assert found["trial_sd"] == pytest.approx(0.6, abs=0.03)
    spread = people[people["block"] == "post10"][["index", "shrunken"]].std()
    assert spread["shrunken"] < 0.85 * spread["index"]


def test_inhibitory_bouts_turn_the_sign_and_sham_is_left_out():
    table = responses()
    one, _ = fit(table)
    other, _ = fit(table.assign(polarity=-1))
    np.testing.assert_allclose(one["estimate"], -other["estimate"], atol=1e-6)
    some = table.assign(polarity=np.where(table["person"] < "sub-04", 0, 1))
    assert fit(some)[0]["people"].eq(12).all()
    with pytest.raises(InputError, match="4 people have a baseline"):
        fit(table[table["person"] < "sub-04"])


def test_the_command_reads_what_the_steps_left(tmp_path, capsys):
    for person, own in responses(people=6).groupby("person"):
        folder = tmp_path / person / "emg"
        folder.mkdir(parents=True)
        course = folder / f"{person}_task-plasticity_desc-course_meps.tsv"
        own[["block", "p2p_uv"]].to_csv(course, sep="\t", index=False)
        sidecar = {"BoutPolarity": [1, 1], "Outputs": [course.relative_to(tmp_path).as_posix()]}
        (folder / f"{person}_desc-plasticity_markers.json").write_text(json.dumps(sidecar))
    assert main(["plasticity-model", str(tmp_path)]) == 0
    assert "post10" in capsys.readouterr().out
    assert read_tsv(tmp_path / "plasticity_model.tsv")["people"].tolist() == [6, 6]
    people = read_tsv(tmp_path / "plasticity_model_people.tsv")
    assert len(people) == 12
    assert main(["plasticity-model", str(tmp_path / "nothing")]) == 2
