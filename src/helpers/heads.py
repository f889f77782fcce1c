"""Train linear heads on stored features of two frozen towers, as those of the ``lit-*`` encoders, made by ``studies/heads.py``."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from torch.nn.functional import cross_entropy, normalize

from .arrays import check_vectors, choose, unit_rows
from .backbones.lit import IMAGE_WIDTH, TEXT_WIDTH
from .files import project_root
from .geometry import mean_resultant_length
from .schemas import CAPTIONS, check_table, usable
from .store.disk import Record, read_intact, read_parquet, read_record

PROVENANCE, FILES = "provenance.json", ("image.safetensors", "text.safetensors", "captions.parquet")
LEARNED = "learned"  # a temperature that is trained with the heads
START_TEMPERATURE = 0.07  # initial value of a learned temperature, as in CLIP
DIM, BATCH = 256, 256


@dataclass(frozen=True)
class TrainingPairs:
    """Images (n, 1280), all distinct texts (m, 384), and for each image the row numbers of its texts, the data set's own first."""

    image: np.ndarray
    text: np.ndarray
    choices: list[list[int]]

    def __len__(self) -> int:
        return len(self.choices)

    @property
    def first(self) -> np.ndarray:
        """Return the row numbers of the data set's own texts, (n,)."""
        return np.array([several[0] for several in self.choices])


class FeaturesRecord(Record, extra="allow"):
    """Record of tower features; further fields pass through unchanged."""

    dataset: str
    counts: dict[str, int]


@dataclass(frozen=True)
class TowerFeatures:
    """Features of one data set in the frozen towers: (n_images, 1280) and, of its distinct texts, (n_texts, 384) float32.

    ``captions`` has a row per variant, image and caption: ``variant, pair_id, caption`` (0 is the text of the data set), ``image``
    and ``text`` (row numbers), ``split``.
    """

    image: np.ndarray
    text: np.ndarray
    captions: pd.DataFrame
    provenance: dict

    def of_variant(self, variant: str, own: bool = False) -> pd.DataFrame:
        """Return the captions of one variant, or only the data set's own text of each image."""
        choose(variant, self.captions["variant"].unique(), "variant of the features")
        rows = self.captions[self.captions["variant"] == variant]
        return rows[rows["caption"] == 0] if own else rows

    def pairs(self, variant: str, split: str) -> TrainingPairs:
        """Return the images of one variant and split, with the texts each may be paired with."""
        rows = self.of_variant(variant).query("split == @split").sort_values("caption", kind="stable")
        choices = rows.groupby("image")["text"].agg(list)
        return TrainingPairs(self.image[choices.index], self.text, choices.tolist())

    def resultants(self, variant: str) -> dict[str, float]:
        """Return R of the features of both modalities over the pairs of one variant, before any head was trained."""
        pairs = self.of_variant(variant, own=True)
        return {m: mean_resultant_length(getattr(self, m)[pairs[m]]) for m in ("image", "text")}

    @classmethod
    def load(cls, directory) -> "TowerFeatures":
        """Read stored features; refuse an absent folder, with the command that makes it, and a wrong checksum."""
        directory, remedy = Path(directory), "restore it or make the features again"
        path = directory / PROVENANCE
        if not path.is_file():
            command = f"python studies/heads.py features {directory.name} --root FOLDER"
            raise FileNotFoundError(f"no features in {directory}; make them with `{command}`")
        provenance = read_record(path, FeaturesRecord, remedy, FILES).model_dump()
        captions = read_parquet(directory / FILES[2], remedy)
        image, text = (read_intact(directory / file, load_file, remedy).get("features", ()) for file in FILES[:2])
        with usable(directory, remedy):
            check_table(captions, CAPTIONS)
            if captions.duplicated(["variant", "pair_id", "caption"]).any():
                raise ValueError("a caption is listed twice")
            image = check_vectors(image, (captions["image"].max() + 1, IMAGE_WIDTH), "image")
            text = check_vectors(text, (captions["text"].max() + 1, TEXT_WIDTH), "text")
        return cls(image, text, captions, provenance)


def features_folder() -> Path:
    """Return the folder of the shipped features, one folder below it for each data set."""
    return project_root() / "data/features"


def shipped_features(dataset: str, folder=None) -> TowerFeatures:
    """Return the stored features of a data set; from ``data/features`` when ``folder`` is None."""
    return TowerFeatures.load((features_folder() if folder is None else Path(folder)) / dataset)


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
