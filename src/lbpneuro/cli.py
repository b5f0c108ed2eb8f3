"""The command line: ``lbpneuro BIDS_DIR OUT_DIR {participant,group}`` and its sub-commands."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lbpneuro import __version__
from lbpneuro.errors import ConfigError, LbpneuroError, OutputError

LEVELS = ("participant", "group")
GROUP_RULES = ("participant_table", "participant_report", "cohort_tables", "describe", "group_report", "group")
AMONG_FINISHED = "dynamic_rows"
FINISHED_RULES = ("dynamic_states", "dynamic", AMONG_FINISHED)
SHOWN_FAILURES = 20
INTERRUPTED = 130
SECONDS_TO_STOP = 20

EPILOG = """\
sub-commands (each has its own --help):
  lbpneuro simulate OUT       write a study with known truth: raw BIDS, fMRIPrep-shaped derivatives, truth.tsv
  lbpneuro markers            the catalogue by family: tier, expected direction, what it is; --family NAME: sources
  lbpneuro reference OUT_DIR  a reference cohort from your own controls, for gray-matter volumes adjusted for head size
  lbpneuro import-emg FILE    a recording with TMS pulses (EDF, BrainVision, Spike2, MATLAB, text ...) to EMG-BIDS
  lbpneuro effect-size        d, Hedges' g and Glass's delta of two groups, with intervals, from published numbers
  lbpneuro trial OUT_DIR      arms of a trial: adjusted differences, mixed model, effect sizes, responders
  lbpneuro compare OUT_DIR    groups at one time, with what is known of values beyond a limit
  lbpneuro plasticity-model OUT_DIR   mixed model of the single responses of everybody, by block
  lbpneuro import-table FILE  a spreadsheet (CSV, XLSX) becomes trial tables and questionnaires, by a small mapping
  lbpneuro status OUT_DIR     done, failed (with reason) and missing, per participant and family
  lbpneuro selftest           simulate, analyse, and compare what was recovered with what was planted

examples:
  lbpneuro study/raw study/out participant group -d fmriprep=study/fmriprep --nprocs 8
  lbpneuro study/raw study/out participant --participant-label 01 02 --task-id rest -n
  lbpneuro study/raw study/out participant --profile profiles/slurm -- --jobs 200

Values describe measurements; nothing that lbpneuro writes is a diagnosis.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command or an analysis.

    Return 0, 1 if a participant failed, 2 if the request cannot be met, or 130 if it was stopped from the keyboard.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "simulate": simulate,
        "markers": markers,
        "status": status,
        "selftest": selftest,
        "recovery": recovery,
        "reference": reference,
        "effect-size": _command("effect_size"),
        "trial": _command("trial"),
        "import-table": _command("import_table"),
        "compare": _command("compare"),
        "import-emg": _command("import_emg"),
        "plasticity-model": _command("plasticity_model"),
    }
    try:
        if arguments and arguments[0] in commands:
            return commands[arguments[0]](arguments[1:])
        return analyse(arguments)
    except (LbpneuroError, OutputError) as error:
        print(f"lbpneuro: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("lbpneuro: stopped; what has finished is kept, and the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


# -- analysis ---------------------------------------------------------------------------------------------------------


def analysis_parser() -> argparse.ArgumentParser:
    """Return the parser of the BIDS-App command line."""
    parser = argparse.ArgumentParser(
        prog="lbpneuro",
        description="Compute central-nervous-system markers of low back pain from a BIDS dataset.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bids_dir", type=Path, help="raw BIDS dataset")
    parser.add_argument("output_dir", type=Path, help="derivative dataset that is written")
    parser.add_argument("level", nargs="+", choices=LEVELS, help="participant, group, or both in this order")
    parser.add_argument("--version", action="version", version=f"lbpneuro {__version__}")
    _add_selection(parser.add_argument_group("which data"))
    _add_running(parser.add_argument_group("how to run"))
    return parser


def _add_selection(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--participant-label", "--participant_label", nargs="+", metavar="LABEL", help="participants (default: all)")
    add("--session-label", "--session_label", nargs="+", metavar="LABEL", help="sessions (default: all)")
    add("-t", "--task-id", "--task_id", metavar="TASK", help="BOLD task (default: rest, else every task)")
    add(
        "--bids-filter-file", type=Path, metavar="JSON", help='e.g. {"bold": {"acquisition": "mb4"}, "t1w": {"run": 1}}'
    )
    add("-d", "--derivatives", nargs="+", metavar="NAME=PATH", help="existing ones, as fmriprep=PATH cat12=PATH")
    add(
        "--skip-bids-validation",
        "--skip_bids_validation",
        action="store_true",
        help="do not run the BIDS validator on BIDS_DIR first",
    )


def at_least_one(text: str) -> int:
    """Return a whole number of 1 or more; an argument type."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return number


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--nprocs",
        "--nthreads",
        "--n-cpus",
        type=at_least_one,
        metavar="N",
        help="processes side by side (default: all cores)",
    )
    add("--mem-mb", "--mem_mb", type=at_least_one, metavar="MB", help="memory that all jobs together may use")
    add("-w", "--work-dir", type=Path, metavar="DIR", help="scratch folder (default: OUTPUT_DIR_work)")
    add("--config-file", type=Path, metavar="YAML", help="settings laid over the defaults")
    add("--random-seed", type=int, metavar="N", help="seed of every random number")
    add("-n", "--dry-run", action="store_true", help="show what would be done")
    add("--profile", metavar="DIR", help="Snakemake profile, e.g. for a cluster")


def analyse(argv: Sequence[str]) -> int:
    """Run the workflow on a dataset; what follows ``--`` goes to Snakemake."""
    own, extra = _split(argv)
    options = analysis_parser().parse_args(own)
    from lbpneuro.io.config import read_config, resolve
    from lbpneuro.io.files import locked, write_json

    config = resolve(read_config(options.config_file, _overrides(options)))
    out, work = (Path(config["dataset"][key]) for key in ("out_dir", "work_dir"))
    _check_apart(Path(config["dataset"]["bids_dir"]), out)
    _show_problems(config, first="participant" in options.level)
    if not options.skip_bids_validation:
        validate_bids(Path(config["dataset"]["bids_dir"]))
    settings = {level: work / f"settings_{level}.json" for level in LEVELS}
    for level, path in settings.items():
        write_json(path, {**config, "run": {**config["run"], "finished_only": level == "group"}})
    runs = [level for level in LEVELS if level in options.level]
    if options.dry_run:
        return snakemake("all" if len(runs) == 2 else runs[0], settings[runs[0]], options, extra)
    with locked(out), locked(work):
        codes = []
        for level in runs:
            codes.append(snakemake(level, settings[level], options, extra))
            if level == "participant" and codes[-1]:
                # what is learned from everybody waits for everybody: without those whose jobs broke it is done now
                snakemake(AMONG_FINISHED, settings["group"], options, extra)
    return max(report_status(out), *(1 if code else 0 for code in codes))


def _show_problems(config: dict[str, Any], *, first: bool) -> None:
    """Say what is wrong with participants.tsv; the run goes on without what it lacks.

    A run that is not the ``first`` (group alone) is refused where nobody has been analysed.
    """
    from lbpneuro.io.participants import participants_problems
    from lbpneuro.io.plan import load_plan
    from lbpneuro.io.study import any_rows

    plan = load_plan(config)
    if not first and not any_rows(Path(config["dataset"]["out_dir"]), plan):
        raise ConfigError(
            f"{config['dataset']['out_dir']}: nobody has been analysed yet; run the level `participant` first, "
            "or both: `participant group`."
        )
    for problem in participants_problems(Path(config["dataset"]["bids_dir"]), plan["participants"]):
        print(f"note: {problem}")
    print(f"{len(plan['participants'])} participants, {len(plan['units'])} participant-sessions")


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options before ``--`` and those after it."""
    arguments = list(argv)
    if "--" not in arguments:
        return arguments, []
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the options stand for."""
    out = options.output_dir.absolute()
    work = options.work_dir or out.with_name(f"{out.name}_work")
    dataset: dict[str, Any] = {
        "bids_dir": str(options.bids_dir),
        "out_dir": str(options.output_dir),
        "work_dir": str(work),
        "derivatives": _derivatives(options.derivatives or []),
        "participants": [label.removeprefix("sub-") for label in options.participant_label or []],
        "sessions": [label.removeprefix("ses-") for label in options.session_label or []],
    }
    if options.task_id:
        dataset["task"] = options.task_id.removeprefix("task-")
    if options.bids_filter_file:
        from lbpneuro.io.files import read_json

        dataset["filters"] = read_json(options.bids_filter_file)
    seed = {"run": {"random_seed": options.random_seed}} if options.random_seed is not None else {}
    return {"dataset": dataset, **seed}


def _derivatives(pairs: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    wrong = [pair for pair, (_, sign, path) in zip(pairs, split, strict=True) if not (sign and path)]
    if wrong:
        raise ConfigError(f"--derivatives {' '.join(wrong)}: expected NAME=PATH, for example fmriprep=/data/fmriprep.")
    return {name: path for name, _, path in split}


def _check_apart(bids_dir: Path, out: Path) -> None:
    """Refuse to write where the raw data are; ``derivatives/`` inside the dataset is what BIDS foresees."""
    raw, target = bids_dir.resolve(), out.resolve()
    inside = target.is_relative_to(raw) and not target.is_relative_to(raw / "derivatives")
    if inside or target == raw / "derivatives":
        raise ConfigError(
            f"{out}: the output must not be the raw dataset itself or lie inside it; name another folder, "
            f"for example {bids_dir / 'derivatives' / 'lbpneuro'}."
        )


def snakemake(level: str, settings: Path, options: argparse.Namespace, extra: Sequence[str]) -> int:
    """Run Snakemake for one level in the work folder, show how far it is, and return its exit code."""
    from lbpneuro.io.resources import snakefile, workflow_folder

    command = [sys.executable, "-m", "snakemake", level, "--snakefile", str(snakefile()), "--configfile", str(settings)]
    command += ["--directory", str(settings.parent), "--cores", str(options.nprocs or os.cpu_count() or 1)]
    command += ["--nolock"]  # the locks of `analyse` go with the process; those of Snakemake outlive it
    command += ["--workflow-profile", str(workflow_folder() / "profiles" / "default")]
    command += ["--resources", f"mem_mb={options.mem_mb}"] if options.mem_mb else []
    command += ["--profile", options.profile] if options.profile else []
    command += ["--dry-run"] if options.dry_run else []
    allowed = {"group": GROUP_RULES, AMONG_FINISHED: FINISHED_RULES}.get(level)
    command += ["--allowed-rules", *allowed] if allowed else []
    return follow([*command, *extra])


def follow(command: Sequence[str]) -> int:
    """Run a command, show what matters of its output, and return its exit code; on Ctrl-C let it end its jobs."""
    from lbpneuro.io.progress import condensed

    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, errors="replace", **pipe) as process:  # type: ignore[call-overload]  # noqa: S603
        try:
            for line in condensed(process.stdout):
                print(line, flush=True)
        except KeyboardInterrupt:
            _end(process)
            raise
    return int(process.returncode)


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a process that got the same Ctrl-C; tell it again if it did not."""
    try:
        process.communicate(timeout=SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.communicate()


def validate_bids(bids_dir: Path) -> None:
    """Run the BIDS validator, if it is installed, and show its errors; lbpneuro then checks what it reads itself."""
    import shutil

    beside = Path(sys.executable).with_name("bids-validator-deno")
    program = str(beside) if beside.exists() else shutil.which("bids-validator-deno")
    if program is None:
        print("BIDS validation skipped: the validator is not installed (pip install 'lbpneuro[validate]').")
        return
    done = subprocess.run(  # noqa: S603
        [program, "--json", "--ignoreWarnings", str(bids_dir)], check=False, capture_output=True, text=True
    )
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError):
        print(f"BIDS validation skipped: the validator gave no result ({done.stderr.strip()[:200]}).")
        return
    errors = sorted({f"  {issue['code']} {issue.get('location', '')}" for issue in issues if _is_error(issue)})
    for line in [f"BIDS validator: {len(errors)} errors in {bids_dir}", *errors[:10]] if errors else []:
        print(line)


def _is_error(issue: dict[str, Any]) -> bool:
    return issue.get("severity") == "error"


def report_status(out: Path) -> int:
    """Print what became of the study in a few lines; return 1 if a participant failed."""
    from lbpneuro.io.status import study_status
    from lbpneuro.registry import MARKERS

    table = study_status(out, MARKERS)
    counts = table["state"].value_counts()
    print("\n" + ", ".join(f"{count} {state}" for state, count in counts.items()) + " (participant-session x family)")
    failed = table[table["state"].isin(["failed", "unfinished"])]
    for row in failed.head(SHOWN_FAILURES).to_dict("records"):
        who = " ".join(filter(None, (row["participant_id"], row["session_id"])))
        print(f"  {who} {row['family']}: {row['state']} {row['reason']} {row['message']}".rstrip())
    if len(failed) > SHOWN_FAILURES:
        print(f"  and {len(failed) - SHOWN_FAILURES} more: lbpneuro status {out}")
    for name in ("markers.tsv", "markers_long.tsv", "group.html"):
        if (out / name).is_file():
            print(f"  {out / name}")
    return int(len(failed) > 0)


# -- sub-commands -----------------------------------------------------------------------------------------------------


ADDED = ("excitability", "reflex", "ratings", "pet")
"""What a simulated study has on request only."""


def simulate_parser() -> argparse.ArgumentParser:
    """Return the parser of ``lbpneuro simulate``."""
    parser = argparse.ArgumentParser(prog="lbpneuro simulate", description="Write a BIDS study with known truth.")
    parser.add_argument("out", type=Path, help="folder to write: raw/, fmriprep/, truth.tsv")
    parser.add_argument("--participants", type=int, default=8, metavar="N", help="default 8, half with low back pain")
    parser.add_argument("--sessions", type=int, default=1, metavar="S", help="sessions per participant (default 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="K", help="same seed, same data (default 1)")
    parser.add_argument("--effect", type=float, default=1.0, help="scale of the group differences; 0 is the null")
    parser.add_argument(
        "--resolution", type=float, metavar="MM", help="voxel size: 4, 2 or 1 (default 4; 1 with --raw-anat)"
    )
    parser.add_argument("--ratings", action="store_true", help="add a run in which pain is rated")
    parser.add_argument(
        "--excitability", action="store_true", help="add TMS runs with thresholds, recruitment curve, paired pulses"
    )
    parser.add_argument(
        "--reflex", action="store_true", help="add EMG of the withdrawal reflex: single stimuli and trains"
    )
    parser.add_argument("--pet", action="store_true", help="add a dynamic TSPO-PET scan with arterial blood")
    parser.add_argument(
        "--structural-source",
        nargs="+",
        default=(),
        choices=("cat12", "freesurfer", "fastsurfer"),
        help="add what these programs would have made of the T1w images, each in its own folder",
    )
    parser.add_argument(
        "--raw-anat", action="store_true", help="raw T1w images of whole heads and nothing else; one session per loss"
    )
    parser.add_argument(
        "--losses",
        type=float,
        nargs="+",
        default=(0.0, 5.0, 10.0),
        metavar="PERCENT",
        help="with --raw-anat: volume lost in the left DLPFC and the right thalamus, by session (default 0 5 10)",
    )
    parser.add_argument(
        "--look", choices=("whole", "defaced", "stripped"), default="whole", help="with --raw-anat: what of the head"
    )
    parser.add_argument(
        "--trial",
        action="store_true",
        help="a two-arm trial: sensory tests and questionnaires at three sessions",
    )
    parser.add_argument(
        "--centres", type=int, default=1, choices=(1, 2), help="study sites, whose devices shift the sensory tests"
    )
    parser.add_argument(
        "--template",
        choices=("tms", "tms-navigated"),
        help="write a template of a TMS study instead, to be replaced by your own recordings: OUT is the BIDS dataset",
    )
    parser.add_argument("--nprocs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--if-missing", action="store_true", help="do nothing where the study already is")
    return parser


def simulate(argv: Sequence[str]) -> int:
    """Write a simulated study."""
    parser = simulate_parser()
    options = parser.parse_args(argv)
    if options.if_missing and (options.out / "truth.tsv").is_file():
        print(f"{options.out}: the simulated study is already there.")
        return 0
    if options.trial:
        from lbpneuro.simulate.trial_study import simulate_trial

        how = {"seed": options.seed, "effect": options.effect, "centres": options.centres, "jobs": options.nprocs}
        simulate_trial(options.out, people=options.participants, **how)
        print(f"{options.out}: {options.participants} people in two arms at three sessions. Then:")
        print(f"  lbpneuro {options.out}/raw {options.out}/out participant group")
        print(f"  lbpneuro trial {options.out}/out --arm arm --control usual_care --outcome pain_nrs rmdq ppt_remote")
        return 0
    if options.template:
        from lbpneuro.simulate.tms_template import write_template

        write_template(options.out, navigated=options.template == "tms-navigated", seed=options.seed)
        print(f"{options.out}: template of a TMS study; its README says what each file is.")
        return 0
    shared = {"participants": options.participants, "seed": options.seed, "effect": options.effect}
    shared |= {"resolution_mm": options.resolution or (1.0 if options.raw_anat else 4.0)}
    shared |= {"jobs": options.nprocs, "progress": _progress}
    if options.raw_anat:
        if options.sessions > 1 or options.structural_source or any(getattr(options, name) for name in ADDED):
            parser.error(
                "--raw-anat writes one session per loss and raw images only: leave out --sessions, "
                f"{', '.join(f'--{name}' for name in ADDED)} and --structural-source."
            )
        from lbpneuro.simulate.head_files import simulate_heads

        simulate_heads(options.out, losses=options.losses, look=options.look, **shared)
        return 0
    from lbpneuro.simulate.cohort import simulate_cohort

    chosen = [name for name in ADDED if getattr(options, name)]
    more = [*chosen, *options.structural_source, *(["centres"] if options.centres > 1 else [])]
    simulate_cohort(options.out, sessions=options.sessions, more=more, **shared)
    return 0


def _progress(done: int, total: int, what: str) -> None:
    print(f"  simulated {done} of {total}: {what}", flush=True)


def markers(argv: Sequence[str]) -> int:
    """Print the catalogue of markers."""
    parser = argparse.ArgumentParser(prog="lbpneuro markers", description="The catalogue of markers, by family.")
    parser.add_argument(
        "--format", choices=("text", "tsv", "json"), default="text", help="for reading, or for programs"
    )
    from lbpneuro.io.catalogue import catalogue
    from lbpneuro.registry import FAMILIES, MARKERS

    parser.add_argument("--family", choices=tuple(FAMILIES), help="only this family, with sources and definitions")
    options = parser.parse_args(argv)

    chosen = [marker for marker in MARKERS if options.family in (None, marker.family)]
    print(catalogue(chosen, options.format, full=options.family is not None), end="")
    return 0


def status(argv: Sequence[str]) -> int:
    """Print what became of every participant and family; exit 1 if any failed or is unfinished."""
    parser = argparse.ArgumentParser(prog="lbpneuro status", description="What became of every participant and family.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--format", choices=("text", "tsv", "json"), default="text")
    options = parser.parse_args(argv)
    from lbpneuro.io.status import status_text, study_status
    from lbpneuro.registry import MARKERS

    table = study_status(options.out, MARKERS)
    print(status_text(table, options.format), end="")
    return int(table["state"].isin(["failed", "unfinished"]).any())


def recovery(argv: Sequence[str]) -> int:
    """Compare the marker table of a simulated study with what was planted."""
    parser = argparse.ArgumentParser(prog="lbpneuro recovery", description="Recovered against planted values.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("truth", type=Path, metavar="TRUTH_TSV")
    options = parser.parse_args(argv)
    from lbpneuro.simulate.recovery import recovery_table, summary

    print(summary(recovery_table(options.out, options.truth)))
    return 0


def reference(argv: Sequence[str]) -> int:
    """Write the table of a reference cohort from the controls of a finished study."""
    parser = argparse.ArgumentParser(
        prog="lbpneuro reference",
        description="Regress gray-matter volumes of your own controls on intracranial volume, age and sex. The table "
        "goes into the setting structural.reference of studies measured by the same method. With --sensory: means and "
        "standard deviations of their sensory tests, for sensory.reference (20 people at least, one device).",
    )
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="output folder of a study with its cohort tables")
    parser.add_argument("table", type=Path, metavar="TSV", help="the table to write")
    parser.add_argument("--group", default="control", metavar="NAME", help="who: value of --column (default: control)")
    parser.add_argument("--column", default="group", metavar="COLUMN", help="of participants.tsv (default: group)")
    parser.add_argument("--sensory", action="store_true", help="norms of the sensory tests, not of volumes")
    options = parser.parse_args(argv)
    from lbpneuro.stats.qst_reference import write_norms
    from lbpneuro.stats.reference_cohort import write_reference

    write = write_norms if options.sensory else write_reference
    print(write(options.out, options.table, column=options.column, group=options.group))
    return 0


def _command(module: str) -> Callable[[Sequence[str]], int]:
    """Return a sub-command that has its own module, which is imported when it is called."""
    from importlib import import_module

    return lambda argv: int(import_module(f"lbpneuro.commands.{module}").main(argv))


def selftest(argv: Sequence[str]) -> int:
    """Simulate a study, analyse it, and compare what was recovered with what was planted."""
    parser = argparse.ArgumentParser(prog="lbpneuro selftest", description="Simulate, analyse, compare with the truth.")
    parser.add_argument("--participants", type=int, default=4, metavar="N")
    parser.add_argument("--nprocs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this folder and keep it")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="lbpneuro_selftest_") as scratch:
        folder = options.keep or Path(scratch)
        jobs = ["--nprocs", str(options.nprocs)]
        code = simulate([str(folder), "--participants", str(options.participants), *jobs])
        raw, out, fmriprep = (str(folder / name) for name in ("raw", "out", "fmriprep"))
        code = code or analyse([raw, out, *LEVELS, "-d", f"fmriprep={fmriprep}", "--skip-bids-validation", *jobs])
        return code or recovery([out, str(folder / "truth.tsv")])
