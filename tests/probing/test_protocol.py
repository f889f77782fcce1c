"""Protocols counted in updates have as many on any data set."""

from helpers import PROTOCOLS
from helpers.probing.protocol import BRSET_UPDATES
from helpers.published import datasets


def test_matched_protocols_have_the_updates_of_brset_on_any_set():
    about = datasets().set_index("dataset").loc["BRSET"]
    fit = (about["rows"] - about["test_rows"]) * 0.9
    assert BRSET_UPDATES == -(-fit // 512) * 100
    for n_fit, epochs, patience in ((700, 1150, 115), (4193, 256, 26), (11_710, 100, 10)):
        protocol = PROTOCOLS["paper-matched"].for_rows(n_fit)
        assert (protocol.max_epochs, protocol.patience) == (epochs, patience)
    assert PROTOCOLS["paper"].for_rows(700) is PROTOCOLS["paper"]
