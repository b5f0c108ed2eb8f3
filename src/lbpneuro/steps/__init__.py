"""One thin module per rule of the workflow: parse, read, call, write.

Every step is run as ``python -m lbpneuro <step> ...`` and can be repeated by hand from the log of its job.
"""

STEPS = {
    "preprocess-anat": "lbpneuro.steps.preprocess_anat",
    "preprocess-func": "lbpneuro.steps.preprocess_func",
    "structural": "lbpneuro.steps.structural",
    "change": "lbpneuro.steps.change",
    "functional": "lbpneuro.steps.functional",
    "dynamic-states": "lbpneuro.steps.dynamic_states",
    "dynamic": "lbpneuro.steps.dynamic",
    "shift": "lbpneuro.steps.shift",
    "meps": "lbpneuro.steps.meps",
    "excitability": "lbpneuro.steps.excitability",
    "tms": "lbpneuro.steps.tms",
    "plasticity": "lbpneuro.steps.plasticity",
    "reflex": "lbpneuro.steps.reflex",
    "pet": "lbpneuro.steps.pet",
    "tactile": "lbpneuro.steps.tactile",
    "scales": "lbpneuro.steps.scales",
    "participant-table": "lbpneuro.steps.participant_table",
    "participant-report": "lbpneuro.steps.participant_report",
    "cohort-tables": "lbpneuro.steps.cohort_tables",
    "qcfc": "lbpneuro.steps.qcfc",
    "reliability": "lbpneuro.steps.reliability",
    "describe": "lbpneuro.steps.describe",
    "group-report": "lbpneuro.steps.group_report",
}
