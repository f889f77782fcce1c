"""Encode one prompt per class of a shipped data set with an encoder's text tower, for zero-shot classification."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..arrays import choose, unit_rows
from ..files import project_root, replacing
from ..store.catalogue import folder_name
from ..store.embeddings import EmbeddingSet

SHIPPED = Path("data/prompts")
PROMPTS = {
    "flickr8k": {c: f"a photo of a {c}" for c in ("boy", "child", "dog", "girl", "man", "woman")} | {"water": "a photo of water"},
    "ham10000": {
        "akiec": "a dermatoscopic image of actinic keratosis",
        "bcc": "a dermatoscopic image of basal cell carcinoma",
        "bkl": "a dermatoscopic image of benign keratosis",
        "df": "a dermatoscopic image of dermatofibroma",
        "mel": "a dermatoscopic image of melanoma",
        "nv": "a dermatoscopic image of a melanocytic naevus",
        "vasc": "a dermatoscopic image of a vascular lesion",
    },
}


def encode_prompts(dataset: str, backbone, command: str, folder=None) -> Path:
    """Encode the prompts of a data set and write them as one safetensors file, with texts and command as its metadata."""
    prompts = PROMPTS[choose(dataset, PROMPTS, "data set with prompts")]
    vectors = unit_rows(backbone.encode_texts(list(prompts.values())), "prompts").astype(np.float32)
    about = {"prompts": json.dumps(prompts), "fingerprint": json.dumps(backbone.fingerprint, sort_keys=True), "command": command}
    path = _path(dataset, backbone.name, folder)
    with replacing(path) as temporary:
        temporary.write_bytes(save({"prompts": vectors}, about))
    return path


def prompts_of(embeddings: EmbeddingSet, folder=None) -> np.ndarray | None:
    """Return the prompt vectors (K, d) of a set's classes; None where none are stored for these classes and this very encoder."""
    path = _path(embeddings.identity.dataset, folder_name(embeddings.identity.backbone), folder)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as stored:
            vectors, about = stored.get_tensor("prompts"), stored.metadata()
        names, encoder = list(json.loads(about["prompts"]).keys()), json.loads(about["fingerprint"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"{path} holds no prompts; make it again with `python studies/prompts.py`") from None
    classes = embeddings.task.outputs
    if encoder != embeddings.provenance.get("encoder") or not set(classes) <= set(names):
        return None
    return vectors[[names.index(c) for c in classes]]


def _path(dataset: str, backbone: str, folder) -> Path:
    return (project_root() / SHIPPED if folder is None else Path(folder)) / dataset / f"{backbone}.safetensors"
