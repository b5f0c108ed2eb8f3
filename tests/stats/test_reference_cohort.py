"""A reference cohort: beside statsmodels, through its file, and what adjusted volumes of new people then are."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from lbpneuro.cli import main
from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.files import write_tsv
from lbpneuro.io.reference_cohort import COLUMNS, age_and_sex, read_reference
from lbpneuro.io.tables import LONG_NAME, long_columns
from lbpneuro.markers import structural
from lbpneuro.stats.reference_cohort import reference_table, write_reference
from tests.markers.structural_person import STANDARD_METHOD, person, region

INDEX = ("roi", "hemi")
VOLUMES = [("tiv",), ("gm_total",), ("gm_neocortical",), ("gm_volume", "dlpfc", "L"), ("gm_volume", "thalamus", "R")]


def row(who, level, value, **changes):
    roi, hemi = level[1:] or (None, None)
    fixed = {"session_id": None, "unit": "mL", "status": "ok", "method": f"{STANDARD_METHOD}: label"}
    return {"participant_id": who, "marker": level[0], "roi": roi, "hemi": hemi, "value": value, **fixed, **changes}


def study(n=40, seed=0):
    """People and the long table of their volumes, which grow with the head and shrink with age."""
    rng = np.random.default_rng(seed)
    names = [f"sub-{number:02d}" for number in range(n)]
    age, male = rng.uniform(20, 70, n), rng.integers(0, 2, n)
    tiv = 1400 + 100 * male + rng.normal(0, 100, n)
    people = pd.DataFrame(
        {"participant_id": names, "group": "control", "age": age, "sex": np.where(male, "M", "female")}
    )
    rows = []
    for level in VOLUMES:
        volume = tiv if level == ("tiv",) else 8 + 0.004 * tiv - 0.03 * age + 0.2 * male + rng.normal(0, 0.4, n)
        rows += [row(who, level, value) for who, value in zip(names, volume, strict=True)]
    return people, pd.DataFrame(rows, columns=long_columns(INDEX))


@pytest.fixture
def out(tmp_path):
    people, rows = study()
    people.loc[35:, "group"] = "LBP"
    write_tsv(tmp_path / "participants.tsv", people)
    write_tsv(tmp_path / f"{LONG_NAME}.tsv", rows)
    return tmp_path


def test_the_fits_are_those_of_statsmodels():
    people, rows = study()
    table = reference_table(rows, people, people=people["participant_id"])
    assert list(table) == list(COLUMNS)
    assert [tuple(key) for key in table[["marker", "roi", "hemi"]].fillna("").to_numpy()] == [
        (*level, "", "")[:3] for level in VOLUMES[1:]
    ]
    data = people.assign(male=(people["sex"] == "M").astype(float), years=people["age"] - people["age"].mean())
    wide = rows.pivot_table(index="participant_id", columns=["marker", "roi"], values="value", dropna=False)
    tiv = rows[rows["marker"] == "tiv"]["value"].to_numpy()
    data = data.assign(tiv=tiv - tiv.mean())
    assert wide.shape[0] == 40
    for level, found in zip(VOLUMES[1:], table.to_dict("records"), strict=True):
        values = rows[(rows["marker"] == level[0]) & (rows["roi"].fillna("") == (*level, "")[1])]["value"]
        fit = smf.ols("value ~ tiv + years + male", data.assign(value=values.to_numpy())).fit(cov_type="HC3")
        names = {"intercept": "Intercept", "per_tiv": "tiv", "per_year": "years", "male": "male"}
        for own, other in names.items():
            assert found[own] == pytest.approx(fit.params[other])
            for own_2, other_2 in names.items():
                key = f"cov_{own}__{own_2}"
                if key in found:
                    assert found[key] == pytest.approx(fit.cov_params().loc[other, other_2])
        assert found["residual_sd"] == pytest.approx(np.sqrt(fit.scale))
        assert (found["n"], found["tiv_mean"], found["method"]) == (40, pytest.approx(tiv.mean()), STANDARD_METHOD)


def test_the_table_goes_through_its_file(out):
    said = write_reference(out, out / "reference.tsv", column="group", group="control")
    assert said.endswith("4 volumes of 35 to 35 people, embedded_standard.")
    found = read_reference(out / "reference.tsv")
    assert list(found) == VOLUMES[1:]
    people, rows = study()
    table = reference_table(rows, people, people=people["participant_id"][:35])
    first = found["gm_total",]
    assert first.method == STANDARD_METHOD
    np.testing.assert_allclose(first.coefficients, table.loc[0, ["intercept", "per_tiv", "per_year", "male"]].tolist())
    np.testing.assert_allclose(first.covariance, first.covariance.T)
    assert np.linalg.eigvalsh(first.covariance).min() > 0
    assert json.loads((out / "reference.json").read_text())["Cohort"]["people"] == 35


def test_the_command_writes_it_and_warns_of_a_small_cohort(out, capsys):
    people = pd.read_csv(out / "participants.tsv", sep="\t")
    write_tsv(out / "participants.tsv", people.assign(group=["control"] * 12 + ["LBP"] * 28))
    assert main(["reference", str(out), str(out / "small.tsv")]) == 0
    assert "of 12 to 12 people" in (said := capsys.readouterr().out)
    assert "fewer than 30 people" in said
    assert main(["reference", str(out), str(out / "x.tsv"), "--column", "cohort"]) == 2
    assert "no column cohort" in capsys.readouterr().err
    assert main(["reference", str(out), str(out / "x.tsv"), "--group", "martians"]) == 2
    assert "nobody has the group martians; found LBP, control" in capsys.readouterr().err


def test_only_usable_rows_of_first_sessions_count():
    people, rows = study(n=14)
    later = rows.assign(session_id="ses-2", value=0.0)
    failed = [row("sub-00", VOLUMES[3], np.nan, status="fail")]
    rows = rows[~((rows["participant_id"] == "sub-00") & (rows["roi"] == "dlpfc"))]
    both = pd.concat([rows.assign(session_id="ses-1"), later, pd.DataFrame(failed).assign(session_id="ses-1")])
    table = reference_table(both, people, people=people["participant_id"]).set_index(["marker", "roi"])
    assert table.loc[("gm_volume", "dlpfc"), "n"] == 13
    assert table.loc[("gm_volume", "thalamus"), "n"] == 14
    assert table.loc[("gm_volume", "thalamus"), "tiv_mean"] > 1000


def test_a_cohort_of_two_methods_is_refused():
    people, rows = study()
    rows.loc[50:, "method"] = "cat12: label"
    with pytest.raises(InputError, match="one method; found cat12, embedded_standard"):
        reference_table(rows, people, people=people["participant_id"])


def test_too_few_people_are_refused():
    people, rows = study()
    with pytest.raises(InputError, match="of 9 people, 9 have volumes and 9 all"):
        reference_table(rows, people, people=people["participant_id"][:9])
    with pytest.raises(InputError, match="0 all"):
        reference_table(rows, people.drop(columns="age"), people=people["participant_id"])


def test_a_cohort_of_women_alone_is_refused():
    people, rows = study()
    with pytest.raises(QualityError, match=r"Reference cohort, gm_total: .* differ in every regressor"):
        reference_table(rows, people.assign(sex="F"), people=people["participant_id"])


def test_age_and_sex_are_read_forgivingly():
    table = pd.DataFrame({"age": ["30", "n/a", "41.5", 50], "sex": ["Female", " M", "other", None]})
    found = age_and_sex(table)
    np.testing.assert_array_equal(found["age"], [30, np.nan, 41.5, 50])
    np.testing.assert_array_equal(found["male"], [0, 1, np.nan, np.nan])
    assert age_and_sex(table[[]]).isna().all().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="per_tiv"), "the columns per_tiv are absent"),
        (lambda table: table.assign(method=["a", "b", "a", "a"]), "measured by one method, found a, b"),
        (lambda table: table.iloc[:0], "found no row"),
        (lambda table: pd.concat([table, table.iloc[3:]]), "row 6: gm_volume thalamus R is there already"),
        (lambda table: table.assign(male="many"), "row 2, column male: expected a number, found 'many'"),
        (lambda table: table.assign(n=np.nan), "row 2, column n: expected a number"),
    ],
)
def test_a_broken_table_is_named(out, change, message):
    write_reference(out, out / "reference.tsv", column="group", group="control")
    table = change(pd.read_csv(out / "reference.tsv", sep="\t"))
    write_tsv(out / "broken.tsv", table)
    with pytest.raises(InputError, match=message):
        read_reference(out / "broken.tsv")
    shutil.rmtree(out)


def test_adjusted_volumes_of_new_people_hold_what_was_planted():
    """100 cohorts of 40 and a new person each, 0.5 mL below what the truth expects; rescan errors as stated."""
    rng = np.random.default_rng(9)
    key, planted, inside, found = ("gm_volume", "dlpfc", "L"), -0.5, [], []
    for seed in range(100):
        people, rows = study(seed=seed + 100)
        chosen = rows[rows["marker"].isin(["tiv", "gm_total"]) | (rows["roi"] == "dlpfc")]
        table = reference_table(chosen, people, people=people["participant_id"])
        (fit,) = (one for one in table.to_dict("records") if one["roi"] == "dlpfc")
        reference = _as_reference(fit)
        data = person(age=50.0, male=1.0, reference={key: reference})
        cv = data.settings["rescan_cv"][STANDARD_METHOD]
        volume = 8 + 0.004 * 1520 - 0.03 * 50 + 0.2 + planted
        seen = volume * (1 + cv["cortex"] * rng.standard_normal())
        data = person(
            tiv_ml=1520 * (1 + cv["tiv"] * rng.standard_normal()),
            age=50.0,
            male=1.0,
            reference={key: reference},
            regions={key[1:]: region(seen)},
        )
        estimate = structural.gm_volume_residual(data)[key[1:]]
        inside.append(estimate.ci_low <= planted <= estimate.ci_high)
        found.append(estimate.value)
    assert np.mean(found) == pytest.approx(planted, abs=0.08)
    assert 0.88 <= np.mean(inside) <= 0.99


def _as_reference(fit):
    from lbpneuro.io.reference_cohort import COEFFICIENTS, COVARIANCES
    from lbpneuro.markers.tissue import Reference

    lower = np.zeros((4, 4))
    lower[np.tril_indices(4)] = [fit[name] for name in COVARIANCES]
    return Reference(
        method=fit["method"],
        coefficients=np.array([fit[name] for name in COEFFICIENTS]),
        covariance=lower + np.tril(lower, -1).T,
        tiv_mean=fit["tiv_mean"],
        age_mean=fit["age_mean"],
        n=fit["n"],
    )
