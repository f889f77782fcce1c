"""Train linear heads on stored features of two frozen towers, as those of the ``lit-*`` encoders."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from helpers.arrays import unit_rows
from helpers.backbones.lit import IMAGE_WIDTH, TEXT_WIDTH
from helpers.tower_features import TrainingPairs

LEARNED = "learned"  # a temperature that is trained with the heads
START_TEMPERATURE = 0.07  # initial value of a learned temperature, as in CLIP
DIM, BATCH = 256, 256


@dataclass(frozen=True)
class Settings:
    """Settings of a training; the defaults are those of the shipped heads."""

    temperature: float | str = 0.01  # fixed, or ``learned`` (from 0.07 on); CLIP ends its training at 0.01
    rate: float = 5e-4  # learning rate of AdamW
    epochs: int = 30  # passes over the images
    random_state: int = 0  # of initial weights, batches and the choice among several texts

    def __post_init__(self):
        for what, value in (("temperature", self.temperature), ("rate", self.rate), ("epochs", self.epochs)):
            if (what, value) != ("temperature", LEARNED) and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"{what} must be a finite number above 0, got {value!r}")


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


def contrastive_loss(image: torch.Tensor, text: torch.Tensor, scale, texts: torch.Tensor) -> torch.Tensor:
    """Return the multi-positive InfoNCE of a batch, the mean of both directions (Eq. 2 with several positives).

    Row i of ``image`` and ``text``, unit vectors (b, d), is a pair; ``scale`` is one over the temperature. All rows with the same
    text, an equal number in ``texts``, share a row's target evenly; with distinct texts this is the textbook loss.
    """
    same = (texts[:, None] == texts[None, :]).to(image.dtype)
    target, logits = same / same.sum(1, keepdim=True), scale * image @ text.T
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def training_path(pairs: TrainingPairs, settings: Settings) -> Iterator[Heads]:
    """Yield the heads before training and after each epoch, which uses one random text of an image; deterministic on a CPU."""
    generator, weights = torch.Generator().manual_seed(settings.random_state), {}
    for m, width in (("image", IMAGE_WIDTH), ("text", TEXT_WIDTH)):
        weights[m] = torch.empty(DIM, width).uniform_(-(width**-0.5), width**-0.5, generator=generator).requires_grad_()
    learned = settings.temperature == LEARNED
    start = START_TEMPERATURE if learned else float(settings.temperature)
    log_scale = torch.tensor(-math.log(start), dtype=torch.float32, requires_grad=learned)
    optimizer = torch.optim.AdamW([*weights.values(), log_scale] if learned else [*weights.values()], lr=settings.rate)
    order, rng = torch.Generator().manual_seed(settings.random_state + 1), np.random.default_rng(settings.random_state)
    images, texts = torch.from_numpy(pairs.image), torch.from_numpy(pairs.text)

    def heads(epoch: int, loss: float) -> Heads:
        image, text = (weights[m].detach().clone().numpy() for m in ("image", "text"))
        return Heads(image, text, math.exp(-log_scale.item()), epoch, loss)

    yield heads(0, math.nan)
    for epoch in range(1, settings.epochs + 1):
        chosen = torch.tensor([several[rng.integers(len(several))] for several in pairs.choices])
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
