"""Make small stored embedding sets once per run, and select the heavy tests."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser):
    parser.addoption("--freeze", action="store_true", help="write tests/pages/frozen anew; look at the difference")


def pytest_configure(config):
    config.addinivalue_line("markers", "heavy: takes a built book, a browser or a real build; run by make test-heavy")


def small_set(dataset: str, variant: str, backbone: str, multilabel: bool, seed: int, n: int = 240, d: int = 12):
    """Return two noisy cones whose labels depend on both modalities; texts repeat."""
    from helpers import EmbeddingSet

    rng = np.random.default_rng(seed)
    label = np.random.default_rng(0).integers(0, 3, n)  # the same rows in every variant and under every encoder
    centre = rng.normal(size=(3, d))
    image = 0.3 * centre[label] + rng.normal(size=(n, d)) + np.eye(d)[0] * 3
    text = (0.3 * centre + np.eye(d)[1] * 4 + rng.normal(size=(3, d)) * 0.2)[label] + np.eye(d)[2] * rng.integers(0, 5, n)[:, None]
    split = np.repeat(["train", "val", "test"], [n // 2, n // 4, n - n // 2 - n // 4])
    labels = (label[:, None] == np.arange(3)).astype(int) if multilabel else np.array(["mel", "nv", "vasc"])[label]
    task = {"kind": "multilabel", "classes": ["dog", "man", "ball"]} if multilabel else {}
    names = {"dataset": dataset, "variant": variant, "backbone": backbone}
    return EmbeddingSet.from_arrays(image, text, labels, split, **task, **names)


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """Return a folder of stored sets: flickr8k (multi-label) and ham10000 in two variants (multi-class), two encoders each."""
    folder = tmp_path_factory.mktemp("store")
    names = [("flickr8k", "common", True), ("ham10000", "clean", False), ("ham10000", "authors", False)]
    for i, (dataset, variant, multilabel) in enumerate(names):
        for j, backbone in enumerate(("lit-natural", "lit-derm")):
            small_set(dataset, variant, backbone, multilabel, seed=10 * i + j).save(folder / dataset / variant / backbone)
    return folder


def pytest_collection_modifyitems(config, items):
    """Skip heavy tests unless ``make test-heavy`` runs them, and start the longest file first, so that workers end together."""
    items.sort(key=lambda item: item.path.name != "test_pages.py")
    if "heavy" not in (config.option.markexpr or ""):
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="heavy; run with -m heavy"))
