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
from helpers.page import printed, span

ROOT = project_root()
FOLDER, BENCHMARKS = ROOT / "book" / "generated", ROOT / "benchmarks" / "results"


def named(table: pd.DataFrame, headings: dict[str, str], caption: str, formats: dict[str, str] | None = None) -> str:
    """Return the columns of ``headings`` as Markdown, under those headings; formats are by heading."""
    return markdown_table(table[list(headings)].rename(columns=headings), caption, formats)


def finding() -> str:
    """Return the sentences of the front page as a list."""
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
    return named(table, headings, "The paper's data sets.", {"Pairs": ",d", "Test pairs": ",.0f"})


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
    table = pd.DataFrame(rows, columns=["Name", "Encoder", "Trained on", "How to get it"])
    return markdown_table(table, "Encoders that have a name here.")


def encoder_inputs() -> str:
    """Return what loading applies to pixels and texts of every named encoder, and what of it the tests load."""
    rows = [(f"`{name}`", entry.normalisation, entry.padding, entry.loaded) for name, entry in REGISTRY.items()]
    table = pd.DataFrame(rows, columns=["Name", "Pixels are scaled by", "Padding of texts", "The tests load"])
    return markdown_table(table, "Preprocessing, and what the tests load.")


def padding() -> str:
    """Return how far other ways of padding move a SigLIP text vector."""
    found = read_json(BENCHMARKS / "padding.json")
    rows = [("full length, no mask (used here)", found["full"]["largest_drift_with_the_batch"], None, found["full"]["R"])]
    for name, how in (("batch-longest", "longest text of the batch (the authors)"), ("masked", "full length, with a mask")):
        distance = found[name]["cosine_distance"]
        rows.append((how, distance["largest"], distance["median"], found[name]["R"]))
    table = pd.DataFrame(rows, columns=["Padding", "Largest cosine distance", "Median", "R of the texts"])
    caption = "What padding does to the text vectors of a SigLIP with random weights."
    return markdown_table(table, caption, {"Largest cosine distance": ".2g", "Median": ".2g", "R of the texts": ".2f"})


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
    formats = dict.fromkeys(list(headings.values())[4:], ".1f") | {"Matrix products": ".0%", "DataLoader loop": ".0f"}
    caption = "Processor time of plain ways as a multiple of the sweep's, and the share of the sweep's that are matrix products."
    return named(table, headings, caption, {"Rows": ",d", "Features": ",d", **formats})


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
    formats = dict(zip(list(headings.values())[1:], [".0f", ".0f", ".0f", ".0f", ".1f", ".0%", ".0%"], strict=True))
    return named(table, headings, "Images a second, extraction against a plain loop.", formats)


def larger_than_memory() -> str:
    """Return memory and time of each step on a set that is not read into memory."""
    found = read_json(BENCHMARKS / "memory.json")
    runs, settings = pd.DataFrame(found["runs"]), found["settings"]
    small, large = settings["small_rows"], settings["rows"]
    cpu = runs.set_index(["rows", "mapped", "step"])["cpu_seconds"]
    steps = {
        "load": "load and check", "cone": f"geometry, {settings['n_boot']:,} resamples",
        "authors-code": f"sweep, `authors-code`, {settings['epochs']} of 100 epochs",
        "converged": f"sweep, `converged`, {settings['strengths']} of 29 regularisation strengths",
    }  # fmt: skip
    largest = runs[runs["mapped"]].sort_values("rows").groupby("step").tail(1).set_index("step").loc[list(steps)].reset_index()
    table = largest.assign(
        ratio=[cpu[small, True, step] / cpu[small, False, step] for step in largest["step"]],
        step=largest["step"].map(steps), memory=largest["peak_anonymous_bytes"] / 1e9,
        cpu_minutes=largest["cpu_seconds"] / 60,
    )  # fmt: skip
    headings = {
        "step": "Step", "memory": "Peak anonymous memory, GB", "cpu_minutes": "Processor minutes",
        "ratio": "Time, mapped over in memory",
    }  # fmt: skip
    size = runs.loc[runs["rows"] == large, "bytes"].iloc[0] / 1e9
    return (
        f"{large:,} synthetic pairs of two vectors of {settings['dim']:,} numbers take {size:.1f} GB in float16, "
        f"{2 * size:.1f} GB in float32. The last column is of {small:,} pairs, which fit in memory.\n\n"
        + named(
            table, headings, "Memory and time of steps on a mapped set.", dict.fromkeys(headings.values(), ".1f") | {"Step": ""}
        )
    )


def paper_cost() -> str:
    """Return the hours of extracting the full paper, by set and encoder, and in all on eight accelerators."""
    found = read_json(BENCHMARKS / "paper_cost.json")
    given, rows, failing = found["assumptions"], pd.DataFrame(found["rows"]), pd.DataFrame(found["failures"])
    rows = rows.assign(encoder="`" + rows["encoder"] + "`", hours=[f"{h:.0f}" if h >= 1 else "< 1" for h in rows["hours_one"]])
    table = rows.pivot(index=["dataset", "pairs"], columns="encoder", values="hours")[rows["encoder"].unique()].reset_index()
    table["dataset"] = table["dataset"].map(title)
    table = table.sort_values("pairs", ascending=False).rename(columns={"dataset": "Data set", "pairs": "Pairs, at most"})
    decoded = ", ".join(sorted({title(name) for name in rows.loc[rows["bound"] == "decoding", "dataset"]}))
    whole = span(failing["hours"].min(), failing["hours"].max(), ".0f")
    paid = span(failing["machine_hours"].min(), failing["machine_hours"].max(), ".0f")
    return (
        f"A core decodes {found['megapixels_per_second']:.0f} megapixels a second; this alone was measured. We assume "
        f"{given['cores']} such cores for an accelerator that sustains {given['operations'] / 1e12:g} teraflops, and "
        f"{given['start'] / 60:g} minutes until a shard starts. With some encoders, decoding is the bottleneck on {decoded}; "
        "elsewhere encoding is.\n\n"
        + markdown_table(table, "Hours of extraction on one accelerator.", {"Pairs, at most": ",d"})
        + "\nPairs count once for each text of a data set; of MIMIC-CXR and Fakeddit they are upper bounds. Simulated on eight "
        f"accelerators, everything takes {whole} hours, {paid} accelerator-hours in all, whether no attempt fails or "
        f"{printed(format(failing['failing'].max(), '.0%'))} do.\n"
    )


def coverage() -> str:
    """Return how often intervals cover and tests reject in simulations with known truth."""
    found = read_json(trust.RESULTS / "coverage.json")["results"]
    table = pd.DataFrame(found).T.rename_axis("what").reset_index().astype({"simulations": int})
    headings = {"what": "What is counted", "share": "Share", "error": "Simulation error", "simulations": "Simulations"}
    caption = "How often intervals cover the truth and the test rejects, in simulations."
    return named(table, headings, caption, {"Share": ".1%", "Simulation error": ".1%", "Simulations": ",d"})


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
