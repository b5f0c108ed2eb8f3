# Functional connectivity: preprocessed runs, made from raw BOLD where no derivative has them, and markers.


rule preprocess_func:
    input:
        STUDY.job_inputs(
            "preprocess_func",
            f"{OUT}/{{folder}}/func/{{stem}}_desc-embedded_func.json",
        ),
    output:
        f"{OUT}/{{folder}}/func/{{stem}}_desc-embedded_func.json",
    log:
        f"{OUT}/logs/{{folder}}/{{stem}}_preprocess_func.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{stem}}_preprocess_func.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(4000),
        runtime=more(60),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        settings=STUDY.settings("preprocess"),
    shell:
        "python -m lbpneuro preprocess-func --in {input:q} --out {output:q} --config {params.config:q} {params.who} &> {log:q}"


rule functional:
    input:
        STUDY.inputs("functional"),
    output:
        STUDY.family_rows("functional", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_functional.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_functional.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=more(30),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("functional"),
        trigger=STUDY.trigger("functional"),
    shell:
        "python -m lbpneuro functional --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
