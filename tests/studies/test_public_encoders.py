"""The stored geometry of real encoders, recomputed where the vectors are at hand."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

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
STORED = pd.read_csv(ROOT / "data/measured/public_encoders.csv")


def test_the_stored_numbers_hold_the_values_known_of_clip_and_convirt():
    trained = STORED.query("weights == 'trained'").set_index(["encoder", "modality", "quantity"])["value"]
    for key, expected in CHECKS.items():
        assert trained[key] == pytest.approx(expected, abs=6e-5)


@pytest.mark.skipif("MEASURED_ROOT" not in os.environ, reason="set MEASURED_ROOT to the folder of public_embeddings")
def test_the_study_gives_the_stored_numbers(tmp_path):
    (tmp_path / "src/helpers").mkdir(parents=True)
    (tmp_path / "src/helpers/__init__.py").touch()  # marks the folder as the project, so that the table is written there
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, str(ROOT / "studies/public_encoders.py")], cwd=tmp_path, env=environment, check=True)
    again = pd.read_csv(tmp_path / "data/measured/public_encoders.csv")
    pd.testing.assert_frame_equal(again, STORED, rtol=1e-9, atol=1e-9)
    assert np.isfinite(again["value"]).all()
