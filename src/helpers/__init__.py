"""Measure, shift and probe the cones and the modality gap of image-text embeddings.

Names are imported on first use, so that ``import helpers`` is instant and a missing heavy package is reported where it is needed.
"""

from importlib import import_module

_HOME = {
    "mean_resultant_length": "geometry", "gap_vector": "geometry", "gap_norm": "geometry", "align": "alignment.shift",
    "GapAlignment": "alignment.estimator", "PairAlignment": "alignment.estimator", "sweep": "probing.sweep",
    "PROTOCOLS": "probing.protocol", "Protocol": "probing.protocol", "EmbeddingSet": "store", "load_dataset": "datasets",
    "load_backbone": "backbones", "extract": "extraction.extract",
}  # fmt: skip
__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'helpers' has no attribute {name!r}; public names: {', '.join(__all__)}")
