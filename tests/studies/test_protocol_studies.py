"""Studies of pages 03 and 12: channels against counting by hand, legs that end at their protocols, training against single runs."""

from itertools import permutations

import channel_factorial as factorial
import numpy as np
import protocol_steps as steps
import pytest
import torch
import training_gain as study
from oracles import features_of, train_updates
from samples import embedding_set

from helpers import PROTOCOLS, Protocol, metrics, sweep
from helpers.alignment.shift import CHANNELS, FACTORIAL, Alignment


def test_channel_effects_against_all_orders_of_all_subsets():
    short = PROTOCOLS["paper"].replace(batch_size=32, max_epochs=4, lr=0.3)
    swept = sweep(embedding_set("binary"), [0, 1], seeds=(1, 2), protocol=short, alignments=FACTORIAL, progress=False)
    subsets = {Alignment(name).channels for name in FACTORIAL}
    assert len(subsets) == len(FACTORIAL) == 15 and CHANNELS in subsets
    auc = swept.runs.assign(auc=swept.headline_auc()).groupby(["alignment", "lambda_image"])["auc"].mean()
    value = {frozenset(Alignment(name).channels): auc[name, 1.0] - auc["lambda", 0.0] for name in FACTORIAL} | {frozenset(): 0.0}
    table = factorial.channel_effects(swept, n_boot=50).set_index(["channel", "measure"])["difference"]
    for channel in CHANNELS:
        before = [frozenset(order[: order.index(channel)]) for order in permutations(CHANNELS)]
        added = [value[subset | {channel}] - value[subset] for subset in before]
        assert table[channel, "average over orders"] == pytest.approx(sum(added) / 24, abs=1e-12)
        assert table[channel, "alone"] == pytest.approx(value[frozenset([channel])], abs=1e-12)
        left = value[frozenset(CHANNELS)] - value[frozenset(CHANNELS) - {channel}]
        assert table[channel, "lost without it"] == pytest.approx(left, abs=1e-12)
    averages = table.xs("average over orders", level=1).sum()
    assert averages == pytest.approx(table["all", "whole"], abs=1e-12)
    assert table["all", "whole minus sum"] == pytest.approx(table["all", "whole"] - table.xs("alone", level=1).sum(), abs=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize(("leg", "end"), [("to the code", "authors-code"), ("to convergence", "converged")])
def test_a_leg_ends_at_its_protocol(leg, end, kind):
    protocol = PROTOCOLS[steps.LEGS[leg]]
    for step in steps.protocol_steps(embedding_set(kind)):
        if step.leg == leg:
            protocol = protocol.replace(**step.changes)
    end = PROTOCOLS[end]
    fields = ("gap_rows", "optimizer", "strengths") + (("weight_decay", "lr", "batch_size") if end.optimizer != "minimiser" else ())
    assert [getattr(protocol, f) for f in fields] == [getattr(end, f) for f in fields]
    if kind == "multiclass":
        assert (protocol.weighting, protocol.multiclass_auc) == (end.weighting, end.multiclass_auc)


def test_effects_of_steps_are_differences_of_paired_sweeps():
    arms = steps.Arms(embedding_set(), seeds=(1, 2), n_boot=50)
    start, code = (PROTOCOLS[name] for name in ("paper", "authors-code"))
    found = steps.change(arms.measured(start), arms.measured(code))
    level = steps.level(arms.measured(code))
    authors = sweep(arms.embeddings, [0.0, 1.0], (1, 2), "authors-code", progress=False).effects(n_boot=50)
    assert level["auc"] == pytest.approx(authors["auc"].iloc[0])
    gains = authors.loc[1, ["difference", "low", "high"]].tolist()
    assert [level[name] for name in ("gain", "gain_low", "gain_high")] == pytest.approx(gains)
    assert found["auc_change"] == pytest.approx(level["auc"] - arms.measured(start)["auc"])
    assert set(steps.change(arms.measured(start), arms.measured(start)).values()) == {0.0}


def test_the_gain_along_training_is_that_of_single_runs():
    embeddings = embedding_set()
    rates = {"adamw": (0.003, 0.03), "sgd": (0.03,)}
    table = study.training_gain(embeddings, rates, (3, 9, 30), (1, 2), 0.03, n_boot=50, batch_size=16)
    fit, test = embeddings.rows("train"), embeddings.rows("test")
    for name, lam in (("none", 0.0), ("lambda", 1.0)):
        x = features_of(embeddings, Alignment("lambda", lam, lam), fit, fit)
        protocol = Protocol(optimizer="adamw", lr=0.003, batch_size=16, weighting="text")
        aucs = []
        for seed in (1, 2):
            p = train_updates(x, embeddings.targets, embeddings.task, fit, seed, protocol, torch.float64, 9).numpy()
            aucs.append(metrics.macro_auc(metrics.softmax(x[test] @ p[:, :-1].T + p[:, -1]), embeddings.targets[test]))
        row = table[(table["rate"] == 0.003) & (table["updates"] == 9) & (table["alignment"] == name)]
        assert row["auc"].item() == pytest.approx(np.mean(aucs), abs=1e-6)
    assert len(table) == 3 * (4 + 4 + 2 + 4)
    assert (table["low"].notna() == ((table["alignment"] == "lambda") & (table["rate"] == 0.03))).all()
