# Tests of touch and left/right judgement, from trial tables.


rule tactile:
    input:
        STUDY.inputs("tactile"),
    output:
        STUDY.family_rows("tactile", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_tactile.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_tactile.tsv"
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
        absent=STUDY.absent("tactile"),
        trigger=STUDY.trigger("tactile"),
    shell:
        "python -m lbpneuro tactile --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
