"""Every data set from its miniature to an AUC: check, extract with a tiny encoder, cone, sweep."""

import zlib

import miniatures as miniature
import numpy as np
import pytest
from miniatures import release
from page_code import functions_of

from helpers import extract, load_dataset, sweep
from helpers.backbones import Tokenizer
from helpers.backbones.base import Backbone
from helpers.cli import main
from helpers.cones import cone_table

TOKENS = 512
LEAST_AUC = 0.65  # of a probe on a bag of pixels and words


@pytest.fixture(scope="module")
def encoder():
    """Return a dual encoder of colours and words: random projections of pixels and of a hashed bag of words."""
    import torch

    rng = np.random.default_rng(0)
    image = torch.tensor(rng.normal(size=(432, 64)), dtype=torch.float32)
    words = torch.tensor(rng.normal(size=(TOKENS, 64)), dtype=torch.float32)

    def tokenize(texts):
        return [[1 + zlib.crc32(word.encode()) % (TOKENS - 1) for word in text.lower().split()] for text in texts]

    return Backbone(
        name="bag",
        dim=64,
        preprocess=lambda image: np.asarray(image.resize((12, 12)), dtype=np.float32).ravel() / 255,
        tokenizer=Tokenizer("bag", TOKENS, 0, tokenize, lambda texts: [len(ids) for ids in tokenize(texts)], "words"),
        image_features=lambda batch: (batch - 0.5) @ image,
        text_features=lambda ids, mask: (words[ids] * mask[..., None]).sum(dim=1),
        pad_to_context=False,
        device="cpu",
        fingerprint={"weights": "bag"},
    )


@pytest.mark.parametrize("name", miniature.WRITERS)
def test_from_release_to_auc(name, encoder, tmp_path):
    root = release(name)
    dataset = load_dataset(name, root, "clean")
    embeddings = extract(dataset, encoder, tmp_path / "set", workers=0)
    assert len(embeddings) == len(dataset) and len(embeddings.text) == dataset.rows["text"].nunique()
    assert (embeddings.pairs["pair_id"] == dataset.rows["pair_id"]).all() and embeddings.pairs["text"].dtype.kind in "iu"
    result = sweep(embeddings, lambdas=(0, 1), seeds=(42,), protocol="converged", workers=1, progress=False)
    auc = result.summary("auc")["mean"]
    assert len(auc) == 2 and (auc > LEAST_AUC).all(), auc
    swept = result.table.assign(backbone="clip", variant="authors", protocol="authors-code")  # as in the paper
    names = {*cone_table(embeddings, 0)["dataset"], *swept["dataset"], result.provenance["dataset"]}
    assert names == {f"{name} (synthetic miniature)"}
    assert functions_of("03_lambda_sweep").compare_sweep(swept)["our_gain"].isna().all()


def test_the_folder_that_holds_a_data_set_serves_as_root(capsys):
    root = release("daquar")
    for given in (root, root.parent):
        assert main(["check", "daquar", "--root", str(given), "--option", "min_count=1"]) == 0
    first, *_ = printed = capsys.readouterr().out.splitlines()
    half = len(printed) // 2
    assert printed[:half] == printed[half:] and str(root) in first
    assert main(["check", "daquar", "--root", str(root / "nowhere")]) == 2 and "nowhere does not exist" in capsys.readouterr().err
