"""Step from the paper's text to the authors' code and on to a converged probe, one difference at a time.

Each step changes fields of a :class:`~helpers.probing.protocol.Protocol`. It is measured alone (the start of its leg with this one
change) and cumulatively (on top of the steps before it), always on the same test rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
import pandas as pd

from ..arrays import choose
from ..statistics import percentile_interval
from ..store.embeddings import EmbeddingSet
from .grid import LAMBDAS, SEEDS
from .paths import updates_per_epoch
from .protocol import BRSET_UPDATES, PROTOCOLS, Protocol
from .result import SweepResult
from .sweep import sweep
from .validation import split_rows

NORMALISED = {"weighting": "authors-code-normalised"}
LEGS = {"to the code": "paper", "to convergence": "authors-code"}


@dataclass(frozen=True)
class Step:
    """One difference.

    Args:
        label: what the step does.
        leg: a key of ``LEGS``.
        number: of the difference in ``protocol_differences.csv``.
        changes: fields of the protocol.
        beside: fields that are changed in both arms when the step is measured alone.
        kinds: tasks that the step can change.
    """

    label: str
    leg: str
    number: int
    changes: dict
    beside: dict = field(default_factory=dict)
    kinds: tuple[str, ...] = ("binary", "multiclass", "multilabel")


def protocol_steps(embeddings: EmbeddingSet) -> list[Step]:
    """Return the steps of both legs for this set, in their order; some depend on its number of rows and its task."""
    code, end = LEGS
    authors = PROTOCOLS[LEGS[end]]
    per_epoch = updates_per_epoch(len(split_rows(embeddings, SEEDS[0]).fit), authors.batch_size)
    longer = ceil(BRSET_UPDATES / (authors.max_epochs * per_epoch))  # epochs here that hold one of BRSET's
    steps = [
        Step("AdamW, not SGD", code, 1, {"optimizer": "adamw"}),
        Step("weight decay 0.01", code, 1, {"weight_decay": 0.01}),
        Step("gap from all rows", code, 2, {"gap_rows": "all"}),
        Step("the code's class weights", code, 16, NORMALISED),
        Step("loss divided by batch size", code, 16, {"weighting": "authors-code"}, NORMALISED, ("multiclass",)),
        Step("AUC of hard labels", code, 10, {"multiclass_auc": "hard"}, kinds=("multiclass",)),
        Step("AUC of scores", end, 10, {"multiclass_auc": "score"}, kinds=("multiclass",)),
        Step("gap from training rows", end, 2, {"gap_rows": "train"}),
        Step("balanced class weights", end, 16, {"weighting": "balanced"}, kinds=("binary", "multilabel")),
        Step("no weight decay", end, 1, {"weight_decay": 0.0}),
        Step("as many updates as on BRSET", end, 11, {"max_epochs": 100 * longer, "patience": 10 * longer}),
        Step("rate 1e-3", end, 11, {"lr": 1e-3}),
        Step("batch 32", end, 11, {"batch_size": 32, "max_epochs": 100, "patience": 10}),
        Step("trained to the minimum", end, 11, {"optimizer": "minimiser", "weighting": "balanced"}),
    ]  # fmt: skip
    return [step for step in steps if embeddings.task.kind in step.kinds]


class Arms:
    """Trained probes of one embedding set at lambda = 0 and 1, by protocol; each protocol is trained once.

    Args:
        seeds: of the descents.
        n_boot: replicates over test rows, the same draws for every protocol.
    """

    def __init__(self, embeddings: EmbeddingSet, seeds: Sequence[int] = SEEDS, n_boot: int = 1000, workers: int | None = None):
        self.embeddings, self.seeds, self.n_boot, self.workers = embeddings, tuple(seeds), n_boot, workers
        self._trained: dict[Protocol, SweepResult] = {}
        self._scored: dict[Protocol, pd.Series] = {}

    def measured(self, protocol: Protocol) -> pd.Series:
        """Return ``auc`` and ``gain`` (means over seeds), their replicates ``auc_draws`` and ``gain_draws``, and ``seed_sd``."""
        key = protocol.replace(name="")
        if key not in self._scored:
            metric = "auc_hard" if self.embeddings.task.kind == "multiclass" and protocol.multiclass_auc == "hard" else "auc"
            trained = self._train(protocol.replace(name="", multiclass_auc="score"))
            self._scored[key] = measure(replace(trained, provenance={**trained.provenance, "headline_metric": metric}), self.n_boot)
        return self._scored[key]

    def _train(self, protocol: Protocol) -> SweepResult:
        if protocol not in self._trained:
            self._trained[protocol] = sweep(self.embeddings, [0.0, 1.0], self.seeds, protocol, workers=self.workers, progress=False)
        return self._trained[protocol]


def measure(result: SweepResult, n_boot: int) -> pd.Series:
    """Return the AUC at lambda = 0 and the gain of lambda = 1 of a sweep over both, with replicates and the spread over seeds."""
    bootstrap = result.bootstrap(n_boot)
    one = int(np.flatnonzero(bootstrap.keys["lambda_image"] == 1)[0])
    zero = bootstrap.zero("joint")
    gain = bootstrap.auc(one) - bootstrap.auc(zero)
    return pd.Series(
        {
            "auc": bootstrap.auc(zero).mean(), "gain": gain.mean(), "auc_draws": bootstrap.draws(zero),
            "gain_draws": bootstrap.draws(one) - bootstrap.draws(zero),
            "seed_sd": gain.std(ddof=1) if len(gain) > 1 else np.nan,
        }
    )  # fmt: skip


def step_effects(arms: Arms, legs: Sequence[str] = tuple(LEGS), modes: Sequence[str] = ("cumulative", "alone")) -> pd.DataFrame:
    """Return what each step changes, alone and cumulatively, with paired intervals over test rows.

    Returns:
        a row per leg, mode and step: ``auc``, ``gain`` (after the step, means over seeds), ``gain_low``, ``gain_high``,
        ``auc_change``, ``auc_change_low``, ``auc_change_high`` (against the arm without it) and the same of ``gain_change``. The
        row before the first step of a leg has no change.
    """
    rows = []
    for leg in legs:
        steps = [s for s in protocol_steps(arms.embeddings) if s.leg == choose(leg, LEGS, "leg")]
        start = PROTOCOLS[LEGS[leg]]
        rows.append({"leg": leg, "mode": "start", "step": start.name, **_level(arms.measured(start))})
        for mode in modes:
            for step, before, after in _pairs(start, steps, mode):
                changes = {**_level(arms.measured(after)), **change(arms.measured(before), arms.measured(after))}
                rows.append({"leg": leg, "mode": mode, "step": step.label, "number": step.number, **changes})
    names = arms.embeddings.identity
    return pd.DataFrame(rows).assign(dataset=names.dataset, variant=names.variant, backbone=names.backbone)[COLUMNS]


COLUMNS = [
    "dataset", "variant", "backbone", "leg", "mode", "step", "number", "auc", "gain", "gain_low", "gain_high", "seed_sd",
    "auc_change", "auc_change_low", "auc_change_high", "gain_change", "gain_change_low", "gain_change_high",
]  # fmt: skip


def _pairs(start: Protocol, steps: list[Step], mode: str) -> Iterator[tuple[Step, Protocol, Protocol]]:
    """Yield each step with the protocols without and with it."""
    current = start
    for step in steps:
        before = current if choose(mode, ("cumulative", "alone"), "mode") == "cumulative" else start.replace(**step.beside)
        after = before.replace(**step.changes)
        yield step, before, after
        current = after


def _level(arm: pd.Series) -> dict[str, float]:
    low, high = percentile_interval(arm["gain_draws"])
    return {"auc": arm["auc"], "gain": arm["gain"], "gain_low": low, "gain_high": high, "seed_sd": arm["seed_sd"]}


def change(before: pd.Series, after: pd.Series) -> dict[str, float]:
    """Return the changes of AUC and gain between two arms with the same test rows, and their paired intervals."""
    found = {}
    for name in ("auc", "gain"):
        low, high = percentile_interval(after[f"{name}_draws"] - before[f"{name}_draws"])
        found |= {f"{name}_change": after[name] - before[name], f"{name}_change_low": low, f"{name}_change_high": high}
    return found


def audit_set(
    embeddings: EmbeddingSet, seeds: Sequence[int] = SEEDS, n_boot: int = 1000, workers: int | None = None
) -> dict[str, pd.DataFrame]:
    """Return what every difference that needs this one set alone changes, as the tables that the repository ships.

    Returns:
        ``protocol_steps`` (see :func:`step_effects`), ``protocol_data`` (validation rows drawn per seed, not given) and
        ``protocol_choice`` (see :func:`optimism`).
    """
    identity = embeddings.identity
    names = {"dataset": identity.dataset, "variant": identity.variant, "backbone": identity.backbone}
    given = Arms(embeddings, seeds, n_boot, workers)
    tables = {"protocol_steps": step_effects(given)}
    drawn, data = Arms(drawn_validation(embeddings), seeds, n_boot, workers), []
    for name in LEGS.values():
        found = change(given.measured(PROTOCOLS[name]), drawn.measured(PROTOCOLS[name]))
        data.append({**names, "protocol": name, "difference": "validation rows drawn per seed", "number": 13, **found})
    choice = {**names, "protocol": "authors-code", **optimism(embeddings, "authors-code", seeds, n_boot)}
    return tables | {"protocol_data": pd.DataFrame(data), "protocol_choice": pd.DataFrame([choice])}


def drawn_validation(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Return the set without a validation split of its own, so that each seed draws a tenth of the training rows."""
    split = embeddings.pairs["split"].replace("val", "train")
    return replace(embeddings, pairs=embeddings.pairs.assign(split=split))


def optimism(
    embeddings: EmbeddingSet, protocol: str | Protocol, seeds: Sequence[int] = SEEDS, n_boot: int = 1000
) -> dict[str, float]:
    """Return the gain of the lambda that is best on test rows and of the lambda that validation rows choose.

    Returns:
        ``best_lambda``, ``best_gain``, ``chosen_lambda``, ``chosen_gain`` and its interval, ``p_value`` of the best (max-t), and
        ``gain``, ``seed_sd`` and ``standard_error`` (of the bootstrap over test rows) at lambda = 1.
    """
    result = sweep(embeddings, LAMBDAS, seeds, protocol, progress=False)
    effects, chosen = result.effects(n_boot=n_boot), result.selected(n_boot=n_boot).iloc[0]
    best, one = effects.loc[effects["difference"].idxmax()], effects[effects["lambda_image"] == 1].iloc[0]
    return {
        "best_lambda": best["lambda_image"], "best_gain": best["difference"],
        "chosen_lambda": chosen["lambda_image"], "chosen_gain": chosen["difference"], "chosen_low": chosen["low"],
        "chosen_high": chosen["high"], "p_value": result.some_lambda_beats_zero(n_boot=n_boot)["p_value"].iloc[0],
        "gain": one["difference"], "seed_sd": one["seed_sd"], "standard_error": one["standard_error"],
    }  # fmt: skip
