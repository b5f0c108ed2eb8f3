"""All that the page of the study shows: everyone's rows, agreement of sessions, QC-FC, reference states, trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbpneuro.io.dynamics import STATES_NAME
from lbpneuro.io.files import read_json
from lbpneuro.io.tables import LONG_NAME
from lbpneuro.report.agreement import NAME as AGREEMENT_NAME
from lbpneuro.report.agreement import Agreement, read_agreement
from lbpneuro.report.cohort import Cohort, read_cohort
from lbpneuro.report.coupling import Coupling, read_coupling
from lbpneuro.report.trial import Trial, read_trial
from lbpneuro.report.visit import NO_SESSION
from lbpneuro.report.words import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What the page of the study is drawn from; ``states`` is the table of reference states, if there is one."""

    cohort: Cohort
    agreement: Agreement = field(default_factory=Agreement)
    coupling: Coupling = field(default_factory=Coupling)
    states: Path | None = None
    trial: Trial = field(default_factory=Trial)
    session: str = NO_SESSION

    @property
    def about_states(self) -> list[str]:
        """Plain sentences on how the states were learned, and on how sure their number is."""
        path = self.states.with_suffix(".json") if self.states else None
        about = read_json(path) if path and path.is_file() else {}
        if not about.get("Participants"):
            return []
        said = [f"Learned from {about['Participants']} people and {about['Windows']} windows."]
        stable = [f"{k} states {number(each['AdjustedRand'], error=0.1)}" for k, each in _known(about)]
        if stable:
            said.append(
                "Agreement of the states of two halves of the people (adjusted Rand index; 1: the same, 0: chance): "
                + ", ".join(stable)
                + "."
            )
        return said


def _known(about: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    stability: Mapping[str, Any] = about.get("Stability") or {}
    return [(k, each) for k, each in stability.items() if each.get("AdjustedRand") is not None]


def read_study(files: Iterable[Path], *, group_column: str) -> Study:
    """Return the study from its long marker table, and all else that is given or lies beside it."""
    given = list(files)
    table = next((path for path in given if path.name == f"{LONG_NAME}.tsv"), None)
    cohort = read_cohort(given, group_column=group_column)
    beside = [table.with_name(name) for name in (STATES_NAME, AGREEMENT_NAME)] if table else []
    there = [path for path in [*given, *beside] if path.is_file()]
    return Study(
        cohort=cohort,
        agreement=read_agreement(there, cohort),
        coupling=read_coupling(given),
        states=next((path for path in there if path.name == STATES_NAME), None),
        trial=read_trial(table.parent) if table else Trial(),
    )
