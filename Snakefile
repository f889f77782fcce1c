# The book as steps over files: raw data -> embeddings -> cones and sweeps -> notebooks -> pages -> HTML.
#
#   snakemake --profile profiles/local                                     the shipped data (config/demo.yml)
#   snakemake --profile profiles/local --configfile config/paper.yml       the paper's data sets and encoders
#   snakemake --profile profiles/slurm --configfile config/paper.yml       the same on a cluster
#
# A step runs again when its input, its parameters or the code it runs has changed, and for no other reason. What the rules must know
# about the configuration, the notebooks and the stored sets is in helpers.book.workflow, what a step asks of a scheduler in
# helpers.book.resources; helpers.book.step runs a command and records it. Every value in a command is quoted.
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from helpers import page
from helpers.book import preflight, resources as needs, run_summary
from helpers.book import workflow as steps
from helpers.probing.grid import Grid
from helpers.probing.sweep import ENGINE
from helpers.store.catalogue import folder_name


configfile: "config/demo.yml"


# Jobs inherit these, so that neither they nor the libraries they load write to the home folder.
os.environ.setdefault("XDG_CACHE_HOME", str(Path(".snakemake/cache").absolute()))
os.environ.setdefault("MPLCONFIGDIR", str(Path(".snakemake/cache/matplotlib").absolute()))

PYTHON, BIN = sys.executable, str(Path(sys.executable).parent)
OUT = steps.TABLES
MAIN = workflow.is_main_process  # a job of a cluster reads this file too, and must decide nothing anew
PACKAGE = [str(p) for p in sorted(steps.PACKAGE.rglob("*.py"))]
try:
    if MAIN:
        preflight.refuse_unwritable()
        preflight.refuse_duplicate_keys(workflow.configfiles)
    CONFIGURATION = steps.read_configuration(config)
    SHOWN, EXCLUDED = steps.shown_sets(CONFIGURATION)
    SKIPPED = steps.unreachable(CONFIGURATION) if MAIN else run_summary.read_skipped()
    if MAIN:
        run_summary.write_skipped(SKIPPED)
    SETS = steps.without_skipped(SHOWN, SKIPPED)
    if MAIN:
        inputs = [f for s in SETS for f in steps.set_files(CONFIGURATION.store, *s)]
        preflight.refuse_future_files([*PACKAGE, *inputs, *Path("notebooks").glob("*.ipynb")])
except (ValueError, OSError) as error:
    raise WorkflowError(" ".join(str(error).split()))
STORE, ROOT, SWEEP = CONFIGURATION.store, CONFIGURATION.data_root, dict(CONFIGURATION.sweep)
THREADS = SWEEP.pop("threads", 1)
TEXTS = SWEEP.pop("variant", ["clean"])
TEXTS = [TEXTS] if isinstance(TEXTS, str) else TEXTS
GRID = Grid.of(SWEEP)
SHOWN_STORE = steps.shown_store(CONFIGURATION, SETS, EXCLUDED | SKIPPED, write=MAIN)
DROPPED_IN = [
    str(p)  # with or without their embeddings
    for p in Path("runs/sweeps").glob("*/*/*/*/*/settings.json")
    if all(steps.NAME.fullmatch(part) for part in p.parts)
]
CONTRIBUTED = [str(p) for p in sorted(Path("data/contributed").glob("*.json"))]
SWEPT = [s for s in SETS if s[1] in (*TEXTS, "common")]
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


if MAIN:
    for name, why in EXCLUDED.items():
        print(f"[excluded] {name!r}: {why}", file=sys.stderr)
    for line in page.reasons(SKIPPED):
        print(f"[skipped]  {line}", file=sys.stderr)
    for name in steps.remove_unusable_records(r for s in SWEPT for r in sweep_records(*s)):
        print(f"[damaged]  {name} is damaged or of an older format; the sweep is made again", file=sys.stderr)
    for name in steps.remove_damaged(Path("book/executed")):
        print(f"[damaged]  book/executed/{name} is cut off and is made again", file=sys.stderr)


def need(step, resource, **options):
    """What a rule asks of the scheduler, by the rows and dimension that its wildcards or the configuration name."""

    def of(wildcards, attempt):
        dataset, variant, backbone = (
            options.get(name, getattr(wildcards, name, "")) for name in ("dataset", "variant", "backbone")
        )
        rows = needs.expected_rows(dataset, variant) if dataset else max([needs.expected_rows(*s[:2]) for s in SETS], default=0)
        given = {"parts": options.get("parts", 1), "accelerators": CONFIGURATION.accelerators, "attempt": attempt}
        return needs.resources(step, rows, needs.expected_dimension(backbone), **given)[resource]

    return of


STEP = "{PYTHON:q} -m helpers.book.step "
NOTEBOOKS = {name: Path(f"notebooks/{name}.ipynb") for name in steps.notebook_names()}
BUILT = list(NOTEBOOKS)


localrules:
    book,
    notebooks,
    checks,
    cones,
    pages,
    summary,
    measured,


rule book:
    input:
        "_build/html/index.html",
        "_build/html/downloads/site.zip",


rule notebooks:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),


rule cones:
    input:
        [f"runs/cones/{d}/{v}/{folder_name(b)}.csv" for d, v, b in SETS],


rule cone:
    input:
        lambda w: set_files(w.dataset, w.variant, w.backbone),
    output:
        "runs/cones/{dataset}/{variant}/{backbone}.csv",
    wildcard_constraints:
        variant="[^/]+",
    resources:
        mem_mb=need("cone", "mem_mb"),
        runtime=need("cone", "runtime"),
    shell:
        STEP + "cone {wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q} -- {PYTHON:q} -m helpers cone "
        "{wildcards.dataset:q} {wildcards.backbone:q} --variant {wildcards.variant:q} --store {STORE:q} --out {output:q}"


if ROOT is not None and CONFIGURATION.datasets and CONFIGURATION.backbones:
    SET, SHARDS = f"{STORE}/{{dataset}}/{{variant}}/{{backbone}}", CONFIGURATION.shards
    CHECK = "runs/checks/{dataset}/{variant}.txt"
    NAMES = {folder_name(name): name for name in CONFIGURATION.backbones}
    EXTRACT = (
        "{PYTHON:q} -m helpers extract {wildcards.dataset:q} --variant {wildcards.variant:q} --backbone {params.backbone:q} "
        "--root {ROOT:q} --out {params.out:q}"
    )
    OF_DATA = {"dataset": "|".join(map(re.escape, CONFIGURATION.datasets)), "variant": "[^/]+"}
    OF_SET = {**OF_DATA, "backbone": "|".join(map(re.escape, NAMES))}

    scattergather:
        extract=SHARDS,

    rule checks:
        input:
            sorted({CHECK.format(dataset=d, variant=v) for d, v, b in steps.sets_to_extract(CONFIGURATION) if (d, v, b) in SETS}),

    rule check:
        input:
            steps.extraction_code(),
        output:
            CHECK,
        wildcard_constraints:
            **OF_DATA,
        resources:
            mem_mb=need("check", "mem_mb"),
            runtime=need("check", "runtime"),
        shell:
            STEP + "check {wildcards.dataset:q}/{wildcards.variant:q} -- {PYTHON:q} -m helpers check {wildcards.dataset:q} "
            "--variant {wildcards.variant:q} --root {ROOT:q} --no-images && "
            "cp runs/logs/check-{wildcards.dataset:q}-{wildcards.variant:q}.log {output:q}"

    rule extract:
        input:
            CHECK,
            steps.extraction_code(),
        output:
            temp(touch(f"{STORE}/{{dataset}}/{{variant}}/.{{backbone}}.{{scatteritem}}")),
        wildcard_constraints:
            **OF_SET,
        params:
            out=SET,
            backbone=lambda w: NAMES[w.backbone],
            shard=lambda w: w.scatteritem.replace("-of-", "/"),
        threads: 8  # one encoder fills a machine; shards are for several
        resources:
            mem_mb=need("extract", "mem_mb", parts=SHARDS),
            runtime=need("extract", "runtime", parts=SHARDS),
            gpu=need("extract", "gpu"),
        shell:
            STEP + "extract {wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q}/{wildcards.scatteritem:q} -- "
            + EXTRACT + " --shard {params.shard:q}"

    # Checks the parts and joins them; encodes what a lost part left undone.
    rule gather:
        input:
            CHECK,
            steps.extraction_code(),
            gather.extract(f"{STORE}/{{{{dataset}}}}/{{{{variant}}}}/.{{{{backbone}}}}.{{scatteritem}}") if SHARDS > 1 else [],
        output:
            # kept where it is: the command leaves a set of this data and encoder as it was
            update(SET + "/provenance.json"),
        wildcard_constraints:
            **OF_SET,
        params:
            out=SET,
            backbone=lambda w: NAMES[w.backbone],
        threads: 8
        resources:
            mem_mb=need("gather", "mem_mb"),
            runtime=need("extract" if SHARDS == 1 else "gather", "runtime"),
            gpu=need("gather", "gpu"),
        shell:
            STEP + "gather {wildcards.dataset:q}/{wildcards.variant:q}/{wildcards.backbone:q} -- " + EXTRACT + " && touch {output:q}"

else:

    rule checks:  # nothing is extracted, so there is nothing to check
        input:
            [],


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
            label=f"{dataset}/{variant}/{folder_name(backbone)}",
            arguments=[dataset, backbone, "--variant", variant, "--settings", json.dumps(sweep_of(variant).as_dict())],
            engine=ENGINE,
        threads: THREADS
        priority: 2  # a page waits for all sweeps, and another page for that one
        resources:
            mem_mb=need("sweep", "mem_mb", dataset=dataset, variant=variant, backbone=backbone),
            runtime=need("sweep", "runtime", dataset=dataset, variant=variant, backbone=backbone),
        shell:
            STEP + "sweep {params.label:q} -- "
            "{PYTHON:q} -m helpers sweep {params.arguments:q} --store {STORE:q} --workers {threads}"


def notebook_inputs(notebook):
    """Files a notebook reads besides its own source and helpers."""
    own = CONFIGURATION.notebooks.get(notebook, {})
    return {
        "01_cone_effect": all_set_files([own.get("variant", "clean")]) + [str(p) for p in sorted(Path("data/diversity").glob("*"))],
        "02_r_table": all_set_files([own.get("variant", "authors")]) + CONTRIBUTED,
        "03_lambda_sweep": sorted({*all_set_files(TEXTS), *[r for s in SWEPT for r in sweep_records(*s)], *DROPPED_IN, *CONTRIBUTED})
        + [str(p) for p in sorted(Path("data/measured").glob("channel_*.csv"))],
        "04_discussion": CONTRIBUTED,
        "07_leakage_audit": all_set_files(["clean", "authors"]),
        "08_adapt": [],
        "10_where_the_gap_comes_from": [str(p) for p in sorted(Path("data/measured").glob("gap_*.csv"))],
        "12_protocol_audit": [
            *all_set_files(["clean"]),
            *[str(p) for p in [*sorted(Path("data/measured").glob("*.csv")), *sorted(Path("data/published").glob("*.csv"))]],
        ],
        "13_information": all_set_files(["clean"])
        + [f"data/measured/{name}.csv" for name in ("information", "random_networks", "repeated_splits", "public_encoders")],
        "11_what_lambda_closes": [str(p) for p in sorted(Path("data/measured").glob("alignments_*.csv"))] + all_set_files(["clean"]),
        "09_data": all_set_files(["clean", "authors"]) + [str(p) for p in sorted(Path("data/text_lengths").glob("*"))],
    }.get(notebook, all_set_files(["clean"])) + [f"{OUT}/{table}.parquet" for table in steps.tables_read(NOTEBOOKS[notebook])]


def notebook_parameters(notebook):
    """What papermill injects; a notebook takes the settings that it has parameters for."""
    names = {"datasets": CONFIGURATION.datasets, "backbones": CONFIGURATION.backbones}
    if SKIPPED:  # a page stops at a named set that is not there
        names = {"datasets": list(dict.fromkeys(s[0] for s in SETS)), "backbones": []}
    settings = {"store": SHOWN_STORE, "results": str(OUT), **names}
    if notebook == "03_lambda_sweep":
        settings |= {"variant": TEXTS, **GRID.as_dict()}
    elif notebook == "04_discussion":
        makers = ("01_cone_effect", "03_lambda_sweep")
        settings["made_with"] = json.dumps({m: steps.run_fingerprint(NOTEBOOKS[m], notebook_parameters(m)) for m in makers})
    elif notebook == "09_data":
        settings["data_root"] = ROOT
    return steps.injected_parameters(NOTEBOOKS[notebook], CONFIGURATION, settings)


READ_LATER = {table for notebook in BUILT for table in steps.tables_read(NOTEBOOKS[notebook])}
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
        priority: int(not READ_LATER.isdisjoint(steps.tables_written(NOTEBOOKS[notebook])))
        resources:
            mem_mb=need("notebook", "mem_mb"),
            runtime=need("notebook", "runtime"),
        shell:
            STEP + "notebook {params.label:q} -- {PYTHON:q} -m papermill {input[0]:q} {output[0]:q} "
            "-y {params.values:q} --kernel python3 --no-progress-bar"


# Tables in data/measured that page 11 reads. They take many minutes, so no other rule asks for them.
rule measured:
    input:
        expand("runs/measured/{table}", table=steps.MEASURED),


rule measure:
    input:
        "benchmarks/alignments.py",
        PACKAGE,
        [f for s in SETS for f in set_files(*s)],
    output:
        touch("runs/measured/{table}"),
    params:
        mode=lambda w: steps.MEASURED[w.table],
    resources:
        mem_mb=need("measure", "mem_mb"),
        runtime=need("measure", "runtime"),
    shell:
        STEP + "measure {wildcards.table:q} -- {PYTHON:q} benchmarks/alignments.py {params.mode:q}"


rule pages:
    input:
        PACKAGE,
        ["workflow/book_tables.py", "workflow/trust.py", "workflow/front.py", "book/trust.yml", "pyproject.toml"],
        [str(p) for folder in ("data/published", "data/measured") for p in sorted(Path(folder).glob("*"))],
        [str(p) for folder in ("benchmarks", "tests/verification") for p in sorted(Path(folder).glob("results/*.json"))],
    output:
        touch("book/generated/.made"),
    shell:
        STEP + "pages tables -- {PYTHON:q} workflow/book_tables.py"


rule summary:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),
    output:
        run_summary.PAGE,
    params:
        skipped=json.dumps(SKIPPED),
    shell:
        "{PYTHON:q} -m helpers.book.run_summary {STORE:q}"


rule html:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),
        "book/generated/.made",
        run_summary.PAGE,
        "_config.yml",
        "_toc.yml",
        "workflow/book_extension.py",
        [str(p) for p in sorted(Path("book").glob("*.*")) + sorted(Path("book/_static").rglob("*.*"))],
        PACKAGE,
    output:
        "_build/html/index.html",
    resources:
        mem_mb=need("html", "mem_mb"),
        runtime=need("html", "runtime"),
    shell:
        STEP + "html _build/html -- {BIN:q}/jupyter-book build -n -W --keep-going -q ."


rule downloads:
    input:
        "_build/html/index.html",
    output:
        "_build/html/downloads/site.zip",
    shell:
        STEP + "downloads _build/html/downloads -- {PYTHON:q} workflow/downloads.py"


onsuccess:
    run_summary.write_summary(STORE)


onerror:
    run_summary.write_summary(STORE)
