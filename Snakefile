# lbpneuro: from a BIDS dataset to one table of low-back-pain markers. Rules are thin; see docs/ for the way the data go.
from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"
include: "workflow/rules/structural.smk"
include: "workflow/rules/change.smk"
include: "workflow/rules/functional.smk"
include: "workflow/rules/dynamic.smk"
include: "workflow/rules/shift.smk"
include: "workflow/rules/tms.smk"
include: "workflow/rules/excitability.smk"
include: "workflow/rules/plasticity.smk"
include: "workflow/rules/reflex.smk"
include: "workflow/rules/pet.smk"
include: "workflow/rules/tactile.smk"
include: "workflow/rules/scales.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/stats.smk"
include: "workflow/rules/report.smk"


onstart:
    STUDY.record()


localrules:
    all,
    participant,
    group,


rule all:
    default_target: True
    input:
        rules.participant.input,
        rules.group.input,
