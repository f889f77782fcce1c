"""Write the tables of the book's prose pages before each build: ``python workflow/book_tables.py``."""

from collections.abc import Callable
from pathlib import Path

import front
import pandas as pd
import trust
from summary import markdown_table

from helpers import published
from helpers.backbones.registry import REGISTRY
from helpers.datasets import DATASETS
from helpers.datasets.registry import title
from helpers.files import project_root, read_json, replacing

ROOT = project_root()
FOLDER, BENCHMARKS = ROOT / "book" / "generated", ROOT / "benchmarks" / "results"


def named(table: pd.DataFrame, headings: dict[str, str], formats: dict[str, str] | None = None) -> str:
    """Return the columns of ``headings`` as Markdown, under those headings; formats are by heading."""
    return markdown_table(table[list(headings)].rename(columns=headings), formats)


def finding() -> str:
    """Return the three sentences of the front page as a list."""
    return "".join(f"- {sentence}\n" for sentence in front.sentences())


def paper_datasets() -> str:
    """Return the eight data sets of the paper and their tasks."""
    table = published.datasets()
    table["dataset"] = [f"{name} {{cite}}`{key}`" for name, key in zip(table["dataset"], table["citation"], strict=True)]
    table["kind"] = table["kind"].map({"binary": "binary", "multiclass": "multi-class", "multilabel": "multi-label"})
    headings = {
        "dataset": "Data set", "domain": "Domain", "image": "Image", "text": "Text", "target": "Label", "kind": "Task",
        "rows": "Pairs", "test_rows": "Test pairs",
    }  # fmt: skip
    return named(table, headings, {"Pairs": ",d", "Test pairs": ",.0f"})


def dataset_cards() -> str:
    """Return one folded card per registered data set."""
    return "\n".join(_dataset_card(entry) for entry in DATASETS.values() if entry.name != "manifest")


def _dataset_card(entry) -> str:
    card = entry.card
    cited = f" {{cite}}`{card.citation}`" if card.citation else ""
    splits = "; ".join(f"`{variant}`: {', '.join(splits)}" for variant, splits in card.splits.items())
    facts = {
        "Source": card.source, "Licence": card.licence, "Size": card.size,
        "Access": f"{'credentialed. ' if card.credentialed else ''}{card.access}", "Variants and their splits": splits,
        "Options": ", ".join(f"`{name}`" for name in entry.options),
    }  # fmt: skip
    lines = [f"**{what}**: {fact}" for what, fact in facts.items() if fact] + list(card.notes)
    opening = f"{card.domain.capitalize()} images and texts{cited}. Name in code: `{entry.name}`."
    return f":::{{dropdown}} {card.title}\n{opening}\n\n" + "".join(f"- {line}\n" for line in lines) + ":::\n"


def encoder_cards() -> str:
    """Return every named encoder: its title, its training data and how to get it."""
    rows = [
        (f"`{name}`", entry.title + (f" {{cite}}`{entry.citation}`" if entry.citation else ""), entry.domain, entry.access)
        for name, entry in REGISTRY.items()
    ]
    return markdown_table(pd.DataFrame(rows, columns=["Name", "Encoder", "Trained on", "How to get it"]))


def encoder_inputs() -> str:
    """Return what loading applies to pixels and texts of every named encoder, and what of it the tests load."""
    rows = [(f"`{name}`", entry.normalisation, entry.padding, entry.loaded) for name, entry in REGISTRY.items()]
    return markdown_table(pd.DataFrame(rows, columns=["Name", "Pixels are scaled by", "Padding of texts", "The tests load"]))


def padding() -> str:
    """Return how far other ways of padding move a SigLIP text vector."""
    found = read_json(BENCHMARKS / "padding.json")
    rows = [("full length, no mask (used here)", found["full"]["largest_drift_with_the_batch"], None, found["full"]["R"])]
    for name, how in (("batch-longest", "longest text of the batch (the authors)"), ("masked", "full length, with a mask")):
        distance = found[name]["cosine_distance"]
        rows.append((how, distance["largest"], distance["median"], found[name]["R"]))
    table = pd.DataFrame(rows, columns=["Padding", "Largest cosine distance", "Median", "R of the texts"])
    return markdown_table(table, {"Largest cosine distance": ".2g", "Median": ".2g", "R of the texts": ".3f"})


def probing_speed() -> str:
    """Return processor time of a sweep's products alone, and of four plain ways of training its probes, relative to its own."""
    results = read_json(BENCHMARKS / "probing.json")["results"]
    table = pd.DataFrame(results.values())
    table["data"] = [name.removeprefix("data/embeddings/").replace("/", ", ") if "/" in name else "synthetic" for name in results]
    headings = {
        "data": "Data", "rows": "Rows", "dimensions": "Features", "outputs": "Outputs",
        "bare_products_over_sweep": "Matrix products", "rank_one_products_over_sweep": "Shared product",
        "fused_bmm_over_sweep": "`bmm`", "tight_loop_over_sweep": "Loop in memory", "dataloader_loop_over_sweep": "DataLoader loop",
        "peak_memory_over_embeddings": "Peak memory",
    }  # fmt: skip
    formats = dict.fromkeys(list(headings.values())[4:], ".1f") | {"Matrix products": ".2f", "Shared product": ".2f"}
    return named(table, headings, {"Rows": ",d", "Features": ",d", **formats})


def extraction_speed() -> str:
    """Return the rates of decoding, of the encoder, of extraction and of a plain loop."""
    table = pd.DataFrame(read_json(BENCHMARKS / "extraction.json")["rows"])
    table["backbone"] = [f"`{name}`" for name in table["backbone"]]
    table["decoding"] = table["plain_images_per_s"] / table["plain_share_decoding"]  # of the plain loop, which decodes on one core
    headings = {
        "backbone": "Encoder", "decoding": "One core decodes, images/s", "steady_images_per_s": "The model encodes, images/s",
        "plain_images_per_s": "Plain loop, images/s", "ours_images_per_s": "Here, images/s", "speed_up": "Ratio",
        "of_steady": "Share of the model's own rate", "ours_share_waiting_for_images": "Waiting for images",
    }  # fmt: skip
    formats = dict(zip(list(headings.values())[1:], [".0f", ".1f", ".1f", ".1f", ".2f", ".0%", ".0%"], strict=True))
    return named(table, headings, formats)


def larger_than_memory() -> str:
    """Return memory and time of each step on a set that is not read into memory."""
    found = read_json(BENCHMARKS / "memory.json")
    runs, settings = pd.DataFrame(found["runs"]), found["settings"]
    small, large = settings["small_rows"], settings["rows"]
    cpu = runs.set_index(["rows", "mapped", "step"])["cpu_seconds"]
    steps = {
        "load": "load and check", "cone": f"geometry, {settings['n_boot']} resamples",
        "authors-code": f"sweep, `authors-code`, {settings['epochs']} of 100 epochs",
        "converged": f"sweep, `converged`, {settings['strengths']} of 29 regularisation strengths",
    }  # fmt: skip
    largest = runs[runs["mapped"]].sort_values("rows").groupby("step").tail(1).set_index("step").loc[list(steps)].reset_index()
    table = largest.assign(
        ratio=[cpu[small, True, step] / cpu[small, False, step] for step in largest["step"]],
        step=largest["step"].map(steps), memory=largest["peak_anonymous_bytes"] / 1e9,
        minutes=largest["seconds"] / 60, cpu_minutes=largest["cpu_seconds"] / 60,
    )  # fmt: skip
    headings = {
        "step": "Step", "rows": "Pairs", "memory": "Peak anonymous memory, GB", "minutes": "Minutes",
        "cpu_minutes": "Processor minutes", "ratio": "Time, mapped over in memory",
    }  # fmt: skip
    size = runs.loc[runs["rows"] == large, "bytes"].iloc[0] / 1e9
    return (
        f"{large:,} pairs of two vectors of {settings['dim']} numbers take {size:.2f} GB in float16, {2 * size:.2f} GB in float32. "
        f"The last column is of {small:,} pairs, which fit in memory.\n\n"
        + named(table, headings, {"Pairs": ",d", **dict.fromkeys(list(headings.values())[2:], ".1f")})
    )


def paper_cost() -> str:
    """Return what extracting the full paper takes, by set and with failing shards."""
    found = read_json(BENCHMARKS / "paper_cost.json")
    given, rows, failing = found["assumptions"], pd.DataFrame(found["rows"]), pd.DataFrame(found["failures"])
    by_set = {
        "dataset": "Data set", "encoder": "Encoder", "pairs": "Pairs, both texts", "bound": "Bound by", "pairs_per_s": "Pairs/s",
        "shards": "Shards", "hours_one": "Hours, one accelerator", "hours_eight": "Hours, eight",
    }  # fmt: skip
    formats = {"Pairs, both texts": ",d", "Pairs/s": ".0f", "Hours, one accelerator": ".1f", "Hours, eight": ".1f"}
    failures = {
        "failing": "Attempts that fail", "largest_hours": "Largest set, hours", "largest_hours_95": "its 95 % quantile",
        "hours": "All sets, hours", "machine_hours": "Accelerator-hours", "cost": f"Cost at {given['price']:g} an hour",
        "restarts": "Restarts by hand",
    }  # fmt: skip
    return (
        f"Measured: a core decodes {found['megapixels_per_second']:.0f} megapixels a second. Stated: {given['cores']} cores decode "
        f"for an accelerator that sustains {given['operations'] / 1e12:g} teraflops; a shard starts in {given['start']:.0f} s.\n\n"
        + named(rows.assign(dataset=rows["dataset"].map(title), encoder="`" + rows["encoder"] + "`"), by_set, formats)
        + "\nOn eight accelerators, simulated event by event, one data set and encoder after another:\n\n"
        + named(failing, failures, {"Attempts that fail": ".0%", **dict.fromkeys(list(failures.values())[1:], ".1f")})
    )


def coverage() -> str:
    """Return how often intervals cover and tests reject in simulations with known truth."""
    found = read_json(trust.RESULTS / "coverage.json")["results"]
    table = pd.DataFrame(found).T.rename_axis("what").reset_index().astype({"simulations": int})
    headings = {"what": "What is counted", "share": "Share", "error": "Simulation error", "simulations": "Simulations"}
    return named(table, headings, {"Share": ".1%", "Simulation error": ".1%", "Simulations": ",d"})


OWN = (
    finding, paper_datasets, dataset_cards, encoder_cards, encoder_inputs, padding, probing_speed, extraction_speed,
    larger_than_memory, paper_cost, coverage,
)  # fmt: skip
PAGES: dict[str, Callable[[], str]] = {make.__name__: make for make in OWN} | trust.PAGES


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every table to ``<folder>/<name>.md`` and return the paths."""
    paths = {Path(folder) / f"{name}.md": make for name, make in PAGES.items()}
    for path, make in paths.items():
        with replacing(path) as temporary:
            temporary.write_text(make(), encoding="utf-8")
    return list(paths)


if __name__ == "__main__":
    print(*write(), sep="\n")
