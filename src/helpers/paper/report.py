"""Define the schema of a contributed report: numbers of one embedding set and their origin, and no other content."""

from datetime import date
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ..datasets.registry import domain
from ..measures import COLUMNS
from ..probing.protocol import PROTOCOLS
from .cells import NAMES, SetFacts

SLACK = 1e-6  # of inequalities between numbers that were rounded on the way to the file
SELECTED = ["auc_at_zero", "auc", "difference", "low", "high"]
SWEEP_COLUMNS = [
    *(*NAMES, "protocol", "alignment", "features", "lambda_image", "lambda_text"),
    *("seed", "split", "metric", "class", "value"),
]

Word = Annotated[str, StringConstraints(pattern=r"^[\w.+:/ ,()-]+$", max_length=120)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[^\p{C}<>`$\\{}|\[\]]+$", max_length=300)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=-SLACK, le=1 + SLACK, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Lambda = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=100_000_000)]
Features = Literal["joint", "image", "text"]
SHARES = ("R", "R_distinct", "distinct_share", "cos_gap_pc1", "gap_share", "pc1_share")
NORMS = ("gap_norm", "residual_gap", "residual_gap_predicted")


class ReportPart(BaseModel):
    """A part of a report; a field that the schema does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


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


class Encoder(ReportPart):
    """The encoder, as the record of the set describes it."""

    source: Word | None
    revision: Word | None
    weights: Sha256 | None
    preprocessing: Sha256 | None
    tokenizer: Sha256 | None
    padding: Word | None
    context_length: Count | None


class Quantity(ReportPart):
    """One row of :func:`helpers.measures.cone_table`."""

    modality: Features
    quantity: Literal["R", "R_distinct", "distinct_share", "effective_rank", "gap_norm", "cos_gap_pc1", "gap_share", "pc1_share",
                      "residual_gap", "residual_gap_predicted"]  # fmt: skip
    value: Number | None
    low: Number | None
    high: Number | None

    @model_validator(mode="after")
    def _possible(self):
        most = 1 if self.quantity in SHARES else 2 if self.quantity in NORMS else 100_000
        for number in (self.value, self.low, self.high):
            if number is not None and not -SLACK <= number <= most + SLACK:
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
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        if len({(c.features, c.metric) for c in self.curves}) < len(self.curves):
            raise ValueError("a curve is given twice")
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
    encoder: Encoder
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
    def facts(self) -> SetFacts:
        """Return the facts that decide whether the report fills a cell of the paper."""
        by = f"{self.contributor.name}, {self.contributor.date}"
        counts, encoder = self.counts, self.encoder
        sizes = counts.pairs, counts.test, counts.dimensions
        return SetFacts(self.dataset, self.variant, self.backbone, *sizes, encoder.source, encoder.revision, self.route, by)

    def geometry_table(self) -> pd.DataFrame:
        """Return the geometry with the columns of :func:`helpers.measures.cone_table`."""
        rows = [(*self.names, domain(self.dataset), *q.model_dump().values()) for q in self.geometry]
        return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float, "low": float, "high": float})

    def sweep_table(self) -> pd.DataFrame:
        """Return macro test AUCs as :func:`helpers.paper.published.sweep_gains` reads them."""
        rows = [
            (*self.names, sweep.protocol, "lambda", curve.features, lam, lam, seed, "test", curve.metric, None, value)
            for sweep in self.sweeps
            for curve in sweep.curves
            for lam, values in zip(curve.lambdas, curve.values, strict=True)
            for seed, value in zip(sweep.seeds, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=SWEEP_COLUMNS)

    def selected_table(self) -> pd.DataFrame:
        """Return the lambda chosen on validation rows, a row per protocol and features."""
        rows = [(*self.names, sweep.protocol, *chosen.model_dump().values()) for sweep in self.sweeps for chosen in sweep.chosen]
        return pd.DataFrame(rows, columns=[*NAMES, "protocol", "features", "lambda_image", *SELECTED])

    @property
    def names(self) -> tuple[str, str, str]:
        """Return data set, variant and encoder."""
        return self.dataset, self.variant, self.backbone
