"""Make small embedding sets with signal, a wide gap and narrow cones, for tests."""

import numpy as np

from helpers import EmbeddingSet


def embedding_set(kind="multiclass", n=150, d=6, seed=0, val=True, groups=None, repeat=1, **provenance) -> EmbeddingSet:
    """Return pairs whose labels depend on both modalities; with ``repeat``, each image serves that many pairs."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, size=n, p=(0.6, 0.3, 0.1))
    centres = rng.normal(size=(3, d))
    image = rng.normal(size=(n, d)) + 0.8 * centres[codes] + 1.5
    text = rng.normal(size=(n, d)) + 0.5 * centres[codes] - 1.0
    image = image[np.arange(n) // repeat * repeat]
    split = np.array(["train"] * n, dtype=object)
    split[int(0.5 * n) : int(0.7 * n)] = "val" if val else "train"
    split[int(0.7 * n) :] = "test"
    if kind == "multilabel":
        labels = np.stack([codes == 0, rng.random(n) < 0.3, image[:, 0] > 1.5], axis=1).astype(int)
    elif kind == "binary":
        labels = np.where(codes == 0, "benign", "malignant")
    else:
        labels = np.array(["akiec", "bcc", "nv"])[codes]
    return EmbeddingSet.from_arrays(
        image, text, labels, split, kind=kind, groups=groups, dataset="sample", variant="common", backbone="normal", **provenance
    )
