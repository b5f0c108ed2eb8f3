# Change of gray matter: the raw T1w image of a later session against that of the first one.

# Memory (MB) and time (minutes) by the level of the embedded path, with room to spare.
CHANGE_NEEDS = {"draft": (2500, 15), "standard": (4000, 45), "full": (5000, 120)}
CHANGE_MB, CHANGE_MINUTES = CHANGE_NEEDS[STUDY.config["preprocess"]["level"]]


rule change:
    input:
        STUDY.inputs("change"),
    output:
        STUDY.family_rows("change", "{folder}", "{prefix}"),
    log:
        f"{OUT}/logs/{{folder}}/{{prefix}}_change.log",
    benchmark:
        f"{WORK}/benchmarks/{{folder}}/{{prefix}}_change.tsv"
    retries: 1
    conda:
        "../envs/lbpneuro.yaml"
    threads: 1
    resources:
        mem_mb=more(CHANGE_MB),
        runtime=more(CHANGE_MINUTES),
    params:
        config=STUDY.config_path,
        who=STUDY.who,
        absent=STUDY.absent("change"),
        trigger=STUDY.trigger("change"),
    shell:
        "python -m lbpneuro change --in {input:q} --out {output:q} --config {params.config:q} "
        "{params.who} {params.absent} &> {log:q}"
