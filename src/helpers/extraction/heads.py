"""Training the projection heads of the ``lit-*`` encoders: towers locked, a linear head each, InfoNCE, on a CPU in seconds."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm, trange

from ..backbones import load_backbone
from ..backbones.lit import CONTEXT, HEADS, IMAGE_WIDTH, PREPROCESSING, TEXT_WIDTH, pixels, towers
from ..files import replacing, write_json
from ..images import decode
from ..retrieval import recall_at_k
from .workers import default_workers, image_batches

DIM = 256
LEARNING_RATE = 1e-3
BATCH = 256
EPOCHS = 30
START_TEMPERATURE = 0.07
HELD_OUT = 200  # pairs retrieved among


def train(dataset, name: str, out=None, texts: pd.DataFrame | None = None, epochs: int = EPOCHS, seed: int = 0) -> dict:
    """Train heads on the training pairs of a data set and write ``<out>/<name>.safetensors`` and its provenance beside it.

    Deterministic on a CPU at an equal number of threads. An image with several texts draws one per epoch.

    Args:
        dataset: a ``PairedDataset``; only rows of split ``train`` are seen, the test rows measure retrieval.
        name: of the encoder, such as ``lit-natural``.
        out: folder; ``data/heads`` when None.
        texts: columns ``pair_id, text`` for training with more than one text per image; the data set's own when None.
        epochs: passes over the images.
        seed: of initial weights, batches and draws.

    Returns:
        The provenance, with ``recall@10`` of both directions on held-out pairs.

    Raises:
        ValueError: fewer than two training rows, or no test rows; ``texts`` lacks a training row.
    """
    started = time.time()
    rows = dataset.rows.reset_index(drop=True)
    train_rows, test_rows = (rows[rows["split"] == split].reset_index(drop=True) for split in ("train", "test"))
    if len(train_rows) < 2 or not len(test_rows):
        raise ValueError(
            f"{dataset.name} has {len(train_rows)} training and {len(test_rows)} test rows; heads need at least 2 and 1"
        )
    choices = _choices(train_rows, texts)
    image = _image_features(dataset, train_rows)
    distinct = sorted({t for several in choices for t in several})
    number = {t: i for i, t in enumerate(distinct)}
    drawn_from = [[number[t] for t in several] for several in choices]
    heads, temperature, losses = _fit(image, _text_features(distinct), drawn_from, epochs, seed)
    path = (HEADS if out is None else Path(out)) / f"{name}.safetensors"
    _write(path, heads)
    record = {
        "name": name,
        "trained_on": {
            "dataset": dataset.name,
            "variant": dataset.variant,
            "pairs": len(train_rows),
            "texts": sum(map(len, choices)),
        },
        "towers": {"image": "EfficientNet-Lite0 (ImageNet)", "text": "all-MiniLM-L6-v2, mean pooled", "hashes": towers("cpu")[3]},
        "preprocessing": PREPROCESSING,
        "objective": {
            "loss": "InfoNCE, both directions",
            "optimizer": f"AdamW, {LEARNING_RATE}",
            "batch_size": BATCH,
            "epochs": epochs,
            "seed": seed,
            "temperature": round(temperature, 6),
            "loss_first_last_epoch": [losses[0], losses[-1]],
        },
        "held_out": _retrieval(name, path, dataset, test_rows, seed),
        "seconds": round(time.time() - started, 1),
    }
    write_json(path.with_suffix(".json"), record)
    return record


def _choices(rows: pd.DataFrame, texts: pd.DataFrame | None) -> list[list[str]]:
    """The texts each training row may be paired with."""
    if texts is None:
        return [[text] for text in rows["text"]]
    by_id = texts.groupby("pair_id")["text"].agg(list)
    absent = rows["pair_id"][~rows["pair_id"].isin(by_id.index)]
    if len(absent):
        raise ValueError(f"texts lacks {len(absent)} training rows, first {absent.iloc[0]!r}; give at least one text for each")
    return [by_id[pair_id] for pair_id in rows["pair_id"]]


def _image_features(dataset, rows: pd.DataFrame) -> np.ndarray:
    """Locked image features, float32 (n, 1280)."""
    image, _, _, _ = towers("cpu")
    files = [Path(dataset.root) / path for path in rows["image"]]
    batches = [list(range(i, min(i + 32, len(files)))) for i in range(0, len(files), 32)]
    features = np.empty((len(files), IMAGE_WIDTH), dtype=np.float32)
    stream = image_batches(files, pixels, batches, default_workers("cpu"))
    with torch.inference_mode(), tqdm(total=len(files), desc="image features", unit="image", mininterval=1) as bar:
        for numbers, batch, reasons in stream:
            if reasons:
                row, why = next(iter(reasons.items()))
                raise ValueError(f"{dataset.name}, training row {row}: {why}; repair or leave out the row")
            features[numbers] = image(batch).numpy()
            bar.update(len(numbers))
    return features


def _text_features(texts: list[str]) -> np.ndarray:
    """Locked text features, float32 (n, 384)."""
    _, text, tokenizer, _ = towers("cpu")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    features = np.empty((len(texts), TEXT_WIDTH), dtype=np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(order), 64), desc="text features", unit="batch", mininterval=1):
            batch = order[start : start + 64]
            ids = tokenizer([texts[i] for i in batch], truncation=True, max_length=CONTEXT, padding=True, return_tensors="pt")
            features[batch] = text(ids["input_ids"], ids["attention_mask"]).numpy()
    return features


def _fit(image: np.ndarray, text: np.ndarray, choices: list[list[int]], epochs: int, seed: int):
    """Heads as {modality: (256, width)}, the learned temperature, and the mean loss of each epoch."""
    generator = torch.Generator().manual_seed(seed)
    drawing = np.random.default_rng(seed)
    heads = {}
    for modality, width in (("image", IMAGE_WIDTH), ("text", TEXT_WIDTH)):
        heads[modality] = torch.empty(DIM, width).uniform_(-(width**-0.5), width**-0.5, generator=generator).requires_grad_()
    log_scale = torch.tensor(np.log(1 / START_TEMPERATURE), dtype=torch.float32).requires_grad_()
    optimizer = torch.optim.AdamW([*heads.values(), log_scale], lr=LEARNING_RATE)
    images, texts, losses = torch.from_numpy(image), torch.from_numpy(text), []
    for _ in trange(epochs, desc="heads", unit="epoch", mininterval=1):
        chosen = texts[[several[drawing.integers(len(several))] for several in choices]]
        total = 0.0
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            v = normalize(images[batch] @ heads["image"].T, dim=1)
            t = normalize(chosen[batch] @ heads["text"].T, dim=1)
            logits = log_scale.exp() * v @ t.T
            pair = torch.arange(len(batch))
            loss = (cross_entropy(logits, pair) + cross_entropy(logits.T, pair)) / 2  # Eq. 2, images to texts and texts to images
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(round(total / len(images), 6))
    return {m: w.detach() for m, w in heads.items()}, (-log_scale).exp().item(), losses


def _write(path: Path, heads: dict) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(save({modality: matrix.half().contiguous() for modality, matrix in heads.items()}))


def _retrieval(name: str, path: Path, dataset, rows: pd.DataFrame, seed: int) -> dict:
    """Recall@10 among held-out test pairs, at most 200 drawn; a text shared by several images counts as found with any of them."""
    rows = rows.sample(min(HELD_OUT, len(rows)), random_state=seed)
    backbone = load_backbone(name, "cpu", weights=path)
    image = backbone.encode_images([decode(Path(dataset.root) / p) for p in rows["image"]])
    text = backbone.encode_texts(rows["text"])
    right = rows["text"].to_numpy()[:, None] == rows["text"].to_numpy()[None, :]
    similarity = image @ text.T
    return {
        "pairs": len(rows),
        "recall@10_image_to_text": recall_at_k(similarity, right),
        "recall@10_text_to_image": recall_at_k(similarity.T, right.T),
    }
