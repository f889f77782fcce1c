"""Define the contract of post-hoc alignments: one affine map per modality, with or without renormalising."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..checks import same_dimension, unit_rows
from ..neighbours import distinct_rows
from .stored import read_arrays, unusable, write_arrays

MODALITIES = ("image", "text")


class Metadata(BaseModel):
    """Metadata of a saved alignment."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    name: str
    parameters: dict[str, bool | int | float | str | None]


class AffineAlignment(BaseEstimator, ABC):
    r"""Learn one map :math:`x' = x A + b` per modality on training rows and apply it to any rows.

    Args:
        renormalise: bring moved rows back to unit length; this can undo a property that the map itself guarantees.

    Attributes:
        image_map_, text_map_: (d, d') matrices A, or (d,) diagonals.
        image_shift_, text_shift_: (d',) vectors b.
        n_features_in_: d.
    """

    name: ClassVar[str]
    paired: ClassVar[bool] = False  # row i of both modalities must be one pair
    needs_spread: ClassVar[bool] = False  # a modality of one distinct vector has no variance to work with
    needs_rows: ClassVar[bool] = False  # fewer rows than dimensions leave the map undetermined
    arrays: ClassVar[tuple[str, ...]] = ("image_map", "image_shift", "text_map", "text_shift")

    def __init__(self, renormalise: bool = True):
        self.renormalise = renormalise

    def fit(self, image, text) -> "AffineAlignment":
        """Learn both maps on (n, d) image and (m, d) text rows, which are brought to unit norm first; replace any earlier fit.

        Raises:
            ValueError: unequal dimensions, non-finite or zero-norm rows, too few rows or distinct rows, or unpaired rows.
        """
        image, text = (unit_rows(x, what).astype(np.float64) for x, what in ((image, "image"), (text, "text")))
        same_dimension(image, text)
        self._check(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_map_, self.image_shift_, self.text_map_, self.text_shift_ = self._solve(image, text)
        return self

    def transform(self, image, text) -> tuple[np.ndarray, np.ndarray]:
        """Apply the learned maps to image (n, d) and text (m, d); float64 stays float64, other types become float32.

        Equal rows stay equal to the last bit, so that measures which count equal vectors as one still do.

        Raises:
            ValueError: the dimension differs from that at fit, or the map sends a row to zero, which has no direction.
        """
        check_is_fitted(self)
        return self._move(image, "image"), self._move(text, "text")

    def save(self, path) -> Path:
        """Write the fitted alignment as one safetensors file; :func:`helpers.alignment.registry.load_alignment` reads it."""
        check_is_fitted(self)
        metadata = Metadata(format=1, name=self.name, parameters=self.get_params())
        arrays = {name: np.ascontiguousarray(getattr(self, f"{name}_")) for name in self.arrays}
        return write_arrays(path, arrays, {"alignment": metadata.model_dump_json()})

    @abstractmethod
    def _solve(self, image: np.ndarray, text: np.ndarray):
        """Return image map, image shift, text map and text shift for float64 unit rows."""

    def _move(self, x, what: str) -> np.ndarray:
        x = unit_rows(x, what)
        if x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"{what} has {x.shape[1]} dimensions, the alignment was fitted on {self.n_features_in_}; fit it on these vectors"
            )
        matrix, shift = (getattr(self, f"{what}_{part}_").astype(x.dtype) for part in ("map", "shift"))
        x, row = distinct_rows(x)  # a matrix product rounds equal rows differently, depending on their place
        moved = (x @ matrix if matrix.ndim == 2 else x * matrix) + shift
        return (unit_rows(moved, f"aligned {what}") if self.renormalise else moved)[row]

    def _check(self, image: np.ndarray, text: np.ndarray) -> None:
        if self.paired and len(image) != len(text):
            raise ValueError(f"{self.name} needs pairs: image has {len(image)} rows and text {len(text)}; give one row per pair")
        for what, x in (("image", image), ("text", text)):
            if self.needs_spread and (x == x[0]).all():
                raise ValueError(f"{self.name} cannot be fitted: {what} has one distinct vector in {len(x)} rows; use centring")
            if self.needs_rows and len(x) < x.shape[1]:
                raise ValueError(
                    f"{self.name} needs at least as many rows as dimensions, {what} has {len(x)} rows of {x.shape[1]} dimensions; "
                    "give more training rows or use centring"
                )


def load_affine(path, classes: dict[str, type]) -> AffineAlignment:
    """Read an alignment written by :meth:`AffineAlignment.save`.

    Args:
        classes: class of each alignment by its name.

    Raises:
        ValueError: not a file of this project, an unknown alignment, or arrays that do not fit together; names the file.
    """
    arrays, found, has_checksum = read_arrays(path)
    if not has_checksum:
        raise unusable(path, "it has no checksum")
    try:
        metadata = Metadata.model_validate_json(found["alignment"])
        alignment = classes[metadata.name](**metadata.parameters)
    except (KeyError, ValidationError, TypeError):
        raise ValueError(f"{path} is not a saved alignment of this version; fit and save it again") from None
    if set(arrays) != set(alignment.arrays):
        raise unusable(path, f"{metadata.name} has the arrays {', '.join(alignment.arrays)}")
    if any(
        arrays[f"{m}_map"].ndim not in (1, 2) or arrays[f"{m}_map"].shape[-1:] != arrays[f"{m}_shift"].shape for m in MODALITIES
    ):
        raise unusable(path, "map and shift have different dimensions")
    if len({len(arrays[f"{m}_map"]) for m in MODALITIES}) != 1:
        raise unusable(path, "its two maps take vectors of different dimensions")
    for name, array in arrays.items():
        setattr(alignment, f"{name}_", array)
    alignment.n_features_in_ = len(alignment.image_map_)
    return alignment
