# Nociceptive withdrawal reflex.


rule reflex:
    input:
        STUDY.inputs("reflex"),
    output:
        STUDY.family_rows("reflex", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_reflex.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_reflex.tsv"
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
        absent=STUDY.absent("reflex"),
        trigger=STUDY.trigger("reflex"),
    shell:
        "python -m lbpneuro reflex --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
