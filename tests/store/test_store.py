"""A saved EmbeddingSet loads unchanged, and an error names any fault."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import EmbeddingSet
from helpers.files import write_arrays
from helpers.tasks import UNLABELLED, Task


def make(n: int = 12, d: int = 5, seed: int = 0, **extra) -> EmbeddingSet:
    image, text = np.random.default_rng(seed).normal(size=(2, n, d)).astype(np.float32)
    image[3] = image[0]  # one image, two texts
    third = np.arange(n) % 3
    return EmbeddingSet.from_arrays(
        image, text, np.array([*"abc"])[third], np.array(["train", "val", "test"])[third], dataset="made", **extra
    )


def test_saving_and_loading_changes_nothing(tmp_path):
    made = make(backbone="none")
    back = EmbeddingSet.load(made.save(tmp_path / "set"))
    assert back.fingerprint == made.fingerprint != make(seed=1).fingerprint
    assert back.task == made.task and back.provenance == made.provenance
    np.testing.assert_array_equal(back.image, made.image)
    pd.testing.assert_frame_equal(back.pairs, made.pairs)
    assert EmbeddingSet(made.image, made.text, made.pairs.assign(group="g"), made.task).fingerprint != made.fingerprint


def test_sets_of_the_same_vectors_share_them_and_nobody_can_change_them():
    made, own = make(), np.eye(2, dtype=np.float32)
    other = replace(made, pairs=made.pairs.iloc[:5])
    assert other.image is made.image and other.text is made.text
    pair = EmbeddingSet(
        own,
        own[::-1],
        pd.DataFrame({"pair_id": ["a"], "image": 0, "text": 1, "split": "train", "group": "g"}),
        Task(UNLABELLED, ()),
    )
    own[0] = 9
    assert pair.image[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        made.image[0] = 0


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 20), d=st.integers(1, 9), seed=st.integers(0, 99))
def test_distinct_rows_are_stored_once_and_pairs_keep_their_vectors(n, d, seed):
    image, text = np.random.default_rng(seed).choice([-1.0, 2.0, 3.0], size=(2, n, d)) + [[[0]], [[0.5]]]
    made = EmbeddingSet.from_arrays(image, text, ["x", "y"] * (n // 2) + ["x"] * (n % 2), ["train"] * n)
    np.testing.assert_allclose(made.image_of(), image / np.linalg.norm(image, axis=1, keepdims=True), atol=1e-6)
    assert len(made.image) == len(np.unique(image, axis=0)) and len(made.text) == len(np.unique(text, axis=0))


def test_half_precision_is_close_and_an_image_matrix_can_be_shared(tmp_path):
    made = make()
    made.save(tmp_path / "a" / "set", dtype="float16")
    other = EmbeddingSet(made.image, made.text[::-1].copy(), made.pairs, made.task, {})
    other.save(tmp_path / "b" / "set", dtype="float16", image_from=tmp_path / "a" / "set")
    assert not (tmp_path / "b" / "set" / "image.safetensors").exists()
    back = EmbeddingSet.load(tmp_path / "b" / "set")
    np.testing.assert_allclose(back.image, made.image, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(back.image, axis=1), 1, atol=1e-6)
    large = EmbeddingSet.from_arrays(made.image_of() * np.float32(1e30), made.text_of().astype(float) * 1e200)
    np.testing.assert_allclose(large.image_of(), made.image_of(), atol=1e-6)  # norms that overflow single precision
    with pytest.raises(ValueError, match="other image vectors"):
        make(seed=1).save(tmp_path / "c", dtype="float16", image_from=tmp_path / "a" / "set")
    assert not (tmp_path / "c").exists() and not list(tmp_path.glob(".c*"))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("image.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "image.safetensors does not match the checksum"),
        ("text.safetensors", None, "text.safetensors is missing"),
        ("provenance.json", None, "no embeddings in"),
        ("provenance.json", lambda data: data.replace(b'"format": 2', b'"format": 99'), "provenance.json has format 99"),
        ("provenance.json", lambda data: data[:1], "provenance.json is damaged"),
    ],
)
def test_a_changed_or_missing_file_is_named(name, spoil, message, tmp_path):
    path = make().save(tmp_path / "set") / name
    data = path.read_bytes()
    path.unlink() if spoil is None else path.write_bytes(spoil(data))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        EmbeddingSet.load(tmp_path / "set")


def test_a_save_on_a_full_disk_leaves_the_old_set_whole(tmp_path, monkeypatch):
    old = make()
    old.save(tmp_path / "set")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        make(seed=1).save(tmp_path / "set")
    assert EmbeddingSet.load(tmp_path / "set").fingerprint == old.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("pairs", "text", "message"),
    [
        ({"split": ["train", "val", "dev", *["test"] * 9]}, {}, "pair 2: split 'dev' is not one of train, val, test .1 such pairs"),
        ({"pair_id": "same"}, {}, "pair 1 has the pair_id of an earlier one .11 such pairs"),
        ({"text": 99}, {}, "pair 0 points at text 99"),
        ({}, {4: None}, "image vectors have 5 dimensions and text vectors 4"),
        ({}, {2: 0.0}, "text has 1 zero-norm.*row 2"),
        ({}, {2: np.nan}, "text has 1 row.*non-finite.*row 2"),
    ],
)
def test_bad_sets_are_named(pairs, text, message):
    good, vectors = make(), make().text.copy()
    for where, value in text.items():
        vectors = vectors[:, :where] if value is None else np.where(np.arange(12)[:, None] == where, np.float32(value), vectors)
    with pytest.raises(ValueError, match=message):
        EmbeddingSet(good.image, vectors, good.pairs.assign(**pairs), good.task)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_set_may_be_read_by_whom_the_umask_lets_read(mask, tmp_path):
    before = os.umask(mask)
    try:
        make().save(tmp_path / "set")
        write_arrays(tmp_path / "set" / "alignment.safetensors", {"a": np.ones(2)}, {}, part_of_result=True)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "set").iterdir()}
    assert modes == {0o666 & ~mask} and (tmp_path / "set").stat().st_mode & 0o777 == 0o777 & ~mask
