# Homeostatic plasticity of motor cortex.


rule plasticity:
    input:
        STUDY.inputs("plasticity"),
    output:
        STUDY.family_rows("plasticity", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_plasticity.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_plasticity.tsv"
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
        absent=STUDY.absent("plasticity"),
        trigger=STUDY.trigger("plasticity"),
    shell:
        "python -m lbpneuro plasticity --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
