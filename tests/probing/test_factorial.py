"""Effects of channels: alone, without the others and on average over all orders, against counting by hand."""

from itertools import permutations

import pytest
from samples import embedding_set

from helpers import PROTOCOLS, sweep
from helpers.alignment.channels import CHANNELS, FACTORIAL, Alignment
from helpers.probing.factorial import channel_effects
from helpers.probing.protocol import BRSET_UPDATES
from helpers.published import datasets


@pytest.fixture(scope="module")
def swept():
    protocol = PROTOCOLS["paper"].replace(batch_size=32, max_epochs=4, lr=0.3)
    return sweep(embedding_set("binary"), [0, 1], seeds=(1, 2), protocol=protocol, alignments=FACTORIAL, progress=False)


def test_every_subset_of_the_channels_is_one_alignment():
    subsets = {Alignment(name).channels for name in FACTORIAL}
    assert len(subsets) == len(FACTORIAL) == 15 and CHANNELS in subsets


def test_channel_effects_against_all_orders(swept):
    auc = swept.runs.assign(auc=swept.headline_auc()).groupby(["alignment", "lambda_image"])["auc"].mean()
    value = {frozenset(Alignment(name).channels): auc[name, 1.0] - auc["lambda", 0.0] for name in FACTORIAL} | {frozenset(): 0.0}
    table = channel_effects(swept, n_boot=50).set_index(["channel", "measure"])["difference"]
    for channel in CHANNELS:
        added = [
            value[frozenset(o[: o.index(channel) + 1])] - value[frozenset(o[: o.index(channel)])] for o in permutations(CHANNELS)
        ]
        assert table[channel, "average over orders"] == pytest.approx(sum(added) / 24, abs=1e-12)
        assert table[channel, "alone"] == pytest.approx(value[frozenset([channel])], abs=1e-12)
        left = value[frozenset(CHANNELS)] - value[frozenset(CHANNELS) - {channel}]
        assert table[channel, "lost without it"] == pytest.approx(left, abs=1e-12)
    averages = table.xs("average over orders", level=1).sum()
    assert averages == pytest.approx(table["all", "whole"], abs=1e-12)
    assert table["all", "whole minus sum"] == pytest.approx(table["all", "whole"] - table.xs("alone", level=1).sum(), abs=1e-12)


def test_a_missing_subset_is_named():
    protocol = PROTOCOLS["paper"].replace(batch_size=32, max_epochs=2)
    result = sweep(embedding_set("binary"), [0, 1], seeds=(1,), protocol=protocol, alignments=FACTORIAL[:5], progress=False)
    with pytest.raises(ValueError, match="lacks the channels shift and common-scale"):
        channel_effects(result, n_boot=10)


def test_matched_protocols_have_the_updates_of_brset_on_any_set():
    about = datasets().set_index("dataset").loc["BRSET"]
    fit = (about["rows"] - about["test_rows"]) * 0.9
    assert BRSET_UPDATES == -(-fit // 512) * 100
    for n_fit, epochs, patience in ((700, 1150, 115), (4193, 256, 26), (11_710, 100, 10)):
        protocol = PROTOCOLS["paper-matched"].for_rows(n_fit)
        assert (protocol.max_epochs, protocol.patience) == (epochs, patience)
    assert PROTOCOLS["paper"].for_rows(700) is PROTOCOLS["paper"]
