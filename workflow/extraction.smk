# Embedding sets from raw data: each copy is checked, its shards are encoded, and the parts are joined.
SET, SHARDS = f"{STORE}/{{dataset}}/{{variant}}/{{backbone}}", CONFIGURATION.shards
CHECK = "runs/checks/{dataset}/{variant}.txt"
NAMES = {folder_name(name): name for name in CONFIGURATION.backbones}
OF_DATA = {"dataset": "|".join(map(re.escape, CONFIGURATION.datasets)), "variant": "[^/]+"}
OF_SET = {**OF_DATA, "backbone": "|".join(map(re.escape, NAMES))}
EXTRACT = (
    "{PYTHON:q} -m helpers extract {wildcards.dataset:q} --variant {wildcards.variant:q} --backbone {params.backbone:q} "
    "--root {ROOT:q} --out {params.out:q}"
)


def extraction_code(wildcards):
    """Modules that check and extract a data set: the module of its own reader, and no other."""
    return declared.code_of("helpers.extraction.extract", "helpers.datasets", settings.DATASETS[wildcards.dataset].read.__module__)


scattergather:
    extract=SHARDS,


rule checks:
    input:
        sorted({CHECK.format(dataset=d, variant=v) for d, v, b in settings.sets_to_extract(CONFIGURATION) if (d, v, b) in SETS}),


rule check:
    input:
        extraction_code,
    output:
        CHECK,
    wildcard_constraints:
        **OF_DATA,
    log:
        "runs/logs/check/{dataset}/{variant}.log",
    benchmark:
        "runs/benchmarks/check/{dataset}/{variant}.tsv"
    resources:
        mem_mb=need("check", "mem_mb"),
        runtime=need("check", "runtime"),
    shell:
        step(
            "check",
            "{wildcards.dataset:q}/{wildcards.variant:q}",
            "{PYTHON:q} -m helpers check {wildcards.dataset:q} --variant {wildcards.variant:q} --root {ROOT:q} --no-images",
        )
        + " && cp {log:q} {output:q}"


rule extract:
    input:
        CHECK,
        extraction_code,
    output:
        temp(touch(f"{STORE}/{{dataset}}/{{variant}}/.{{backbone}}.{{scatteritem}}")),
    wildcard_constraints:
        **OF_SET,
    params:
        out=SET,
        backbone=lambda w: NAMES[w.backbone],
        shard=lambda w: w.scatteritem.replace("-of-", "/"),
    log:
        "runs/logs/extract/{dataset}/{variant}/{backbone}/{scatteritem}.log",
    benchmark:
        "runs/benchmarks/extract/{dataset}/{variant}/{backbone}/{scatteritem}.tsv"
    threads: 8  # one encoder fills a machine; shards are for several
    resources:
        mem_mb=need("extract", "mem_mb", parts=SHARDS),
        runtime=need("extract", "runtime", parts=SHARDS),
        gpu=need("extract", "gpu"),
    shell:
        step(
            "extract",
            "{wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q}/{wildcards.scatteritem:q}",
            EXTRACT + " --shard {params.shard:q}",
        )


# Checks the parts and joins them; encodes what a lost part left undone.
rule gather:
    input:
        CHECK,
        extraction_code,
        gather.extract(f"{STORE}/{{{{dataset}}}}/{{{{variant}}}}/.{{{{backbone}}}}.{{scatteritem}}") if SHARDS > 1 else [],
    output:
        # kept where it is: the command leaves a set of this data and encoder as it was
        update(SET + "/provenance.json"),
    wildcard_constraints:
        **OF_SET,
    params:
        out=SET,
        backbone=lambda w: NAMES[w.backbone],
    log:
        "runs/logs/gather/{dataset}/{variant}/{backbone}.log",
    benchmark:
        "runs/benchmarks/gather/{dataset}/{variant}/{backbone}.tsv"
    threads: 8
    resources:
        mem_mb=need("gather", "mem_mb"),
        runtime=need("extract" if SHARDS == 1 else "gather", "runtime"),
        gpu=need("gather", "gpu"),
    shell:
        step("gather", "{wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q}", EXTRACT) + " && touch {output:q}"
