# What all rules share: the study (settings, plan, look-ups) and the environment of a job.
import os
import sys

from lbpneuro.io.study import open_study

# config/config.yaml, with --configfile and --config laid over it.
STUDY = open_study(config)
OUT, WORK = STUDY.out, STUDY.work

# The interpreter that runs Snakemake runs the jobs; one thread inside a job, since jobs run side by side and
# results must not depend on the number of threads.
shell.prefix(
    f"set -euo pipefail; export PATH={os.path.dirname(sys.executable)}:$PATH "
    "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1; "
)


wildcard_constraints:
    folder=r"sub-[^/_]+(/ses-[^/_]+)?",
    prefix=r"sub-[^/_]+(_ses-[^/_]+)?",
    participant=r"sub-[^/_]+",
    stem=r"sub-[^/]+",


def more(amount):
    """Return a resource function: twice the amount at the second attempt, and so on."""
    return lambda wildcards, attempt: amount * attempt
