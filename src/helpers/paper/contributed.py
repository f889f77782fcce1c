"""Handle contributed reports: make one, read one as a stranger's file, and join those of a folder to our own tables.

A report holds no vectors, no rows, no identifiers and no texts: :class:`helpers.paper.report.Report` has no field for them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import ValidationError

from ..checks import place
from ..files import checksum_of, project_root, write_json
from ..measures import cone_table
from ..probing.result import SweepResult
from ..store.embeddings import EmbeddingSet
from .cells import NAMES, SetFacts, facts_of, is_cell, with_routes
from .report import SELECTED, Encoder, Report

FOLDER = Path("data/contributed")
LARGEST = 1_000_000  # bytes of a report
LIBRARIES = ("modality-gap-book", "numpy", "scikit-learn", "torch", "transformers", "open_clip_torch")
METRICS = ("auc", "auc_hard")
MAKE = "make it with `python -m helpers report`"


def make_report(embeddings: EmbeddingSet, sweeps: Iterable[SweepResult], name: str, how: str, n_boot: int = 1000) -> Report:
    """Return the report of an embedding set.

    Args:
        sweeps: sweeps of this set, one per protocol.
        name: printed name of the contributor.
        how: one sentence on how the numbers were computed.
        n_boot: bootstrap replicates of the intervals.

    Raises:
        ValueError: the set is a synthetic miniature, or a field does not fit the schema.
    """
    if embeddings.synthetic:
        raise ValueError(f"{embeddings.dataset} says nothing about the real data set; report real data")
    facts, encoder = facts_of(embeddings), embeddings.provenance.get("encoder") or {}
    splits = {split: len(embeddings.rows(split)) for split in ("train", "val", "test")}
    geometry = cone_table(embeddings, n_boot).drop(columns=[*NAMES, "domain"]).round(9)
    content = {
        "format": 1,
        "contributor": {"name": name, "date": date.today(), "how": how},
        **embeddings.identity.columns,
        "route": facts.route,
        "embeddings": embeddings.fingerprint,
        "counts": {"pairs": len(embeddings), "images": len(embeddings.image), "texts": len(embeddings.text),
                   "dimensions": embeddings.dim, **splits},
        "encoder": {field: encoder.get(field) for field in Encoder.model_fields},
        "geometry": geometry.astype(object).where(geometry.notna(), None).to_dict("records"),
        "sweeps": [_sweep(result, n_boot) for result in sweeps],
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }  # fmt: skip
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"the report cannot be made: {_first_problem(error)}") from None


def save_report(report: Report, path) -> Path:
    """Write a report as JSON with its own checksum."""
    content = report.model_dump(mode="json")
    write_json(Path(path), {**content, "sha256": checksum_of(content)})
    return Path(path)


def load_report(path) -> Report:
    """Read a report, checked as a stranger's file: size, checksum, schema, and numbers that can be true together.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is too large, is not a report, or states impossible values; names the file and the field.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; a report holds numbers only")
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct_keys)
        claimed = content.pop("sha256", None) if isinstance(content, dict) else None
        intact = claimed == checksum_of(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not valid JSON without repeated keys and NaN; {MAKE}") from None
    if not intact:
        raise ValueError(f"{path} does not match its own checksum; {MAKE}")
    try:
        return Report.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_problem(error)}; {MAKE}") from None


@dataclass(frozen=True)
class Contributed:
    """The reports of a folder: their tables with the origin of every row, and the files that were refused.

    Args:
        reports: by path, oldest first.
        refused: reason by path.
    """

    reports: dict[Path, Report]
    refused: dict[Path, str]

    @property
    def facts(self) -> list[SetFacts]:
        """Return the facts of every report."""
        return [report.facts for report in self.reports.values()]

    def table(self, name: Literal["geometry", "sweep", "selected"]) -> pd.DataFrame:
        """Return one table of the reports that are cells of the paper; of several reports of one cell the first stands."""
        first = {report.names: report for report in reversed(self.reports.values()) if is_cell(report.facts)}
        tables = [with_routes(getattr(report, f"{name}_table")(), [report.facts]) for report in reversed(first.values())]
        tables = [table for table in tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*NAMES, "route"])

    def listing(self) -> pd.DataFrame:
        """Return a row per report: file, data set, variant, encoder, by, on, how, protocols, whether it fills a cell."""
        rows = []
        for path, report in self.reports.items():
            who, protocols = report.contributor, ", ".join(sweep.protocol for sweep in report.sweeps)
            rows.append(
                (path.name, *report.names, who.name, str(who.date), who.how, protocols, "yes" if is_cell(report.facts) else "no")
            )
        return pd.DataFrame(rows, columns=["file", *NAMES, "by", "on", "how", "protocols", "fills a cell"])


def read_contributed(folder=None) -> Contributed:
    """Read every report of a folder, ``data/contributed`` when None; a file that is no sound report is refused, not fatal.

    Raises:
        FileNotFoundError: ``folder`` is given and is not a folder.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"contributed reports: {folder} is not a folder; give the folder that holds the JSON files")
    reports, refused = {}, {}
    for path in sorted((project_root() / FOLDER if folder is None else Path(folder)).glob("*.json")):
        try:
            reports[path] = load_report(path)
        except (ValueError, OSError) as error:
            refused[path] = " ".join(str(error).split())
    by_date = sorted(reports.items(), key=lambda item: (item[1].contributor.date, item[0].name))
    return Contributed(dict(by_date), refused)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _sweep(result: SweepResult, n_boot: int) -> dict:
    table = result.table
    same = (table["alignment"] == "lambda") & (table["lambda_image"] == table["lambda_text"])
    macro = table[same & (table["split"] == "test") & table["class"].isna() & table["metric"].isin(METRICS)]
    seeds = sorted(int(seed) for seed in macro["seed"].unique())
    curves = []
    for (features, metric), rows in macro.groupby(["features", "metric"], sort=False):
        wide = rows.pivot_table(index="lambda_image", columns="seed", values="value")[seeds].round(9)
        curves.append({"features": features, "metric": metric, "lambdas": wide.index.tolist(), "values": wide.to_numpy().tolist()})
    chosen = result.selected(n_boot=n_boot)[["features", "lambda_image", *SELECTED]].round(9)
    return {
        "protocol": result.provenance["protocol"],
        "embeddings": result.provenance["embeddings"],
        "seeds": seeds,
        "curves": curves,
        "chosen": chosen.astype(object).where(chosen.notna(), None).to_dict("records"),
    }


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{place(first['loc']) or 'its numbers'}: {first['msg'].removeprefix('Value error, ')}"
