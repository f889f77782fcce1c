"""Encode one prompt per class of a shipped data set with an encoder's text tower, for zero-shot classification."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..arrays import choose, unit_rows
from ..backbones.base import Backbone
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


def prompts_path(dataset: str, backbone: str, folder=None) -> Path:
    """Return the file of the prompts of a data set under an encoder; below ``data/prompts`` when ``folder`` is None."""
    return (project_root() / SHIPPED if folder is None else Path(folder)) / dataset / f"{backbone}.safetensors"


def encode_prompts(dataset: str, backbone: Backbone, command: str, folder=None) -> Path:
    """Encode the prompts of a data set and write them as one safetensors file, with texts and command as its metadata.

    Raises:
        ValueError: no prompts are defined for this data set.
    """
    prompts = PROMPTS[choose(dataset, PROMPTS, "data set with prompts")]
    vectors = unit_rows(backbone.encode_texts(list(prompts.values())), "prompts").astype(np.float32)
    about = {"prompts": json.dumps(prompts), "fingerprint": json.dumps(backbone.fingerprint, sort_keys=True), "command": command}
    path = prompts_path(dataset, backbone.name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(save({"prompts": vectors}, about))
    return path


def prompt_vectors(dataset: str, backbone: str, classes: tuple[str, ...], folder=None) -> np.ndarray | None:
    """Return the prompt vectors (K, d) of some classes, or None where no prompts are stored for this data set and encoder.

    Raises:
        ValueError: the file is damaged, or a class has no prompt.
    """
    path = prompts_path(dataset, backbone, folder)
    if not path.is_file():
        return None
    names = list(json.loads(_metadata(path)["prompts"]))
    with safe_open(path, "numpy") as stored:
        vectors = stored.get_tensor("prompts")
    absent = [c for c in classes if c not in names]
    if absent:
        raise ValueError(f"{path} has no prompt for {len(absent)} of {len(classes)} classes; add them and make it again")
    return vectors[[names.index(c) for c in classes]]


def _metadata(path: Path) -> dict[str, str]:
    """Return what a file of prompts says of itself, once it is checked to be one."""
    try:
        with safe_open(path, "numpy") as stored:
            about = stored.metadata()
            whole = {type(json.loads(about[key])) for key in ("prompts", "fingerprint")} == {dict} and "prompts" in stored.keys()
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ValueError(f"{path} holds no prompts; make it again with `python benchmarks/prompts.py`")
    return about


def prompts_of(embeddings: EmbeddingSet, folder=None) -> np.ndarray | None:
    """Return the prompt vectors (K, d) of a set's classes; None where none are stored for these classes and this very encoder.

    A set of another encoder that has the same name, or of other weights, has no prompts.

    Raises:
        ValueError: the file of prompts is damaged.
    """
    name = embeddings.identity
    path = prompts_path(name.dataset, folder_name(name.backbone), folder)
    if not path.is_file():
        return None
    about = _metadata(path)
    known = json.loads(about["fingerprint"]) == embeddings.provenance.get("encoder")
    if not known or not set(embeddings.task.outputs) <= set(json.loads(about["prompts"])):
        return None
    return prompt_vectors(name.dataset, folder_name(name.backbone), embeddings.task.outputs, folder)
