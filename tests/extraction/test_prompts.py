"""Prompts of the shipped data sets: there for every class and encoder, unit vectors of the right width, damage named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from helpers.datasets import ham10000
from helpers.extraction.find import embeddings_for
from helpers.extraction.prompts import PROMPTS, encode_prompts, prompt_vectors, prompts_of, prompts_path
from helpers.files import project_root
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet
from helpers.tasks import Task


class Words:
    """An encoder that gives every text a random direction of its own."""

    name = "words"
    fingerprint = {"backbone": "words"}

    def encode_texts(self, texts):
        return np.stack([np.random.default_rng(len(t)).normal(size=8) for t in texts]).astype(np.float32)


def test_every_shipped_set_has_a_prompt_per_output():
    for row in stored(project_root() / SHIPPED).itertuples():
        embeddings = EmbeddingSet.load(row.path)
        vectors = prompt_vectors(row.dataset, row.backbone, embeddings.task.outputs)
        assert vectors.shape == (embeddings.task.n_outputs, embeddings.dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert set(PROMPTS["ham10000"]) == set(ham10000.CLASSES)


def test_the_file_says_the_texts_the_encoder_and_the_command(tmp_path):
    path = encode_prompts("flickr8k", Words(), "python benchmarks/prompts.py", tmp_path)
    with safe_open(path, "numpy") as stored_prompts:
        about = stored_prompts.metadata()
    assert json.loads(about["prompts"]) == PROMPTS["flickr8k"] and about["command"] == "python benchmarks/prompts.py"
    dog, boy = prompt_vectors("flickr8k", "words", ("dog", "boy"), tmp_path)
    np.testing.assert_array_equal(boy, prompt_vectors("flickr8k", "words", ("boy",), tmp_path)[0])
    assert dog.shape == (8,)


def test_prompts_of_another_encoder_or_other_classes_are_not_taken():
    stored_set = embeddings_for("flickr8k", "lit-derm")
    assert prompts_of(stored_set).shape == (7, stored_set.dim)
    other = {**stored_set.provenance, "encoder": {**stored_set.provenance["encoder"], "weights": "0" * 64}}
    assert prompts_of(replace(stored_set, provenance=other)) is None
    task = Task(stored_set.task.kind, (*stored_set.task.classes[1:], "unicorn"))
    assert prompts_of(replace(stored_set, task=task, pairs=stored_set.pairs.assign(**{task.columns[-1]: 0}))) is None


def test_absent_prompts_are_none_and_damaged_or_incomplete_ones_are_named(tmp_path):
    assert prompt_vectors("flickr8k", "nobody", ("dog",), tmp_path) is None
    path = encode_prompts("flickr8k", Words(), "", tmp_path)
    with pytest.raises(ValueError, match="no prompt for 1 of 2 classes"):
        prompt_vectors("flickr8k", "words", ("dog", "unicorn"), tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"words.safetensors holds no prompts"):
        prompt_vectors("flickr8k", "words", ("dog",), tmp_path)
    with pytest.raises(ValueError, match="data set with prompts"):
        encode_prompts("nowhere", Words(), "", tmp_path)
    assert prompts_path("a", "b", tmp_path) == tmp_path / "a" / "b.safetensors"
