# What is computed over the people of the study.


rule qcfc:
    input:
        rows=STUDY.rows_of_all("functional"),
        people=STUDY.people,
    output:
        f"{OUT}/qcfc.tsv",
    log:
        f"{OUT}/logs/qcfc.log",
    benchmark:
        f"{WORK}/benchmarks/qcfc.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(4000),
        runtime=more(30),
    params:
        config=STUDY.config_path,
        members=STUDY.members(),
        settings=STUDY.settings("qcfc", "run.random_seed"),
    shell:
        "python -m lbpneuro qcfc --in {input.rows:q} --out {output:q} --config {params.config:q} &> {log:q}"


rule reliability:
    input:
        rules.cohort_tables.output,
    output:
        f"{OUT}/reliability.tsv",
    log:
        f"{OUT}/logs/reliability.log",
    benchmark:
        f"{WORK}/benchmarks/reliability.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        config=STUDY.config_path,
    shell:
        "python -m lbpneuro reliability --in {input:q} --out {output:q} --config {params.config:q} &> {log:q}"
