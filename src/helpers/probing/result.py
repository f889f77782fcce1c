"""Hold the result of a sweep: a tidy table of scores, and the test scores behind its intervals; store and export it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from safetensors.numpy import load_file

from .. import metrics
from ..datasets import DATASETS
from ..datasets.splits import shared_groups
from ..files import replacing_folder, save_arrays
from ..schemas import RUNS, SCORES, Count, Hash, Text, check_table, usable
from ..store.disk import PROVENANCE, Record, read_intact, read_parquet, read_record, write_record, write_table
from ..tasks import Task, few_validation_rows
from . import inference
from .scoring import metrics_table, ranking_scores
from .strength import LOW_LOSS

RUN = [*inference.KEYS, "seed"]
FACTS = [name for name in RUNS if name not in RUN]  # of the training of a probe
KEYS_OF_SCORES = [name for name in SCORES if name not in ("split", "value")]
FIRM, TIES = ["auc", "auc_hard", "accuracy", "log_loss"], 1e-3  # metrics that ties of float32 move by less
FILES = ("table.parquet", "runs.parquet", "test_rows.parquet", "scores.safetensors")
ENDINGS = (".parquet", ".csv", ".csv.gz")
MAKE = "make it with `python -m helpers sweep DATASET BACKBONE`"


class Provenance(Record):
    """Record of a stored result."""

    dataset: str
    variant: str
    backbone: str
    protocol: str
    headline_metric: Literal["auc", "auc_hard"]
    embeddings: Hash
    rows: Annotated[dict[Literal["fit", "val", "test"], Annotated[Count, Field(ge=1)]], Field(min_length=3)]
    validation_given: bool
    classes_not_learned: list[str]
    few_validation: Text | None = None
    shared_groups: Text | None = None
    task: dict[str, str | list[str]]


class Caution(UserWarning):
    """Warning of what weakens the choices that validation rows made in a sweep."""


@dataclass(frozen=True, repr=False)
class SweepResult:
    """Scores of every probe of a sweep."""

    table: pd.DataFrame  # one row per probe, split, metric and class (None: the macro mean, or a metric without classes)
    runs: pd.DataFrame  # one row per probe: its keys, its seed and facts of its training
    scores: np.ndarray  # (n_runs, n_test, K) logits on the test rows, float32
    targets: np.ndarray  # (n_test, K) 0/1 indicators
    groups: np.ndarray  # (n_test,) integers; rows of one group are resampled together
    task: Task
    provenance: dict  # data set, protocol, fingerprint of the embeddings, split sizes, classes that no probe could learn
    subgroups: pd.DataFrame  # ``subgroup_*`` columns of the test rows, possibly none

    @classmethod
    def of_runs(cls, embeddings, protocol, runs, splits, not_learned: tuple[str, ...], workers: int) -> "SweepResult":
        """Score the runs of a sweep; macro means exclude the classes that no probe could learn."""
        names = {"dataset": embeddings.dataset, **{k: embeddings.provenance.get(k, "own") for k in ("variant", "backbone")}}
        names["protocol"] = protocol.name
        keys = [(r.alignment.name, r.features, r.alignment.lambda_image, r.alignment.lambda_text, r.seed) for r in runs]
        keys = pd.DataFrame(keys, columns=RUN[4:]).assign(**names, **{fact: [r.facts.get(fact) for r in runs] for fact in FACTS})
        keys, targets, task, split = keys[list(RUNS)], embeddings.targets, embeddings.task, next(iter(splits.values()))
        learned, of_val = learned_classes(task, not_learned), {seed: targets[own.val] for seed, own in splits.items()}
        val = metrics_table(task, learned, [r.val_scores for r in runs], [of_val[r.seed] for r in runs], workers)
        test = metrics_table(task, learned, [r.test_scores for r in runs], [targets[split.test]] * len(runs), workers)
        table = pd.concat([val.assign(split="val"), test.assign(split="test")]).join(keys, on="run").reset_index(drop=True)
        pairs = embeddings.pairs.iloc[split.test]
        groups = np.unique(pairs["group"].to_numpy().astype(str), return_inverse=True)[1]
        scores = np.ascontiguousarray(np.stack([r.test_scores for r in runs]), dtype=np.float32)
        subgroups = pairs.filter(like="subgroup_").reset_index(drop=True)
        provenance = {
            **names,
            "headline_metric": "auc_hard" if task.kind == "multiclass" and protocol.multiclass_auc == "hard" else "auc",
            "embeddings": embeddings.fingerprint,
            "rows": {"fit": len(split.fit), "val": len(split.val), "test": len(split.test)},
            "validation_given": split.given,
            "classes_not_learned": list(not_learned),
            "few_validation": few_validation_rows(task, embeddings.pairs, [own.val for own in splits.values()]),
            "shared_groups": shared_groups(embeddings.pairs),
        }
        return cls(table[list(SCORES)], keys, scores, targets[split.test], groups, task, provenance, subgroups)

    def __repr__(self) -> str:
        about = " ".join(str(self.provenance.get(k, "?")) for k in ("dataset", "variant", "backbone", "protocol"))
        grid = f"{self.runs['lambda_image'].nunique()} lambdas, {self.runs['seed'].nunique()} seeds"
        features = "/".join(self.runs["features"].unique())
        return f"SweepResult({about}: {len(self.runs)} probes ({grid}, {features} features), {len(self.targets)} test rows)"

    @property
    def cautions(self) -> list[str]:
        """Return sentences: on strengths at the edge of their grid, classes with few validation rows, groups in train and test."""
        recorded = [self.provenance.get(name) for name in ("few_validation", "shared_groups")]
        return [sentence for sentence in (edge_caution(self.runs), *recorded) if sentence]

    def warn(self, stacklevel: int = 2) -> "SweepResult":
        """Warn of every caution, and return the result itself."""
        for sentence in self.cautions:
            warnings.warn(sentence, Caution, stacklevel=stacklevel + 1)
        return self

    @property
    def headline_metric(self) -> str:
        """Return the AUC that the protocol reports: ``auc`` (of scores) or ``auc_hard`` (of arg-max predictions)."""
        return self.provenance["headline_metric"]

    @cached_property
    def headline_scores(self) -> np.ndarray:
        """Return the scores (n_runs, n_test, K) whose one-vs-rest AUC is the headline metric."""
        return ranking_scores(self.scores, self.task, self.headline_metric)

    @cached_property
    def learned(self) -> np.ndarray:
        """Return whether the training rows could teach each class, (K,), so that macro means include it."""
        return learned_classes(self.task, self.provenance.get("classes_not_learned", ()))

    def headline_auc(self, runs=slice(None), weights=None, rows=slice(None)) -> np.ndarray:
        """Return the macro AUC on test rows, (n_runs,), or (n_runs, n_boot) with weights."""
        learned = slice(None) if self.learned.all() else self.learned  # a slice copies nothing
        return metrics.macro_auc(self.headline_scores[runs][:, rows][..., learned], self.targets[rows][:, learned], weights)

    @cached_property
    def bootstrap(self) -> Callable[..., inference.PairedBootstrap]:
        """Return a function from ``n_boot`` and ``random_state`` to the paired bootstrap, cached by its arguments."""
        return cache(partial(inference.PairedBootstrap, self))

    def macro(self, metric: str, split: str) -> pd.DataFrame:
        """Return the rows of ``table`` with a metric without classes or with its macro mean."""
        return self.table[(self.table["metric"] == metric) & (self.table["split"] == split) & self.table["class"].isna()]

    def summary(self, metric: str | None = None, split: str = "test") -> pd.DataFrame:
        """Return mean and sample standard deviation over seeds of a metric without classes or of its macro mean."""
        metric = metric or self.headline_metric
        grouped = self.macro(metric, split).groupby(inference.KEYS, sort=False)["value"]
        return grouped.agg(mean="mean", sd="std", n_seeds="count").reset_index().assign(metric=metric)

    effects = inference.effects
    selected = inference.selected
    some_lambda_beats_zero = inference.some_lambda_beats_zero
    best = property(inference.selected, doc="Return :meth:`selected` with its defaults.")

    def plot(self):
        """Return a figure of test AUC against lambda, one line per kind of features."""
        plotting = import_module("helpers.plotting")  # a layer above this one, so it is looked up when called
        return plotting.curves(self.summary().query("alignment == 'lambda'"))

    def save(self, directory) -> Path:
        """Write the result without row ids as a folder: parquet, safetensors and a record with checksums."""
        directory = Path(directory)
        with replacing_folder(directory, PROVENANCE, FILES, "a sweep result") as folder:
            self.write(folder)
        return directory

    def write(self, folder: Path) -> None:
        """Write the files of :meth:`save` into an existing folder."""
        self.table.to_parquet(folder / "table.parquet", index=False)
        self.runs.to_parquet(folder / "runs.parquet", index=False)
        self.subgroups.assign(group=self.groups).to_parquet(folder / "test_rows.parquet", index=False)
        save_arrays(folder / "scores.safetensors", {"scores": self.scores, "targets": self.targets})
        task: dict[str, str | list[str]] = {"kind": self.task.kind, "classes": list(self.task.classes)}
        write_record(folder / PROVENANCE, Provenance(**self.provenance, task=task), FILES)

    @classmethod
    def load(cls, directory, remake: str = MAKE) -> "SweepResult":
        """Read a result of :meth:`save`; an :class:`UnusableRecord` names a file that is damaged or of an older format."""
        directory = Path(directory)
        if not (directory / PROVENANCE).is_file():
            raise FileNotFoundError(f"no sweep result in {directory} ({PROVENANCE} is missing); {MAKE}")
        provenance = read_record(directory / PROVENANCE, Provenance, remake, FILES).model_dump(exclude={"format", "files"})
        table, runs, rows = (read_intact(directory / name, partial(read_parquet, remedy=remake), remake) for name in FILES[:3])
        arrays, task = read_intact(directory / FILES[3], load_file, remake), provenance.pop("task")
        for name, part, schema in ((FILES[0], table, SCORES), (FILES[1], runs, RUNS)):
            with usable(directory / name, remake):
                check_table(part, schema)
        with usable(directory, remake):
            task = Task(task.get("kind"), tuple(task.get("classes", ())))
            scores, targets = (arrays.get(name, np.empty(0)) for name in ("scores", "targets"))
            groups = rows.pop("group").to_numpy() if "group" in rows else np.empty(0)
            return cls(table, runs, scores, targets, groups, task, provenance, rows)._of_one_sweep()

    def _of_one_sweep(self) -> "SweepResult":
        """Return the result; a ValueError if its record, tables, scores and rows contradict each other."""
        about, shape = self.provenance, (len(self.runs), self.provenance["rows"].get("test"), self.task.n_outputs)
        if self.scores.shape != shape or self.scores.dtype != np.float32 or not np.isfinite(self.scores).all():
            raise ValueError(f"its scores are not finite numbers {shape} of runs, test rows and classes")
        if self.targets.shape != shape[1:] or not np.isin(self.targets, (0, 1)).all():
            raise ValueError(f"its targets are not 0 and 1 of {shape[1]} test rows")
        if self.groups.shape != shape[1:2] or self.groups.dtype.kind not in "iu":
            raise ValueError(f"its groups are not the numbers of {shape[1]} test rows")
        if any(not str(name).startswith("subgroup_") or cells.map(np.ndim).any() for name, cells in self.subgroups.items()):
            raise ValueError("its test rows have a column that is neither their group nor a subgroup_* of plain values")
        if any(set(self.runs[name]) != {about[name]} for name in RUN[:4]):
            raise ValueError("the names of its runs are not those of its record")
        at_zero = self.runs[(self.runs["alignment"] == "lambda") & (self.runs[inference.LAMBDAS] == 0).all(axis=1)]
        if set(at_zero["features"]) != set(self.runs["features"]) or not set(about["classes_not_learned"]) <= {*self.task.outputs}:
            raise ValueError("it has no run at lambda = 0, or its task lacks a class of its record")
        scored = metrics_table(self.task, self.learned, list(self.scores), [self.targets] * len(self.runs))
        scored = scored.join(self.runs, on="run")
        val, test = (self.table[self.table["split"] == split].reset_index(drop=True) for split in ("val", "test"))
        keys = [part[KEYS_OF_SCORES].astype(object) for part in (scored, val, test)]
        keys = [part.where(part.notna(), None) for part in keys]
        if not keys[0].equals(keys[1]) or not keys[0].equals(keys[2]) or about["headline_metric"] not in set(test["metric"]):
            raise ValueError("its table has other rows than its runs and metrics")
        firm = test["metric"].isin(FIRM)
        if not np.allclose(test["value"][firm], scored["value"][firm], rtol=0, atol=TIES, equal_nan=True):
            raise ValueError("its test metrics are not those of its scores")
        return self


def edge_caution(runs: pd.DataFrame) -> str | None:
    """Say which runs take the first or last regularisation strength tried, or the first whose loss is low enough; or None."""
    edge, low = runs[runs["strength_at_edge"].eq(True)], runs["strength_at_edge"].eq(False) & (runs["validation_loss"] <= LOW_LOSS)
    if edge.empty:
        separable = f"{low.sum()} of {len(runs)} probes have a validation loss of at most {LOW_LOSS:g}, as separable rows allow"
        return f"{separable}: weaker regularisation, which can lower it by no more, was not tried" if low.any() else None
    strengths, names = ", ".join(sorted({f"{s:.0e}" for s in edge["strength"]})), ", ".join(edge["alignment"].unique())
    return (
        f"{len(edge)} of {len(runs)} probes ({names}) take the strongest or weakest regularisation strength that was tried "
        f"({strengths}): its choice, and what is ranked by it, may rest on few validation rows; give more, or extend "
        "Protocol.strengths"
    )


def learned_classes(task: Task, not_learned) -> np.ndarray:
    """Return which outputs are not among ``not_learned``, (K,)."""
    return ~np.isin(np.array(task.outputs, dtype=object), list(not_learned))


def refuse_private(dataset: str) -> None:
    """Refuse to export the test rows of a credentialed data set."""
    if dataset in DATASETS and DATASETS[dataset].card.credentialed:
        raise ValueError(f"test scores of {dataset} are not exported, because its agreement forbids passing on data of its rows")


def refuse_ending(path) -> None:
    """Refuse a file name whose ending is none of ``ENDINGS``."""
    if not str(path).endswith(ENDINGS):
        raise ValueError(f"--export {path}: expected a name that ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")


def score_table(result: SweepResult, part: str) -> pd.DataFrame:
    """Return the logits of every probe of a sweep on every test row; refuse a credentialed data set.

    ``validation_auc`` is of the headline metric and chooses lambda; row and group are numbers; ``target CLASS`` and ``score CLASS``
    are indicator and logit. Of classes that no probe could learn only the logits of a softmax are there, which the others need.
    """
    refuse_private(result.provenance["dataset"])
    n_runs, n_rows, rows = len(result.runs), len(result.targets), result.macro(result.headline_metric, "val")
    table = result.runs[RUN].merge(rows[[*RUN, "value"]], how="left", on=RUN).rename(columns={"value": "validation_auc"})
    table = table.loc[table.index.repeat(n_rows)].reset_index(drop=True)
    table.insert(0, "part", part)
    groups = np.unique(result.groups.astype(str), return_inverse=True)[1]  # numbered in the order in which the bootstrap draws them
    table["task"], table["headline_metric"] = result.task.kind, result.headline_metric
    table["row"], table["group"] = np.tile(np.arange(n_rows), n_runs), np.tile(groups, n_runs)
    for k, name in enumerate(result.task.outputs):
        if result.learned[k]:
            table[f"target {name}"] = np.tile(result.targets[:, k].astype(np.int8), n_runs)
        if result.learned[k] or result.task.kind == "multiclass":
            table[f"score {name}"] = result.scores[..., k].ravel()
    return table


def write_scores(tables: list[pd.DataFrame], path) -> Path:
    """Write tables of :func:`score_table` as one file with one of the ``ENDINGS``."""
    return write_table(pd.concat(tables, ignore_index=True), path)
