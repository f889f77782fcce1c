"""Write the book's tables of published numbers, cards and benchmarks before each build: ``python -m helpers.book.tables``."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from .. import published
from ..backbones.registry import REGISTRY
from ..datasets import DATASETS
from ..datasets.registry import title
from ..files import project_root, read_json, replacing
from ..page import markdown_table
from . import trust
from .front import sentences

ROOT = project_root()
FOLDER, BENCHMARKS = ROOT / "book" / "generated", ROOT / "benchmarks" / "results"


def paper_datasets() -> str:
    """Return the eight data sets of the paper and their tasks."""
    table = published.datasets()
    table["dataset"] = [f"{name} {{cite}}`{key}`" for name, key in zip(table["dataset"], table["citation"], strict=True)]
    table["kind"] = table["kind"].map({"binary": "binary", "multiclass": "multi-class", "multilabel": "multi-label"})
    table = table[["dataset", "domain", "image", "text", "target", "kind", "rows", "test_rows"]]
    table.columns = ["Data set", "Domain", "Image", "Text", "Label", "Task", "Pairs", "Test pairs"]
    return markdown_table(table, {"Pairs": ",d", "Test pairs": ",.0f"})


def dataset_cards() -> str:
    """Return one section per registered data set, from its card."""
    return "\n".join(_dataset_card(entry) for entry in DATASETS.values() if entry.name != "manifest")


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
    """Return how far other ways of padding move a SigLIP text vector, as ``benchmarks/padding.py`` measured it."""
    found = read_json(BENCHMARKS / "padding.json")
    rows = [("full length, no mask (used here)", found["full"]["largest_drift_with_the_batch"], None, found["full"]["R"])]
    for name, how in (("batch-longest", "longest text of the batch (the authors)"), ("masked", "full length, with a mask")):
        distance = found[name]["cosine_distance"]
        rows.append((how, distance["largest"], distance["median"], found[name]["R"]))
    table = pd.DataFrame(rows, columns=["Padding", "Largest cosine distance", "Median", "R of the texts"])
    return markdown_table(table, {"Largest cosine distance": ".2g", "Median": ".2g", "R of the texts": ".3f"})


def probing_speed() -> str:
    """Return the times of a sweep's products alone, and of its probes one at a time, relative to the sweep's own."""
    rows = []
    for name, found in read_json(BENCHMARKS / "probing.json")["results"].items():
        where = name.removeprefix("data/embeddings/").replace("/", ", ") if "/" in name else "synthetic"
        sizes = (where, found["rows"], found["dimensions"], found["outputs"])
        loops = (found["dataloader_over_sweep"], found["tight_loop_over_sweep"], found.get("converged", {}).get("ratio"))
        rows.append((*sizes, found["bare_products_over_sweep"], *loops, found["peak_memory_over_embeddings"]))
    timed = ["DataLoader loop", "Loop in memory", "scikit-learn"]
    columns = ["Data", "Rows", "Features", "Outputs", "Matrix products", *timed, "Peak memory"]
    formats = {"Rows": ",d", "Features": ",d", "Matrix products": ".2f", **dict.fromkeys(timed, ".1f"), "Peak memory": ".1f"}
    return markdown_table(pd.DataFrame(rows, columns=columns), formats)


def extraction_speed() -> str:
    """Return the rates of decoding, of the encoder, of extraction and of a plain loop, measured by ``benchmarks/extraction.py``."""
    table = pd.DataFrame(read_json(BENCHMARKS / "extraction.json")["rows"])
    table["backbone"] = [f"`{name}`" for name in table["backbone"]]
    table["decoding"] = table["plain_images_per_s"] / table["plain_share_decoding"]  # of the plain loop, which decodes on one core
    measured = {
        "backbone": "Encoder", "decoding": "One core decodes, images/s", "steady_images_per_s": "The model encodes, images/s",
        "plain_images_per_s": "Plain loop, images/s", "ours_images_per_s": "Here, images/s", "speed_up": "Ratio",
        "of_steady": "Share of the model's own rate", "ours_share_waiting_for_images": "Waiting for images",
    }  # fmt: skip
    table = table[list(measured)].set_axis(list(measured.values()), axis=1)
    formats = {"One core decodes, images/s": ".0f", **dict.fromkeys(table.columns[2:5], ".1f"), "Ratio": ".2f"}
    return markdown_table(table, formats | dict.fromkeys(table.columns[6:], ".0%"))


def larger_than_memory() -> str:
    """Return memory and time of each step on a set that is not read into memory, measured by ``benchmarks/memory.py``."""
    found = read_json(BENCHMARKS / "memory.json")
    runs, settings = pd.DataFrame(found["runs"]), found["settings"]
    small, large = (settings[name] for name in ("small_rows", "rows"))
    cpu = runs.set_index(["rows", "mapped", "step"])["cpu_seconds"]
    names = {
        "load": "load and check", "cone": f"geometry, {settings['n_boot']} resamples",
        "authors-code": f"sweep, `authors-code`, {settings['epochs']} of 100 epochs",
        "converged": f"sweep, `converged`, {settings['strengths']} of 29 strengths",
    }  # fmt: skip
    largest = runs[runs["mapped"] & runs["step"].isin(names)].sort_values("rows").groupby("step").tail(1).set_index("step")
    rows = [
        (what, run.rows, run.peak_anonymous_bytes / 1e9, run.seconds / 60, run.cpu_seconds / 60,
         cpu[small, True, step] / cpu[small, False, step])
        for step, what, run in ((step, what, largest.loc[step]) for step, what in names.items())
    ]  # fmt: skip
    columns = ["Step", "Pairs", "Peak anonymous memory, GB", "Minutes", "Processor minutes", "Time, mapped over in memory"]
    size = runs.loc[runs["rows"] == large, "bytes"].iloc[0] / 1e9
    return (
        f"{large:,} pairs of two vectors of {settings['dim']} numbers take {size:.2f} GB in float16, {2 * size:.2f} GB in float32. "
        f"The last column is of {small:,} pairs, which fit in memory.\n\n"
        + markdown_table(pd.DataFrame(rows, columns=columns), {"Pairs": ",d", **dict.fromkeys(columns[2:], ".1f")})
    )


def paper_cost() -> str:
    """Return what extracting the full paper takes, by set and with failing shards, as ``benchmarks/paper_cost.py`` computed it."""
    found = read_json(BENCHMARKS / "paper_cost.json")
    given, rows = found["assumptions"], pd.DataFrame(found["rows"])
    names = {
        "dataset": "Data set", "encoder": "Encoder", "pairs": "Pairs, both texts", "bound": "Bound by", "pairs_per_s": "Pairs/s",
        "shards": "Shards", "hours_one": "Hours, one accelerator", "hours_eight": "Hours, eight",
    }  # fmt: skip
    by_set = rows[list(names)].assign(dataset=rows["dataset"].map(title), encoder=[f"`{name}`" for name in rows["encoder"]])
    formats = {"Pairs, both texts": ",d", "Pairs/s": ".0f", "Hours, one accelerator": ".1f", "Hours, eight": ".1f"}
    failing = pd.DataFrame(found["failures"]).assign(failing=[f"{row['failing']:.0%}" for row in found["failures"]])
    headings = {
        "failing": "Attempts that fail", "largest_hours": "Largest set, hours", "largest_hours_95": "its 95 % quantile",
        "hours": "All sets, hours", "machine_hours": "Accelerator-hours", "cost": f"Cost at {given['price']:g} an hour",
        "restarts": "Restarts by hand",
    }  # fmt: skip
    of_failures = failing[list(headings)].set_axis(list(headings.values()), axis=1)
    return (
        f"Measured: a core decodes {found['megapixels_per_second']:.0f} megapixels a second. Stated: {given['cores']} cores decode "
        f"for an accelerator that sustains {given['operations'] / 1e12:g} teraflops; a shard starts in {given['start']:.0f} s.\n\n"
        + markdown_table(by_set.set_axis(list(names.values()), axis=1), formats)
        + "\nOn eight accelerators, simulated event by event, one data set and encoder after another:\n\n"
        + markdown_table(of_failures, dict.fromkeys(of_failures.columns[1:], ".1f"))
    )


def coverage() -> str:
    """Return how often intervals cover and tests reject in simulations with known truth, as ``benchmarks/coverage.py`` found."""
    found = read_json(BENCHMARKS / "coverage.json")["results"]
    rows = [(name, values["share"], values["error"], values["simulations"]) for name, values in found.items()]
    table = pd.DataFrame(rows, columns=["What is counted", "Share", "Simulation error", "Simulations"])
    return markdown_table(table, {"Share": ".1%", "Simulation error": ".1%", "Simulations": ",d"})


def _dataset_card(entry) -> str:
    card = entry.card
    cited = f" {{cite}}`{card.citation}`" if card.citation else ""
    splits = "; ".join(f"`{variant}`: {', '.join(splits)}" for variant, splits in entry.splits.items())
    lines = [
        f"### {card.title}\n",
        f"{card.domain.capitalize()} images and texts{cited}. Name in code: `{entry.name}`.\n",
        f"- **Source**: {card.source}",
        f"- **Licence**: {card.licence}",
        *([f"- **Size**: {card.size}"] if card.size else []),
        f"- **Access**: {'credentialed. ' if card.credentialed else ''}{card.access}",
        f"- **Variants and their splits**: {splits}",
        *([f"- **Options**: {', '.join(f'`{name}`' for name in entry.options)}"] if entry.options else []),
        *(f"- {note}" for note in card.notes),
    ]
    return "\n".join(lines) + "\n"


def finding() -> str:
    """Return the three sentences of the front page as a list."""
    return "".join(f"- {sentence}\n" for sentence in sentences())


PAGES: dict[str, Callable[[], str]] = {
    "finding": finding,
    "paper_datasets": paper_datasets,
    "dataset_cards": dataset_cards,
    "encoder_cards": encoder_cards,
    "encoder_inputs": encoder_inputs,
    "padding": padding,
    "probing_speed": probing_speed,
    "extraction_speed": extraction_speed,
    "larger_than_memory": larger_than_memory,
    "paper_cost": paper_cost,
    "coverage": coverage,
    **trust.PAGES,
}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every table to ``<folder>/<name>.md`` and return the paths."""
    paths = []
    for name, make in PAGES.items():
        path = Path(folder) / f"{name}.md"
        with replacing(path) as temporary:
            temporary.write_text(make(), encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in write():
        print(path)
