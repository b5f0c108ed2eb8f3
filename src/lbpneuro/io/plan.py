"""The plan of a study: for every participant and session, the existing files that each step reads.

The plan is made once from the index and cached as JSON in the work folder; the Snakefile and its jobs only look
things up in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError
from lbpneuro.io.change_plan import compared_files
from lbpneuro.io.config import Config, config_hash
from lbpneuro.io.files import read_json, write_json
from lbpneuro.io.index import Row, index_dataset, index_root, matches, subject_folders, tree_signature
from lbpneuro.io.pet_plan import pet_files
from lbpneuro.io.phenotype_plan import SUFFIX as PHENOTYPE
from lbpneuro.io.phenotype_plan import index_phenotype, phenotype_state
from lbpneuro.io.sidecars import sidecars
from lbpneuro.io.structural_index import folders_to_watch, index_maps, index_results
from lbpneuro.io.structural_plan import EMBEDDED, Who, available, choose, one_per_tissue, raw_anatomy

Plan = dict[str, Any]
Unit = dict[str, Any]

PLAN_VERSION = 12  # raised when the same tree gives another plan, so that no cache of an earlier version is used
RUN_ENTITIES = ("task", "acq", "ce", "rec", "dir", "run")
RATED_TASKS = ("task", "control_task")
MOTION_FILES = ("_desc-confounds_timeseries.tsv", "_desc-confounds_regressors.tsv", "_desc-embedded_func.json")
RATINGS = ("stim", "physio", "events", "beh")
EMG_TABLES = ("events", "channels", "electrodes")
TRIAL_TASKS = {"sensory": ("ppt", "cpt", "tsp", "cpm"), "tactile": ("tpd", "graph", "loc", "laterality")}
"""Tasks whose trial tables a family reads."""
TISSUES = ("GM", "WM", "CSF")
MNI = "MNI152NLin2009cAsym"
TEMPLATES = (MNI, "MNI152NLin6Asym")


def load_plan(config: Config) -> Plan:
    """Return the plan of the study, from the cache unless a folder or the selection changed.

    Raises
    ------
    InputError
        If a dataset is absent or holds no participant that was asked for.
    """
    roots = {"raw": Path(config["dataset"]["bids_dir"]), **_derivatives(config)}
    for name, root in roots.items():
        if not root.is_dir():
            raise InputError(
                f"{root}: the dataset {name!r} is not a folder; check the path (`make demo` writes the demo data)."
            )
    signature = config_hash([PLAN_VERSION, tree_signature(roots.values()), *_chosen_by(config)])
    cache = Path(config["dataset"]["work_dir"]) / "plan.json"
    if cache.exists() and (plan := read_json(cache))["signature"] == signature:
        return plan
    plan = {"signature": signature, **make_plan(config, roots)}
    write_json(cache, plan)
    return plan


def _derivatives(config: Config) -> dict[str, Path]:
    return {name: Path(path) for name, path in config["dataset"]["derivatives"].items()}


def _chosen_by(config: Config) -> list[Any]:
    """What else a plan depends on: settings, and folders that are not those of a participant."""
    tasks = [*(config["shift"][key] for key in RATED_TASKS), config["reflex"]["task"]]
    compared = [config["change"]["enabled"], config["plasticity"]["sham_session"]]
    structural = [config["structural"][key] for key in ("source", "allow_mixed_sources", "gm_maps")]
    watched = [folder for root in _derivatives(config).values() for folder in (root, *folders_to_watch(root))]
    changed = [folder.stat().st_mtime_ns for folder in watched]
    return [
        config["dataset"],
        config["functional"]["rois"],
        tasks,
        compared,
        structural,
        changed,
        [row["path"] for row in _maps(config)],
        phenotype_state(Path(config["dataset"]["bids_dir"])),
    ]


def _maps(config: Config) -> list[Row]:
    """The user's own gray-matter maps."""
    pattern = config["structural"]["gm_maps"]["pattern"]
    return index_maps(pattern) if pattern else []


def _rows(config: Config, roots: Mapping[str, Path]) -> list[Row]:
    """All files of the datasets; what other programs wrote under names of their own is told by these."""
    known = set(subject_folders(roots["raw"]))
    rows = _maps(config)
    for name, root in roots.items():
        results = index_results(root, dataset=name, known=known) if name != "raw" else []
        rows += results or index_dataset(root, dataset=name)
    labels = {row["sub"] for row in rows if row.get("sub")} | known
    return [*rows, *index_phenotype(roots["raw"], known=rows, labels=labels)]


def make_plan(config: Config, roots: Mapping[str, Path]) -> Plan:
    """Return the plan for the datasets ``roots`` ({"raw": ..., derivative name: ...}); pure but for the indexing."""
    rows = _rows(config, roots)
    labels = _participants(config, rows, roots["raw"])
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if _selected(row, config):
            by_subject[row.get("sub", "")].append(row)
    common = list(by_subject.pop("", []))
    _check_asked_for(config, rows, roots["raw"])
    inherited = index_root(roots["raw"], suffixes=EMG_TABLES)
    visits = {label: _visits(by_subject[label], inherited) for label in labels}
    sources = _sources(visits, config)
    out = Path(config["dataset"]["out_dir"])
    units = [unit for label in labels for unit in _units(label, visits[label], sources, config=config, out=out)]
    return {
        "participants": [f"sub-{label}" for label in labels],
        "units": {unit["prefix"]: unit for unit in units},
        "common_files": [row["path"] for row in common],
    }


def _participants(config: Config, rows: Sequence[Row], raw: Path) -> list[str]:
    present = sorted({row["sub"] for row in rows if row.get("sub")} | set(subject_folders(raw)))
    wanted = config["dataset"]["participants"]
    unknown = sorted(set(wanted) - set(present))
    if unknown:
        raise InputError(f"{raw}: no folder for participant {', '.join(unknown)}; there are {_some(present)}.")
    chosen = [label for label in present if not wanted or label in wanted]
    if not chosen:
        raise InputError(f"{raw}: no participant folder (sub-<label>) was found; is this the root of a BIDS dataset?")
    return chosen


def _check_asked_for(config: Config, rows: Sequence[Row], raw: Path) -> None:
    """Refuse a session or a task that nobody has, which would make everything missing without a word."""
    asked = {"ses": config["dataset"]["sessions"], "task": [config["dataset"]["task"] or ""]}
    words = {"ses": "session", "task": "BOLD run of task"}
    for key, labels in asked.items():
        of_kind = [row for row in rows if key == "ses" or row.get("suffix") == "bold"]
        present = sorted({row[key] for row in of_kind if row.get(key)})
        unknown = sorted(set(filter(None, labels)) - set(present))
        if unknown:
            there = f"there are {_some(present)}" if present else "there is none at all"
            raise InputError(f"{raw}: nobody has a {words[key]} {', '.join(unknown)}; {there}.")


def _some(labels: Sequence[str], most: int = 10) -> str:
    return ", ".join(labels[:most]) + (f" and {len(labels) - most} more" if len(labels) > most else "")


LONG_NAMES = {"session": "ses", "acquisition": "acq", "ceagent": "ce", "reconstruction": "rec", "direction": "dir"}


def _selected(row: Row, config: Config) -> bool:
    """Whether a file passes the choice of sessions and the filters of its suffix (as in a PyBIDS filter file)."""
    sessions = config["dataset"]["sessions"]
    if row.get("ses") and sessions and row["ses"] not in sessions:
        return False
    filters = config["dataset"]["filters"].get(str(row.get("suffix")).lower(), {})
    return all(_allows(value, row.get(LONG_NAMES.get(key, key))) for key, value in filters.items())


def _allows(wanted: Any, found: str | None) -> bool:
    if isinstance(wanted, list):
        return any(_allows(each, found) for each in wanted)
    return found is None if wanted is None else found == str(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The files of one session of a participant, and those that no session claims.

    ``once`` are those of the latter that count with this session, ``undated`` all of them at the first session;
    ``inherited`` are tables at the root of the dataset.
    """

    session: str | None
    own: Sequence[Row]
    shared: Sequence[Row]
    once: Sequence[Row]
    undated: Sequence[Row] = ()
    inherited: Sequence[Row] = ()


def _visits(rows: Sequence[Row], inherited: Sequence[Row]) -> list[Visit]:
    """Return the sessions of a participant, or one without session."""
    sessions = sorted({row["ses"] for row in rows if row.get("ses")}) or [None]
    visits = []
    for session in sessions:
        shared = [row for row in rows if row.get("ses") is None]
        # Derivatives that average the anatomy over sessions have no session: one measurement, counted once.
        once = [row for row in shared if row.get("datatype") == "anat"] if session and session == sessions[0] else []
        own = [row for row in rows if row.get("ses") == session]
        undated = shared if session and session == sessions[0] else []
        every = {"shared": shared, "once": once, "undated": undated, "inherited": inherited}
        visits.append(Visit(session=session, own=[*own, *once], **every))
    return visits


def _sources(visits: Mapping[str, Sequence[Visit]], config: Config) -> dict[Who, tuple[str, list[Row]]]:
    """Return where the gray matter of every session comes from, and the files of that source."""
    found = {(label, visit.session): available(visit.own) for label, those in visits.items() for visit in those}
    lasting = {
        label: {source for visit in those for source in available(visit.once)} for label, those in visits.items()
    }
    chosen = choose(found, lasting=lasting, config=config)
    return {who: (source, found[who].get(source, [])) for who, source in chosen.items()}


def _units(
    label: str, visits: Sequence[Visit], sources: Mapping[Who, tuple[str, list[Row]]], *, config: Config, out: Path
) -> list[Unit]:
    """Return one unit per session of a participant."""
    units = []
    anatomy: list[Row] = []
    for visit in visits:
        source = sources[label, visit.session]
        unit = _unit(label, visit, source, anatomy=anatomy, config=config, out=out)
        anatomy = anatomy or [_planned(Path(path)) for path in unit["preprocess_anat"]]
        units.append(unit)
    jobs = [unit["preprocess_anat"] for unit in units]
    compared = compared_files([visit.own for visit in visits], jobs, config=config)
    for unit, files in zip(units, compared, strict=True):
        unit["files"]["change"], unit["absent"]["change"] = _present(files), _dangling(files)
    _add_sham(units, config["plasticity"]["sham_session"])
    return units


def _add_sham(units: Sequence[Unit], session: str | None) -> None:
    """Let the plasticity step of every session read the trials of the session with sham bouts too."""
    sham = [path for unit in units if unit["session"] == f"ses-{session}" for path in unit["files"]["plasticity"]]
    for unit in units:
        if unit["files"]["plasticity"] and unit["session"] != f"ses-{session}":
            unit["files"]["plasticity"] = sorted({*unit["files"]["plasticity"], *sham})


def _unit(
    label: str, visit: Visit, source: tuple[str, list[Row]], *, anatomy: Sequence[Row], config: Config, out: Path
) -> Unit:
    """Return what is to be done for one session; ``anatomy`` is that of an earlier session, for runs without a T1w."""
    session, own, shared = visit.session, visit.own, visit.shared
    folder = f"sub-{label}" + (f"/ses-{session}" if session else "")
    prefix = folder.replace("/", "_")
    anat, preprocess_anat = _anatomy(own, source, base=out / folder / "anat" / prefix)
    # A derivative may have the tissue maps but no BOLD; the way to the template is then made from the raw T1w.
    way = preprocess_anat or _embedded_anatomy(own, base=out / folder / "anat" / prefix)
    manifests = [_planned(Path(path)) for path in way] or anatomy
    func, preprocess_func = _functional(own, shared, manifests, config=config, base=out / folder / "func")
    tables, meps = _emg(own, [*shared, *visit.inherited], config=config, base=out / folder / "emg")
    pet, embedded = pet_files(own, shared, manifests, raw=Path(config["dataset"]["bids_dir"]))
    rows = _planned(out / folder / "func" / f"{prefix}_desc-functional_markers.tsv")
    # A family that follows another reads its rows; without any data for these it is missing for the same reason.
    dynamic = [rows] if _present(func) else func
    wanted = {
        "structural": [*anat, *(_motion(func) if source[0] else [])],
        "functional": func,
        "dynamic": dynamic,
        "shift": _rated(own, shared, config),
        "excitability": tables,
        "tms": tables,
        "plasticity": tables,
        "reflex": _reflex(own, [*shared, *visit.inherited], config=config),
        "pet": pet,
        "scales": [row for row in [*own, *visit.undated] if row.get("suffix") == PHENOTYPE],
        **{name: _trials(own, tasks, config=config) for name, tasks in TRIAL_TASKS.items()},
    }
    return {
        "prefix": prefix,
        "folder": folder,
        "participant": f"sub-{label}",
        "session": f"ses-{session}" if session else None,
        "structural_source": source[0],
        "files": {name: _present(files) for name, files in wanted.items()},
        "absent": {name: _dangling(files) for name, files in wanted.items()},
        "preprocess_anat": way if preprocess_func or embedded else preprocess_anat,
        "preprocess_func": preprocess_func,
        "meps": meps,
    }


def _motion(func: Sequence[Row]) -> list[Row]:
    """What tells how much somebody moved: the confounds of the runs, or what makes them."""
    return [row for row in func if row["exists"] and row["path"].endswith(MOTION_FILES)]


def _planned(path: Path) -> Row:
    """A file that an earlier step of this workflow writes."""
    return {"path": str(path), "exists": True}


def _present(rows: Iterable[Row]) -> list[str]:
    return sorted({row["path"] for row in rows if row["exists"]})


def _dangling(rows: Iterable[Row]) -> list[str]:
    return sorted(row["path"] for row in rows if not row["exists"])


def _anatomy(
    rows: Sequence[Row], source: tuple[str, list[Row]], *, base: Path
) -> tuple[list[Row], dict[str, list[str]]]:
    """Return the files of the structural step and, where they must be made first, the jobs that make them.

    Without anything of the source of the study there is at most the raw image, of which the step says so.
    """
    if source[0] == EMBEDDED:
        jobs = _embedded_anatomy(rows, base=base)
        return [_planned(Path(path)) for path in jobs], jobs
    raw = raw_anatomy(rows)
    return source[1] or ([raw] if raw else []), {}


def _embedded_anatomy(rows: Sequence[Row], *, base: Path) -> dict[str, list[str]]:
    """Return the job that makes the anatomy from the raw T1w image, where that is there."""
    raw = raw_anatomy(rows)
    manifest = base.with_name(f"{base.name}_desc-embedded_anat.json")
    return {str(manifest): [raw["path"]]} if raw and raw["exists"] else {}


def _is_transform(row: Row) -> bool:
    return row.get("suffix") == "xfm" and f"from-{MNI}_to-T1w" in Path(row["path"]).name


def _functional(
    own: Sequence[Row], shared: Sequence[Row], manifests: Sequence[Row], *, config: Config, base: Path
) -> tuple[list[Row], dict[str, list[str]]]:
    """Return the files of the functional step and the jobs that make those which are not there."""
    space = config["dataset"]["space"]
    derived = [row for row in own if row["dataset"] != "raw" and row.get("datatype") == "func"]
    bold = [row for row in derived if _is_image(row, suffix="bold", desc="preproc", space=space)]
    physio = [row for row in own if matches(row, dataset="raw", suffix="physio", ext=".tsv.gz") and row["exists"]]
    raw = [row for row in own if matches(row, dataset="raw", datatype="func", suffix="bold")]
    if bold:
        runs = _runs_of_interest(_one_per_run(bold), config)
        files = [file for run in runs for file in (run, *_companions(run, derived), *_recordings(run, physio))]
        acquired = [row for run in runs for row in _acquisition(run, raw)]
        return [*files, *acquired, *_anatomy_of_runs([*own, *shared], space=space)], {}
    runs = _runs_of_interest([row for row in raw if row["ext"].startswith(".nii")], config)
    # Without any anatomy the job gets the run alone and records that there is no way to the template. Single echoes
    # have no job, for nothing here combines them; the step gets them as they are and says so.
    jobs = {
        str(base / f"{Path(row['path']).name.removesuffix(row['ext'])}_desc-embedded_func.json"): [
            row["path"],
            *(manifest["path"] for manifest in manifests),
            *_timing(row, own),
        ]
        for row in runs
        if row["exists"] and "echo" not in row
    }
    others = [row for row in runs if not row["exists"] or "echo" in row]
    recorded = [file for run in runs for file in _recordings(run, physio)]
    return [*(_planned(Path(path)) for path in jobs), *others, *(recorded if jobs else [])], jobs


def _is_image(row: Row, **wanted: str | None) -> bool:
    return str(row.get("ext")).startswith(".nii") and matches(row, **wanted)


def _anatomy_of_runs(rows: Sequence[Row], *, space: str) -> list[Row]:
    """The tissue maps in the space of the runs and in template space, and for runs in native space the way there."""
    derived = [row for row in rows if row["dataset"] != "raw"]
    maps = [row for row in derived if _is_image(row, suffix="probseg", desc=None) and row.get("label") in TISSUES]
    if space in TEMPLATES:
        return one_per_tissue([row for row in maps if row.get("space") == space])
    native = [row for row in maps if row.get("space") in (None, space) and "atlas" not in row]
    ways = [row for row in derived if _is_transform(row)]
    return [*one_per_tissue(native), *one_per_tissue([row for row in maps if row.get("space") == MNI]), *ways]


def _runs_of_interest(rows: Sequence[Row], config: Config) -> list[Row]:
    """The runs of the task asked for; by default the resting state, and every task where there is none."""
    task = config["dataset"]["task"]
    if task is not None:
        return [row for row in rows if row.get("task") == task]
    rest = [row for row in rows if row.get("task", "").lower().startswith("rest")]
    return rest or [row for row in rows if row.get("task") not in _rated_tasks(config)]


def _rated_tasks(config: Config) -> list[str]:
    return [config["shift"][key] for key in RATED_TASKS if config["shift"][key] is not None]


def _rated(own: Sequence[Row], shared: Sequence[Row], config: Config) -> list[Row]:
    """Return the preprocessed runs with a rating and the files that may hold it; the raw runs where there are no such.

    Rating runs have no job of the embedded path: they need the way to the template and the confounds of a derivative.
    """
    rated = [row for row in own if row.get("task") in _rated_tasks(config)]
    derived = [row for row in rated if row["dataset"] != "raw" and row.get("datatype") == "func"]
    bold = [row for row in derived if _is_image(row, suffix="bold", desc="preproc", space=config["dataset"]["space"])]
    raw = [row for row in rated if row["dataset"] == "raw"]
    if not bold:
        return [row for row in raw if _is_image(row, suffix="bold")]
    ratings = [row for row in raw if row.get("suffix") in RATINGS and str(row.get("ext")).startswith(".tsv")]
    runs = _one_per_run(bold)
    companions = [file for run in runs for file in (run, *_companions(run, derived))]
    native = config["dataset"]["space"] not in TEMPLATES
    ways = [row for row in [*own, *shared] if native and row["dataset"] != "raw" and _is_transform(row)]
    return [*companions, *ways, *(row for row in ratings if _run(row) in {_run(run) for run in runs})]


def _one_per_run(rows: Sequence[Row]) -> list[Row]:
    """One file per run: the echoes combined where there are such, 2 mm where a run exists at several resolutions."""
    combined = {_run(row) for row in rows if "echo" not in row}
    return _preferred(
        [row for row in rows if "echo" not in row or _run(row) not in combined], of=(*RUN_ENTITIES, "echo")
    )


def _preferred(rows: Sequence[Row], *, of: Sequence[str]) -> list[Row]:
    """The first at 2 mm, else the first, of every combination of some entities."""
    best: dict[tuple[str | None, ...], Row] = {}
    for row in sorted(rows, key=lambda row: (row.get("res") != "2", row["path"])):
        best.setdefault(tuple(row.get(key) for key in of), row)
    return sorted(best.values(), key=lambda row: row["path"])


def _run(row: Row) -> tuple[str | None, ...]:
    return tuple(row.get(key) for key in RUN_ENTITIES)


def _companions(bold: Row, rows: Sequence[Row]) -> list[Row]:
    """The brain mask on the grid of the run, and its confounds."""
    run = {key: bold.get(key) for key in RUN_ENTITIES}
    mask = {**run, "suffix": "mask", "desc": "brain", "space": bold.get("space"), "res": bold.get("res")}
    return [
        row
        for row in rows
        if _is_image(row, **mask)
        or (row.get("ext") == ".tsv" and row.get("desc") == "confounds" and matches(row, **run))
    ]


def _timing(bold: Row, rows: Sequence[Row]) -> list[str]:
    """The sidecar beside a raw run, which the index does not list, and its events: with them the run changes."""
    path = Path(bold["path"])
    sidecar = path.with_name(f"{path.name.removesuffix(bold['ext'])}.json")
    events = [row for row in rows if matches(row, dataset="raw", suffix="events", ext=".tsv") and row["exists"]]
    own = [row["path"] for row in events if _run(row) == _run(bold)]
    return [*([str(sidecar)] if sidecar.is_file() else []), *own]


def _acquisition(bold: Row, raw: Sequence[Row]) -> list[Row]:
    """The sidecars of the raw images of a preprocessed run: they tell of the scanner what derivatives leave out."""
    images = [row["path"] for row in raw if _run(row) == _run(bold) and _is_image(row, desc=None)]
    found = (sidecar for image in images for sidecar in sidecars(Path(image)))
    return [_planned(sidecar) for sidecar in found if sidecar.is_file()]


def _recordings(bold: Row, rows: Sequence[Row]) -> list[Row]:
    """The physiological recordings of a run, which lie in the raw dataset."""
    return [row for row in rows if _run(row) == _run(bold)]


def _emg(
    own: Sequence[Row], shared: Sequence[Row], *, config: Config, base: Path
) -> tuple[list[Row], dict[str, list[str]]]:
    """Return the trial tables of the TMS steps and the jobs that make them from EMG recordings.

    Tables of trials may lie in the raw dataset or in a derivative. A recording of whose run there is one is not read,
    and neither is that of the withdrawal reflex, which has no TMS pulses.
    """
    raw = [row for row in own if row["dataset"] == "raw"]
    given = [row for row in own if matches(row, suffix="meps", ext=".tsv")]
    recordings = [
        row
        for row in _recordings_of_emg(raw)
        if row.get("task") != config["reflex"]["task"] and not any(_is_of_run(table, row) for table in given)
    ]
    jobs = {}
    for recording in recordings:
        stem = Path(recording["path"]).name.rsplit("_", 1)[0]
        jobs[str(base / f"{stem}_desc-trials_meps.tsv")] = [
            recording["path"],
            *(row["path"] for row in [*raw, *shared] if _describes(row, recording)),
        ]
    absent = [row for row in recordings if not row["exists"]]
    made = {path: files for path, files in jobs.items() if files[0] not in {row["path"] for row in absent}}
    return [*given, *(_planned(Path(path)) for path in made), *absent], made


def _recordings_of_emg(raw: Sequence[Row]) -> list[Row]:
    found = [row for row in raw if matches(row, datatype="emg", suffix="emg")]
    return [row for row in found if row.get("ext") in (".edf", ".bdf")]


def _reflex(own: Sequence[Row], shared: Sequence[Row], *, config: Config) -> list[Row]:
    """Return the recording of the withdrawal reflex, the first if there are several, and what describes it."""
    raw = [row for row in own if row["dataset"] == "raw"]
    recordings = [row for row in _recordings_of_emg(raw) if row.get("task") == config["reflex"]["task"]]
    chosen = sorted(recordings, key=lambda row: (not row["exists"], row["path"]))[:1]
    return [*chosen, *(row for one in chosen for row in [*raw, *shared] if _describes(row, one))]


EMG_ENTITIES = (*RUN_ENTITIES, "recording")


def _is_of_run(table: Row, recording: Row) -> bool:
    return all(table.get(key) in (None, recording.get(key)) for key in EMG_ENTITIES)


def _trials(own: Sequence[Row], tasks: Sequence[str], *, config: Config) -> list[Row]:
    """Return the trial tables of tests, and the sidecars beside them and at the root, which decide about units."""
    tables = [row for row in own if matches(row, dataset="raw", suffix="beh", ext=".tsv") and row.get("task") in tasks]
    root = Path(config["dataset"]["bids_dir"])
    beside = {Path(row["path"]).with_suffix(".json") for row in tables}
    common = {root / f"task-{row['task']}_beh.json" for row in tables}
    return [*tables, *(_planned(path) for path in sorted(beside | common) if path.is_file())]


def _describes(row: Row, recording: Row) -> bool:
    """Whether a table belongs to an EMG recording: the same run, and events, channels or stimulus positions.

    Tables above the folder ``emg/`` are inherited.
    """
    kinds = {"emg": EMG_TABLES, None: EMG_TABLES, "nibs": ("nibs", "markers")}
    wanted = row["dataset"] == "raw" and row.get("suffix") in kinds.get(row.get("datatype"), ())
    return bool(row["exists"] and row.get("ext") == ".tsv" and wanted and _is_of_run(row, recording))
