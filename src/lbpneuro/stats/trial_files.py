"""The analysis of a trial from a folder to files: tables, their dictionary, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io.devices import devices_used, without_other_devices
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.outcomes import (
    Outcome,
    chosen_group,
    read_covariates,
    read_groups,
    read_outcomes,
    session_order,
)
from lbpneuro.io.provenance import checksum, software_versions
from lbpneuro.io.tables import LONG_NAME, write_plain_parquet
from lbpneuro.stats.effect_size import Intervals
from lbpneuro.stats.trial import COLUMNS, ESTIMATORS, Result, analyse, intention_to_treat
from lbpneuro.stats.trial_design import Design, Rules
from lbpneuro.stats.trial_people import ARM_COLUMNS, PEOPLE_COLUMNS
from lbpneuro.stats.trial_rules import outcome_rules

if TYPE_CHECKING:
    import pandas as pd

NAME = "trial"
MEANING = (
    "Differences are arm minus control. The adjusted difference (ancova) or the mixed model is the result of a "
    "randomised trial; the standardised effects make it comparable with other trials, responders and reliable change "
    "say what it means for people. p-values are not adjusted for the number of outcomes: name one as primary before."
)


def run_trial(folder: Path, plan: Mapping[str, Any]) -> tuple[Result, list[str]]:
    """Analyse the trial in a folder by a plan, write its tables there, and return them with what was assumed.

    Parameters
    ----------
    folder
        Output folder of lbpneuro, or a BIDS dataset with ``participants.tsv`` and ``phenotype/``.
    plan
        Of `lbpneuro.io.trial_plan.read_trial_plan`.

    Raises
    ------
    InputError, ConfigError
        If arms, sessions or outcomes are not there, as `read_outcomes`, `session_order` and `analyse` say.
    """
    table, outcomes = read_outcomes(folder, list(plan["outcomes"]))
    design = read_design(folder, plan, table)
    table, left_out = without_other_devices(table, devices_used(folder, design.arms.index), sessions=design.sessions)
    rules = outcome_rules(plan["outcomes"], outcomes)
    result = analyse(table, outcomes, design=design, rules=rules)
    said = [*intention_to_treat(result, design), *left_out]
    told = {**plan, "sessions": list(design.sessions)}
    write_trial(folder, result, plan=told, rules=rules, said=said, outcomes=outcomes)
    return result, said


def read_design(folder: Path, plan: Mapping[str, Any], table: pd.DataFrame) -> Design:
    """Return arms, sessions and covariates of a trial."""
    arms = read_groups(folder, plan["arm"])
    return Design(
        arms=arms,
        control=chosen_group(arms, plan["control"], column=plan["arm"]),
        sessions=session_order(table["session_id"], plan["sessions"]),
        covariates=read_covariates(folder, plan["covariates"]),
        how=Intervals(method=plan["interval"], level=plan["level"]),
        seed=plan["seed"],
        resamples=plan["resamples"],
    )


def write_trial(
    folder: Path,
    result: Result,
    *,
    plan: Mapping[str, Any],
    rules: Mapping[str, Rules],
    said: Sequence[str],
    outcomes: Sequence[Outcome],
) -> None:
    """Write the three tables with their dictionaries, the table of comparisons as Parquet too."""
    source = folder / f"{LONG_NAME}.tsv"
    shared = {
        "Plan": {key: value for key, value in plan.items() if key != "outcomes"},
        "OutcomeNames": {outcome.name: outcome.label for outcome in outcomes},
        "Rules": {name: _told(rule) for name, rule in rules.items()},
        "IntentionToTreat": list(said),
        "MarkerTable": checksum(source) if source.is_file() else None,
        "SoftwareVersions": software_versions(),
    }
    tables = {
        NAME: (result.comparisons, COLUMNS, "Comparisons of the arms of a trial."),
        f"{NAME}_arms": (result.arms, ARM_COLUMNS, "Every arm of the trial at every session."),
        f"{NAME}_people": (result.people, PEOPLE_COLUMNS, "Change of every person of the trial."),
    }
    for name, (table, columns, description) in tables.items():
        dictionary: dict[str, Any] = {column: {"Description": text} for column, text in columns.items()}
        if name == NAME:
            dictionary["estimator"]["Levels"] = ESTIMATORS
        about = {"Description": description, "Meaning": MEANING}
        write_json(folder / f"{name}.json", {**about, **dictionary, **shared})
        write_plain_parquet(folder / f"{name}.parquet", plain(table))
        write_tsv(folder / f"{name}.tsv", table)


def _told(rule: Rules) -> dict[str, Any]:
    from dataclasses import asdict

    return {key: value for key, value in asdict(rule).items() if value not in (None, "")}


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of numbers are float64, also where all are empty."""
    import pandas as pd

    return pd.DataFrame(
        {name: pd.to_numeric(column).astype(float) if _numeric(column) else column for name, column in table.items()}
    )


def _numeric(column: pd.Series) -> bool:
    return all(isinstance(value, (int, float)) for value in column.dropna())
