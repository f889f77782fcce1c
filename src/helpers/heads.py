"""Train linear heads on two frozen towers with InfoNCE, as the ``lit-*`` encoders have: features, training, saving."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file, save, save_file
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm

from .arrays import choose, unit_rows
from .backbones.base import IMAGES_PER_BATCH, TEXTS_PER_BATCH
from .backbones.lit import CONTEXT, HEADS, IMAGE_WIDTH, PREPROCESSING, TEXT_WIDTH, pixels, towers
from .datasets import DATASETS, PairedDataset, load_dataset
from .datasets.natural import captions
from .datasets.registry import dataset_root
from .extraction.encoding import default_workers, image_batches
from .files import project_root, read_record, refuse_other_content, replacing, replacing_folder, sha256, write_record
from .geometry import gap_norm, mean_resultant_length
from .retrieval import recall_at_k
from .store.embeddings import EmbeddingSet

SHIPPED = Path("data/features")
PROVENANCE, FILES = "provenance.json", ("image.safetensors", "text.safetensors", "captions.parquet")
COLUMNS = ["variant", "pair_id", "caption", "image", "text", "split"]
LEARNED = "learned"  # a temperature that is trained with the heads
START_TEMPERATURE = 0.07  # initial value of a learned temperature, as in CLIP
DIM, BATCH = 256, 256
HELD_OUT = 200  # number of pairs in the retrieval test


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


@dataclass(frozen=True)
class TowerFeatures:
    """Features of one data set in the frozen towers.

    Args:
        image: (n_images, 1280) float32, EfficientNet-Lite0.
        text: (n_texts, 384) float32, MiniLM; equal texts are one row.
        captions: a row per variant, image and caption: ``variant, pair_id, caption`` (0 is the text of the data set), ``image`` and
            ``text`` (row numbers), ``split``.
        provenance: how they were computed; JSON-serialisable.
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

    def save(self, directory) -> Path:
        """Write the features in float16, atomically and checksummed; refuse a folder that holds something else."""
        refuse_other_content(Path(directory), PROVENANCE, FILES, "tower features")
        with replacing_folder(Path(directory)) as folder:
            for modality in ("image", "text"):
                save_file({"features": getattr(self, modality).astype(np.float16)}, folder / f"{modality}.safetensors")
            self.captions.to_parquet(folder / "captions.parquet", index=False)
            files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
            write_record(folder / PROVENANCE, {**self.provenance, "format": 2, "dtype": "float16", "files": files})
        return Path(directory)

    @classmethod
    def load(cls, directory) -> "TowerFeatures":
        """Read features written by :meth:`save`; refuse an absent folder, with the command that makes it, and a wrong checksum."""
        directory, remedy = Path(directory), "restore it or make the features again"
        path = directory / PROVENANCE
        if not path.is_file():
            command = f"python -m helpers heads features {directory.name} --root FOLDER"
            raise FileNotFoundError(f"no features in {directory}; make them with `{command}`")
        provenance = read_record(path, remedy)
        _, _, files = (provenance.pop(name, None) for name in ("format", "dtype", "files"))
        for file in (directory / name for name in FILES):
            if not isinstance(files, dict) or not file.is_file() or sha256(file) != files.get(file.name):
                raise ValueError(f"{file} does not match the checksum in {PROVENANCE}; {remedy}")
        image, text = (load_file(directory / f"{m}.safetensors")["features"].astype(np.float32) for m in ("image", "text"))
        return cls(image, text, pd.read_parquet(directory / "captions.parquet"), provenance)


def features_folder() -> Path:
    """Return the folder of the shipped features, one folder below it for each data set."""
    return project_root() / SHIPPED


def shipped_features(dataset: str, folder=None) -> TowerFeatures:
    """Return the stored features of a data set; from ``data/features`` when ``folder`` is None."""
    return TowerFeatures.load((features_folder() if folder is None else Path(folder)) / dataset)


def features_of_all_variants(dataset: str, root=None, missing_images: str | None = None, command: str = "") -> TowerFeatures:
    """Return the features of all variants of a data set under the first split that they share."""
    splits = DATASETS[choose(dataset, DATASETS, "data set")].card.splits
    first, *others = sorted(splits, reverse=True)
    split = next((s for s in splits[first] if all(s in splits[other] for other in others)), None)
    if split is None:
        raise ValueError(f"the variants of {dataset} share no split; features need one")
    root = dataset_root(root, dataset)
    return tower_features([load_dataset(dataset, root, v, split, missing_images) for v in (first, *others)], command)


def tower_features(variants: list[PairedDataset], command: str = "") -> TowerFeatures:
    """Return the features of every image and every distinct text of a data set, rounded to half precision as in storage.

    Args:
        variants: the data set in each of its variants, over the same images; Flickr8k adds all captions of a photograph.
        command: command that makes the features again, for the provenance.
    """
    started, first = time.time(), variants[0]
    number = {path: i for i, path in enumerate(first.rows["image"])}
    texts = pd.concat([_captions(one, number) for one in variants], ignore_index=True)
    texts["text"], distinct = pd.factorize(texts["sentence"])
    image, text = _image_features([Path(first.root) / path for path in number]), _text_features(list(distinct))
    record = {
        "dataset": first.name,
        "licence": first.card.licence,
        "card": {"title": first.card.title, "source": first.card.source, "citation": first.card.citation},
        "holds": "features, pair ids, row numbers and splits; no image and no text",
        "towers": {"image": "EfficientNet-Lite0 (ImageNet)", "text": "all-MiniLM-L6-v2, mean pooled", "hashes": towers("cpu")[3]},
        "preprocessing": PREPROCESSING,
        "counts": {"images": len(image), "texts": len(text)},
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "pillow", "numpy")},
        "run": {"command": command, "seconds": round(time.time() - started, 1)},
    }
    image, text = (features.astype(np.float16).astype(np.float32) for features in (image, text))
    return TowerFeatures(image, text, texts[COLUMNS], record)


def _captions(dataset: PairedDataset, number: dict[str, int]) -> pd.DataFrame:
    """Return the texts of one variant and the image of each; the data set's own text is caption 0."""
    rows = dataset.rows.rename(columns={"text": "sentence"})
    if sorted(rows["image"]) != sorted(number):
        what = f"{dataset.name} {dataset.variant} has several rows an image, or other images than the first variant"
        raise ValueError(f"{what}; give variants with one row for each of the same images")
    rows = rows.assign(variant=dataset.variant, image=rows["image"].map(number), caption=0)
    if dataset.name != "flickr8k":
        return rows
    all_captions = captions(dataset.root).rename(columns={"image": "file", "caption": "sentence"})
    files = dataset.rows["image"].map(lambda path: PurePosixPath(path).name)
    several = rows.drop(columns=["sentence", "caption"]).assign(file=files).merge(all_captions, on="file")
    return several.assign(caption=several.groupby("image").cumcount())


def _image_features(files: list[Path]) -> np.ndarray:
    encode = towers("cpu")[0]
    batches = [list(range(i, min(i + IMAGES_PER_BATCH, len(files)))) for i in range(0, len(files), IMAGES_PER_BATCH)]
    features = np.empty((len(files), IMAGE_WIDTH), dtype=np.float32)
    with torch.inference_mode(), tqdm(total=len(files), desc="image features", unit="image", mininterval=1) as bar:
        for numbers, batch, reasons, _ in image_batches(files, pixels, batches, default_workers("cpu")):
            for row, why in reasons.items():
                raise ValueError(f"row {row}: {why}; repair the image or exclude the row")
            features[numbers] = encode(batch).numpy()
            bar.update(len(numbers))
    return features


def _text_features(texts: list[str]) -> np.ndarray:
    _, encode, tokenizer, _ = towers("cpu")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of similar length share a batch
    features = np.empty((len(texts), TEXT_WIDTH), dtype=np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(order), TEXTS_PER_BATCH), desc="text features", unit="batch", mininterval=1):
            batch = order[start : start + TEXTS_PER_BATCH]
            ids = tokenizer([texts[i] for i in batch], truncation=True, max_length=CONTEXT, padding=True, return_tensors="pt")
            features[batch] = encode(ids["input_ids"], ids["attention_mask"]).numpy()
    return features


@dataclass(frozen=True)
class Settings:
    """Settings of a training; the defaults are those of the shipped heads."""

    temperature: float | str = 0.01  # fixed, or ``learned`` (from 0.07 on); CLIP ends its training at 0.01
    rate: float = 5e-4  # learning rate of AdamW
    epochs: int = 30  # passes over the images
    random_state: int = 0  # of initial weights, batches and the choice among several texts

    def __post_init__(self):
        for what, value in (("rate", self.rate), *[("temperature", self.temperature)] * (self.temperature != LEARNED)):
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"{what} must be a finite number above 0, got {value!r}")
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")


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


def initial_heads(random_state: int) -> dict[str, torch.Tensor]:
    """Return the initial weights, uniform within one over the root of the width."""
    generator, widths = torch.Generator().manual_seed(random_state), {"image": IMAGE_WIDTH, "text": TEXT_WIDTH}
    return {m: torch.empty(DIM, width).uniform_(-(width**-0.5), width**-0.5, generator=generator) for m, width in widths.items()}


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
    learned = settings.temperature == LEARNED
    start = START_TEMPERATURE if learned else float(settings.temperature)
    log_scale = torch.tensor(-math.log(start), dtype=torch.float32, requires_grad=learned)
    optimizer = torch.optim.AdamW([*weights.values(), *[log_scale] * learned], lr=settings.rate)
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


def train(features: TowerFeatures, variant: str, name: str, out=None, settings: Settings | None = None, command: str = "") -> dict:
    """Train heads on the training rows and write ``<out>/<name>.safetensors`` and its provenance, which is returned.

    Args:
        features: tower features of the data set; its test rows measure geometry and ``recall@10`` alone.
        name: name of the encoder, such as ``lit-natural``.
        out: folder; ``data/heads`` when None.
        command: command that trains the same heads again, for the provenance.
    """
    started, settings = time.time(), settings or Settings()
    pairs, held_out = features.pairs(variant, "train"), features.pairs(variant, "test")
    dataset = features.provenance["dataset"]
    if len(pairs) < 2 or not len(held_out):
        raise ValueError(f"{dataset} has {len(pairs)} training and {len(held_out)} test images; heads need at least 2 and 1")
    losses = []
    for heads in training_path(pairs, settings):
        losses.append(heads.loss)
    path = (HEADS if out is None else Path(out)) / f"{name}.safetensors"
    with replacing(path) as temporary:
        temporary.write_bytes(save({m: getattr(heads, m).astype(np.float16) for m in ("image", "text")}))
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
            "temperature": round(heads.temperature, 6),
            "loss_first_last_epoch": [round(losses[1], 6), round(losses[-1], 6)],
        },
        "held_out": held_out_measures(heads, held_out),
        "run": {"command": command, "seconds": round(time.time() - started, 1), "threads": torch.get_num_threads()},
    }
    write_record(path.with_suffix(".json"), {**record, "sha256": sha256(path)})
    return record


def held_out_measures(heads: Heads, pairs: TrainingPairs) -> dict[str, float]:
    """Return R of both modalities and the gap over all given pairs, and recall@10 over a fixed sample of at most 200 of them.

    The candidates of an image are distinct texts. A text is a hit if any of its images is among its ten nearest.
    """
    image, text = heads.project(pairs.image, pairs.text[pairs.first])
    rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:HELD_OUT])
    numbers, first = np.unique(pairs.first[rows], return_index=True)
    right = pairs.first[rows][:, None] == numbers[None, :]
    similarity = image[rows] @ text[rows][first].T
    return {
        "R_image": round(mean_resultant_length(image), 4),
        "R_text": round(mean_resultant_length(text), 4),
        "gap": round(gap_norm(image, text), 4),
        "pairs": len(rows),
        "distinct_texts": len(numbers),
        "recall@10_image_to_text": recall_at_k(similarity, right),
        "recall@10_text_to_image": recall_at_k(similarity.T, right.T),
    }


def embeddings_under(heads: Heads, features: TowerFeatures, stored: EmbeddingSet) -> EmbeddingSet:
    """Return the pairs and labels of a stored set of the same data and variant with the vectors that given heads compute."""
    rows = features.of_variant(stored.provenance["variant"], own=True).set_index("pair_id").loc[stored.pairs["pair_id"]]
    image, text = heads.project(features.image, features.text)
    pairs = stored.pairs.assign(image=rows["image"].to_numpy(), text=rows["text"].to_numpy())
    return EmbeddingSet(unit_rows(image), unit_rows(text), pairs, stored.task, {**stored.provenance, "backbone": "test bench"})
