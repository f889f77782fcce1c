"""Train and score the whole grid: alignments x features x seeds of one data set under one backbone and protocol."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from tqdm import tqdm

from ..alignment.shift import Alignment, checked_lambda
from ..arrays import choose
from ..store.embeddings import EmbeddingSet
from ..tasks import NO_LABELS
from .descent import train
from .objective import Objective
from .protocol import FEATURES, LAMBDAS, SEEDS, Grid, Protocol, Split, resolve_protocol, split_rows
from .result import SweepResult, learned_classes
from .scoring import run_in_threads
from .strength import choose_strength
from .views import build_view

MOST_CLASSES = 500  # of a converged probe: two probes of 300 classes take 22 s of a core, of 600 more than 5 minutes
ENGINE = 3  # version of the arithmetic, which cached sweeps depend on: raise it when a change moves their numbers


def sweep(
    embeddings,
    lambdas: Sequence[float] = LAMBDAS,
    seeds: Sequence[int] = SEEDS,
    protocol: str | Protocol = "converged",
    features: Sequence[str] = ("joint",),
    alignments: Sequence[str] = ("lambda",),
    dtype: str = "float32",
    device: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train and score a linear probe for every alignment, kind of features and seed.

    Args:
        embeddings: an :class:`~helpers.store.embeddings.EmbeddingSet` with labels.
        lambdas: strengths of the alignment; 0 is added when missing.
        seeds: each gives new initial weights and batch order, and new validation rows if the data have none.
        protocol: one of ``PROTOCOLS``, or its name.
        features: any of ``joint``, ``image``, ``text``.
        alignments: channels or pairs of channels, see :class:`~helpers.alignment.shift.Alignment`.
        dtype: precision of the descents; a converged probe is always solved in float64.
        device: ``cpu`` or ``cuda``; when None, ``cuda`` if available.
        workers: threads on a CPU; all cores when None.
    """
    if not isinstance(embeddings, EmbeddingSet):
        raise ValueError(f"sweep takes an EmbeddingSet, got {type(embeddings).__name__}; make one with EmbeddingSet.from_arrays")
    if not embeddings.labelled:
        raise ValueError(NO_LABELS)
    protocol = resolve_protocol(protocol)
    grid = alignment_grid(lambdas, alignments)
    features = [choose(f, FEATURES, "features") for f in _nonempty(features, "features")]
    seeds = list(Grid(seeds=np.array(seeds).tolist()).seeds)
    if repeated := [seed for i, seed in enumerate(seeds) if seed in seeds[:i]]:
        raise ValueError(f"seed {repeated[0]} is given twice; a repeated seed would be the same run counted twice")
    splits = {seed: split_rows(embeddings, seed) for seed in seeds}
    protocol = protocol.for_rows(min(len(split.fit) for split in splits.values()))
    if protocol.optimizer == "minimiser":  # with given validation rows, every seed is the same problem
        if embeddings.task.kind == "multiclass" and (k := embeddings.task.n_outputs) > MOST_CLASSES:
            way = "merge classes, or use 'authors-code', which trains at most 100 epochs"
            raise ValueError(f"protocol {protocol.name!r} takes at most {MOST_CLASSES} classes, and the set has {k}; {way}")
        seeds, dtype = seeds[:1] if splits[seeds[0]].given else seeds, "float64"
    plan = _Plan(embeddings, grid, protocol, splits, dtype, device)
    not_learned = plan.classes_not_learned()
    _require_two_kinds(embeddings, splits, not_learned)
    runs = plan.execute([(f, s) for f in features for s in seeds], workers, progress)
    _warn_of_unsolved(embeddings, runs)
    if at_end := sum(run.facts.get("epochs") == protocol.max_epochs for run in runs):
        warnings.warn(
            f"{at_end} of {len(runs)} probes of protocol {protocol.name!r} were still improving at epoch {protocol.max_epochs}, "
            "the last, so they are not trained to convergence; use protocol 'converged' for conclusions",
            ConvergenceWarning,
            stacklevel=2,
        )
    return SweepResult.of_runs(embeddings, protocol, runs, splits, not_learned, workers or os.cpu_count() or 1).warn()


@dataclass(frozen=True)
class Run:
    """One trained probe."""

    alignment: Alignment
    features: str
    seed: int
    val_scores: np.ndarray  # (n_val, K) logits
    test_scores: np.ndarray  # (n_test, K)
    facts: dict  # some of ``helpers.probing.result.FACTS``


def alignment_grid(lambdas, alignments=("lambda",)) -> list[Alignment]:
    """Return the distinct alignments of a grid; lambda = 0, the same for all of them, comes first."""
    lambdas = [checked_lambda(v, "lambdas") for v in _nonempty(lambdas, "lambdas")]
    grid = {Alignment("lambda", 0.0, 0.0): None}
    for name in _nonempty(alignments, "alignments"):
        without = Alignment(name)
        grid.update({Alignment(name, v, v): None for v in lambdas if v != 0} if without.has_lambda else {without: None})
    return list(grid)


class _Plan:
    """Data shared by all bundles of features and seed: targets, and the view and the objective of each fit."""

    def __init__(self, embeddings, alignments, protocol: Protocol, splits: dict[int, Split], dtype: str, device):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = getattr(torch, choose(dtype, ("float32", "float64"), "dtype"))
        self.embeddings, self.alignments, self.protocol, self.splits = embeddings, alignments, protocol, splits
        self.targets = torch.from_numpy(np.ascontiguousarray(embeddings.targets.T)).to(self.device, self.dtype)
        self.prepared: dict[bytes, tuple] = {}
        for fit in {split.fit.tobytes(): split.fit for split in splits.values()}.values():
            gap_rows = embeddings.rows() if protocol.gap_rows == "all" else fit
            view = build_view(embeddings, alignments, gap_rows, fit, self.dtype, self.device)
            self.prepared[fit.tobytes()] = view, Objective.of(embeddings.task, protocol.weighting, embeddings.targets[fit])

    def classes_not_learned(self) -> tuple[str, ...]:
        """Return the classes that the training rows of some seed cannot teach, and warn with their names."""
        objectives = [objective for _, objective in self.prepared.values()]
        absent, saturated = ({name for o in objectives for name in getattr(o, kind)} for kind in ("absent", "saturated"))
        reasons = {"no training row of class": absent, "every training row is positive for class": saturated}
        if why := [f"{reason} {', '.join(sorted(names))}" for reason, names in reasons.items() if names]:
            warnings.warn(f"{' and '.join(why)}: no probe can learn it, and macro means exclude it", stacklevel=3)
        return tuple(sorted(absent | saturated))

    def execute(self, bundles, workers: int | None, progress: bool) -> list[Run]:
        """Return the runs of every (features, seed); those left after whole rounds of the workers are divided by alignments."""
        workers = 1 if self.device != "cpu" else workers or os.cpu_count() or 1
        tasks, whole = [], len(bundles) - len(bundles) % workers
        for i, bundle in enumerate(bundles):
            parts = min(workers if i >= whole else 1, len(self.alignments))
            tasks += [(*bundle, part.tolist()) for part in np.array_split(np.arange(len(self.alignments)), parts)]
        with tqdm(total=len(tasks), desc=f"{self.protocol.name} probes", disable=not progress) as bar:
            found = run_in_threads(lambda task: self._run(bar, *task), tasks, min(workers, len(tasks)))
        return [run for runs in found for run in runs]

    def _run(self, bar, features: str, seed: int, which: list[int]) -> list[Run]:
        split = self.splits[seed]
        view, objective = self.prepared[split.fit.tobytes()]
        view = view.only(features).chunk(which)
        fit, val, test = (torch.from_numpy(rows).to(self.device) for rows in (split.fit, split.val, split.test))
        how = choose_strength if self.protocol.optimizer == "minimiser" else partial(train, seed=seed)
        found = how(view, self.targets, objective, fit, val, protocol=self.protocol)
        facts = zip(*(values.tolist() for values in found.facts.values()), strict=True)
        of_val, of_test = (view.predict(rows, found.parameters).permute(1, 2, 0).cpu().numpy() for rows in (val, test))
        columns = zip(which, of_val, of_test, facts, strict=True)
        bar.update()
        return [Run(self.alignments[a], features, seed, v, t, dict(zip(found.facts, row, strict=True))) for a, v, t, row in columns]


def _warn_of_unsolved(embeddings: EmbeddingSet, runs: list[Run]) -> None:
    """Warn once of the strengths that the solver could not reach, with the set and the alignments that stopped it."""
    if stopped := [run for run in runs if run.facts.get("unsolved", np.nan) > 0]:
        where = dict.fromkeys(f"{r.alignment.name} at lambda {r.alignment.lambda_image:g} ({r.features})" for r in stopped)
        weakest = max(run.facts["unsolved"] for run in stopped)
        warnings.warn(
            f"{embeddings.identity}: regularisation strengths of {weakest:.1e} and weaker were not solved "
            f"for {', '.join(where)} and are not considered",
            stacklevel=3,
        )


def _require_two_kinds(embeddings: EmbeddingSet, splits: dict[int, Split], not_learned: tuple[str, ...]) -> None:
    """Refuse test rows that give no AUC of a class that a probe can learn, and warn of such validation rows."""
    targets = embeddings.targets[:, learned_classes(embeddings.task, not_learned)]
    test = next(iter(splits.values())).test
    both = [(targets[r].any(axis=0) & ~targets[r].all(axis=0)).any() for r in (test, *(split.val for split in splits.values()))]
    if not both[0]:
        raise ValueError(f"the {len(test)} test rows hold one class only; an AUC needs two that the training rows have too")
    if not all(both):
        warnings.warn("validation rows hold one class only: they can choose no lambda, so lambda = 0 is chosen", stacklevel=3)


def _nonempty(values, what: str):
    values = [values] if np.isscalar(values) else list(values)
    if not values:
        raise ValueError(f"{what} is empty; give at least one value")
    return values
