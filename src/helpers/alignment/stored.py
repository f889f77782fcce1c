"""Save fitted alignments as checksummed safetensors files, and load them."""

import json
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..files import read_arrays, write_arrays


class StoredAlignment(BaseEstimator):
    """An estimator whose fit consists of arrays: attributes with the names ``arrays`` and a final underscore."""

    name: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]]

    def save(self, path) -> Path:
        """Write the fitted alignment as one file; :func:`helpers.alignment.registry.load_alignment` reads it."""
        check_is_fitted(self)
        arrays = {name: np.ascontiguousarray(getattr(self, f"{name}_")) for name in self.arrays}
        return write_arrays(path, arrays, {"alignment": json.dumps({"name": self.name, "parameters": self.get_params()})})

    @classmethod
    def load(cls, path) -> Self:
        """Read an alignment of this class; a ValueError names a file that is damaged or holds something else."""
        return load(path, {cls.name: cls})

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the fitted attributes, and check that the arrays fit together."""
        for name in self.arrays:
            setattr(self, f"{name}_", arrays[name])


def load(path, classes: dict[str, type]):
    """Read an alignment of one of these classes, given by name."""
    try:
        arrays, metadata = read_arrays(path)
        if not all(np.issubdtype(x.dtype, np.floating) and np.isfinite(x).all() for x in arrays.values()):
            raise ValueError("it holds numbers that are not finite")
        about = json.loads(metadata["alignment"])
        alignment = classes[about["name"]](**about["parameters"])
        alignment._restore(arrays)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no alignment at {path}; an alignment's `save` writes one") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not an intact alignment ({error}); fit it again and save it there") from None
    return alignment
