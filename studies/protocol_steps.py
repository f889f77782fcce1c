"""Step from the paper's text to the authors' code and on to a converged probe, one difference at a time.

    python studies/protocol_steps.py                    all shipped sets, about 18 minutes on two cores

Each step changes fields of a protocol. It is measured alone (the start of its leg with this one change) and cumulatively (on top
of the steps before it), always on the same test rows. A second table has what drawn validation rows and the authors' text change,
a third the lambda that is best on test rows beside the one that validation rows choose.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
import pandas as pd
from common import NAMES, Clock, names_of, shipped_sets, store_rows

from helpers import sweep
from helpers.probing.protocol import BRSET_UPDATES, LAMBDAS, PROTOCOLS, Protocol, split_rows
from helpers.statistics import percentile_interval

INPUTS = ["data/embeddings/**/*"]
OUT = ["data/measured/protocol_steps.csv", "data/measured/protocol_data.csv", "data/measured/protocol_choice.csv"]
SEEDS = (42, 43)
N_BOOT = 500
NORMALISED = {"weighting": "authors-code-normalised"}
LEGS = {"to the code": "paper", "to convergence": "authors-code"}
CHANGES = [f"{value}_change{end}" for value in ("auc", "gain") for end in ("", "_low", "_high")]
COLUMNS = [*NAMES, "leg", "mode", "step", "number", "auc", "gain", "gain_low", "gain_high", "seed_sd", *CHANGES]


@dataclass(frozen=True)
class Step:
    """One difference.

    Args:
        label: what the step does.
        leg: a key of ``LEGS``.
        number: of the difference in ``data/published/protocol_differences.csv``.
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


def protocol_steps(embeddings) -> list[Step]:
    """Return the steps of both legs for this set, in their order; some depend on its number of rows and its task."""
    code, end = LEGS
    authors = PROTOCOLS[LEGS[end]]
    per_epoch = ceil(len(split_rows(embeddings, SEEDS[0]).fit) / authors.batch_size)
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
        Step("no class weights, as in the text", end, 16, {"weighting": "text"}, kinds=("multiclass",)),
    ]
    return [step for step in steps if embeddings.task.kind in step.kinds]


class Arms:
    """Trained probes of one embedding set at lambda = 0 and 1, by protocol; each protocol is trained once."""

    def __init__(self, embeddings, seeds: Sequence[int] = SEEDS, n_boot: int = N_BOOT, workers: int | None = None):
        self.embeddings, self.seeds, self.n_boot, self.workers = embeddings, tuple(seeds), n_boot, workers
        self._trained, self._scored = {}, {}

    def measured(self, protocol: Protocol) -> pd.Series:
        """Return ``auc`` and ``gain`` (means over seeds), their replicates ``auc_draws`` and ``gain_draws``, and ``seed_sd``."""
        key = protocol.replace(name="")
        if key not in self._scored:
            metric = "auc_hard" if self.embeddings.task.kind == "multiclass" and protocol.multiclass_auc == "hard" else "auc"
            trained = self._train(protocol.replace(name="", multiclass_auc="score"))
            self._scored[key] = measure(replace(trained, provenance={**trained.provenance, "headline_metric": metric}), self.n_boot)
        return self._scored[key]

    def _train(self, protocol: Protocol):
        if protocol not in self._trained:
            self._trained[protocol] = sweep(self.embeddings, [0.0, 1.0], self.seeds, protocol, workers=self.workers, progress=False)
        return self._trained[protocol]


def measure(result, n_boot: int) -> pd.Series:
    """Return the AUC at lambda = 0 and the gain of lambda = 1 of a sweep over both, with replicates and the spread over seeds."""
    bootstrap = result.bootstrap(n_boot)
    one, zero = int(np.flatnonzero(bootstrap.keys["lambda_image"] == 1)[0]), bootstrap.zero("joint")
    gain = bootstrap.auc(one) - bootstrap.auc(zero)
    return pd.Series(
        {
            "auc": bootstrap.auc(zero).mean(), "gain": gain.mean(), "auc_draws": bootstrap.draws(zero),
            "gain_draws": bootstrap.draws(one) - bootstrap.draws(zero), "seed_sd": gain.std(ddof=1) if len(gain) > 1 else np.nan,
        }
    )  # fmt: skip


def step_effects(arms: Arms) -> pd.DataFrame:
    """Return what each step changes, alone and cumulatively, with paired intervals over test rows; columns ``COLUMNS``.

    ``auc`` and ``gain`` are after the step, changes against the arm without it. The row before the first step of a leg has none.
    """
    rows = []
    for leg, name in LEGS.items():
        steps = [s for s in protocol_steps(arms.embeddings) if s.leg == leg]
        rows.append({"leg": leg, "mode": "start", "step": name, **level(arms.measured(PROTOCOLS[name]))})
        for mode in ("cumulative", "alone"):
            for step, before, after in pairs(PROTOCOLS[name], steps, mode):
                found = {**level(arms.measured(after)), **change(arms.measured(before), arms.measured(after))}
                rows.append({"leg": leg, "mode": mode, "step": step.label, "number": step.number, **found})
    return pd.DataFrame(rows).assign(**names_of(arms.embeddings))[COLUMNS]


def pairs(start: Protocol, steps: list[Step], mode: str) -> Iterator[tuple[Step, Protocol, Protocol]]:
    """Yield each step with the protocols without and with it."""
    current = start
    for step in steps:
        before = current if mode == "cumulative" else start.replace(**step.beside)
        after = before.replace(**step.changes)
        yield step, before, after
        current = after


def level(arm: pd.Series) -> dict[str, float]:
    """Return the columns that describe one arm."""
    low, high = percentile_interval(arm["gain_draws"])
    return {"auc": arm["auc"], "gain": arm["gain"], "gain_low": low, "gain_high": high, "seed_sd": arm["seed_sd"]}


def change(before: pd.Series, after: pd.Series) -> dict[str, float]:
    """Return the changes of AUC and gain between two arms with the same test rows, and their paired intervals."""
    found = {}
    for name in ("auc", "gain"):
        low, high = percentile_interval(after[f"{name}_draws"] - before[f"{name}_draws"])
        found |= {f"{name}_change": after[name] - before[name], f"{name}_change_low": low, f"{name}_change_high": high}
    return found


def changes_of_data(given: Arms, clean: Arms | None) -> pd.DataFrame:
    """Return what validation rows drawn per seed change, and what the authors' text does against the one without label proxies."""
    drawn = Arms(drawn_validation(given.embeddings), given.seeds, given.n_boot, given.workers)
    rows = [
        {"protocol": name, "difference": "validation rows drawn per seed", "number": 13}
        | change(given.measured(PROTOCOLS[name]), drawn.measured(PROTOCOLS[name]))
        for name in LEGS.values()
    ]
    if clean is not None:
        rows += [
            {"protocol": name, "difference": "the authors' text", "number": 17} | change(clean.measured(p), given.measured(p))
            for name, p in PROTOCOLS.items()
            if name != "converged-balanced"
        ]
    return pd.DataFrame(rows).assign(**names_of(given.embeddings))[[*NAMES, "protocol", "difference", "number", *CHANGES]]


def drawn_validation(embeddings):
    """Return the set without a validation split of its own, so that each seed draws a tenth of the training rows."""
    return replace(embeddings, pairs=embeddings.pairs.assign(split=embeddings.pairs["split"].replace("val", "train")))


def choice_of_lambda(embeddings, protocol: str = "authors-code", seeds=SEEDS, n_boot: int = N_BOOT) -> pd.DataFrame:
    """Return the gain of the lambda that is best on test rows and of the lambda that validation rows choose, in one row."""
    result = sweep(embeddings, LAMBDAS, seeds, protocol, progress=False)
    effects, chosen = result.effects(n_boot=n_boot), result.selected(n_boot=n_boot).iloc[0]
    best, one = effects.loc[effects["difference"].idxmax()], effects[effects["lambda_image"] == 1].iloc[0]
    found = {
        "best_lambda": best["lambda_image"], "best_gain": best["difference"],
        "chosen_lambda": chosen["lambda_image"], "chosen_gain": chosen["difference"], "chosen_low": chosen["low"],
        "chosen_high": chosen["high"], "p_value": result.some_lambda_beats_zero(n_boot=n_boot)["p_value"].iloc[0],
        "gain": one["difference"], "seed_sd": one["seed_sd"], "standard_error": one["standard_error"],
    }  # fmt: skip
    return pd.DataFrame([{**names_of(embeddings), "protocol": protocol, **found}])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="DATASET/VARIANT/ENCODER", help="some of the shipped sets")
    parser.add_argument("--workers", type=int, default=None, help="threads; all cores when absent")
    args = parser.parse_args()
    for embeddings in shipped_sets(args.only):
        clock, names = Clock(), names_of(embeddings)
        clean = shipped_sets([f"{names['dataset']}/clean/{names['backbone']}"])[0] if names["variant"] == "authors" else None
        given = Arms(embeddings, workers=args.workers)
        data = changes_of_data(given, Arms(clean, workers=args.workers) if clean else None)
        store_rows(dict(zip(OUT, (step_effects(given), data, choice_of_lambda(embeddings)), strict=True)), embeddings, clock)
        print(*names.values(), flush=True)


if __name__ == "__main__":
    main()
