"""A study as the Snakefile sees it: settings, plan and look-ups, without any heavy import."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from lbpneuro.io.config import Config, config_hash, read_config, resolve
from lbpneuro.io.files import read_json, write_json
from lbpneuro.io.plan import Plan, load_plan
from lbpneuro.io.provenance import checksum
from lbpneuro.registry import FAMILIES, method_version

DATATYPES = {
    "structural": "anat",
    "change": "anat",
    "functional": "func",
    "dynamic": "func",
    "shift": "func",
    "excitability": "emg",
    "tms": "emg",
    "plasticity": "emg",
    "reflex": "emg",
    "pet": "pet",
    "sensory": "beh",
    "tactile": "beh",
    "scales": "beh",
}
JOBS = ("preprocess_anat", "preprocess_func", "meps")

InputFunction = Callable[[Any], list[str]]


@dataclass(frozen=True)
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

    @property
    def people(self) -> list[str]:
        """The participants.tsv of the raw dataset, if there is one."""
        path = Path(self.config["dataset"]["bids_dir"]) / "participants.tsv"
        return [str(path)] if path.is_file() else []

    def tables_of_study(self, family: str) -> list[str]:
        """Return the tables of the whole study that the rows of a family depend on: norms, and who the people are."""
        settings = self.config[family]
        tables = [settings["reference"], *self.people] if settings.get("reference") else []
        if family == "structural" and settings["gm_maps"]["tiv_column"]:
            own = settings["gm_maps"]["tiv_file"]
            tables += [own] if own else self.people
        # one that is not there is left out: the step says what is wrong with it
        return [path for path in dict.fromkeys(tables) if Path(path).is_file()]

    @property
    def states(self) -> str:
        """The reference states of the dynamic family: those given, or those learned from this study."""
        return str(self.config["dynamic"]["states"] or f"{self.out}/desc-dynamic_states.tsv")

    def dynamic_inputs(self, wildcards: Any) -> list[str]:
        """Return what the step of the dynamic family reads: the rows of connectivity and the reference states."""
        rows = self.plan["units"][wildcards.prefix]["files"]["dynamic"]
        return [*rows, self.states] if rows else []

    def states_inputs(self) -> list[str]:
        """Return the rows of connectivity of everybody; with ``run.finished_only`` those that are finished."""
        units = self.plan["units"].values()
        rows = [(unit, path) for unit in units for path in unit["files"]["dynamic"]]
        if not self.config["run"]["finished_only"]:
            return [path for _, path in rows]
        return [path for unit, path in rows if _all_there([path, *made_from(unit, "functional")])]

    def dynamic_rows(self) -> list[str]:
        """Return the rows of the dynamic family of everybody whose connectivity is, or will be, there."""
        there = set(self.states_inputs())
        return [
            self.family_rows("dynamic", unit["folder"], unit["prefix"])
            for unit in self.plan["units"].values()
            if "dynamic" in measured(unit) and there.issuperset(unit["files"]["dynamic"])
        ]

    def who(self, wildcards: Any) -> str:
        """Return the options that name participant and session of a job."""
        participant, _, session = wildcards.folder.partition("/")
        return f"--participant {participant}" + (f" --session {session}" if session else "")

    def absent(self, family: str) -> Callable[[Any], str]:
        """Return a function of the wildcards that gives the option for files the dataset lists but does not hold."""
        return lambda wildcards: _option("--absent", self.plan["units"][wildcards.prefix]["absent"][family])

    def rows(self, wildcards: Any) -> list[str]:
        """Return the rows of all families of one participant and session; with ``run.finished_only`` those there are.

        A family has finished when its rows and all that they were made from are there: Snakemake removes the output
        of a job before it runs, so that what a failed job left behind is never taken for its result.
        """
        unit = self.plan["units"][wildcards.prefix]
        wanted = {name: self.family_rows(name, unit["folder"], unit["prefix"]) for name in measured(unit)}
        if not self.config["run"]["finished_only"]:
            return list(wanted.values())
        needed = {name: made_from(unit, name) for name in wanted}
        if needed.get("dynamic"):
            needed["dynamic"].append(self.states)
        return [path for name, path in wanted.items() if _all_there([path, *needed[name]])]

    def without(self, wildcards: Any) -> str:
        """Return the option for the families of which the dataset lists no file: they have no job."""
        known = measured(self.plan["units"][wildcards.prefix])
        return _option("--without", [name for name in FAMILIES if name not in known])

    def family_rows(self, family: str, folder: str, prefix: str) -> str:
        """Return the path of the rows of a family; with wildcards as arguments, the output pattern of its rule."""
        return f"{self.out}/{folder}/{DATATYPES[family]}/{prefix}_desc-{family}_markers.tsv"

    def rows_of_all(self, family: str) -> list[str]:
        """Return the rows of a family of all participants and sessions; with ``run.finished_only`` those there are."""
        units = [unit for unit in self.plan["units"].values() if family in measured(unit)]
        paths = {self.family_rows(family, unit["folder"], unit["prefix"]): unit for unit in units}
        if not self.config["run"]["finished_only"]:
            return list(paths)
        return [path for path, unit in paths.items() if _all_there([path, *made_from(unit, family)])]

    def tables(self, participant: str | None = None) -> list[str]:
        """Return the tables of all participants and sessions, or of one participant."""
        if participant is not None:
            return self.tables_of[participant]
        return [path for paths in self.tables_of.values() for path in paths]

    @cached_property
    def tables_of(self) -> dict[str, list[str]]:
        """The tables of every participant, looked up by thousands of jobs."""
        tables: dict[str, list[str]] = {name: [] for name in self.plan["participants"]}
        for unit in self.plan["units"].values():
            tables[unit["participant"]].append(f"{self.out}/{unit['folder']}/{unit['prefix']}_markers.tsv")
        return tables

    def reports(self) -> list[str]:
        """Return the report of every participant."""
        return [f"{self.out}/{participant}.html" for participant in self.plan["participants"]]

    def trigger(self, family: str) -> str:
        """Return what a family's rule depends on besides its files: marker versions and settings."""
        settings = self.settings(family, *SHARED_SETTINGS.get(family, ()))
        regions = checksum(Path(self.config["functional"]["rois"])) if family in REGION_FAMILIES else None
        atlases = self.atlases if family in ATLAS_FAMILIES else []
        return f"{method_version(family)} {config_hash([settings, regions, *atlases])}"

    @cached_property
    def atlases(self) -> list[str]:
        """Checksums of the files of the user's atlases."""
        files = [path for entry in self.config["functional"]["atlases"].values() for path in entry.values() if path]
        return [checksum(Path(path)) for path in files]

    def settings(self, *names: str) -> str:
        """Return a digest of some of the settings: whole sections, or ``section.key``."""
        return config_hash([reduce(getitem, name.split("."), self.config) for name in names])

    def members(self) -> str:
        """Return a digest of who is in the study."""
        return config_hash(sorted(self.plan["units"]))

    def record(self) -> None:
        """Keep the plan and the settings beside the results, where `lbpneuro status` finds them."""
        for name, content in (("plan.json", self.plan), ("config.json", self.config)):
            write_json(Path(self.out) / "logs" / name, content)


SERIES_SETTINGS = ("dynamic.nodes", "dynamic.window_volumes", "dynamic.window_s")
"""What the series of the dynamic nodes, which the connectivity step writes, depend on."""

SHIFT_SETTINGS = tuple(
    f"functional.{key}"
    for key in (
        "fd_spike_mm",
        "fd_mean_mm",
        "fd_max_mm",
        "spike_fraction",
        "std_dvars_max",
        "segment_min_volumes",
        "confounds",
        "confounds_alternative",
        "confounds_custom",
        "polynomial",
        "kept_s",
        "dof_min",
        "coverage_min",
        "signal_min",
        "template_transform",
    )
)
"""The censoring and the gates of resting runs, which rating runs share."""

SHARED_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "functional": (*SERIES_SETTINGS, "run.random_seed"),
    "dynamic": ("functional.coverage_min", "functional.band_hz", "run.random_seed"),
    "change": ("preprocess.level",),
    "shift": SHIFT_SETTINGS,
    "excitability": ("mep",),
    "tms": ("mep", "run.random_seed"),
    "plasticity": ("mep", "run.random_seed"),
}
"""What a family depends on besides its own section."""

REGION_FAMILIES = ("structural", "change", "functional", "shift", "pet")
ATLAS_FAMILIES = ("functional",)


def measured(unit: Mapping[str, Any]) -> list[str]:
    """Return the families of which the dataset lists a file for this session, whether or not it holds it."""
    return [name for name in FAMILIES if unit["files"][name] or unit["absent"][name]]


def made_from(unit: Mapping[str, Any], family: str) -> list[str]:
    """Return all files that the rows of a ``family`` are made from: those its step reads, and those that made these."""
    jobs = {path: files for kind in JOBS for path, files in unit[kind].items()}
    direct = unit["files"][family]
    before = made_from(unit, "functional") if family == "dynamic" and direct else []
    return [*direct, *(file for path in direct for file in jobs.get(path, ())), *before]


def any_rows(out_dir: Path, plan: Plan) -> bool:
    """Return whether any participant of the study has been analysed."""
    folders = {(unit["folder"], datatype) for unit in plan["units"].values() for datatype in DATATYPES.values()}
    return any(any((out_dir / folder / datatype).glob("*_markers.tsv")) for folder, datatype in sorted(folders))


def _all_there(paths: Iterable[str]) -> bool:
    return all(Path(path).is_file() for path in paths)


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
