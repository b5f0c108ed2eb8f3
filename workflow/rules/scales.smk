# Questionnaires and clinical variables, from the phenotype tables of the dataset.


rule scales:
    input:
        STUDY.inputs("scales"),
    output:
        STUDY.family_rows("scales", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_scales.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_scales.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("scales"),
        trigger=STUDY.trigger("scales"),
    shell:
        "python -m lbpneuro scales --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
