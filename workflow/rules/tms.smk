# TMS: motor-evoked potentials of every EMG recording, and motor maps.


rule meps:
    input:
        STUDY.job_inputs("meps", f"{OUT}/{{folder}}/emg/{{stem}}_desc-trials_meps.tsv"),
    output:
        f"{OUT}/{{folder}}/emg/{{stem}}_desc-trials_meps.tsv",
    log:
        f"{OUT}/logs/{{folder}}/{{stem}}_meps.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{stem}}_meps.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(15),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        settings=STUDY.settings(
            "mep",
            "tms.task",
            "tms.muscles",
            "tms.contraction",
            "excitability.task",
            "excitability.task_active",
            "excitability.muscles",
            "plasticity.task",
            "plasticity.muscle",
        ),
    shell:
        "python -m lbpneuro meps --in {input:q} --out {output:q} --config {params.config:q} {params.who} &> {log:q}"


rule tms:
    input:
        STUDY.inputs("tms"),
    output:
        STUDY.family_rows("tms", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_tms.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_tms.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(15),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("tms"),
        trigger=STUDY.trigger("tms"),
    shell:
        "python -m lbpneuro tms --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
