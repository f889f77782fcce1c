"""Counts of text lengths and of cut texts agree with counting by hand."""

from functools import partial

import pandas as pd
from miniatures import release
from tiny_encoders import cached, clip_folder

from helpers.backbones import REGISTRY, Tokenizer
from helpers.cli import main
from helpers.datasets import Card, PairedDataset, check
from helpers.datasets.describe import text_lengths, texts_cut, tokenizers_at_hand
from helpers.tasks import Task


def letters(name: str, limit: int) -> Tokenizer:
    """Return one token per letter and one at the end."""
    ids = partial(map, lambda text: [1] * min(len(text) + 1, limit))
    return Tokenizer(name, limit, 0, ids, lambda texts: [len(t) + 1 for t in texts], name)


def test_lengths_and_cuts_by_hand():
    rows = pd.DataFrame({"text": ["ab", "ab", "ab c", "abcdef g h"], "split": ["train", "test"] * 2, "label": [*"xyxy"]})
    rows = rows.assign(pair_id=[*"abcd"], image=[*"abcd"], group=[*"abcd"])
    card = Card("t", "natural", "s", "l", "c", "a")
    small = PairedDataset("t", "common", rows, Task("binary", ("x", "y")), card, ".")
    lengths = text_lengths(small, [letters("short", 5), letters("long", 99)])
    words = lengths[lengths["unit"] == "words"].set_index("length")[["pairs", "texts"]]
    assert words.T.to_dict("list") == {1: [2, 1], 2: [1, 1], 3: [1, 1]}
    cut = texts_cut(lengths).set_index("encoder")
    assert cut.loc["short", ["longest", "limit", "pairs_cut", "texts_cut", "share_cut"]].tolist() == [11, 5, 1, 1, 0.25]
    assert cut.loc["long", "pairs_cut"] == 0 and list(cut.index) == ["short", "long"]


def test_asking_for_tokenizers_downloads_nothing(tmp_path, monkeypatch):
    """Try an id that is not in the registry, and a model with only one file of the tokenizer, with a connection."""
    asked = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *_, **__: asked.append(host) or [])
    clip = clip_folder(tmp_path / "clip")
    for name in ("siglip", "siglip-224"):  # a fast tokenizer without its vocabulary, and none
        files = ["tokenizer_config.json", "config.json"][: 1 + (name == "siglip-224")]
        cached(tmp_path, REGISTRY[name].source, [clip / file for file in files], "c" * 40)
    others = ["siglip", "siglip-224", "biomedclip", "google/siglip2-base-patch16-224", "open_clip:hf-hub:someone/model"]
    found, absent = tokenizers_at_hand([*others, "lit-derm", "lit-natural"])
    assert [t.name for t in found] == ["lit-derm"] and list(absent) == others and not asked  # two encoders share one tokenizer
    assert absent["siglip"] == REGISTRY["siglip"].access and "give a local folder" in absent[others[3]]


def test_check_says_which_texts_are_cut():
    facts = "\n".join(check("brset", release("brset"), tokenizers=["clip", "medsiglip"], open_images=False).facts)
    assert "texts cut: 100.0 % by clip (longest " in facts and " of 77 tokens)" in facts
    assert "tokenizer files are missing: medsiglip" in facts
    assert "0.0 % by clip" in "\n".join(check("brset", release("brset"), "clean", tokenizers=["clip"], open_images=False).facts)


def test_options_of_a_data_set_are_judged(capsys):
    for name, given, said in [
        ("mimic_cxr", "uncertain=maybe", "unknown policy for uncertain labels 'maybe'; valid: drop, zero, one"),
        ("mimic_cxr", "uncertian=zero", "unknown option of mimic_cxr 'uncertian'; did you mean 'uncertain'"),
        ("daquar", "min_count=few", "a value of type int"),
        ("daquar", "min_count=99999", "none occurs 99999 times"),
        ("ham10000", "x=1", "ham10000 takes no options"),
    ]:
        assert main(["check", name, "--root", str(release(name)), "--no-images", "--option", given])
        assert said in "".join(capsys.readouterr())
