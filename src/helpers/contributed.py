"""Make and read contributed reports: numbers of one embedding set and their origin, and no other content."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from .arrays import place
from .cones import COLUMNS, cone_table
from .datasets.registry import domain
from .files import checksum_of, project_root, write_json
from .probing.protocol import PROTOCOLS
from .probing.result import SweepResult
from .published import NAMES, SetFacts, facts_of, is_cell, with_routes
from .store.embeddings import EmbeddingSet

FOLDER = Path("data/contributed")
LARGEST = 1_000_000  # bytes of a report
LIBRARIES = ("modality-gap-book", "numpy", "scikit-learn", "torch", "transformers", "open_clip_torch")
MAKE = "make it with `python -m helpers report`"
SLACK = 1e-6  # of inequalities between numbers that were rounded on the way to the file
SELECTED = ["auc_at_zero", "auc", "difference", "low", "high"]
SWEEP_COLUMNS = "protocol alignment features lambda_image lambda_text seed split metric class value".split()

Word = Annotated[str, StringConstraints(pattern=r"^[\w.+:/ ,()-]+$", max_length=120)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[^\p{C}<>`$\\{}|\[\]]+$", max_length=300)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=-SLACK, le=1 + SLACK)]
Change = Annotated[float, Field(ge=-1, le=1)]
Lambda = Annotated[float, Field(ge=-2, le=2)]
Count = Annotated[int, Field(ge=0, le=100_000_000)]
ENCODER = ("source", "revision", "weights", "preprocessing", "tokenizer", "padding", "context_length")  # of the record of a set
Features = Literal["joint", "image", "text"]
QUANTITIES = (
    "R R_distinct distinct_share cos_gap_pc1 gap_share pc1_share gap_norm residual_gap residual_gap_predicted effective_rank"
)
LARGEST_VALUE = dict(zip(QUANTITIES.split(), [1] * 6 + [2] * 3 + [100_000], strict=True))


class ReportPart(BaseModel):
    """A part of a report; a field that the schema does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Contributor(ReportPart):
    """Contributor of the numbers, with date and method."""

    name: Sentence
    date: date
    how: Sentence


class Counts(ReportPart):
    """Sizes of the set."""

    pairs: Annotated[int, Field(ge=2, le=100_000_000)]
    images: Count
    texts: Count
    dimensions: Annotated[int, Field(ge=1, le=100_000)]
    train: Count
    val: Count
    test: Count

    @model_validator(mode="after")
    def _add_up(self):
        if self.train + self.val + self.test != self.pairs or max(self.images, self.texts) > self.pairs:
            raise ValueError("the counts of pairs, splits and distinct items do not add up")
        return self


class Quantity(ReportPart):
    """One row of :func:`helpers.cones.cone_table`."""

    modality: Features
    quantity: Literal[tuple(LARGEST_VALUE)]  # type: ignore[valid-type]
    value: float | None
    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _possible(self):
        most = LARGEST_VALUE[self.quantity]
        if any(x is not None and not -SLACK <= x <= most + SLACK for x in (self.value, self.low, self.high)):
            raise ValueError(f"{self.quantity} is outside 0 to {most}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval of {self.quantity} is reversed")
        return self


class Curve(ReportPart):
    """Macro test AUC at each lambda, a value per seed."""

    features: Features
    metric: Literal["auc", "auc_hard"]
    lambdas: Annotated[list[Lambda], Field(min_length=1, max_length=200)]
    values: Annotated[list[list[Share]], Field(max_length=200)]


class Chosen(ReportPart):
    """The lambda chosen on validation rows, and what it gains on test rows."""

    features: Features
    lambda_image: Lambda
    auc_at_zero: Share
    auc: Share
    difference: Change
    low: Change | None
    high: Change | None


class Sweep(ReportPart):
    """The gap alignment under one protocol."""

    protocol: Literal["paper", "authors-code", "converged"]
    embeddings: Sha256
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1, max_length=100)]
    curves: Annotated[list[Curve], Field(min_length=1, max_length=20)]
    chosen: Annotated[list[Chosen], Field(max_length=3)]

    @model_validator(mode="after")
    def _whole(self):
        if len(set(self.seeds)) < len(self.seeds) or len({(c.features, c.metric) for c in self.curves}) < len(self.curves):
            raise ValueError("a seed or a curve is given twice")
        for curve in self.curves:
            if 0 not in curve.lambdas or len(set(curve.lambdas)) < len(curve.lambdas):
                raise ValueError("a curve needs lambda = 0, and each lambda once")
            if len(curve.values) != len(curve.lambdas) or any(len(row) != len(self.seeds) for row in curve.values):
                raise ValueError("a curve needs one value per lambda and seed")
        return self


class Report(ReportPart):
    """Numbers of one embedding set, with where they come from."""

    format: Literal[1]
    contributor: Contributor
    dataset: Word
    variant: Word
    backbone: Word
    route: Literal["extracted", "imported", "unknown"]
    embeddings: Sha256
    counts: Counts
    encoder: dict[Literal[ENCODER], Word | Count | None]  # type: ignore[valid-type]
    geometry: Annotated[list[Quantity], Field(min_length=1, max_length=40)]
    sweeps: Annotated[list[Sweep], Field(max_length=len(PROTOCOLS))]
    versions: Annotated[dict[Word, Word], Field(max_length=20)]

    @model_validator(mode="after")
    def _fits_together(self):
        values = {(q.modality, q.quantity): q.value for q in self.geometry}
        if len(values) < len(self.geometry) or len({s.protocol for s in self.sweeps}) < len(self.sweeps):
            raise ValueError("a quantity or a protocol is given twice")
        image, text, gap = (values.get(key) for key in (("image", "R"), ("text", "R"), ("joint", "gap_norm")))
        if image is None or text is None or gap is None:
            raise ValueError("R of images, R of texts and the norm of the gap are needed")
        if not abs(image - text) - SLACK <= gap <= image + text + SLACK:  # the means and the gap form a triangle
            raise ValueError("no two means of these lengths have a gap of this norm")
        if any(s.embeddings != self.embeddings for s in self.sweeps):
            raise ValueError("a sweep was made from other embeddings than the geometry")
        return self

    @property
    def names(self) -> tuple[str, str, str]:
        return self.dataset, self.variant, self.backbone

    @property
    def facts(self) -> SetFacts:
        """Return the facts that decide whether the report fills a cell of the paper."""
        counts, by = self.counts, f"{self.contributor.name}, {self.contributor.date}"
        source, revision = (None if self.encoder.get(key) is None else str(self.encoder[key]) for key in ("source", "revision"))
        return SetFacts(*self.names, counts.pairs, counts.test, counts.dimensions, source, revision, self.route, by)

    def geometry_table(self) -> pd.DataFrame:
        """Return the geometry with the columns of :func:`helpers.cones.cone_table`."""
        rows = [(*self.names, domain(self.dataset), *q.model_dump().values()) for q in self.geometry]
        return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float, "low": float, "high": float})

    def sweep_table(self) -> pd.DataFrame:
        """Return macro test AUCs as :func:`helpers.published.sweep_gains` reads them."""
        rows = [
            (*self.names, sweep.protocol, "lambda", curve.features, lam, lam, seed, "test", curve.metric, None, value)
            for sweep in self.sweeps
            for curve in sweep.curves
            for lam, values in zip(curve.lambdas, curve.values, strict=True)
            for seed, value in zip(sweep.seeds, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=[*NAMES, *SWEEP_COLUMNS])

    def selected_table(self) -> pd.DataFrame:
        """Return the lambda chosen on validation rows, a row per protocol and features."""
        rows = [(*self.names, sweep.protocol, *chosen.model_dump().values()) for sweep in self.sweeps for chosen in sweep.chosen]
        return pd.DataFrame(rows, columns=[*NAMES, "protocol", "features", "lambda_image", *SELECTED])


def make_report(embeddings: EmbeddingSet, sweeps: Iterable[SweepResult], name: str, how: str, n_boot: int = 1000) -> Report:
    """Return the report of an embedding set and of its sweeps, one per protocol, by a contributor ``name`` who says ``how``."""
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
        "encoder": {field: encoder.get(field) for field in ENCODER},
        "geometry": _records(geometry),
        "sweeps": [_sweep(result, n_boot) for result in sweeps],
        "versions": {found.name: found.version for found in distributions() if found.name in LIBRARIES},
    }  # fmt: skip
    return _validated(content, "the report cannot be made")


def save_report(report: Report, path) -> Path:
    """Write a report as JSON with its own checksum."""
    content = report.model_dump(mode="json")
    write_json(Path(path), {**content, "sha256": checksum_of(content)})
    return Path(path)


def load_report(path) -> Report:
    """Read a report, checked as a stranger's file: size, checksum, schema, and numbers that can be true together."""
    path = Path(path)
    with open(path, "rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; a report holds numbers only")
    try:
        content = json.loads(data.decode("utf-8"))
        claimed = content.pop("sha256", None) if isinstance(content, dict) else None
        intact = claimed == checksum_of(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not valid JSON; {MAKE}") from None
    if not intact:
        raise ValueError(f"{path} does not match its own checksum; {MAKE}")
    return _validated(content, f"{path} is no report; {MAKE}")


@dataclass(frozen=True)
class Contributed:
    """The reports of a folder by path, oldest first, and the reasons why files were refused."""

    reports: dict[Path, Report]
    refused: dict[Path, str]

    def table(self, name: Literal["geometry", "sweep", "selected"]) -> pd.DataFrame:
        """Return one table of the reports that are cells of the paper; of several reports of one cell the first stands."""
        first = {report.names: report for report in reversed(self.reports.values()) if is_cell(report.facts)}
        tables = [with_routes(getattr(report, f"{name}_table")(), [report.facts]) for report in reversed(first.values())]
        tables = [table for table in tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*NAMES, "route"])


def read_contributed(folder=None) -> Contributed:
    """Read every report of a folder, ``data/contributed`` when None; a file that is no sound report is refused, not fatal."""
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


def _sweep(result: SweepResult, n_boot: int) -> dict:
    table = result.table
    same = (table["alignment"] == "lambda") & (table["lambda_image"] == table["lambda_text"])
    macro = table[same & (table["split"] == "test") & table["class"].isna() & table["metric"].isin(["auc", "auc_hard"])]
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
        "chosen": _records(chosen),
    }


def _records(table: pd.DataFrame) -> list[dict]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _validated(content, what: str) -> Report:
    """Return the report of a JSON object; the first field that does not fit is named, and its value is not repeated."""
    try:
        return Report.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where, why = place(first["loc"]) or "its numbers", first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{what}: {where}: {why}") from None
