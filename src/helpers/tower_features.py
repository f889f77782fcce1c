"""Read the stored features of two frozen towers, on which ``studies/heads.py`` trains the linear heads of ``lit-*`` encoders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from .arrays import check_vectors, choose
from .backbones.lit import IMAGE_WIDTH, TEXT_WIDTH
from .files import project_root
from .schemas import CAPTIONS, check_table, usable
from .store.disk import Record, read_intact, read_parquet, read_record

TOWER_FEATURES = Path("data/features")  # of the checkout, with a folder for each data set
PROVENANCE, FILES = "provenance.json", ("image.safetensors", "text.safetensors", "captions.parquet")


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


def shipped_features(dataset: str, folder=None) -> TowerFeatures:
    """Return the stored features of a data set; from ``data/features`` when ``folder`` is None."""
    return TowerFeatures.load((project_root() / TOWER_FEATURES if folder is None else Path(folder)) / dataset)
