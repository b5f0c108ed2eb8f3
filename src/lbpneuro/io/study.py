"""A study as the Snakefile sees it: settings, plan and look-ups, without any heavy import."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbpneuro.io.config import Config, config_hash, read_config, resolve
from lbpneuro.io.files import read_json, write_json
from lbpneuro.io.plan import Plan, load_plan
from lbpneuro.io.provenance import checksum
from lbpneuro.registry import FAMILIES, method_version

DATATYPES = {"structural": "anat", "functional": "func", "tms": "emg", "plasticity": "emg"}
JOBS = ("preprocess_anat", "preprocess_func", "meps")

InputFunction = Callable[[Any], list[str]]


@dataclass(frozen=True, slots=True)
class Study:
    """Settings and plan of a study, and the paths of the workflow."""

    config: Config
    plan: Plan
    config_path: Path

    @property
    def out(self) -> str:
        """Output dataset."""
        return str(self.config["dataset"]["out_dir"])

    @property
    def work(self) -> str:
        """Scratch folder."""
        return str(self.config["dataset"]["work_dir"])

    def inputs(self, family: str) -> InputFunction:
        """Return the input function of a family's rule: the files of the plan."""
        return lambda wildcards: self.plan["units"][wildcards.prefix]["files"][family]

    def job_inputs(self, kind: str, pattern: str) -> InputFunction:
        """Return the input function of a rule that makes files for a family; ``pattern`` is its output."""
        jobs = {path: files for unit in self.plan["units"].values() for path, files in unit[kind].items()}
        return lambda wildcards: jobs[pattern.format(**wildcards)]

    def who(self, wildcards: Any) -> str:
        """Return the options that name participant and session of a job."""
        participant, _, session = wildcards.folder.partition("/")
        return f"--participant {participant}" + (f" --session {session}" if session else "")

    def absent(self, family: str) -> Callable[[Any], str]:
        """Return a function of the wildcards that gives the option for files the dataset lists but does not hold."""
        return lambda wildcards: _option("--absent", self.plan["units"][wildcards.prefix]["absent"][family])

    def rows(self, wildcards: Any) -> list[str]:
        """Return the rows of all families of one participant and session."""
        return [self.family_rows(name, wildcards.folder, wildcards.prefix) for name in FAMILIES]

    def family_rows(self, family: str, folder: str, prefix: str) -> str:
        """Return the path of the rows of a family; with wildcards as arguments, the output pattern of its rule."""
        return f"{self.out}/{folder}/{DATATYPES[family]}/{prefix}_desc-{family}_markers.tsv"

    def tables(self, participant: str | None = None) -> list[str]:
        """Return the tables of all participants and sessions, or of one participant."""
        units = [u for u in self.plan["units"].values() if participant in (None, u["participant"])]
        return [f"{self.out}/{unit['folder']}/{unit['prefix']}_markers.tsv" for unit in units]

    def cohort_tables(self, _wildcards: Any = None) -> list[str]:
        """Return the tables that the cohort is made of: all, or with ``run.finished_only`` those that exist."""
        wanted = self.tables()
        return [path for path in wanted if Path(path).is_file()] if self.config["run"]["finished_only"] else wanted

    def reports(self) -> list[str]:
        """Return the report of every participant."""
        return [f"{self.out}/{participant}.html" for participant in self.plan["participants"]]

    def trigger(self, family: str) -> str:
        """Return what a family's rule depends on besides its files: marker versions and settings."""
        sections = {name: self.config[name] for name in (family, *SHARED_SECTIONS.get(family, ()))}
        regions = checksum(Path(self.config["functional"]["rois"])) if family in REGION_FAMILIES else None
        return f"{method_version(family)} {config_hash([sections, regions])}"

    def settings(self, *sections: str) -> str:
        """Return a digest of some sections of the settings."""
        return config_hash([self.config[section] for section in sections])

    def members(self) -> str:
        """Return a digest of who is in the study."""
        return config_hash(sorted(self.plan["units"]))

    def record(self) -> None:
        """Keep the plan and the settings beside the results, where `lbpneuro status` finds them."""
        for name, content in (("plan.json", self.plan), ("config.json", self.config)):
            write_json(Path(self.out) / "logs" / name, content)


SHARED_SECTIONS: Mapping[str, tuple[str, ...]] = {"tms": ("mep",), "plasticity": ("mep",)}

REGION_FAMILIES = ("structural", "functional")


def _option(name: str, values: list[str]) -> str:
    return shlex.join([name, *values]) if values else ""


def open_study(config: Mapping[str, Any]) -> Study:
    """Lay ``config`` over the defaults, bring the plan up to date, and keep the settings in the work folder."""
    resolved = resolve(read_config(overrides=config))
    path = Path(resolved["dataset"]["work_dir"]) / "config.json"
    plan = load_plan(resolved)
    if not path.exists() or read_json(path) != resolved:
        write_json(path, resolved)
    return Study(resolved, plan, path)
