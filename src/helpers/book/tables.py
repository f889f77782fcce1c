"""Write the tables of the book that come from published numbers and cards, before each build: ``python -m helpers.book.tables``."""

import re
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pandas as pd

from ..backbones.registry import REGISTRY
from ..datasets import DATASETS
from ..files import read_json, replacing
from ..paper import published
from .formatting import markdown_table

ROOT = Path(__file__).resolve().parents[3]
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
    """Return how much longer than one sweep its probes take one at a time, as ``benchmarks/probing.py`` measured it."""
    rows = []
    for name, found in read_json(BENCHMARKS / "probing.json")["results"].items():
        where = name.removeprefix("data/embeddings/").replace("/", ", ") if "/" in name else "synthetic"
        sizes = (where, found["rows"], found["dimensions"], found["outputs"])
        loops = (found["fused_over_dataloader"], found["fused_over_tight_loop"], found.get("converged", {}).get("ratio"))
        rows.append((*sizes, *loops, found["peak_memory_over_embeddings"]))
    columns = ["Data", "Rows", "Features", "Outputs", "DataLoader loop", "Loop in memory", "scikit-learn", "Peak memory"]
    table = pd.DataFrame(rows, columns=columns)
    return markdown_table(table, {"Rows": ",d", "Features": ",d", **dict.fromkeys(columns[4:7], ".1f"), "Peak memory": ".1f"})


def extraction_speed() -> str:
    """Return images per second beside a plain loop over the same model, as ``benchmarks/extraction.py`` measured it."""
    table = pd.DataFrame(read_json(BENCHMARKS / "extraction.json")["rows"])
    table["backbone"] = [f"`{name}`" for name in table["backbone"]]
    measured = {
        "backbone": "Encoder", "plain_images_per_s": "Plain loop, images/s", "ours_images_per_s": "Here, images/s",
        "speed_up": "Ratio", "of_steady": "Share of the model's own rate", "ours_share_waiting_for_images": "Waiting for images",
    }  # fmt: skip
    table = table[list(measured)].set_axis(list(measured.values()), axis=1)
    return markdown_table(
        table, dict.fromkeys(table.columns[1:3], ".1f") | {"Ratio": ".2f"} | dict.fromkeys(table.columns[4:], ".0%")
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


PAGES: dict[str, Callable[[], str]] = {
    "paper_datasets": paper_datasets,
    "dataset_cards": dataset_cards,
    "encoder_cards": encoder_cards,
    "encoder_inputs": encoder_inputs,
    "padding": padding,
    "probing_speed": probing_speed,
    "extraction_speed": extraction_speed,
    "fault_figures": lambda: fault_figures(),
    "licences": lambda: licences(),
    "coverage": coverage,
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


def fault_figures(path: Path = BENCHMARKS / "faults.json") -> str:
    """Return what the fault and fuzz runs counted, one row a run; a sentence where no run was stored."""
    if not path.is_file():
        return (
            "No fault run is stored in `benchmarks/results/faults.json`, so this build has no figures. "
            "The tests named above hold each promise at the size that `make test` runs.\n"
        )
    rows = []
    for name, found in read_json(path).items():
        counts = found if isinstance(found, dict) else {"count": found}
        rows.append((name.replace("_", " "), "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in counts.items())))
    return markdown_table(pd.DataFrame(rows, columns=["Run", "Counted"]))


def licences() -> str:
    """Return the licence of every package that ``pyproject.toml`` names, as the installed package states it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {
        "to run": project["dependencies"],
        **{f"for the {extra}": of for extra, of in project["optional-dependencies"].items()},
    }
    names = [(re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0], role) for role, lines in wanted.items() for line in lines]
    rows = [(name, role, _licence(name)) for name, role in names]
    return markdown_table(pd.DataFrame(rows, columns=["Package", "Needed", "Licence"]))


def _licence(package: str) -> str:
    """Return the licence expression of an installed package, else its classifiers, else the first line of its licence field."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return "not installed here"
    classifiers = [c.split(" :: ")[-1] for c in found.get_all("Classifier", []) if c.startswith("License ::")]
    stated = [line for line in (found["License"] or "").strip().splitlines() if line != "UNKNOWN"]
    return found["License-Expression"] or ", ".join(classifiers) or (stated[0] if stated else "not stated by the package")


if __name__ == "__main__":
    for path in write():
        print(path)
