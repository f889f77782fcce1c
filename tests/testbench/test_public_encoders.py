"""The shipped numbers of real encoders, recomputed where the vectors are at hand."""

import os

import numpy as np
import pytest

from helpers.testbench.public_encoders import measure_folder, read_pair, relative_modality_gap, shipped_measures

VARIABLE = "PUBLIC_EMBEDDINGS"
CHECKS = {
    ("CLIP ViT-B/16", "image", "R"): 0.7297,
    ("CLIP ViT-B/16", "text", "R"): 0.7184,
    ("CLIP ViT-B/16", "joint", "gap_norm"): 0.8514,
    ("CLIP ViT-B/16", "joint", "cos_gap_pc1"): 0.9998,
    ("CLIP ViT-B/16", "joint", "residual_gap"): 0.0078,
    ("ConVIRT", "joint", "gap_norm"): 0.8231,
    ("ConVIRT", "joint", "residual_gap"): 0.2508,
    ("ConVIRT", "joint", "residual_gap_predicted"): 0.2429,
}
KEYS = ["encoder", "weights", "modality", "quantity"]


def test_the_shipped_numbers_hold_the_values_known_of_clip_and_convirt():
    trained = shipped_measures().query("weights == 'trained'").set_index(["encoder", "modality", "quantity"])["value"]
    for key, expected in CHECKS.items():
        assert trained[key] == pytest.approx(expected, abs=6e-5)


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"set {VARIABLE} to the folder of the published vectors")
def test_the_shipped_numbers_are_what_the_command_gives():
    tables = measure_folder(os.environ[VARIABLE]), shipped_measures()
    again, shipped = (t.set_index(KEYS)[["value", "low", "high"]] for t in tables)
    np.testing.assert_allclose(again, shipped.loc[again.index], atol=1e-6)


def test_relative_modality_gap_against_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(2, 9, 4))
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    pair = np.mean([(1 - a @ b) / 2 for a, b in zip(v, t, strict=True)])
    within = [np.mean([(1 - x[i] @ x[j]) / 2 for i in range(9) for j in range(9) if i != j]) for x in (v, t)]
    assert relative_modality_gap(image, text) == pytest.approx(pair / (pair + np.mean(within)))


def test_another_shape_or_an_empty_folder_is_refused(tmp_path):
    np.save(tmp_path / "clip.npy", np.zeros((3, 5, 4), np.float32))
    with pytest.raises(ValueError, match=r"\(3, 5, 4\), expected \(2, n, d\)"):
        read_pair(tmp_path / "clip.npy")
    with pytest.raises(FileNotFoundError, match="clip.npy"):
        measure_folder(tmp_path / "absent")
