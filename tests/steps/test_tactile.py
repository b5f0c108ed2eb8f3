"""Step ``tactile``: trial tables to marker rows; what is wrong with one test leaves the others."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lbpneuro.io.plan import load_plan
from lbpneuro.io.tables import read_long
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.tactile import write_tactile, write_tactile_sidecars
from lbpneuro.steps import tactile
from tests.workflow.study import settings, tree

VISIT = Visit(person(1, seed=5, effect=1.0), 0, 5)


@pytest.fixture
def raw(tmp_path):
    root = tree(tmp_path / "raw", [])
    write_tactile(Study(root=tmp_path, voxel_mm=8.0), VISIT)
    write_tactile_sidecars(root, VISIT)
    return root


def run(root: Path, **changes):
    config = settings(root)
    config["tactile"] |= changes
    path = root / "config.json"
    path.write_text(json.dumps(config))
    files = load_plan(config)["units"]["sub-01"]["files"]["tactile"]
    out = root / "out/sub-01/beh/sub-01_desc-tactile_markers.tsv"
    assert tactile.main(["--in", *files, "--out", str(out), "--config", str(path), "--participant", "sub-01"]) == 0
    return read_long(out).set_index("marker"), json.loads(out.with_suffix(".json").read_text())


def edit(path: Path, change) -> None:
    table = pd.read_csv(path, sep="\t")
    change(table).to_csv(path, sep="\t", index=False, na_rep="n/a")


def test_a_simulated_person_from_trials_to_rows(raw, tmp_path):
    rows, sidecar = run(tmp_path)
    assert set(rows["status"]) == {"ok"}
    assert set(rows.loc["tpd", "method"]) == {"psychometric function (logistic, lapse rate 0.02)"}
    assert rows.loc["lrj_rt", "method"] == "median of right judgements"
    assert "bids:raw:task-tpd_beh.json" in sidecar["Sources"]
    again, _ = run(tmp_path)
    pd.testing.assert_frame_equal(rows, again)


def test_runs_give_the_threshold_when_few_trials_were_made(raw, tmp_path):
    path = raw / "sub-01/beh/sub-01_task-tpd_beh.tsv"
    edit(path, lambda table: table[table["run"] <= 2].drop(columns="direction"))
    rows, _ = run(tmp_path, fit_trials_min=60)
    assert set(rows.loc["tpd", "method"]) == {"mean of ascending and descending runs"}
    assert (rows.loc["tpd", "n"] == 2).all(), "the direction is told by the order of the distances"


def test_one_bad_table_leaves_the_other_tests(raw, tmp_path):
    path = raw / "sub-01/beh/sub-01_task-graph_beh.tsv"
    edit(path, lambda table: pd.concat([table, table[:1]]))
    rows, sidecar = run(tmp_path)
    assert set(rows.loc["graph_error_rate", "reason"]) == {"invalid_input"}
    assert "sub-01_task-graph_beh.tsv" in sidecar["Errors"][0]
    assert rows.loc["loc_error", "value"].notna().all()


def test_another_site_side_or_part_is_named(raw, tmp_path):
    rows, sidecar = run(tmp_path, site="hand")
    assert "task tpd: nothing was tested at the site hand; there is lumbar. Set tactile.site." in sidecar["Errors"]
    assert rows.loc["lrj_rt", "value"] > 0
    _, sidecar = run(tmp_path, sides=["R"])
    assert "side L is not among those of the settings (tactile.sides: R)" in sidecar["Errors"][0]
    rows, sidecar = run(tmp_path, body_part="hand")
    assert sidecar["Errors"] == ["task laterality: there are no pictures of hand; set tactile.body_part."]
    rows, _ = run(tmp_path, body_part="trunk")
    assert rows.loc["lrj_rt", "value"] > 0


def test_tables_that_name_no_side_are_taken_when_the_settings_say_so(raw, tmp_path):
    path = raw / "sub-01/beh/sub-01_task-graph_beh.tsv"
    edit(
        path,
        lambda table: table[table["side"] == "L"].assign(side="n/a", correct=1).drop(columns=["stimulus", "response"]),
    )
    rows, _ = run(tmp_path, sides=["L", "R", "n/a"])
    own = rows.loc["graph_error_rate"].set_index("side")
    assert (own["value"].iloc[2], own.loc["L", "reason"]) == (0, "not_acquired")


def test_slow_and_fast_judgements_do_not_count(raw, tmp_path):
    path = raw / "sub-01/beh/sub-01_task-laterality_beh.tsv"
    edit(path, lambda table: table.assign(rt_ms=table["rt_ms"].where(table["trial"] > 2, [100, 20000] * 24)))
    rows, _ = run(tmp_path)
    assert rows.loc["lrj_accuracy", "n"] == 46


def test_no_answer_is_an_error_in_naming_and_no_trial_in_two_points(raw, tmp_path):
    before, _ = run(tmp_path)
    for task in ("graph", "tpd", "loc"):
        column = "perceived_field" if task == "loc" else "response"

        def blank(table: pd.DataFrame, column: str = column) -> pd.DataFrame:
            return table.assign(**{column: table[column].astype(object).where(table["trial"] > 1, None)})

        edit(raw / f"sub-01/beh/sub-01_task-{task}_beh.tsv", blank)
    after, _ = run(tmp_path)
    assert (after.loc["graph_error_rate", "n"] == 20).all()
    assert (after.loc["graph_error_rate", "value"] >= before.loc["graph_error_rate", "value"]).all()
    assert (after.loc["loc_mislocalised", "n"] == 18).all()
    assert (after.loc["tpd", "n"] < before.loc["tpd", "n"]).all()
