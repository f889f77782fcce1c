"""Training projection heads: reproducible, blind to the test rows, and better than chance; Eq. 2 against the textbook loss."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from test_extract import drawn

from helpers import load_backbone
from helpers.extraction import heads
from helpers.information import info_nce
from helpers.retrieval import recall_at_k


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("heads"), n=30)


def test_training_twice_gives_the_same_bytes_and_another_seed_does_not(dataset, tmp_path):
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        heads.train(dataset, "lit-small", tmp_path / out, epochs=3, seed=seed)
    a, b, c = ((tmp_path / out / "lit-small.safetensors").read_bytes() for out in "abc")
    assert a == b != c


def test_heads_learn_load_and_do_not_see_the_test_rows(dataset, tmp_path):
    record = heads.train(dataset, "lit-small", tmp_path, epochs=40)
    first, last = record["objective"]["loss_first_last_epoch"]
    assert last < 0.5 * first
    assert record["trained_on"]["pairs"] == 10 and record["held_out"]["pairs"] == 10
    backbone = load_backbone("lit-small", weights=tmp_path / "lit-small.safetensors")
    assert backbone.dim == 256 and backbone.encode_texts(["x"]).shape == (1, 256)
    before = (tmp_path / "lit-small.safetensors").read_bytes()
    rows = dataset.rows.copy()
    rows.loc[rows["split"] == "test", "text"] = "something else"
    heads.train(
        type(dataset)(dataset.name, dataset.variant, rows, dataset.task, dataset.card, dataset.root),
        "lit-small",
        tmp_path,
        epochs=40,
    )
    assert (tmp_path / "lit-small.safetensors").read_bytes() == before
    assert str(tmp_path) not in json.dumps(record) and str(dataset.root) not in json.dumps(record)


def test_several_texts_per_image_must_cover_every_training_row(dataset, tmp_path):
    texts = pd.DataFrame({"pair_id": ["p0-0", "p0-0"], "text": ["one", "two"]})
    with pytest.raises(ValueError, match="texts lacks 9 training rows, first 'p3-0'"):
        heads.train(dataset, "lit-small", tmp_path, texts=texts)
    assert not list(tmp_path.iterdir())


def test_a_head_file_of_other_shapes_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"image": np.zeros((8, 4), np.float32), "text": np.zeros((8, 384), np.float32)}, tmp_path / "h.safetensors")
    with pytest.raises(ValueError, match=r"expected image \(d, 1280\)"):
        load_backbone("lit-small", weights=tmp_path / "h.safetensors")
    with pytest.raises(FileNotFoundError, match="heads train"):
        load_backbone("lit-small", weights=tmp_path / "absent.safetensors")


def test_recall_counts_an_equal_text_as_found():
    similarity = np.array([[0.9, 0.8, 0.1], [0.9, 0.2, 0.8], [0.3, 0.2, 0.1]])
    assert recall_at_k(similarity, np.eye(3, dtype=bool), k=1) == pytest.approx(1 / 3, abs=1e-4)
    right = np.eye(3, dtype=bool)
    right[2, 0] = True
    assert recall_at_k(similarity, right, k=1) == pytest.approx(2 / 3, abs=1e-4)


def test_info_nce_is_cross_entropy_split_into_attraction_and_repulsion():
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(2, 20, 6))
    attraction, repulsion = info_nce(image, text, 0.1)
    v, t = (torch.nn.functional.normalize(torch.from_numpy(x), dim=1) for x in (image, text))
    expected = torch.nn.functional.cross_entropy(v @ t.T / 0.1, torch.arange(20), reduction="none")
    np.testing.assert_allclose(attraction + repulsion, expected, atol=1e-12)
    np.testing.assert_allclose(attraction, -(v * t).sum(1) / 0.1, atol=1e-12)
    assert np.isfinite(info_nce(image, text, 1e-4)).all()


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_info_nce_refuses_what_has_no_meaning(temperature):
    x = np.eye(3)
    with pytest.raises(ValueError, match="temperature must be positive"):
        info_nce(x, x, temperature)
    with pytest.raises(ValueError, match="one text per image"):
        info_nce(x, x[:2], 1.0)
