# Glial activation: PET with a tracer of the translocator protein.


rule pet:
    input:
        STUDY.inputs("pet"),
    output:
        STUDY.family_rows("pet", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_pet.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_pet.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(4000),
        runtime=more(30),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("pet"),
        trigger=STUDY.trigger("pet"),
    shell:
        "python -m lbpneuro pet --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
