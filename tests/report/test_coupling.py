"""QC-FC on the group page: words that the numbers allow, the figure, and what stands there without numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.tables import write_plain_parquet
from lbpneuro.report.cohort import read_cohort
from lbpneuro.report.coupling import read_coupling
from lbpneuro.report.figures import GROUP_FIGURES
from lbpneuro.report.figures.qcfc import plot_motion_coupling
from lbpneuro.report.render import write_group_page
from lbpneuro.report.spec import read_spec
from lbpneuro.report.study import Study
from lbpneuro.report.visit import AbsentError
from lbpneuro.stats.qcfc import COLUMNS, MEANING

ROW = {
    "atlas": "Seitzman300",
    "model": "cortical",
    "strategy": "36p",
    "n_people": 41,
    "n_edges": 300,
    "median_abs_r": 0.105,
    "ci_low": 0.08,
    "ci_high": 0.13,
    "null_median_abs_r": 0.108,
    "null_low": 0.09,
    "null_high": 0.15,
    "p": 0.5,
    "share_significant": 0.0,
    "spearman_distance": -0.02,
    "spearman_null_low": -0.13,
    "spearman_null_high": 0.13,
    "p_distance": 0.8,
    "volumes": 240.0,
    "residual_dimension": 61.2,
}
MOVED = {"model": "cortical_alternative", "strategy": "acompcor24", "median_abs_r": 0.31, "spearman_distance": -0.4}


def written(folder: Path, rows: list[dict], *, edges: bool = True) -> Path:
    """QC-FC of a study as the step writes it."""
    rng = np.random.default_rng(1)
    path = folder / "qcfc.tsv"
    write_tsv(path, pd.DataFrame(rows, columns=list(COLUMNS)))
    write_json(path.with_suffix(".json"), {"Meaning": MEANING})
    parts = [
        pd.DataFrame(
            {
                "atlas": row["atlas"],
                "model": row["model"],
                "covariates": row.get("covariates"),
                "node_a": "a",
                "node_b": "b",
                "distance": rng.uniform(10, 150, 300),
                "n": 41,
                "r": 0.2 * rng.standard_normal(300),
            }
        )
        for row in rows
    ]
    if edges:
        write_plain_parquet(folder / "qcfc_edges.parquet", pd.concat(parts, ignore_index=True))
    return path


def test_words_say_what_the_numbers_allow(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, **MOVED, "p_distance": 0.001, "covariates": "age;sex"}]
    quiet, moved = read_coupling([written(tmp_path, rows)]).lines
    assert quiet.median == "0.105 (0.080 to 0.130)"
    assert quiet.chance == "0.108 (0.090 to 0.150)"
    assert quiet.verdict == "No more than chance gives with 41 people; a weak relation could not be seen."
    assert (quiet.covariates, quiet.people, quiet.dimensions) == ("none", "41", "61 of 240")
    assert moved.verdict.startswith("Connectivity goes with motion more than chance gives with 41 people.")
    assert "Near nodes" in moved.verdict
    assert moved.distance == "−0.400"
    assert moved.covariates == "age, sex"


def test_too_few_people_are_said_to_be(tmp_path: Path) -> None:
    few = {
        "atlas": "Seitzman300",
        "model": "cortical",
        "strategy": "36p",
        "n_people": 4,
        "note": "fewer than 10 people",
    }
    (line,) = read_coupling([written(tmp_path, [few], edges=False)]).lines
    assert (line.verdict, line.median, line.people) == ("fewer than 10 people", "", "4")
    with pytest.raises(AbsentError, match="too few people"):
        plot_motion_coupling(read_coupling([tmp_path / "qcfc.tsv"]))


def test_figure_shows_each_strategy_once(tmp_path: Path) -> None:
    coupling = read_coupling([written(tmp_path, [ROW, {**ROW, "covariates": "age"}, {**ROW, **MOVED}])])
    drawing = plot_motion_coupling(coupling)
    assert drawing.markup.startswith("<svg")
    assert drawing.note == "Atlas Seitzman300, 300 pairs of nodes."
    for title in ("as analysed", "other confound strategy"):
        assert drawing.markup.count(title) == 1
    assert drawing == plot_motion_coupling(coupling)


def test_every_figure_of_the_study_is_on_its_page() -> None:
    names = [figure.name for section in read_spec("group", figures=GROUP_FIGURES) for figure in section.figures]
    assert sorted(names) == sorted(GROUP_FIGURES)


def test_the_page_with_and_without(study: Path, tmp_path: Path) -> None:
    cohort = read_cohort([study / "markers_long.tsv"], group_column="group")
    write_group_page(tmp_path / "with.html", Study(cohort=cohort, coupling=read_coupling([written(tmp_path, [ROW])])))
    page = (tmp_path / "with.html").read_text()
    assert "0.105 (0.080 to 0.130)" in page
    assert MEANING.split(".", maxsplit=1)[0] in page
    assert 'id="motion-coupling"' in page
    write_group_page(tmp_path / "without.html", Study(cohort=cohort))
    assert "nothing can be said" in (tmp_path / "without.html").read_text()
