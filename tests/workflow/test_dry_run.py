"""The workflow is planned for every shape of study: sessions, runs and modalities there or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.lint import STUDY, main, snakemake
from tests.workflow.study import tree

TWO_SESSIONS = [name.replace("sub-01/", "sub-01/ses-a/").replace("sub-01_", "sub-01_ses-a_") for name in STUDY]
TWO_SESSIONS += ["sub-01/ses-b/func/sub-01_ses-b_task-rest_run-1_bold.nii.gz"]
TWO_SESSIONS += ["sub-01/ses-b/func/sub-01_ses-b_task-rest_run-2_bold.nii.gz"]
TWO_HEADS = [f"sub-01/ses-{name}/anat/sub-01_ses-{name}_T1w.nii.gz" for name in "ab"]

STUDIES = {
    "everything": (STUDY, {"preprocess_anat": 1, "preprocess_func": 1, "meps": 1, "dynamic_states": 1, "dynamic": 1}),
    "sessions and runs": (TWO_SESSIONS, {"preprocess_anat": 1, "preprocess_func": 3, "meps": 1, "structural": 1}),
    "anatomy only": (STUDY[:1], {"preprocess_anat": 1, "structural": 1, "preprocess_func": 0, "meps": 0, "tms": 0}),
    "TMS only": (STUDY[2:], {"preprocess_anat": 0, "preprocess_func": 0, "meps": 1, "dynamic_states": 0, "dynamic": 0}),
    "two sessions of anatomy": (TWO_HEADS, {"preprocess_anat": 2, "change": 2, "preprocess_func": 0}),
    "BOLD without anatomy": (STUDY[1:2], {"preprocess_anat": 0, "preprocess_func": 1, "functional": 1}),
}


def jobs(said: str) -> dict[str, int]:
    """The job counts in the plan that Snakemake prints."""
    lines = [line.split() for line in said.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_planned(tmp_path: Path, name: str) -> None:
    files, expected = STUDIES[name]
    tree(tmp_path / "raw", files)
    done = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    found = jobs(done.stdout + done.stderr)
    assert {rule: found.get(rule, 0) for rule in expected} == expected
    assert found["participant_report"] == found["cohort_tables"] == found["group_report"] == 1
    assert not (tmp_path / "out").exists(), "a dry run writes nothing into the output"


@pytest.mark.slow
def test_the_workflow_passes_its_linter() -> None:
    assert main() == 0
