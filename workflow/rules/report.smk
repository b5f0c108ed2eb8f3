# Reports: one page per participant, one for the cohort.


rule participant_report:
    input:
        lambda wildcards: STUDY.tables(wildcards.participant),
    output:
        f"{OUT}/{{participant}}.html",
    log:
        f"{OUT}/logs/{{participant}}/{{participant}}_participant_report.log",
    benchmark:
        f"{WORK}/benchmarks/{{participant}}/{{participant}}_participant_report.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(10),
    params:
        config=STUDY.config_path,
    shell:
        "python -m lbpneuro participant-report --in {input:q} --out {output:q} --config {params.config:q} "
        "--participant {wildcards.participant} &> {log:q}"


rule group_report:
    input:
        rules.cohort_tables.output,
        rules.qcfc.output,
        rules.reliability.output,
    output:
        f"{OUT}/group.html",
    log:
        f"{OUT}/logs/group_report.log",
    benchmark:
        f"{WORK}/benchmarks/group_report.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=more(10),
    params:
        config=STUDY.config_path,
    shell:
        "python -m lbpneuro group-report --in {input:q} --out {output:q} --config {params.config:q} &> {log:q}"


rule participant:
    input:
        STUDY.tables(),
        STUDY.reports(),


rule group:
    input:
        STUDY.reports(),
        rules.cohort_tables.output,
        rules.qcfc.output,
        rules.reliability.output,
        rules.describe.output,
        rules.group_report.output,
