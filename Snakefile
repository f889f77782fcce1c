# The book as steps over files: embeddings -> sweeps -> notebooks -> pages -> HTML.
#
#   snakemake --cores 2                                        the shipped data (config/demo.yml)
#   snakemake --cores 8 --configfile config/paper.yml          the paper's data sets and encoders
#   snakemake --executor slurm --jobs 64 --configfile ...      the same on a cluster
#
# A step runs again when its input, its parameters or a helper module that it imports has changed, and for no other reason.
import json
import re
import sys
from pathlib import Path

from helpers.book.parameters import assigned_literals
from helpers.extraction.find import sets_wanted
from helpers.store.catalogue import SHIPPED, folder_name


configfile: "config/demo.yml"


PYTHON, BIN = sys.executable, Path(sys.executable).parent
OUT = "runs/notebooks"
STORE, ROOT, SWEEP = config["store"], config["data_root"], dict(config["sweep"])
THREADS = SWEEP.pop("threads", 1)
TEXTS = SWEEP["variant"] = [SWEEP["variant"]] if isinstance(SWEEP["variant"], str) else SWEEP["variant"]
TABLES = {
    "01_cone_effect": ["cone_effect"],
    "02_r_table": ["r_table"],
    "03_lambda_sweep": ["lambda_sweep", "lambda_effects", "lambda_selected", "channel_effects"],
    "04_discussion": ["claims"],
    "05_is_lambda_worth_it": ["worth_it"],
    "06_slider": ["lambda_path"],
    "07_leakage_audit": ["leakage_overlap", "leakage_text", "leakage_named", "leakage_siblings"],
    "08_adapt": ["adapt_cone", "adapt_sweep", "adapt_effects", "adapt_elsewhere"],
    "09_data": ["data_overview", "data_classes", "data_lengths", "data_texts_cut", "data_repeats"],
}
PACKAGE = [str(p) for p in sorted(Path("src/helpers").rglob("*.py"))]
SETS = sets_wanted(config["datasets"], config["backbones"], config["variants"], STORE, extractable=ROOT is not None)
DROPPED_IN = [str(p) for p in Path("runs/sweeps").glob("*/*/*/*/*/settings.json")]  # with or without their embeddings
SWEPT = [s for s in SETS if s[1] in (*TEXTS, "common")]


def set_files(dataset, variant, backbone):
    """The files of one embedding set; its record alone where it is not there yet."""
    folder = Path(STORE) / dataset / variant / folder_name(backbone)
    return [str(p) for p in sorted(folder.glob("*.*"))] or [str(folder / "provenance.json")]


def all_set_files(variants):
    return [f for s in SETS if s[1] in (*variants, "common") for f in set_files(*s)]


def sweep_of(variant):
    """Settings of the sweeps of a text; of those after the first only what Fig. 3 is compared with."""
    return SWEEP if variant in (TEXTS[0], "common") else SWEEP | {"protocol": ["authors-code"], "channels": []}


def sweep_records(dataset, variant, backbone):
    base, asked = f"runs/sweeps/{dataset}/{variant}/{folder_name(backbone)}", sweep_of(variant)
    parts = ["lambda"] + ["channels"] * bool(asked["channels"] and asked["channel_lambdas"])
    return [f"{base}/{protocol}/{part}/settings.json" for protocol in asked["protocol"] for part in parts]


def parameters(notebook, **settings):
    """What papermill injects: settings that differ from the notebook's own defaults, as YAML."""
    cells = json.loads(Path(f"notebooks/{notebook}.ipynb").read_text())["cells"]
    cell = next(c for c in cells if "parameters" in c["metadata"].get("tags", []))
    defaults = assigned_literals(["".join(cell["source"])])
    settings |= config["notebooks"].get(notebook, {})
    return json.dumps({k: v for k, v in settings.items() if k not in defaults or v != defaults[k]})


def source_settings(**settings):
    return {"datasets": config["datasets"], "backbones": config["backbones"], **place(), **settings}


def place():
    """Where notebooks look; the shipped folder is where they look anyway."""
    return {} if Path(STORE) == SHIPPED else {"store": STORE}


def logged(name):
    """Shell: quiet when the step works; its whole log, a notebook's cell and traceback included, when it does not."""
    return f" >runs/logs/{name}.log 2>&1 || {{{{ cat runs/logs/{name}.log >&2; exit 1; }}}}"


Path("runs/logs").mkdir(parents=True, exist_ok=True)
Path("book/executed").mkdir(parents=True, exist_ok=True)
BUILT = sorted(p.stem for p in Path("notebooks").glob("*.ipynb"))


rule book:
    input:
        "_build/html/index.html",


rule notebooks:
    input:
        expand("book/executed/{name}.ipynb", name=BUILT),


if ROOT is not None and config["datasets"] and config["backbones"]:
    SET, SHARDS = f"{STORE}/{{dataset}}/{{variant}}/{{backbone}}", config["shards"]
    SHARD = f"{STORE}/{{dataset}}/{{variant}}/.{{backbone}}.{{shard}}-of-{SHARDS}"
    NAMES = {folder_name(name): name for name in config["backbones"]}
    EXTRACT = (
        "{PYTHON} -m helpers extract {wildcards.dataset} --variant {wildcards.variant} --backbone {params.backbone:q} "
        "--root {ROOT:q} --out {params.out:q}"
    )

    wildcard_constraints:
        dataset="|".join(map(re.escape, config["datasets"])),
        variant="[^/]+",
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
            "echo '[extract]  {wildcards.dataset}/{wildcards.variant}/{wildcards.backbone}, part {wildcards.shard}/{SHARDS}'; "
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
            "echo '[join]     {wildcards.dataset}/{wildcards.variant}/{wildcards.backbone}'; " + EXTRACT + " && touch {output:q}"


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
            arguments=f"{dataset} {backbone} --variant {variant} --settings '{json.dumps(sweep_of(variant))}'",
        threads: THREADS
        shell:
            "echo '[sweep]    {params.label}'; "
            "{PYTHON} -m helpers sweep {params.arguments} --store {STORE:q} --workers {threads}" + logged("{params.log}")


def notebook_inputs(notebook):
    """Files a notebook reads besides its own source and helpers."""
    own = config["notebooks"].get(notebook, {})
    return {
        "01_cone_effect": all_set_files([own.get("variant", "clean")]) + [str(p) for p in sorted(Path("data/diversity").glob("*"))],
        "02_r_table": all_set_files([own.get("variant", "authors")]),
        "03_lambda_sweep": sorted({*all_set_files(TEXTS), *[r for s in SWEPT for r in sweep_records(*s)], *DROPPED_IN}),
        "04_discussion": [f"{OUT}/{name}.parquet" for name in ("cone_effect", "lambda_sweep", "lambda_selected")],
        "07_leakage_audit": all_set_files(["clean", "authors"]),
        "08_adapt": [],
        "09_data": all_set_files(["clean", "authors"]) + [str(p) for p in sorted(Path("data/text_lengths").glob("*"))],
    }.get(notebook, all_set_files(["clean"]))


def notebook_parameters(notebook):
    if notebook == "03_lambda_sweep":
        return parameters(notebook, **source_settings(**SWEEP))
    shared = {"04_discussion": {}, "05_is_lambda_worth_it": place(), "08_adapt": {}, "09_data": source_settings(data_root=ROOT)}
    return parameters(notebook, **shared.get(notebook, source_settings()))


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
            [f"{OUT}/{table}.parquet" for table in TABLES.get(notebook, [])],
        params:
            values=notebook_parameters(notebook),
            label=notebook,
        shell:
            "echo '[notebook] {params.label}'; "
            "{BIN}/papermill notebooks/{params.label}.ipynb book/executed/{params.label}.ipynb "
            "-y {params.values:q} --kernel python3 --no-progress-bar" + logged("{params.label}")


rule pages:
    input:
        PACKAGE,
        [str(p) for p in [*sorted(Path("data/published").glob("*")), *sorted(Path("benchmarks/results").glob("*.json"))]],
    output:
        touch("book/generated/.made"),
    shell:
        "echo '[pages]    tables from published numbers and cards'; {PYTHON} -m helpers.book.tables"


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
        "{BIN}/jupyter-book build -n -W --keep-going -q ." + logged("html")
