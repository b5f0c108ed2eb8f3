"""What a person wants to see of Snakemake: how far it is, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

NOISE = re.compile(
    r"(Using workflow specific profile|Using profile|Assuming unrestricted|Building DAG|Using shell|Rules claiming|"
    r"Provided (cores|resources)|Conda environments|Select jobs to execute|Execute \d+ jobs|\[\w{3} \w{3} +\d|"
    r"Elapsed time|RuleException|CalledProcessError in file|Exiting because a job|Trying to restart job|"
    r"WorkflowError|At least one job did not|Some jobs were triggered by|If you prefer that only|"
    r"If you are sure that a change|The order of jobs does not|This was a dry-run)"
)
FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (?P<rule>\w+)\)")
STEPS = re.compile(r"(?P<done>\d+) of (?P<total>\d+) steps")
FAILED = re.compile(r"Command 'set -.*python -m lbpneuro (?P<step>[\w-]+) .*&> (?P<log>.+)' returned")
QUOTE = "'"
SHOWN_OF_A_COMMAND = 160


def condensed(lines: Iterable[str]) -> Iterator[str]:
    """Yield what matters of the output of Snakemake: one line per finished job, errors, logs of failed jobs, warnings.

    What is not known to be noise is kept, and long commands are shortened. A failed job is told once, however often it
    was tried, with the log that says why.
    """
    rule = ""
    told = set()
    for line in lines:
        text = line.rstrip()
        if finished := FINISHED.match(text):
            rule = finished["rule"]
        elif steps := STEPS.match(text):
            yield f"  {steps['done']} of {steps['total']}  {rule}"
        elif failed := FAILED.match(text):
            if failed["log"] not in told:
                yield f"  failed: {failed['step']}, see {failed['log'].strip(QUOTE)}"
            told.add(failed["log"])
        elif text and not NOISE.match(text):
            yield _shortened(text)


def _shortened(text: str) -> str:
    long = "python -m lbpneuro" in text and len(text) > SHOWN_OF_A_COMMAND
    return f"{text[:SHOWN_OF_A_COMMAND]} ..." if long else text
