"""Prompts of the shipped data sets: there for every class and encoder, unit vectors of the right width, damage named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from samples import embedding_set

from helpers.datasets.metadata import DIAGNOSES
from helpers.extraction.find import embeddings_for
from helpers.extraction.prompts import PROMPTS, encode_prompts, prompts_of
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
    for path in stored(project_root() / SHIPPED)["path"]:
        embeddings = EmbeddingSet.load(path)
        vectors = prompts_of(embeddings)
        assert vectors.shape == (embeddings.task.n_outputs, embeddings.dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert set(PROMPTS["ham10000"]) == set(DIAGNOSES)


def test_the_file_says_the_texts_the_encoder_and_the_command_and_damage_is_named(tmp_path):
    path = encode_prompts("ham10000", Words(), "python studies/prompts.py", tmp_path)
    with safe_open(path, "numpy") as stored_prompts:
        about = stored_prompts.metadata()
    assert json.loads(about["prompts"]) == PROMPTS["ham10000"] and about["command"] == "python studies/prompts.py"
    names = {"dataset": "ham10000", "variant": "clean", "backbone": "words", "encoder": Words.fingerprint}
    sample = embedding_set("multiclass")
    own = replace(sample, provenance={**sample.provenance, **names})
    assert prompts_of(own, tmp_path).shape == (3, 8)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"words.safetensors holds no prompts"):
        prompts_of(own, tmp_path)
    with pytest.raises(ValueError, match="data set with prompts"):
        encode_prompts("nowhere", Words(), "", tmp_path)


def test_prompts_of_another_encoder_or_other_classes_are_not_taken(tmp_path):
    stored_set = embeddings_for("flickr8k", "lit-derm")
    assert prompts_of(stored_set).shape == (7, stored_set.dim) and prompts_of(stored_set, tmp_path) is None
    other = {**stored_set.provenance, "encoder": {**stored_set.provenance["encoder"], "weights": "0" * 64}}
    assert prompts_of(replace(stored_set, provenance=other)) is None
    task = Task(stored_set.task.kind, (*stored_set.task.classes[1:], "unicorn"))
    assert prompts_of(replace(stored_set, task=task, pairs=stored_set.pairs.assign(**{task.columns[-1]: 0}))) is None
