# Sensory tests: pressure and cold pain thresholds, temporal summation, conditioned pain modulation.


rule sensory:
    input:
        files=STUDY.inputs("sensory"),
        tables=STUDY.tables_of_study("sensory"),
    output:
        STUDY.family_rows("sensory", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_sensory.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_sensory.tsv"
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
        absent=STUDY.absent("sensory"),
        trigger=STUDY.trigger("sensory"),
    shell:
        "python -m lbpneuro sensory --in {input.files:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
