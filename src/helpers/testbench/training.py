"""Train the projection heads of the ``lit-*`` encoders: locked towers, a linear head each, InfoNCE, seconds on a CPU."""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch.nn.functional import cross_entropy, normalize

from ..arrays import unit_rows
from ..backbones.lit import HEADS, IMAGE_WIDTH, PREPROCESSING, TEXT_WIDTH
from ..files import replacing, sealed, sha256, write_json
from ..geometry import gap_norm, mean_resultant_length
from ..retrieval import recall_at_k
from . import LEARNED
from .features import TowerFeatures, TrainingPairs

DIM = 256
BATCH = 256
START_TEMPERATURE = 0.07  # initial value of a learned temperature, as in CLIP
HELD_OUT = 200  # number of pairs in the retrieval test


@dataclass(frozen=True)
class Settings:
    """Settings of a training; the defaults are those of the shipped heads.

    Args:
        temperature: fixed value above 0, or ``learned`` (from 0.07 on). CLIP ends its training at 0.01.
        rate: learning rate of AdamW.
        epochs: passes over the images.
        random_state: seed of initial weights, batches and the choice among several texts.

    Raises:
        ValueError: a value out of range.
    """

    temperature: float | str = 0.01
    rate: float = 5e-4
    epochs: int = 30
    random_state: int = 0

    def __post_init__(self):
        if not self.learned:
            positive(self.temperature, "temperature")  # type: ignore[arg-type]
        positive(self.rate, "rate")
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

    @property
    def learned(self) -> bool:
        """Return whether the temperature is learned with the heads."""
        return self.temperature == LEARNED


@dataclass(frozen=True)
class Heads:
    """Heads at one moment of their training: (256, 1280) and (256, 384) float32, the temperature, the epoch and its mean loss."""

    image: np.ndarray
    text: np.ndarray
    temperature: float
    epoch: int
    loss: float

    def project(self, image: np.ndarray, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit vectors of tower features: (n, 1280) and (m, 384) to (n, 256) and (m, 256)."""
        return unit_rows(image @ self.image.T, "image vectors"), unit_rows(text @ self.text.T, "text vectors")


def positive(value: float, what: str) -> float:
    """Return ``value`` if it is a finite number above 0.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"{what} must be a finite number above 0, got {value!r}")
    return float(value)


def initial_heads(random_state: int) -> dict[str, torch.Tensor]:
    """Return the initial weights, uniform within one over the root of the width."""
    generator, heads = torch.Generator().manual_seed(random_state), {}
    for modality, width in (("image", IMAGE_WIDTH), ("text", TEXT_WIDTH)):
        heads[modality] = torch.empty(DIM, width).uniform_(-(width**-0.5), width**-0.5, generator=generator)
    return heads


def contrastive_loss(image: torch.Tensor, text: torch.Tensor, scale, texts: torch.Tensor) -> torch.Tensor:
    """Return the multi-positive InfoNCE of a batch, the mean of both directions (Eq. 2 with several positives).

    All rows with the same text share a row's target evenly; with distinct texts this is the textbook loss.

    Args:
        image, text: (b, d) unit vectors; row i of both is a pair.
        scale: one over the temperature.
        texts: (b,) numbers of the texts; equal numbers are equal texts.
    """
    same = (texts[:, None] == texts[None, :]).to(image.dtype)
    target, logits = same / same.sum(1, keepdim=True), scale * image @ text.T
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def training_path(pairs: TrainingPairs, settings: Settings) -> Iterator[Heads]:
    """Yield the heads before training and after each epoch; each epoch uses one random text of an image with several.

    The result is deterministic on a CPU at an equal number of threads.
    """
    weights = {m: w.requires_grad_() for m, w in initial_heads(settings.random_state).items()}
    learned = settings.learned
    start = START_TEMPERATURE if learned else float(settings.temperature)
    log_scale = torch.tensor(-math.log(start), dtype=torch.float32, requires_grad=learned)
    optimizer = torch.optim.AdamW([*weights.values(), *[log_scale] * learned], lr=settings.rate)
    order, drawing = torch.Generator().manual_seed(settings.random_state + 1), np.random.default_rng(settings.random_state)
    images, texts = torch.from_numpy(pairs.image), torch.from_numpy(pairs.text)

    def heads(epoch: int, loss: float) -> Heads:
        image, text = (weights[m].detach().clone().numpy() for m in ("image", "text"))
        return Heads(image, text, math.exp(-log_scale.item()), epoch, loss)

    yield heads(0, math.nan)
    for epoch in range(1, settings.epochs + 1):
        chosen = torch.tensor([several[drawing.integers(len(several))] for several in pairs.choices])
        total = 0.0
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            v = normalize(images[batch] @ weights["image"].T, dim=1)
            t = normalize(texts[chosen[batch]] @ weights["text"].T, dim=1)
            loss = contrastive_loss(v, t, log_scale.exp(), chosen[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        yield heads(epoch, total / len(images))


def train(features: TowerFeatures, variant: str, name: str, out=None, settings: Settings | None = None, command: str = "") -> dict:
    """Train heads on the training pairs of a data set and write ``<out>/<name>.safetensors`` and its provenance.

    Args:
        features: tower features of the data set; heads train on the split ``train``, and test rows measure retrieval.
        variant: variant of the data set.
        name: name of the encoder, such as ``lit-natural``.
        out: folder; ``data/heads`` when None.
        settings: see :class:`Settings`.
        command: command that trains the same heads again, for the provenance.

    Returns:
        The provenance, with the geometry and ``recall@10`` of held-out pairs.

    Raises:
        ValueError: fewer than two training rows, or no test rows.
    """
    started, settings = time.time(), settings or Settings()
    pairs, held_out = features.pairs(variant, "train"), features.pairs(variant, "test")
    dataset = features.provenance["dataset"]
    if len(pairs) < 2 or not len(held_out):
        raise ValueError(f"{dataset} has {len(pairs)} training and {len(held_out)} test images; heads need at least 2 and 1")
    path_of_training = list(_first_and_last(training_path(pairs, settings)))
    last = path_of_training[-1]
    path = (HEADS if out is None else Path(out)) / f"{name}.safetensors"
    with replacing(path) as temporary:
        temporary.write_bytes(save({m: torch.from_numpy(getattr(last, m)).half().contiguous() for m in ("image", "text")}))
    record = {
        "name": name,
        "trained_on": {"dataset": dataset, "variant": variant, "pairs": len(pairs), "texts": sum(map(len, pairs.choices))},
        "towers": features.provenance["towers"],
        "preprocessing": PREPROCESSING,
        "objective": {
            "loss": "InfoNCE, both directions, equal texts are positives of each other",
            "optimizer": "AdamW",
            "batch_size": BATCH,
            **asdict(settings),
            "temperature_fixed": settings.temperature != LEARNED,
            "temperature": round(last.temperature, 6),
            "loss_first_last_epoch": [round(h.loss, 6) for h in path_of_training],
        },
        "held_out": held_out_measures(last, held_out),
        "run": {"command": command, "seconds": round(time.time() - started, 1), "threads": torch.get_num_threads()},
    }
    write_json(path.with_suffix(".json"), sealed({**record, "sha256": sha256(path)}))
    return record


def _first_and_last(path: Iterator[Heads]) -> Iterator[Heads]:
    """Yield the heads after the first epoch and after the last."""
    next(path)
    first = next(path)
    yield first
    yield deque(chain([first], path), maxlen=1).pop()


def held_out_measures(heads: Heads, pairs: TrainingPairs) -> dict[str, float]:
    """Return R of both modalities and the gap over all given pairs, and recall@10 over a fixed sample of at most 200 of them.

    The candidates of an image are distinct texts. A text is a hit if any of its images is among its ten nearest.
    """
    image, text = heads.project(pairs.image, pairs.text[pairs.first])
    rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:HELD_OUT])
    numbers, first = np.unique(pairs.first[rows], return_index=True)
    right = pairs.first[rows][:, None] == numbers[None, :]
    similarity = image[rows] @ text[rows][first].T
    recall = {"image_to_text": recall_at_k(similarity, right), "text_to_image": recall_at_k(similarity.T, right.T)}
    return {
        "R_image": round(mean_resultant_length(image), 4),
        "R_text": round(mean_resultant_length(text), 4),
        "gap": round(gap_norm(image, text), 4),
        "pairs": len(rows),
        "distinct_texts": len(numbers),
        **{f"recall@10_{direction}": value for direction, value in recall.items()},
    }
