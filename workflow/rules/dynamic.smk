# Thalamocortical states: reference states of the study, and the states of every person.


rule dynamic_states:
    input:
        lambda wildcards: STUDY.states_inputs(),
    output:
        f"{OUT}/desc-dynamic_states.tsv",
    log:
        f"{OUT}/logs/dynamic_states.log",
    benchmark:
        f"{WORK}/benchmarks/dynamic_states.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(120),
    params:
        config=STUDY.config_path,
        trigger=STUDY.trigger("dynamic"),
    shell:
        "python -m lbpneuro dynamic-states --in {input:q} --out {output:q} --config {params.config:q} &> {log:q}"


rule dynamic:
    input:
        STUDY.dynamic_inputs,
    output:
        STUDY.family_rows("dynamic", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_dynamic.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_dynamic.tsv"
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
        absent=STUDY.absent("dynamic"),
        trigger=STUDY.trigger("dynamic"),
    shell:
        "python -m lbpneuro dynamic --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"


rule dynamic_rows:
    input:
        lambda wildcards: STUDY.dynamic_rows(),
