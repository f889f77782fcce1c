"""Prompts of the shipped data sets: one per class and encoder, unit vectors, damage named."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from safetensors import safe_open
from samples import embedding_set

from helpers.datasets import ham10000
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet
from helpers.tasks import Task

sys.path.append(str(ROOT / "studies"))
from prompts import PROMPTS, encode_prompts, prompts_of  # noqa: E402


class Words:
    """An encoder that gives every text a random direction of its own."""

    name = "words"
    fingerprint = {"backbone": "words"}

    def encode_texts(self, texts):
        return np.stack([np.random.default_rng(len(t)).normal(size=8) for t in texts]).astype(np.float32)


def test_every_shipped_set_has_a_prompt_per_output_of_this_very_encoder_and_these_classes(tmp_path):
    for path in stored(ROOT / SHIPPED)["path"]:
        shipped = EmbeddingSet.load(path)
        vectors, task = prompts_of(shipped), shipped.task
        assert vectors.shape == (task.n_outputs, shipped.dim) and prompts_of(shipped, tmp_path) is None
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        other = {**shipped.provenance, "encoder": {**shipped.provenance["encoder"], "weights": "0" * 64}}
        assert prompts_of(replace(shipped, provenance=other)) is None
        if task.kind == "multilabel":
            new = Task(task.kind, (*task.classes[1:], "unicorn"))
            assert prompts_of(replace(shipped, task=new, pairs=shipped.pairs.assign(**{new.columns[-1]: 0}))) is None
    assert set(PROMPTS["ham10000"]) == set(ham10000.CLASSES)


def test_the_file_says_the_texts_the_encoder_and_the_command_and_damage_is_named(tmp_path):
    path = encode_prompts("ham10000", Words(), tmp_path)
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
        encode_prompts("nowhere", Words(), tmp_path)
