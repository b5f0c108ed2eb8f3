# Marker tables: of a participant and session, and of the cohort.


rule participant_table:
    input:
        STUDY.rows,
    output:
        f"{OUT}/{{folder}}/{{prefix}}_markers.tsv",
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_participant_table.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_participant_table.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(500),
        runtime=more(5),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        without=STUDY.without,
    shell:
        "python -m lbpneuro participant-table --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.without} &> {log:q}"


rule cohort_tables:
    input:
        tables=STUDY.tables(),
        people=STUDY.people,
    output:
        f"{OUT}/markers_long.tsv",
    log:
        f"{OUT}/logs/cohort_tables.log",
    benchmark:
        f"{WORK}/benchmarks/cohort_tables.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        config=STUDY.config_path,
        members=STUDY.members(),
    shell:
        "python -m lbpneuro cohort-tables --in {input.tables:q} --out {output:q} --config {params.config:q} &> {log:q}"


rule describe:
    input:
        rules.cohort_tables.output,
    output:
        f"{OUT}/logs/CITATION.md",
    log:
        f"{OUT}/logs/describe.log",
    benchmark:
        f"{WORK}/benchmarks/describe.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(500),
        runtime=more(5),
    params:
        config=STUDY.config_path,
        settings=STUDY.settings(
            "structural",
            "functional",
            "dynamic",
            "shift",
            "excitability",
            "tms",
            "plasticity",
            "reflex",
            "pet",
            "sensory",
            "tactile",
            "scales",
            "mep",
            "preprocess",
        ),
    shell:
        "python -m lbpneuro describe --in {input:q} --out {output:q} --config {params.config:q} &> {log:q}"
