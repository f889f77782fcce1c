"""What a sweep leaves: a tidy table of scores, and the test scores that intervals are drawn from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from .. import metrics
from ..files import read_json, replacing_folder, write_json
from ..tasks import Task
from . import inference
from .inference import KEYS

FACTS = ["epochs", "trained", "validation_loss", "strength", "strength_relative", "strength_at_edge", "optimality"]
COLUMNS = [*KEYS, "seed", "split", "metric", "class", "value", "epochs", "strength", "strength_relative", "optimality"]


@dataclass(frozen=True)
class SweepResult:
    """Scores of every probe of a sweep.

    Args:
        table: one row per probe, split, metric and class (None: the macro mean, or a metric without classes).
        runs: one row per probe: its keys, seed and how its training ended.
        scores: (n_runs, n_test, K) logits on the test rows, float32.
        targets: (n_test, K) 0/1 indicators.
        groups: (n_test,) integers; rows that are drawn together in a bootstrap.
        task: what the outputs mean.
        provenance: data set, protocol, fingerprint of the embeddings, split sizes.
        subgroups: (n_test rows) table of ``subgroup_*`` columns, possibly without columns.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    scores: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    task: Task
    provenance: dict
    subgroups: pd.DataFrame

    @classmethod
    def of_runs(cls, embeddings, protocol, runs, splits) -> "SweepResult":
        """Score the runs of a sweep."""
        names = {"dataset": embeddings.dataset, **{k: embeddings.provenance.get(k, "own") for k in ("variant", "backbone")}}
        rows = [
            {
                **names,
                "protocol": protocol.name,
                "alignment": r.alignment.kind,
                "features": r.features,
                "lambda_image": r.alignment.lambda_image,
                "lambda_text": r.alignment.lambda_text,
                "seed": r.seed,
                **{fact: r.facts.get(fact) for fact in FACTS},
            }
            for r in runs
        ]
        table_of_runs = pd.DataFrame(rows)
        split = next(iter(splits.values()))
        targets, task = embeddings.targets, embeddings.task
        parts = [
            _metrics_table(
                table_of_runs, name, task, ((i, getattr(r, f"{name}_scores"), targets[rows_of(r)]) for i, r in enumerate(runs))
            )
            for name, rows_of in (("val", lambda r: splits[r.seed].val), ("test", lambda r: split.test))
        ]
        pairs = embeddings.pairs.iloc[split.test]
        provenance = {
            **names,
            "protocol": protocol.name,
            "headline_metric": "auc_hard" if task.kind == "multiclass" and protocol.multiclass_auc == "hard" else "auc",
            "embeddings": embeddings.fingerprint,
            "rows": {"fit": len(split.fit), "val": len(split.val), "test": len(split.test)},
            "validation_given": split.given,
        }
        return cls(
            pd.concat(parts, ignore_index=True)[COLUMNS],
            table_of_runs,
            np.ascontiguousarray(np.stack([r.test_scores for r in runs]), dtype=np.float32),
            targets[split.test],
            np.unique(pairs["group"].to_numpy().astype(str), return_inverse=True)[1],
            task,
            provenance,
            pairs.filter(like="subgroup_").reset_index(drop=True),
        )

    @property
    def headline_metric(self) -> str:
        """The AUC that the protocol reports: ``auc`` (of scores) or ``auc_hard`` (of arg-max predictions)."""
        return self.provenance["headline_metric"]

    @cached_property
    def headline_scores(self) -> np.ndarray:
        """(n_runs, n_test, K) scores whose one-vs-rest AUC is the headline metric."""
        return ranking_scores(self.scores, self.task, self.headline_metric)

    @cached_property
    def bootstraps(self) -> dict:
        """Bootstrap replicates already drawn, by (n_boot, random_state), so that several statements share one draw."""
        return {}

    def summary(self, metric: str | None = None, split: str = "test") -> pd.DataFrame:
        """Mean and sample standard deviation over seeds of a metric without classes or of its macro mean."""
        rows = self.table.query(
            "metric == @name and split == @split and `class`.isna()",
            local_dict={"name": metric or self.headline_metric, "split": split},
        )
        grouped = rows.groupby(KEYS, sort=False)["value"].agg(mean="mean", sd="std", n_seeds="count")
        return grouped.reset_index()

    def effects(self, **options) -> pd.DataFrame:
        """AUC(lambda) - AUC(0) on test with paired bootstrap intervals; see :func:`helpers.probing.inference.effects`."""
        return inference.effects(self, **options)

    def selected(self, **options) -> pd.DataFrame:
        """The lambda chosen on validation and its gain on test; see :func:`helpers.probing.inference.selected`."""
        return inference.selected(self, **options)

    def some_lambda_beats_zero(self, **options) -> pd.DataFrame:
        """p-value of the best lambda, all lambdas counted; see :func:`helpers.probing.inference.some_lambda_beats_zero`."""
        return inference.some_lambda_beats_zero(self, **options)

    def by_subgroup(self, **options) -> pd.DataFrame:
        """Headline AUC within each subgroup; see :func:`helpers.probing.inference.by_subgroup`."""
        return inference.by_subgroup(self, **options)

    def save(self, directory) -> Path:
        """Write the result as a folder: table and runs as parquet, scores as safetensors, provenance as JSON; no row ids."""
        directory = Path(directory)
        with replacing_folder(directory) as folder:
            self.table.to_parquet(folder / "table.parquet", index=False)
            self.runs.to_parquet(folder / "runs.parquet", index=False)
            self.subgroups.assign(group=self.groups).to_parquet(folder / "test_rows.parquet", index=False)
            save_file({"scores": self.scores, "targets": self.targets}, folder / "scores.safetensors")
            task = {"kind": self.task.kind, "classes": list(self.task.classes)}
            write_json(folder / "provenance.json", {**self.provenance, "task": task})
        return directory

    @classmethod
    def load(cls, directory) -> "SweepResult":
        """Read a result written by :meth:`save`.

        Raises:
            FileNotFoundError: no result there.
        """
        directory = Path(directory)
        if not (directory / "provenance.json").is_file():
            raise FileNotFoundError(
                f"no sweep result in {directory} (provenance.json is missing); make one with `python -m helpers sweep`"
            )
        provenance = read_json(directory / "provenance.json")
        task = provenance.pop("task")
        rows = pd.read_parquet(directory / "test_rows.parquet")
        arrays = load_file(directory / "scores.safetensors")
        return cls(
            pd.read_parquet(directory / "table.parquet"),
            pd.read_parquet(directory / "runs.parquet"),
            arrays["scores"],
            arrays["targets"],
            rows.pop("group").to_numpy(),
            Task(task["kind"], tuple(task["classes"])),
            provenance,
            rows,
        )


def ranking_scores(logits: np.ndarray, task: Task, metric: str) -> np.ndarray:
    """Scores (..., n, K) to rank rows by: softmax probabilities, one-hot arg-max (``auc_hard``), or logits of binary outputs."""
    if task.kind != "multiclass":
        return logits
    return metrics.hard_labels(logits) if metric == "auc_hard" else metrics.softmax(logits)


def _metrics_table(runs: pd.DataFrame, split: str, task: Task, scored) -> pd.DataFrame:
    """All metrics of one split; ``scored`` yields (run number, logits (n, K), targets (n, K))."""
    frames = []
    for i, logits, targets in scored:
        values = [*_per_class(logits, targets, task), *_whole(logits, targets, task)]
        frame = pd.DataFrame(values, columns=["metric", "class", "value"])
        frames.append(frame.assign(run=i))
    table = pd.concat(frames, ignore_index=True).assign(split=split)
    return table.merge(runs, left_on="run", right_index=True)


def _per_class(logits: np.ndarray, targets: np.ndarray, task: Task) -> list[tuple]:
    """(metric, class, value) of each class and of the macro mean over the classes present in the rows."""
    scores = ranking_scores(logits, task, "auc")
    kinds = {
        "auc": (metrics.auc, scores),
        "average_precision": (metrics.average_precision, scores),
        "sensitivity_at_90_specificity": (metrics.sensitivity_at_specificity, scores),
    }
    if task.kind == "multiclass":
        kinds["auc_hard"] = (metrics.auc, metrics.hard_labels(logits))
    names = task.classes[1:] if task.kind == "binary" else task.classes
    present = targets.any(axis=0) & ~targets.all(axis=0)
    rows = []
    for metric, (function, ranked) in kinds.items():
        values = [float(function(ranked[:, k], targets[:, k])) for k in range(len(names))]
        rows += [(metric, name, value) for name, value in zip(names, values, strict=True)]
        macro = float(np.mean(np.array(values)[present])) if present.any() else float("nan")
        rows.append((metric, None, macro))
    rows.append(("classes_absent", None, float((~present).sum())))
    return rows


def _whole(logits: np.ndarray, targets: np.ndarray, task: Task) -> list[tuple]:
    """Accuracy (exact match for multi-label) and mean log loss."""
    z = logits.astype(np.float64)
    if task.kind == "multiclass":
        correct = z.argmax(axis=1) == targets.argmax(axis=1)
        loss = -np.log(np.maximum(metrics.softmax(z)[targets.astype(bool)], 1e-300))
    else:
        correct = ((z > 0) == targets).all(axis=1)
        loss = np.logaddexp(0, np.where(targets, -z, z))
    return [("accuracy", None, float(correct.mean())), ("log_loss", None, float(loss.mean()))]
