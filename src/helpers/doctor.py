"""Report what is ready on this machine, what is missing, and the command or page to get it; the report downloads nothing."""

from importlib.metadata import PackageNotFoundError, version

import torch
from huggingface_hub import try_to_load_from_cache

from .backbones.registry import HEADS, REGISTRY
from .datasets import DATASETS, load_dataset
from .datasets.registry import dataset_root
from .store.catalogue import stored

READY, STORED, MISSING = "ready", "stored", "missing"
NO_CUDA = "no CUDA device found by torch; everything runs on the CPU, extraction of large data sets slowly"
Row = tuple[str, str, str]  # what, status, how to get it
CONFIGURATION = {"transformers": ("config.json",), "open_clip": ("open_clip_config.json",)}
TOKENIZERS = ("tokenizer.json", "spiece.model", "vocab.json", "vocab.txt")
WHOLE = ("model.safetensors", "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "pytorch_model.bin")
WEIGHTS = (*WHOLE, "model.safetensors.index.json")


def report(data_root=None) -> list[Row]:
    """Return rows ``(what, status, how)`` for the accelerator, Jupyter Book, every encoder and every data set.

    Status is ``ready``, ``missing``, or ``stored``: only the embeddings of a data set are here. ``data_root`` holds data sets under
    their names, or is one; without it, only what needs no folder can be ready.
    """
    sets = stored()
    backbones = {name: set(sets.loc[sets["dataset"] == name, "backbone"]) for name in DATASETS}
    return [
        ("accelerator", READY, torch.cuda.get_device_name()) if torch.cuda.is_available() else ("accelerator", MISSING, NO_CUDA),
        ("jupyter-book", *_jupyter_book()),
        *((f"encoder {name}", *_encoder(name, entry)) for name, entry in REGISTRY.items()),
        *(
            (f"data set {name}{' (credentialed)' * entry.card.credentialed}", *_data_set(name, data_root, len(backbones[name])))
            for name, entry in DATASETS.items()
        ),
    ]


def _jupyter_book() -> tuple[str, str]:
    """Report Jupyter Book; version 2 does not count, because it ignores ``_config.yml``, builds no page and exits with 0."""
    get = "pip install 'jupyter-book>=1.0.4.post1,<2', or `make book`, which installs the locked version"
    try:
        found = version("jupyter-book")
    except PackageNotFoundError:
        return MISSING, get
    return (READY, f"version {found}") if found.startswith("1.") else (MISSING, f"version {found} cannot build this book; {get}")


def _encoder(name: str, entry) -> tuple[str, str]:
    if entry.library == "lit" and not (HEADS / f"{name}.safetensors").is_file():
        return MISSING, f"its head file is not in {HEADS}; run in a checkout that has it, or set HELPERS_ROOT to one"
    if entry.library in ("lit", "random"):
        return READY, entry.access
    texts = entry.text_tower or entry.repository  # open_clip reads the tokenizer from the repository of the text tower
    needed = [(entry.repository, CONFIGURATION[entry.library]), (entry.repository, WEIGHTS), (texts, TOKENIZERS)]
    if entry.text_tower:
        needed.append((entry.text_tower, ("config.json",)))
    if all(any(isinstance(try_to_load_from_cache(where, file), str) for file in files) for where, files in needed):
        return READY, f"{entry.repository}, in the local model cache"
    return MISSING, entry.access


def _data_set(name: str, data_root, n_stored: int) -> tuple[str, str]:
    entry, root = DATASETS[name], dataset_root(data_root, name)
    try:
        load_dataset(name, root, entry.variants[0])
    except (OSError, ValueError) as error:
        there = f"embeddings under {n_stored} encoder{'s' if n_stored > 1 else ''}; for the images: "
        return (STORED, f"{there}{error}") if n_stored else (MISSING, str(error))
    return READY, f"python -m helpers extract {name} --backbone NAME{f' --root {root}' if root else ''}"
