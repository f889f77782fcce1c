"""Report what is ready on this machine, what is missing and how to get it, without a download; and prove a loaded encoder."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import try_to_load_from_cache
from PIL import Image, ImageDraw

from .backbones.base import Backbone
from .backbones.registry import HEADS, REGISTRY
from .datasets import DATASETS, load_dataset
from .datasets.registry import dataset_root
from .files import project_root, sha256
from .images import decode
from .retrieval import sanity_check
from .store.catalogue import stored

READY, MISSING, WRONG = "ready", "missing", "WRONG"
STORED, DOUBTFUL = "stored", "doubtful"  # only embeddings are here; no pairing of shapes, which a narrow domain may not know
KNOWN = project_root() / "data" / "known_outputs.toml"
SAME = 0.9999  # cosine of two encodings of one input, from which rounding alone separates them
COLOURS, SHAPES = "red green blue yellow orange purple black brown pink cyan".split(), ("ellipse", "rectangle", "line")
NO_CUDA = "no CUDA device found by torch; everything runs on the CPU, extraction of large data sets slowly"
Row = tuple[str, str, str]  # what, status, how to get it
CONFIGURATION = {"transformers": "config.json", "open_clip": "open_clip_config.json"}
TOKENIZERS = "tokenizer.json spiece.model vocab.json vocab.txt"
WEIGHTS = "model.safetensors open_clip_model.safetensors open_clip_pytorch_model.bin pytorch_model.bin model.safetensors.index.json"


def report(data_root=None) -> list[Row]:
    """Return rows for the accelerator, Jupyter Book, every encoder, and every data set under ``data_root``, which may be one."""
    n_stored = stored().groupby("dataset")["backbone"].nunique()
    cuda = (READY, torch.cuda.get_device_name()) if torch.cuda.is_available() else (MISSING, NO_CUDA)
    rows = [("accelerator", *cuda), ("jupyter-book", *_jupyter_book())]
    rows += [(f"encoder {name}", *_encoder(name, entry)) for name, entry in REGISTRY.items()]
    for name, entry in DATASETS.items():
        mark = " (credentialed)" if entry.card.credentialed else ""
        rows.append((f"data set {name}{mark}", *_data_set(name, data_root, n_stored.get(name, 0))))
    return rows


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
    needed += [(texts, "config.json")] if entry.text_tower else []
    if all(any(isinstance(try_to_load_from_cache(where, file), str) for file in files.split()) for where, files in needed):
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


def examine(backbone: Backbone, image: Path | str | None = None) -> list[Row]:
    """Return rows on known outputs of the file ``image``, pairing of drawn shapes, case, batches and padding."""
    pictures, captions = [], []
    for colour, shape in product(COLOURS, SHAPES):
        pictures.append(Image.new("RGB", (224, 224), "white"))
        getattr(ImageDraw.Draw(pictures[-1]), shape)((40, 60, 184, 164), fill=colour, width=12)
        captions.append(f"a {colour} {shape} on a white background")
    images, limit = backbone.encode_images(pictures), backbone.tokenizer.context_length
    found = sanity_check(images, backbone.encode_texts(captions))
    batch = images[0] @ backbone.encode_images(pictures[:1])[0]
    padding = backbone.encode_texts(["dog", "word " * limit])[0] @ backbone.encode_texts(["dog"])[0]
    doubt, case = found["suspicion"], "different" if backbone.tokenizer.cased else "the same"
    padded = f"padded to {limit} tokens" if backbone.pad_to_context else "padding is masked"
    return [
        *_known_outputs(backbone, image),
        ("pairing", DOUBTFUL if doubt else READY, doubt or f"drawn shapes find their captions, AUC {found['auc']:.2f}"),
        ("case", READY, f"texts in upper and in lower case are {case} to the tokenizer"),
        ("batch", READY if batch >= SAME else WRONG, f"an image alone and among others: cosine {batch:.4f}"),
        ("padding", READY if padding >= SAME else WRONG, f"a text alone and beside a long one: cosine {padding:.4f}; {padded}"),
    ]


def _known_outputs(backbone: Backbone, image: Path | str | None) -> list[Row]:
    """Compare the logits of an image with those that are known of it, by its SHA-256 or, where none is known, by its name."""
    every = tomllib.loads(KNOWN.read_text("utf-8"))["known"] if KNOWN.is_file() else []
    known = [k for k in every if {backbone.name, backbone.fingerprint.get("source")} & {*k["encoders"]}]
    rows, path = [], Path(image or "")
    content, name = (sha256(path), path.name) if image else ("", "")
    for k in known:
        if name and (k["sha256"] == content or (k["sha256"], k["image"]) == ("", name)):
            scale, bias = backbone.logit
            logits = scale * backbone.encode_texts(k["texts"]) @ backbone.encode_images([decode(path)])[0] + bias
            away = float(np.abs(logits - k["logits"]).max())
            told = f"{np.round(logits, 4).tolist()}, at most {away:.4f} from {k['logits']} ({k['source']})"
            rows.append(("known outputs", READY if away <= k["tolerance"] else WRONG, told))
    none = f"none was found for {backbone.name} in the tests and the documentation of its library; the other checks need none"
    get = f"give --image FILE, from {' or '.join(k['get'] for k in known)}" if known else none
    return rows or [("known outputs", MISSING, get + (f"; {name} has SHA-256 {content}" if name else ""))]
