"""Protocol differences one at a time: legs end where they should, arms are paired, each step is what its protocol gives."""

import pytest
from samples import embedding_set

from helpers import sweep
from helpers.probing import protocol_steps as steps
from helpers.probing.protocol import PROTOCOLS


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize(("leg", "end"), [("to the code", "authors-code"), ("to convergence", "converged")])
def test_a_leg_ends_at_its_protocol(leg, end, kind):
    embeddings = embedding_set(kind)
    protocol = PROTOCOLS[steps.LEGS[leg]]
    for step in steps.protocol_steps(embeddings):
        if step.leg == leg:
            protocol = protocol.replace(**step.changes)
    end = PROTOCOLS[end]
    fields = ("gap_rows", "optimizer", "strengths") + (("weight_decay", "lr", "batch_size") if end.optimizer != "minimiser" else ())
    assert [getattr(protocol, f) for f in fields] == [getattr(end, f) for f in fields]
    if kind == "multiclass":
        assert (protocol.weighting, protocol.multiclass_auc) == (end.weighting, end.multiclass_auc)


def test_as_many_updates_as_brset_had():
    embeddings = embedding_set(n=3000)
    changes = next(s.changes for s in steps.protocol_steps(embeddings) if "max_epochs" in s.changes)
    assert changes["max_epochs"] * 3 >= 2300 > (changes["max_epochs"] - 100) * 3  # 1,500 fit rows are three batches an epoch
    assert changes["patience"] * 10 == changes["max_epochs"]


@pytest.fixture(scope="module")
def arms():
    return steps.Arms(embedding_set(), seeds=(1, 2), n_boot=50)


def test_effects_are_differences_of_paired_sweeps(arms):
    table = steps.step_effects(arms, ["to the code"], ["cumulative"])
    assert table["mode"].tolist() == ["start"] + ["cumulative"] * 6
    assert table["auc_change"].iloc[1:].to_numpy() == pytest.approx(table["auc"].diff().iloc[1:].to_numpy())
    assert table["gain_change"].iloc[1:].to_numpy() == pytest.approx(table["gain"].diff().iloc[1:].to_numpy())
    authors = sweep(arms.embeddings, [0.0, 1.0], (1, 2), "authors-code", progress=False).effects(n_boot=50)
    assert table["auc"].iloc[-1] == pytest.approx(authors["auc"].iloc[0])
    assert table[["gain", "gain_low", "gain_high"]].iloc[-1].tolist() == pytest.approx(
        authors.loc[1, ["difference", "low", "high"]].tolist()
    )


def test_the_same_arm_has_no_effect(arms):
    one = arms.measured(PROTOCOLS["paper"])
    assert set(steps.change(one, one).values()) == {0.0}


def test_dividing_by_the_sum_of_weights_is_measured_against_the_same_weights(arms):
    alone = steps.step_effects(arms, ["to the code"], ["alone"]).set_index("step")
    weights, divided = (alone.loc[s] for s in ("the code's class weights", "loss divided by batch size"))
    assert divided["auc_change"] == pytest.approx(divided["auc"] - weights["auc"])


def test_an_unknown_leg_or_mode_is_refused(arms):
    with pytest.raises(ValueError, match="unknown leg 'to code'; did you mean 'to the code'"):
        steps.step_effects(arms, ["to code"])
    with pytest.raises(ValueError, match="unknown mode"):
        steps.step_effects(arms, ["to the code"], ["singly"])


def test_validation_rows_are_drawn_where_none_are_given():
    embeddings = embedding_set()
    drawn = steps.drawn_validation(embeddings)
    assert not len(drawn.rows("val")) and (drawn.rows("test") == embeddings.rows("test")).all()


def test_the_best_of_many_is_not_below_the_chosen_one():
    found = steps.optimism(embedding_set(), PROTOCOLS["paper"].replace(max_epochs=2, lr=0.5), (1,), n_boot=20)
    assert found["best_gain"] >= max(found["chosen_gain"], found["gain"], 0)
