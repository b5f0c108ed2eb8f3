# Corticomotor excitability: motor thresholds, recruitment curve, paired pulses.


rule excitability:
    input:
        STUDY.inputs("excitability"),
    output:
        STUDY.family_rows("excitability", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_excitability.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_excitability.tsv"
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
        absent=STUDY.absent("excitability"),
        trigger=STUDY.trigger("excitability"),
    shell:
        "python -m lbpneuro excitability --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
