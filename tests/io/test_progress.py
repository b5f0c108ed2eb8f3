"""What is shown of Snakemake: progress, errors and warnings, and none of the rest."""

from __future__ import annotations

from lbpneuro.io.progress import condensed

SAID = """\
Using workflow specific profile /x for setting default command line arguments.
Building DAG of jobs...
Job stats:
job    count
Select jobs to execute...
Execute 2 jobs...
[Sun Nov 22 18:16:37 2026]
Finished jobid: 10 (Rule: functional)
1 of 33 steps (3%) done
/usr/bin/bash: line 1: 15902 Killed   python -m lbpneuro tms --in {files}
RuleException:
CalledProcessError in file "tms.smk", line 51:
Command 'set -euo pipefail; python -m lbpneuro tms --in x --out y &> '/a b/tms.log'' returned non-zero exit status 1.
Trying to restart job 3.
Command 'set -euo pipefail; python -m lbpneuro tms --in x --out y &> '/a b/tms.log'' returned non-zero exit status 1.
ERROR sub-01_events.tsv: row 3: expected a number

Nothing to be done (all requested files are present and up to date).
"""


def test_progress_errors_and_answers_are_kept() -> None:
    shown = list(condensed(SAID.format(files="x" * 200).splitlines(keepends=True)))
    assert shown[:3] == ["Job stats:", "job    count", "  1 of 33  functional"]
    assert shown[3].startswith("/usr/bin/bash: line 1: 15902 Killed   python -m lbpneuro tms")
    assert shown[3].endswith(" ...")
    assert shown[4:] == [
        "  failed: tms, see /a b/tms.log",
        "ERROR sub-01_events.tsv: row 3: expected a number",
        "Nothing to be done (all requested files are present and up to date).",
    ]
