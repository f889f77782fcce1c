"""Embeddings on disk and in memory: one image matrix, one text matrix, one table of pairs, and where they came from."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from ..checks import choose, embedding_matrix, same_dimension, unit_rows
from ..files import read_json, replacing_folder, sha256, write_json
from ..tasks import SPLITS, Task, class_names, split_names
from .foreign import read_csv, read_npz

FORMAT = 1
PROVENANCE = "provenance.json"
SYNTHETIC = " (synthetic miniature)"


@dataclass(frozen=True)
class EmbeddingSet:
    """Unit-norm embeddings of distinct images and texts, and the pairs made of them.

    A distinct image or text is stored once; statistics are over pairs (an image asked three questions counts three times), so use
    ``image_of`` and ``text_of``.

    Args:
        image: (n_images, d) float32, unit rows.
        text: (n_texts, d) float32, unit rows.
        pairs: one row per pair: ``pair_id``, ``image`` and ``text`` (row numbers in the matrices), ``split``, ``group``, the label
            columns of ``task`` and any ``subgroup_*`` columns.
        task: what the labels mean.
        provenance: how the vectors were made; JSON-serialisable.

    Raises:
        ValueError: unequal dimensions, zero-norm or non-finite rows, a pair that points outside the matrices, bad labels.
    """

    image: np.ndarray
    text: np.ndarray
    pairs: pd.DataFrame
    task: Task
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        same_dimension(embedding_matrix(self.image, "image"), embedding_matrix(self.text, "text"))
        for modality in ("image", "text"):
            object.__setattr__(self, modality, _float32_unit_rows(getattr(self, modality), modality))
        object.__setattr__(self, "pairs", self.pairs.reset_index(drop=True))
        for modality, matrix in (("image", self.image), ("text", self.text)):
            outside = np.flatnonzero((self.pairs[modality] < 0) | (self.pairs[modality] >= len(matrix)))
            if len(outside):
                raise ValueError(
                    f"pair {outside[0]} points at {modality} {self.pairs[modality][outside[0]]}, but there are {len(matrix)}"
                )
        strange = np.flatnonzero(~self.pairs["split"].isin(SPLITS))
        if len(strange):
            raise ValueError(f"pair {strange[0]}: split is not one of {', '.join(SPLITS)} ({len(strange)} such pairs)")
        repeated = np.flatnonzero(self.pairs["pair_id"].duplicated())
        if len(repeated):
            raise ValueError(f"pair {repeated[0]} has the pair_id of an earlier one ({len(repeated)} such pairs); ids must differ")
        self.task.targets(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        name = " ".join(str(self.provenance.get(k, "?")) for k in ("dataset", "variant", "backbone"))
        name += SYNTHETIC * self.synthetic
        counts = f"{len(self)} pairs of {len(self.image)} images and {len(self.text)} texts"
        return f"EmbeddingSet({name}: {counts}, d={self.dim}, {self.task.kind})"

    @property
    def synthetic(self) -> bool:
        """Were the data a synthetic miniature, of which no value says anything about the data set it is named after?"""
        report = self.provenance.get("data_report", {})
        return bool(report.get("synthetic") or report.get("drawn"))  # "drawn" in sets of earlier versions

    @property
    def dataset(self) -> str:
        """The data set as tables name it: a miniature is marked, so that it is never taken for the real one."""
        return str(self.provenance.get("dataset", "own")) + SYNTHETIC * self.synthetic

    @property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        return self.image.shape[1]

    @property
    def targets(self) -> np.ndarray:
        """0/1 indicators, int8 (n_pairs, n_outputs); see :meth:`Task.targets`."""
        return self.task.targets(self.pairs)

    def rows(self, split: str | None = None) -> np.ndarray:
        """Row numbers of the pairs of one split, or of all."""
        if split is None:
            return np.arange(len(self))
        return np.flatnonzero(self.pairs["split"].to_numpy() == choose(split, SPLITS, "split"))

    def image_of(self, rows=slice(None)) -> np.ndarray:
        """Image vectors of pairs, (len(rows), d)."""
        return self.image[self.pairs["image"].to_numpy()[rows]]

    def text_of(self, rows=slice(None)) -> np.ndarray:
        """Text vectors of pairs, (len(rows), d)."""
        return self.text[self.pairs["text"].to_numpy()[rows]]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over vectors, pairs and task: equal content gives equal fingerprints, whatever the file format."""
        digest = hashlib.sha256()
        for matrix in (self.image, self.text):
            digest.update(repr(matrix.shape).encode())
            digest.update(matrix.tobytes())
        digest.update(self.pairs.to_csv(index=False).encode())
        digest.update(repr(self.task).encode())
        return digest.hexdigest()

    @classmethod
    def from_arrays(cls, image, text, labels, split, kind: str | None = None, groups=None, ids=None, classes=None, **provenance):
        """Make a set from one image vector and one text vector per pair.

        Args:
            image, text: (n, d) vectors of any norm; equal rows are stored once.
            labels: (n,) class names, or (n, K) 0/1 indicators for a multi-label task.
            split: (n,) of ``train``, ``val``, ``test``, in any case; ``valid``, ``validate`` and ``validation`` are ``val``.
            kind: ``binary``, ``multiclass`` or ``multilabel``; inferred from the labels when None.
            groups: (n,) rows that belong together, such as one patient's; each row is its own group when None.
            ids: (n,) unique names of the pairs; numbered when None.
            classes: class names in order; sorted label values, or ``0..K-1``, when None.

        Raises:
            ValueError: arrays of different lengths, labels with missing values, one class only.
        """
        image, text = embedding_matrix(image, "image"), embedding_matrix(text, "text")
        n = len(image)
        labels = np.asarray(labels)
        given = {"text": text, "labels": labels, "split": split, "groups": groups, "ids": ids}
        for name, values in given.items():
            if values is not None and len(values) != n:
                raise ValueError(f"{name} has {len(values)} rows and image has {n}; every array needs one row per pair")
        pairs = pd.DataFrame(
            {
                "pair_id": [f"{i:07d}" for i in range(n)] if ids is None else [str(i) for i in ids],
                "split": split_names(split),
                "group": [f"{i:07d}" for i in range(n)] if groups is None else [str(g) for g in groups],
            }
        )
        if labels.ndim == 2:
            kind = kind or "multilabel"
            task = Task(kind, tuple(classes if classes is not None else range(labels.shape[1])))
            pairs[task.columns] = labels
        else:
            missing = np.flatnonzero(pd.isna(labels))
            if len(missing):
                raise ValueError(f"labels has {len(missing)} missing value(s), first at row {missing[0]}; drop or label those rows")
            names = [str(v) for v in labels]
            classes = tuple(classes) if classes is not None else class_names(names, "the array of labels")
            task = Task(kind or ("binary" if len(classes) == 2 else "multiclass"), classes)
            pairs["label"] = names
        image, pairs["image"] = _distinct_rows(image)
        text, pairs["text"] = _distinct_rows(text)
        return cls(image, text, pairs, task, provenance)

    @classmethod
    def from_csv(cls, path, label, **options) -> "EmbeddingSet":
        """Read a table of pairs with one column per coordinate; see :func:`helpers.store.foreign.read_csv`."""
        return cls.from_arrays(**read_csv(path, label, **options))

    @classmethod
    def from_npz(cls, path, **options) -> "EmbeddingSet":
        """Read NPZ, or NPY files and a table; see :func:`helpers.store.foreign.read_npz`."""
        return cls.from_arrays(**read_npz(path, **options))

    def save(self, directory, dtype: str = "float32", image_from=None) -> Path:
        """Write the set as a folder: ``image.safetensors``, ``text.safetensors``, ``pairs.parquet``, ``provenance.json``.

        The folder appears whole or not at all. ``provenance.json`` holds the SHA-256 of each file.

        Args:
            directory: where; an existing set there is replaced.
            dtype: ``float32``, or ``float16`` for half the size at about 1e-3 relative error.
            image_from: folder of another set with the same image matrix, to refer to instead of writing it again.

        Raises:
            ValueError: ``image_from`` holds other image vectors.
        """
        directory = Path(directory)
        choose(dtype, ("float32", "float16"), "dtype")
        with replacing_folder(directory) as folder:
            files = {}
            for modality in ("image", "text"):
                path = folder / f"{modality}.safetensors"
                save_file({"embeddings": getattr(self, modality).astype(dtype)}, path)
                files[modality] = {"path": path.name, "sha256": sha256(path)}
            if image_from is not None:
                files["image"] = self._shared_image(files["image"], Path(image_from), directory)
                (folder / "image.safetensors").unlink()
            self.pairs.to_parquet(folder / "pairs.parquet", index=False)
            files["pairs"] = {"path": "pairs.parquet", "sha256": sha256(folder / "pairs.parquet")}
            record = {
                **self.provenance,
                "format": FORMAT,
                "dtype": dtype,
                "files": files,
                "task": {"kind": self.task.kind, "classes": list(self.task.classes)},
            }
            write_json(folder / PROVENANCE, record)
        return directory

    @staticmethod
    def _shared_image(own: dict, other: Path, directory: Path) -> dict:
        theirs = read_json(other / PROVENANCE)["files"]["image"]
        if theirs["sha256"] != own["sha256"]:
            raise ValueError(f"{other} holds other image vectors than the set to be saved in {directory}; save without image_from")
        return {"path": Path(os.path.relpath(other / theirs["path"], directory)).as_posix(), "sha256": own["sha256"]}

    @classmethod
    def load(cls, directory) -> "EmbeddingSet":
        """Read a set written by :meth:`save`, checking the SHA-256 of every file.

        Raises:
            FileNotFoundError: no set there, or a file of it is missing.
            ValueError: a file does not match its checksum, or was written by a newer format.
        """
        record, paths = _verified(Path(directory))
        image, text = (load_file(paths[m])["embeddings"] for m in ("image", "text"))
        provenance = {k: v for k, v in record.items() if k not in ("format", "dtype", "files", "task")}
        return cls(image, text, pd.read_parquet(paths["pairs"]), _task(record), provenance)


def load_pairs(directory) -> tuple[pd.DataFrame, Task]:
    """Pairs and task of a stored set, its vectors checked but not held in memory; raises as :meth:`EmbeddingSet.load`."""
    record, paths = _verified(Path(directory))
    return pd.read_parquet(paths["pairs"]), _task(record)


def _task(record: dict) -> Task:
    return Task(record["task"]["kind"], tuple(record["task"]["classes"]))


def _verified(directory: Path) -> tuple[dict, dict[str, Path]]:
    """The record of a stored set, and its files, each of which matches its SHA-256."""
    if not (directory / PROVENANCE).is_file():
        raise FileNotFoundError(
            f"no embeddings in {directory} ({PROVENANCE} is missing); run `python -m helpers extract` or give another folder"
        )
    record = read_json(directory / PROVENANCE)
    if record.get("format") != FORMAT:
        raise ValueError(
            f"{directory / PROVENANCE} has format {record.get('format')!r}, this version reads {FORMAT}; extract again"
        )
    paths = {}
    for name, entry in record["files"].items():
        paths[name] = directory / entry["path"]
        if not paths[name].is_file():
            raise FileNotFoundError(
                f"{paths[name]} is missing though {directory / PROVENANCE} names it; restore it or extract again"
            )
        if sha256(paths[name]) != entry["sha256"]:
            raise ValueError(f"{paths[name]} does not match the checksum in {directory / PROVENANCE}; restore it or extract again")
    return record, paths


def _float32_unit_rows(matrix, what: str) -> np.ndarray:
    """Unit rows in float32; rows that already are (to 1e-6) stay bit for bit, so that saving and loading changes nothing."""
    matrix = np.asarray(matrix)
    unit = np.ascontiguousarray(unit_rows(matrix, what), dtype=np.float32)
    if matrix.dtype == np.float32:
        already = np.abs(np.linalg.norm(matrix.astype(np.float64), axis=1) - 1) < 1e-6
        unit[already] = matrix[already]
    return unit


def _distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in order of first appearance, and for each row the number of its representative."""
    rows = np.ascontiguousarray(matrix)
    keys = rows.view([("", f"V{rows.dtype.itemsize * rows.shape[1]}")]).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rows[first[order]], rank[inverse.ravel()]
