"""Encode one prompt per class of each shipped data set with the text towers of the test bench, for zero-shot classification.

python studies/prompts.py
"""

import json
from pathlib import Path

import numpy as np

from helpers import EmbeddingSet, load_backbone
from helpers.arrays import check_vectors, choose, unit_rows
from helpers.files import project_root, read_arrays, write_arrays
from helpers.store.catalogue import folder_name

FOLDER = project_root() / "data" / "prompts"
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
ENCODERS = ("lit-natural", "lit-derm")
INPUTS = ["data/heads/*"]
OUT = [f"data/prompts/{dataset}/{encoder}.safetensors" for dataset in PROMPTS for encoder in ENCODERS]


def encode_prompts(dataset: str, backbone, folder: Path = FOLDER) -> Path:
    """Encode the prompts of a data set and write them as one safetensors file, with texts and command as its metadata."""
    prompts = PROMPTS[choose(dataset, PROMPTS, "data set with prompts")]
    vectors = unit_rows(backbone.encode_texts(list(prompts.values())), "prompts").astype(np.float32)
    about = {"prompts": json.dumps(prompts), "fingerprint": json.dumps(backbone.fingerprint, sort_keys=True)}
    path = folder / dataset / f"{backbone.name}.safetensors"
    return write_arrays(path, {"prompts": vectors}, about | {"command": "python studies/prompts.py"})


def prompts_of(embeddings: EmbeddingSet, folder: Path = FOLDER) -> np.ndarray | None:
    """Return the prompt vectors (K, d) of a set's classes; None where none are stored for these classes and this very encoder."""
    path = folder / embeddings.identity.dataset / f"{folder_name(embeddings.identity.backbone)}.safetensors"
    if not path.is_file():
        return None
    try:
        arrays, about = read_arrays(path)
        names, encoder = list(json.loads(about["prompts"])), json.loads(about["fingerprint"])
        vectors = check_vectors(arrays["prompts"], (len(names), embeddings.dim), "prompts", unit=True)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no prompts ({error}); make it again with `python studies/prompts.py`") from None
    classes = embeddings.task.outputs
    if encoder != embeddings.provenance.get("encoder") or not set(classes) <= set(names):
        return None
    return vectors[[names.index(c) for c in classes]]


if __name__ == "__main__":
    for dataset in PROMPTS:
        for encoder in ENCODERS:
            print(encode_prompts(dataset, load_backbone(encoder, device="cpu")))
