"""Compute and store the locked tower features of a data set for the ``lit-*`` encoders: a row per image and distinct text."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from ..arrays import choose
from ..backbones.lit import CONTEXT, IMAGE_WIDTH, PREPROCESSING, TEXT_WIDTH, pixels, towers
from ..datasets import PairedDataset, flickr8k
from ..extraction.workers import default_workers, image_batches
from ..files import is_sealed, project_root, read_json, refuse_other_content, replacing_folder, sealed, sha256, write_json
from ..geometry import mean_resultant_length

SHIPPED = Path("data/features")
PROVENANCE = "provenance.json"
FILES = ("image.safetensors", "text.safetensors", "captions.parquet")
FORMAT = 2  # records of the first have no checksum of themselves
REMEDY = "restore it or make the features again"
COLUMNS = ["variant", "pair_id", "caption", "image", "text", "split"]
OF_THE_FILES = ("format", "dtype", "files", "record_sha256")
IMAGES_PER_BATCH, TEXTS_PER_BATCH = 32, 64


@dataclass(frozen=True)
class TowerFeatures:
    """Locked tower features of one data set.

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

    def pairs(self, variant: str, split: str) -> "TrainingPairs":
        """Return the images of one variant and split, with the texts each may be paired with."""
        variants = self.captions["variant"].unique()
        rows = self.captions[self.captions["variant"] == choose(variant, variants, "variant of the features")]
        choices = rows[rows["split"] == split].sort_values("caption", kind="stable").groupby("image", sort=True)["text"].agg(list)
        return TrainingPairs(self.image[choices.index], self.text, choices.tolist())

    def resultants(self, variant: str) -> dict[str, float]:
        """Return R of the features of both modalities over the pairs of one variant, before any head was trained."""
        variants = self.captions["variant"].unique()
        chosen = self.captions["variant"] == choose(variant, variants, "variant of the features")
        pairs = self.captions[chosen & (self.captions["caption"] == 0)]
        return {m: mean_resultant_length(getattr(self, m)[pairs[m]]) for m in ("image", "text")}

    def save(self, directory) -> Path:
        """Write the features in float16 as a folder that appears whole or not at all, with the SHA-256 of each file.

        Raises:
            FileExistsError: ``directory`` holds something that is not features.
        """
        refuse_other_content(Path(directory), PROVENANCE, FILES, "tower features")
        with replacing_folder(Path(directory)) as folder:
            for modality in ("image", "text"):
                save_file({"features": getattr(self, modality).astype(np.float16)}, folder / f"{modality}.safetensors")
            self.captions.to_parquet(folder / "captions.parquet", index=False)
            files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
            write_json(folder / PROVENANCE, sealed({**self.provenance, "format": FORMAT, "dtype": "float16", "files": files}))
        return Path(directory)

    @classmethod
    def load(cls, directory) -> "TowerFeatures":
        """Read features written by :meth:`save`, checking the SHA-256 of every file.

        Raises:
            FileNotFoundError: the folder holds no features; says which command makes them.
            ValueError: the record or a file is damaged; names it.
        """
        directory = Path(directory)
        if not (directory / PROVENANCE).is_file():
            command = f"python -m helpers heads features {directory.name} --root FOLDER"
            raise FileNotFoundError(f"no features in {directory}; make them with `{command}`")
        record = _read_record(directory / PROVENANCE)
        for name in FILES:
            if not (directory / name).is_file() or sha256(directory / name) != record["files"][name]:
                raise ValueError(f"{directory / name} does not match the checksum in {PROVENANCE}; {REMEDY}")
        image, text = (load_file(directory / f"{m}.safetensors")["features"].astype(np.float32) for m in ("image", "text"))
        provenance = {name: value for name, value in record.items() if name not in OF_THE_FILES}
        return cls(image, text, pd.read_parquet(directory / "captions.parquet"), provenance)


def _read_record(path: Path) -> dict:
    """Return the record of stored features.

    Raises:
        ValueError: it is damaged; names it.
    """
    record = read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path} is not the record of tower features; {REMEDY}")
    if {"format", "record_sha256"} & set(record) and not is_sealed(record):
        raise ValueError(f"{path} does not match its own checksum; {REMEDY}")
    if not isinstance(record.get("files"), dict) or set(record["files"]) != set(FILES):
        raise ValueError(f"{path} does not name the files {', '.join(FILES)}; {REMEDY}")
    return record


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


def features_folder() -> Path:
    """Return the folder of the shipped features, one folder below it for each data set."""
    return project_root() / SHIPPED


def shipped_features(dataset: str, folder=None) -> TowerFeatures:
    """Return the stored features of a data set; from ``data/features`` when ``folder`` is None."""
    return TowerFeatures.load((features_folder() if folder is None else Path(folder)) / dataset)


def tower_features(variants: list[PairedDataset], command: str = "") -> TowerFeatures:
    """Return the locked tower features of every image and every distinct text of a data set.

    Values are rounded to half precision, as in storage, so that heads trained before and after storing are equal.

    Args:
        variants: the data set in each of its variants, over the same images; Flickr8k adds all captions of a photograph.
        command: command that makes the features again, for the provenance.

    Raises:
        ValueError: the variants have different images, or an image cannot be decoded.
    """
    started, first = time.time(), variants[0]
    paths = first.rows["image"].tolist()
    number = {path: i for i, path in enumerate(paths)}
    texts = pd.concat([_captions(one, number) for one in variants], ignore_index=True)
    texts["text"], distinct = pd.factorize(texts["sentence"])
    image = image_features([Path(first.root) / path for path in paths])
    text = text_features(list(distinct))
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
    return TowerFeatures(_rounded(image), _rounded(text), texts[COLUMNS], record)


def _captions(dataset: PairedDataset, number: dict[str, int]) -> pd.DataFrame:
    """Return the texts of one variant and the image of each; the data set's own text is caption 0."""
    rows = dataset.rows.rename(columns={"text": "sentence"})
    if sorted(rows["image"]) != sorted(number):
        raise ValueError(
            f"{dataset.name} {dataset.variant} has other images than the first variant; give variants over the same images"
        )
    rows = rows.assign(variant=dataset.variant, image=rows["image"].map(number), caption=0)
    if dataset.name != "flickr8k":
        return rows
    all_captions = flickr8k.captions(dataset.root).rename(columns={"image": "file", "caption": "sentence"})
    files = dataset.rows["image"].map(lambda path: PurePosixPath(path).name)
    several = rows.drop(columns=["sentence", "caption"]).assign(file=files).merge(all_captions, on="file")
    return several.assign(caption=several.groupby("image").cumcount())


def image_features(files: list[Path], encode: Callable | None = None) -> np.ndarray:
    """Return the locked image features of picture files, float32 (n, 1280).

    Raises:
        ValueError: a picture cannot be decoded; names its row.
    """
    encode = encode or towers("cpu")[0]
    batches = [list(range(i, min(i + IMAGES_PER_BATCH, len(files)))) for i in range(0, len(files), IMAGES_PER_BATCH)]
    features = np.empty((len(files), IMAGE_WIDTH), dtype=np.float32)
    stream = image_batches(files, pixels, batches, default_workers("cpu"))
    with torch.inference_mode(), tqdm(total=len(files), desc="image features", unit="image", mininterval=1) as bar:
        for numbers, batch, reasons, _ in stream:
            for row, why in reasons.items():
                raise ValueError(f"row {row}: {why}; repair the image or exclude the row")
            features[numbers] = encode(batch).numpy()
            bar.update(len(numbers))
    return features


def text_features(texts: list[str]) -> np.ndarray:
    """Return the locked text features, float32 (n, 384); texts of similar length share a batch."""
    _, encode, tokenizer, _ = towers("cpu")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    features = np.empty((len(texts), TEXT_WIDTH), dtype=np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(order), TEXTS_PER_BATCH), desc="text features", unit="batch", mininterval=1):
            batch = order[start : start + TEXTS_PER_BATCH]
            ids = tokenizer([texts[i] for i in batch], truncation=True, max_length=CONTEXT, padding=True, return_tensors="pt")
            features[batch] = encode(ids["input_ids"], ids["attention_mask"]).numpy()
    return features


def _rounded(features: np.ndarray) -> np.ndarray:
    return features.astype(np.float16).astype(np.float32)
