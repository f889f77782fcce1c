"""Make and read contributed reports: numbers of one embedding set and their origin, and no other content."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from .arrays import place
from .cones import cone_table
from .datasets.registry import domain
from .files import checksum_of, matches_checksum, project_root, read_json, write_json
from .probing.result import TIES, SweepResult
from .published import NAMES, SetFacts, cell_faults, facts_of, with_routes
from .schemas import DECLARED, SLACK, TABLES, TYPES, Count, Hash, check_table
from .store.embeddings import EmbeddingSet

LARGEST = 1_000_000  # bytes of a report
OF_A_MODALITY = ("R", "R_distinct", "effective_rank", "distinct_share")
METRICS, REPORTED = (get_args(TYPES[name]) for name in ("Metric", "Protocol"))
ENCODER = ("source", "revision", "weights", "preprocessing", "tokenizer", "padding", "context_length")  # of the record of a set
PARTS = ("geometry", "sweep", "selected")

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+:/,()-]+( [A-Za-z0-9_.+:/,()-]+)*$", max_length=120)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[^\p{C}<>`$\\{}|\[\]]+$", max_length=300)]


class Report(BaseModel, extra="forbid", strict=True, allow_inf_nan=False):
    """Numbers of one embedding set, with who computed them, when and how; columns of the rows: ``schemas.TABLES``."""

    names: tuple[Word, Word, Word]  # data set, variant, encoder
    by: Sentence
    date: Annotated[date, Field(ge=date(2020, 1, 1))]
    how: Sentence
    route: Literal["extracted", "imported", "unknown"]
    embeddings: Hash
    dimensions: Annotated[int, Field(ge=1, le=DECLARED["largest"]["quantity"]["effective_rank"])]
    counts: dict[Literal["pairs", "images", "texts", "train", "val", "test"], Count]
    encoder: dict[Literal[ENCODER], Word | None]  # type: ignore[valid-type]
    geometry: list[Annotated[list, Field(min_length=5, max_length=5)]]
    sweep: list[Annotated[list, Field(min_length=6, max_length=6)]]
    selected: list[Annotated[list, Field(min_length=8, max_length=8)]]

    def table(self, part: str) -> pd.DataFrame:
        """Return the rows of a part as a checked table."""
        columns = TABLES[f"report_{part}"]
        return check_table(pd.DataFrame(getattr(self, part), columns=list(columns)), columns)

    @model_validator(mode="after")
    def _possible(self):
        geometry, sweep, selected = map(self.table, PARTS)
        faults = chain(self._faults_of_counts(), self._faults_of_geometry(geometry), self._faults_of_sweeps(sweep, selected))
        if fault := next((fault for fault, found in faults if found), None):
            raise ValueError(fault)
        return self

    def _faults_of_counts(self) -> Iterator[tuple[str, bool]]:
        n = self.counts
        whole = len(n) == 6 and n["pairs"] == n["train"] + n["val"] + n["test"] >= max(n["images"], n["texts"])
        yield "the counts of pairs, splits and distinct items do not add up", not whole
        yield "there are no pairs, images or texts", min(n["images"], n["texts"]) == 0
        yield "its sweeps have no train or no test pairs", bool(self.sweep) and min(n["train"], n["test"]) == 0
        yield "its date lies in the future", self.date > date.today() + timedelta(days=1)

    def _faults_of_geometry(self, rows: pd.DataFrame) -> Iterator[tuple[str, bool]]:
        n, quantity, largest = self.counts, rows["quantity"], min(self.dimensions, self.counts["pairs"]) + SLACK
        yield "a quantity is not of its modality", ((rows["modality"] == "joint") == quantity.isin(OF_A_MODALITY)).any()
        yield "effective_rank is outside its range", (rows.loc[quantity == "effective_rank", "value"].astype(float) > largest).any()
        yield "a quantity has half an interval", (rows[["value", "low", "high"]].notna().sum(axis=1) == 2).any()
        values = rows.set_index(["modality", "quantity"])["value"].astype(float)
        for modality, items in (("image", n["images"]), ("text", n["texts"])):
            off = abs(values.get((modality, "distinct_share"), math.nan) - items / n["pairs"])
            yield f"distinct_share is not that of its {items} {modality}s", off > SLACK
        image, text, gap = (values.get(key, math.nan) for key in (("image", "R"), ("text", "R"), ("joint", "gap_norm")))
        triangle = abs(image - text) - SLACK <= gap <= image + text + SLACK
        yield "two R and a gap of a length that such means can have are needed", not triangle

    def _faults_of_sweeps(self, sweep: pd.DataFrame, selected: pd.DataFrame) -> Iterator[tuple[str, bool]]:
        means = {}
        for curve, rows in sweep.groupby(["protocol", "features", "metric"]):
            lambdas = rows["lambda_image"].unique()
            yield "two lambdas of a curve are nearly equal", len(np.unique(lambdas.round(6))) < len(lambdas)
            grid = rows.pivot_table("value", "seed", "lambda_image", aggfunc="count", fill_value=0)
            yield "a curve needs lambda = 0, and each lambda and seed once", 0 not in lambdas or (grid != 1).any(axis=None)
            means[curve] = rows.groupby("lambda_image")["value"].mean()
        off = (selected["auc"] - selected["auc_at_zero"] - selected["difference"]).abs() > SLACK
        yield "a choice is given twice", selected.duplicated(["protocol", "features"]).any()
        yield "a gain is not the difference of its two AUCs", off.any()
        for protocol, features, lam, *scores in selected.iloc[:, :5].itertuples(index=False):
            curves = [mean for metric in METRICS if (mean := means.get((protocol, features, metric))) is not None]
            fits = [lam in mean and np.allclose([mean[0], mean[lam]], scores, rtol=0, atol=TIES) for mean in curves]
            yield "a choice is no point of its curve", not any(fits)

    @property
    def facts(self) -> SetFacts:
        """Return the facts that decide whether the report fills a cell of the paper."""
        n, encoder, route = self.counts, self.encoder, f"{self.route}, contributed by {self.by}, {self.date}"
        return SetFacts(self.names, n["pairs"], n["test"], self.dimensions, encoder.get("source"), encoder.get("revision"), route)

    def save(self, path) -> Path:
        """Write the report as JSON with its own checksum."""
        content = self.model_dump(mode="json")
        write_json(Path(path), {**content, "sha256": checksum_of(content)})
        return Path(path)


def make_report(embeddings: EmbeddingSet, sweeps: Iterable[SweepResult], name: str, how: str, n_boot: int = 1000) -> Report:
    """Return the report of an embedding set and of its sweeps, one per protocol, by a contributor ``name`` who says ``how``."""
    if embeddings.identity.synthetic:
        raise ValueError(f"{embeddings.dataset} says nothing about the real data set; report real data")
    for field, value in (("by", name), ("how", how)):
        try:
            TypeAdapter(Sentence).validate_python(value)
        except ValidationError:
            raise ValueError(f"{field} is {value!r}; give one line of at most 300 characters, without <>`$\\{{}}|[]") from None
    facts, encoder = facts_of(embeddings), embeddings.provenance.get("encoder") or {}
    counts = {"pairs": len(embeddings), "images": len(embeddings.image), "texts": len(embeddings.text)}
    content: dict[str, Any] = {
        "names": facts.names, "by": name, "date": date.today(), "how": how, "route": facts.route,
        "embeddings": embeddings.fingerprint, "dimensions": embeddings.dim,
        "counts": counts | {split: len(embeddings.rows(split)) for split in ("train", "val", "test")},
        "encoder": {key: encoder.get(key) and str(encoder[key]) for key in ENCODER},
        "geometry": _rows("geometry", cone_table(embeddings, n_boot)), "sweep": [], "selected": [],
    }  # fmt: skip
    for result in sweeps:
        protocol = result.provenance["protocol"]
        if result.provenance["embeddings"] != embeddings.fingerprint:
            raise ValueError(f"the sweep under {protocol} was made from other embeddings than the geometry; run it again")
        same = result.table.query("alignment == 'lambda' and lambda_image == lambda_text and split == 'test' and `class`.isna()")
        content["sweep"] += _rows("sweep", same[same["metric"].isin(METRICS)].assign(protocol=protocol))
        content["selected"] += _rows("selected", result.selected(n_boot=n_boot).assign(protocol=protocol))
    return _validated(content, "the report cannot be made")


def _rows(part: str, table: pd.DataFrame) -> list[list]:
    rows = table[list(TABLES[f"report_{part}"])].round(9)
    return rows.astype(object).where(rows.notna(), None).to_numpy().tolist()


def load_report(path) -> Report:
    """Read a report, checked as a stranger's file: size, checksum, schema, and numbers that can be true together."""
    if Path(path).stat().st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; a report holds numbers only")
    content = read_json(path)
    if not matches_checksum(content, "sha256"):
        raise ValueError(f"{path} does not match its own checksum; make it with `python -m helpers report`")
    return _validated(content, f"{path} is no report")


class Contributed:
    """The reports of a folder (``data/contributed`` when None), oldest first, and why others were refused, by file name."""

    def __init__(self, folder=None):
        if folder is not None and not Path(folder).is_dir():
            raise FileNotFoundError(f"contributed reports: {folder} is not a folder; give the folder that holds the JSON files")
        self.reports, self.refused = [], {}
        for path in sorted((project_root() / "data/contributed" if folder is None else Path(folder)).glob("*.json")):
            try:
                self.reports.append(load_report(path))
            except (ValueError, OSError) as error:
                self.refused[path.name] = " ".join(str(error).split())
        self.reports.sort(key=lambda report: report.date)

    def join(self, own: pd.DataFrame, part: str, by: Iterable[str] = ("dataset", "backbone")) -> pd.DataFrame:
        """Return own rows and those of reports that are cells of the paper; of rows alike in ``by``, own and older ones stand."""
        for report in (report for report in self.reports if cell_faults(report.facts) == []):
            rows = report.table(part)
            rows = rows.astype({column: float for column in ("value", "low", "high") if column in rows})
            rows = with_routes(rows.assign(**dict(zip(NAMES, report.names, strict=True))), [report.facts])
            more = {"alignment": "lambda", "lambda_text": rows.get("lambda_image"), "split": "test", "class": None}
            rows = rows.assign(**{"geometry": {"domain": domain(report.names[0])}, "sweep": more, "selected": {}}[part])
            theirs, present = (pd.MultiIndex.from_frame(table[list(by)]) for table in (rows, own))
            own = pd.concat([own, rows[~theirs.isin(present)]], ignore_index=True)
        return own


def _validated(content, what: str) -> Report:
    """Return the report of a JSON object; the first field that does not fit is named, and its value is not repeated."""
    try:
        return Report.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{what}: {place(first['loc']) or 'its numbers'}: {first['msg'].removeprefix('Value error, ')}") from None
