# Sensory-to-affective shift: activity that follows a rating of pain.


rule shift:
    input:
        STUDY.inputs("shift"),
    output:
        STUDY.family_rows("shift", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_shift.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_shift.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=more(20),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("shift"),
        trigger=STUDY.trigger("shift"),
    shell:
        "python -m lbpneuro shift --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
