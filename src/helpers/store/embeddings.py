"""Hold embeddings on disk and in memory: one image matrix, one text matrix, one table of pairs, and their provenance."""

import hashlib
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import MappedRows, already_unit, as_rows, blocks, choose, distinct_rows, paired_rows, parts, same_dimension, unit_rows
from ..files import replacing_folder, save_arrays, sha256
from ..statistics import group_codes, joined
from ..tasks import FILL, OTHER_SPLITS, SPLITS, UNLABELLED, Task, cells, known, settled, split_names, task_of
from . import disk
from .catalogue import NAMES, Identity
from .disk import FILES, FORMAT, PROVENANCE, TENSOR, fits_in_memory
from .foreign import naming, read_vectors

OF_ROWS = ("labels", "split", "groups", "ids", "kind", "classes", "missing_labels", "uncertain")  # arguments of ``from_arrays``
OF_THE_FILES = ("format", "dtype", "files", "task", "record_sha256")  # of the record, no provenance


@dataclass(frozen=True)
class EmbeddingSet:
    """Unit-norm embeddings of distinct images and texts, and the pairs made of them.

    A distinct image or text is stored once, but statistics are over pairs: therefore use ``image_of`` and ``text_of``.

    Args:
        image: (n_images, d) float32, unit rows; a memory-mapped matrix stays on disk, as ``helpers.arrays.MappedRows``.
        text: (n_texts, d) likewise.
        pairs: one row per pair: ``pair_id``, ``image`` and ``text`` (row numbers in the matrices), ``split``, ``group``, the label
            columns of ``task`` and any ``subgroup_*`` columns.
        task, provenance: meaning of the labels, and how the vectors were computed (JSON-serialisable).
    """

    image: np.ndarray
    text: np.ndarray
    pairs: pd.DataFrame
    task: Task
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        mapped = {m: MappedRows(x, m) if isinstance(x, np.memmap) else x for m, x in (("image", self.image), ("text", self.text))}
        same_dimension(*(as_rows(x, modality) for modality, x in mapped.items()))
        object.__setattr__(self, "pairs", self.pairs.reset_index(drop=True))
        for modality, matrix in mapped.items():
            object.__setattr__(self, modality, _float32_unit_rows(matrix, modality))
            items, n = self.pairs[modality], len(matrix)
            if len(outside := np.flatnonzero((items < 0) | (items >= n))):
                raise ValueError(f"pair {outside[0]} points at {modality} {items[outside[0]]}, but there are {n}")
        split = self.pairs["split"]
        if len(strange := np.flatnonzero(~split.isin(SPLITS))):
            usual = np.flatnonzero(split.isin(OTHER_SPLITS))  # a value other than these may be a patient's and is not quoted
            first, name = (usual[0], f" {split[usual[0]]!r}") if len(usual) else (strange[0], "")
            raise ValueError(f"pair {first}: split{name} is not one of {', '.join(SPLITS)} ({len(strange)} such pairs); rename it")
        if len(repeated := np.flatnonzero(self.pairs["pair_id"].duplicated())):
            raise ValueError(f"pair {repeated[0]} has the pair_id of an earlier one ({len(repeated)} such pairs); ids must differ")
        if self.labelled:
            self.task.targets(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        counts = f"{len(self)} pairs of {len(self.image)} images and {len(self.text)} texts, d={self.dim}, {self.task.kind}"
        read = ", rows read from disk block by block" if isinstance(self.image, MappedRows) else ""
        return f"EmbeddingSet({self.identity}: {counts}{read})"

    @property
    def identity(self) -> Identity:
        """Return data set, variant and backbone as one object."""
        names = {name: str(self.provenance[name]) for name in NAMES if name in self.provenance}
        return Identity(**names, synthetic=bool((self.provenance.get("data_report") or {}).get("synthetic")))

    @property
    def dataset(self) -> str:
        """Return the data set's name in tables, in which a miniature is marked as synthetic."""
        return self.identity.title

    @property
    def labelled(self) -> bool:
        """Return whether the set has labels; geometry, separation and retrieval need none."""
        return self.task.kind != UNLABELLED

    @property
    def dim(self) -> int:
        """Return the dimension d of the shared space."""
        return self.image.shape[1]

    @property
    def targets(self) -> np.ndarray:
        """Return 0/1 indicators, int8 (n_pairs, n_outputs); see :meth:`Task.targets`. A set without labels raises a ValueError."""
        return self.task.targets(self.pairs)

    def rows(self, split: str | None = None) -> np.ndarray:
        """Return the row numbers of the pairs of one split, or of all."""
        if split is None:
            return np.arange(len(self))
        return np.flatnonzero(self.pairs["split"].to_numpy() == choose(split, SPLITS, "split"))

    @property
    def tied_groups(self) -> np.ndarray:
        """Return the group number of each pair, (n,), in the order of names; groups that share an image vector are one."""
        groups = group_codes(self.pairs["group"])
        first = pd.Series(groups).groupby(joined(groups, self.pairs["image"].to_numpy())).transform("min")
        return np.unique(first, return_inverse=True)[1]

    def image_of(self, rows=slice(None)) -> np.ndarray:
        """Return the image vectors of pairs, (len(rows), d)."""
        return self.image[self.pairs["image"].to_numpy()[rows]]

    def text_of(self, rows=slice(None)) -> np.ndarray:
        """Return the text vectors of pairs, (len(rows), d)."""
        return self.text[self.pairs["text"].to_numpy()[rows]]

    def paired(self, modality: str, rows=slice(None)):
        """Return the vectors (len(rows), d) of one modality of pairs; those of a mapped set stay unread until they are used."""
        items, vectors = self.pairs[modality].to_numpy()[rows], getattr(self, modality)
        return vectors.take(items) if isinstance(vectors, MappedRows) else vectors[items]

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over vectors, pairs and task; it does not depend on the file format."""
        digest = hashlib.sha256()
        for matrix in (self.image, self.text):
            digest.update(repr(matrix.shape).encode())
            for block in blocks(matrix):
                digest.update(block.tobytes())
        digest.update(self.pairs.to_csv(index=False).encode())
        digest.update(repr(self.task).encode())
        return digest.hexdigest()

    @classmethod
    def from_arrays(
        cls, image, text, labels=None, split=None, kind: str | None = None, groups=None, ids=None, classes=None,
        missing_labels: str = "fail", uncertain: str | None = None, **provenance,
    ) -> "EmbeddingSet":  # fmt: skip
        """Make a set from one image vector and one text vector per pair; labels, splits, groups and ids are read as text.

        Args:
            image, text: (n, d) vectors of any norm; equal rows are stored once. Texts (n, k, d) are k captions an image: n k pairs,
                grouped by image unless ``groups`` says otherwise.
            labels: (n,) class names; (n, K) 0/1 indicators for a multi-label task, or, with one positive in every row, for one of
                K classes; (n,) lists of class names for a multi-label task; None for a set without labels.
            split: (n,) of ``train``, ``val``, ``test``, in any case; ``valid`` and ``validation`` mean ``val``; train when None.
            kind: ``binary``, ``multiclass`` or ``multilabel``; inferred from the labels when None.
            groups, ids: (n,) names of rows that belong together, such as one patient's, and of the pairs; numbered when None.
            classes: class names in order, needed if one reads as missing (nan, None, NA, -1); sorted, or ``0..K-1``, when None.
            missing_labels, uncertain: ``drop`` rows with a missing label, or with -1; or read it as ``zero``, or -1 as ``one``.
                Otherwise a missing label fails, and -1 is one. What was done is in ``provenance["data_report"]``.
        """
        for name, value in provenance.items():
            if np.ndim(value) or get_close_matches(name, OF_ROWS, n=1, cutoff=0.8):
                told = f"rows have {', '.join(OF_ROWS)}, and any other argument is text, a number or a mapping about the whole set"
                raise ValueError(f"from_arrays knows no {name!r}: {told}")
        image, text, each = paired_rows(image, text, labels=labels, split=split, groups=groups, ids=ids)
        labels, rows, report = settled(labels, classes, missing_labels, uncertain)
        if rows is not None:
            image, text = image[rows], text.reshape(len(image), each or 1, -1)[rows].reshape(len(rows) * (each or 1), -1)
            split, groups, ids = (None if values is None else cells(values)[rows] for values in (split, groups, ids))
            provenance["data_report"] = report | provenance.get("data_report", {})
        n = len(image)
        if np.array_equal(image, text):
            raise ValueError("image and text vectors are the same, as when one prefix or file is given for both; give each its own")
        numbered = [f"{i:07d}" for i in range(n)]
        ids, groups = (numbered if v is None else known(v, name, FILL, rows=rows) for name, v in (("ids", ids), ("groups", groups)))
        splits = split_names(["train"] * n if split is None else known(split, "split", FILL, rows=rows))
        task, columns = task_of(labels, kind, classes, rows=rows)
        pairs = pd.DataFrame({"pair_id": ids, "split": splits, "group": groups, **columns})
        image, pairs["image"] = distinct_rows(image)
        if each:
            pairs = pairs.loc[pairs.index.repeat(each)].reset_index(drop=True)
            pairs["pair_id"] += [f"-{i % each}" for i in range(len(pairs))]
        text, pairs["text"] = distinct_rows(text)
        return cls(image, text, pairs, task, provenance)

    @classmethod
    def from_csv(cls, path, label=None, **options) -> "EmbeddingSet":
        """Read vectors computed elsewhere, from a table, arrays or a folder; see :func:`helpers.store.foreign.read_vectors`."""
        with naming(path):
            return cls.from_arrays(**read_vectors(path, label, **options))

    from_npz = from_csv

    def save(self, directory, dtype: str = "float32", image_from=None) -> Path:
        """Write the set as a folder that appears whole or not at all; ``provenance.json`` holds the SHA-256 of each file.

        Args:
            directory, dtype: folder, in which a set is replaced and anything else refused; ``float16`` is half as large, to 1e-3.
            image_from: folder of another set of this store with the same image matrix; the new set refers to that matrix.
        """
        directory = Path(directory)
        choose(dtype, ("float32", "float16"), "dtype")
        with replacing_folder(directory, PROVENANCE, FILES.values(), "an embedding set") as folder:
            files = {}
            for modality in ("image", "text"):
                shared = modality == "image" and image_from is not None
                file = (folder.parent if shared else folder) / FILES[modality]  # the parent is temporary
                save_arrays(file, {TENSOR: np.ascontiguousarray(getattr(self, modality), dtype=dtype)})
                files[modality] = {"path": file.name, "sha256": sha256(file)}
                if shared:
                    files["image"]["path"] = _shared_image(files["image"]["sha256"], Path(image_from), directory)
            self.pairs.to_parquet(folder / FILES["pairs"], index=False)
            files["pairs"] = {"path": FILES["pairs"], "sha256": sha256(folder / FILES["pairs"])}
            about = {k: v for k, v in self.provenance.items() if k not in OF_THE_FILES}
            task = {"kind": self.task.kind, "classes": list(self.task.classes)}
            disk.write_record(folder / PROVENANCE, {**about, "format": FORMAT, "dtype": dtype, "files": files, "task": task})
        return directory

    @classmethod
    def load(cls, directory, in_memory: float | None = None) -> "EmbeddingSet":
        """Read a set written by :meth:`save`, and check the SHA-256 of every file.

        A matrix of more than ``in_memory`` numbers, by default as many as the free memory can work on, is mapped and read block by
        block; its file must not be changed in place meanwhile, but the set may be replaced.
        """
        directory, in_memory = Path(directory), fits_in_memory() if in_memory is None else in_memory
        record, found = disk.settled(lambda: disk.read_set(directory, in_memory), directory)
        with naming(directory):
            task = Task(record["task"].get("kind"), tuple(record["task"].get("classes", ())))
            return cls(**found, task=task, provenance={k: v for k, v in record.items() if k not in OF_THE_FILES})


def _shared_image(expected: str, other: Path, directory: Path) -> str:
    """Return the path, from ``directory``, of the image matrix of another set of the same store, once its SHA-256 is checked."""
    theirs = disk.read_set_record(other)["files"]["image"]
    if theirs["sha256"] != expected:
        raise ValueError(f"{other} holds other image vectors than the set to be saved in {directory}; save without image_from")
    path = Path(os.path.relpath(other / theirs["path"], directory)).as_posix()
    if not disk.SHARED_IMAGE.fullmatch(path) or (other / theirs["path"]).resolve().parent == directory.resolve():  # by a link
        raise ValueError(f"{other} is not another set of the same store as {directory}; save without image_from")
    return path


def _float32_unit_rows(matrix, what: str) -> np.ndarray | MappedRows:
    """Return unit rows in float32 that nobody can change; those of another set are shared."""
    if isinstance(matrix, MappedRows):
        return matrix
    matrix = np.asarray(matrix)
    each = parts(len(matrix), 64 * matrix.shape[1])  # small blocks, as they need copies in float64
    if not matrix.flags.writeable and all(already_unit(matrix[part]).all() for part in each):
        return matrix
    unit = np.empty(matrix.shape, dtype=np.float32)
    for part in each:
        block = matrix[part]
        unit[part] = np.where(already_unit(block)[:, None], block, unit_rows(block, what, part.start))
    unit.flags.writeable = False
    return unit
