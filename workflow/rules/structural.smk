# Gray matter: tissue maps, made from the T1w image where no derivative has them, and volumes.

# Memory (MB) and time (minutes) of the levels of the embedded path, about twice what docs/anatomy.md measures.
ANATOMY_NEEDS = {"draft": (1500, 15), "standard": (3000, 45), "full": (5000, 120)}
ANATOMY_MB, ANATOMY_MINUTES = ANATOMY_NEEDS[STUDY.config["preprocess"]["level"]]
ANATOMY_RUNS = 2 if STUDY.config["preprocess"]["mirror"] else 1


rule preprocess_anat:
    input:
        STUDY.job_inputs(
            "preprocess_anat",
            f"{OUT}/{{folder}}/anat/{{prefix}}_desc-embedded_anat.json",
        ),
    output:
        f"{OUT}/{{folder}}/anat/{{prefix}}_desc-embedded_anat.json",
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_preprocess_anat.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_preprocess_anat.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(ANATOMY_MB),
        runtime=more(ANATOMY_RUNS * ANATOMY_MINUTES),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        settings=STUDY.settings("preprocess.level", "preprocess.mirror"),
    shell:
        "python -m lbpneuro preprocess-anat --in {input:q} --out {output:q} --config {params.config:q} {params.who} &> {log:q}"


rule structural:
    input:
        files=STUDY.inputs("structural"),
        tables=STUDY.tables_of_study("structural"),
    output:
        STUDY.family_rows("structural", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_structural.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_structural.tsv"
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
        absent=STUDY.absent("structural"),
        trigger=STUDY.trigger("structural"),
    shell:
        "python -m lbpneuro structural --in {input.files:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
