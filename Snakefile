# The book as steps over files: embeddings -> sweeps -> notebooks -> pages -> HTML.
#
#   snakemake --cores 2                                        the shipped data (config/demo.yml)
#   snakemake --cores 8 --configfile config/paper.yml          the paper's data sets and encoders
#   snakemake --executor slurm --jobs 64 --configfile ...      the same on a cluster
#
# A step runs again when its input, its parameters or the helper package has changed, and for no other reason. What the rules must know
# about the configuration, the notebooks and the stored sets is in helpers.book.workflow; every value in a command is quoted.
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

from helpers.book import workflow as steps
from helpers.probing.grid import Grid
from helpers.store.catalogue import folder_name


configfile: "config/demo.yml"


PYTHON, BIN = sys.executable, str(Path(sys.executable).parent)
OUT = steps.TABLES
try:
    CONFIGURATION = steps.read_configuration(config)
    SETS, EXCLUDED = steps.shown_sets(CONFIGURATION)
except (ValueError, OSError) as error:
    raise WorkflowError(" ".join(str(error).split()))
STORE, ROOT, SWEEP = CONFIGURATION.store, CONFIGURATION.data_root, dict(CONFIGURATION.sweep)
THREADS = SWEEP.pop("threads", 1)
TEXTS = SWEEP.pop("variant", ["clean"])
TEXTS = [TEXTS] if isinstance(TEXTS, str) else TEXTS
GRID = Grid.of(SWEEP)
PACKAGE = [str(p) for p in sorted(Path("src/helpers").rglob("*.py"))]
SHOWN_STORE = steps.shown_store(CONFIGURATION, SETS, EXCLUDED)
DROPPED_IN = [
    str(p)  # with or without their embeddings
    for p in Path("runs/sweeps").glob("*/*/*/*/*/settings.json")
    if all(steps.NAME.fullmatch(part) for part in p.parts)
]
CONTRIBUTED = [str(p) for p in sorted(Path("data/contributed").glob("*.json"))]
SWEPT = [s for s in SETS if s[1] in (*TEXTS, "common")]
for name, why in EXCLUDED.items():
    print(f"[excluded] {name!r}: {why}", file=sys.stderr)
for name in steps.remove_damaged(Path("book/executed")):
    print(f"[damaged]  book/executed/{name} is cut off and is made again", file=sys.stderr)


def set_files(dataset, variant, backbone):
    return steps.set_files(STORE, dataset, variant, backbone)


def all_set_files(variants):
    return [f for s in SETS if s[1] in (*variants, "common") for f in set_files(*s)]


def sweep_of(variant):
    """Settings of the sweeps of a text; of those after the first only what Fig. 3 is compared with."""
    return GRID if variant in (TEXTS[0], "common") else replace(GRID, protocol=("authors-code",), alignments=())


def sweep_records(dataset, variant, backbone):
    base, grid = f"runs/sweeps/{dataset}/{variant}/{folder_name(backbone)}", sweep_of(variant)
    return [f"{base}/{protocol}/{part}/settings.json" for protocol in grid.protocol for part in grid.parts]


def logged(step):
    """Shell: quiet when the step works; its whole log, a notebook's cell and traceback included, and its place when it does not."""
    log = f"runs/logs/{step}.log"
    return f" >{log} 2>&1 || {{{{ cat {log} >&2; echo '[failed]   the log is '{log} >&2; exit 1; }}}}"


Path("runs/logs").mkdir(parents=True, exist_ok=True)
Path("book/executed").mkdir(parents=True, exist_ok=True)
NOTEBOOKS = {name: Path(f"notebooks/{name}.ipynb") for name in steps.notebook_names()}
BUILT = list(NOTEBOOKS)


rule book:
    input:
        "_build/html/index.html",


rule notebooks:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),


if ROOT is not None and CONFIGURATION.datasets and CONFIGURATION.backbones:
    SET, SHARDS = f"{STORE}/{{dataset}}/{{variant}}/{{backbone}}", CONFIGURATION.shards
    SHARD = f"{STORE}/{{dataset}}/{{variant}}/.{{backbone}}.{{shard}}-of-{SHARDS}"
    NAMES = {folder_name(name): name for name in CONFIGURATION.backbones}
    EXTRACT = (
        "{PYTHON:q} -m helpers extract {wildcards.dataset:q} --variant {wildcards.variant:q} --backbone {params.backbone:q} "
        "--root {ROOT:q} --out {params.out:q}"
    )

    wildcard_constraints:
        dataset="|".join(map(re.escape, CONFIGURATION.datasets)),
        variant=r"[^/]+",
        backbone="|".join(map(re.escape, NAMES)),
        shard=r"\d+",

    rule extract_shard:
        input:
            PACKAGE,
        output:
            temp(touch(SHARD)),
        params:
            out=SET,
            backbone=lambda w: NAMES[w.backbone],
        threads: 8  # one encoder fills a machine; shards are for several
        shell:
            "echo '[extract] ' {wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q}, part {wildcards.shard}/{SHARDS}; "
            + EXTRACT + " --shard {wildcards.shard}/{SHARDS}"

    rule extract_join:
        input:
            PACKAGE,
            [SHARD.replace("{shard}", str(i + 1)) for i in range(SHARDS) if SHARDS > 1],
        output:
            # kept where it is: the command leaves a set of this data and encoder as it was
            update(SET + "/provenance.json"),
        params:
            out=SET,
            backbone=lambda w: NAMES[w.backbone],
        threads: 8
        shell:
            "echo '[join]    ' {wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q}; " + EXTRACT + " && touch {output:q}"


for dataset, variant, backbone in SWEPT:

    rule:
        name:
            f"sweep_{dataset}_{variant}_{folder_name(backbone)}"
        input:
            set_files(dataset, variant, backbone),
        output:
            # kept where it is: the command leaves a sweep of these embeddings, settings and code as it was, whoever made it
            [update(r) for r in sweep_records(dataset, variant, backbone)],
        params:
            label=f"{dataset}/{variant}/{backbone}",
            log=f"{dataset}-{variant}-{folder_name(backbone)}",
            arguments=[dataset, backbone, "--variant", variant, "--settings", json.dumps(sweep_of(variant).as_dict())],
        threads: THREADS
        shell:
            "echo '[sweep]   ' {params.label:q}; "
            "{PYTHON:q} -m helpers sweep {params.arguments:q} --store {STORE:q} --workers {threads}" + logged("{params.log:q}")


def notebook_inputs(notebook):
    """Files a notebook reads besides its own source and helpers."""
    own = CONFIGURATION.notebooks.get(notebook, {})
    return {
        "01_cone_effect": all_set_files([own.get("variant", "clean")]) + [str(p) for p in sorted(Path("data/diversity").glob("*"))],
        "02_r_table": all_set_files([own.get("variant", "authors")]) + CONTRIBUTED,
        "03_lambda_sweep": sorted({*all_set_files(TEXTS), *[r for s in SWEPT for r in sweep_records(*s)], *DROPPED_IN, *CONTRIBUTED}),
        "04_discussion": CONTRIBUTED,
        "07_leakage_audit": all_set_files(["clean", "authors"]),
        "08_adapt": [],
        "11_what_lambda_closes": [str(p) for p in sorted(Path("data/measured").glob("alignments_*.csv"))],
        "09_data": all_set_files(["clean", "authors"]) + [str(p) for p in sorted(Path("data/text_lengths").glob("*"))],
    }.get(notebook, all_set_files(["clean"])) + [f"{OUT}/{table}.parquet" for table in steps.tables_read(NOTEBOOKS[notebook])]


def notebook_parameters(notebook):
    """What papermill injects; a notebook takes the settings that it has parameters for."""
    settings = {"store": SHOWN_STORE, "results": str(OUT), "datasets": CONFIGURATION.datasets, "backbones": CONFIGURATION.backbones}
    if notebook == "03_lambda_sweep":
        settings |= {"variant": TEXTS, **GRID.as_dict()}
    elif notebook == "04_discussion":
        makers = ("01_cone_effect", "03_lambda_sweep")
        settings["made_with"] = json.dumps({m: steps.run_fingerprint(NOTEBOOKS[m], notebook_parameters(m)) for m in makers})
    elif notebook == "09_data":
        settings["data_root"] = ROOT
    return steps.injected_parameters(NOTEBOOKS[notebook], CONFIGURATION, settings)


for notebook in BUILT:

    rule:
        name:
            f"notebook_{notebook}"
        input:
            f"notebooks/{notebook}.ipynb",
            notebook_inputs(notebook),
            PACKAGE,
        output:
            f"book/executed/{notebook}.ipynb",
            [f"{OUT}/{table}.parquet" for table in steps.tables_written(NOTEBOOKS[notebook])],
        params:
            values=json.dumps(notebook_parameters(notebook)),
            label=notebook,
        shell:
            "echo '[notebook]' {params.label:q}; "
            "{PYTHON:q} -m papermill {input[0]:q} {output[0]:q} "
            "-y {params.values:q} --kernel python3 --no-progress-bar" + logged("{params.label:q}")


rule pages:
    input:
        PACKAGE,
        [str(p) for p in [*sorted(Path("data/published").glob("*")), *sorted(Path("benchmarks/results").glob("*.json"))]],
    output:
        touch("book/generated/.made"),
    shell:
        "echo '[pages]    tables from published numbers and cards'; {PYTHON:q} -m helpers.book.tables"


rule html:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),
        "book/generated/.made",
        "_config.yml",
        "_toc.yml",
        [str(p) for p in sorted(Path("book").glob("*.*")) + sorted(Path("book/_static").rglob("*.*"))],
        PACKAGE,
    output:
        "_build/html/index.html",
    shell:
        "echo '[html]     _build/html'; "
        "{{ {BIN:q}/jupyter-book build -n -W --keep-going -q . && rm -f _build/html/downloads/*.pdf && {PYTHON:q} -m helpers.book.downloads; }}"
        + logged("html")
