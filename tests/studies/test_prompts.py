"""Prompts of the shipped data sets: one per class and encoder, unit vectors, damage named."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from safetensors import safe_open
from samples import embedding_set

from helpers.arrays import unit_rows
from helpers.files import write_arrays
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet
from helpers.tasks import Task

sys.path += [str(ROOT / "studies"), str(ROOT / "tests/faults")]
from damage import flipped  # noqa: E402
from prompts import PROMPTS, encode_prompts, prompts_of  # noqa: E402


def test_every_shipped_set_has_a_prompt_per_output_of_this_very_encoder(tmp_path):
    assert set(PROMPTS["ham10000"]) == {"akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"}
    for path in stored(ROOT / SHIPPED)["path"]:
        shipped = EmbeddingSet.load(path)
        vectors = prompts_of(shipped)
        assert vectors.shape == (shipped.task.n_outputs, shipped.dim) and prompts_of(shipped, tmp_path) is None
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert prompts_of(replace(shipped, provenance=shipped.provenance | {"encoder": {}})) is None


def test_the_file_says_the_texts_the_encoder_and_the_command_and_damage_is_named(tmp_path):
    sample = embedding_set("multiclass")
    vectors = np.eye(7, sample.dim) + np.eye(7, sample.dim, -1)
    words = SimpleNamespace(name="words", fingerprint={"a": 1}, encode_texts=lambda texts: vectors)
    path, vectors = encode_prompts("ham10000", words, tmp_path), unit_rows(vectors).astype(np.float32)
    with safe_open(path, "numpy") as stored_prompts:
        about = stored_prompts.metadata()
    assert json.loads(about["prompts"]) == PROMPTS["ham10000"] and about["command"] == "python studies/prompts.py"
    own = replace(sample, provenance={"dataset": "ham10000", "backbone": "words", "encoder": words.fingerprint})
    classes = [list(PROMPTS["ham10000"]).index(c) for c in sample.task.classes]
    np.testing.assert_array_equal(prompts_of(own, tmp_path), vectors[classes])
    assert prompts_of(replace(own, task=Task("multiclass", (*sample.task.classes, "unicorn"))), tmp_path) is None
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 61):
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(ValueError, match="words.safetensors holds no prompts"):
            prompts_of(own, tmp_path)
    for prompts, why in ((vectors * 2, "norm is not 1"), (vectors[:6], "expected 7 x"), (vectors * np.nan, "non-finite")):
        write_arrays(path, {"prompts": prompts}, {k: v for k, v in about.items() if k != "sha256"})
        with pytest.raises(ValueError, match=why):
            prompts_of(own, tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"words.safetensors holds no prompts"):
        prompts_of(own, tmp_path)
