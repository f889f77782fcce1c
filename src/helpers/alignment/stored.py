"""Store fitted alignments: arrays and text metadata in one safetensors file, whose checksum finds any change."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..files import replacing

REMEDY = "fit it again and save it there"


def write_arrays(path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> Path:
    """Write arrays and metadata with a checksum over both."""
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata=metadata | {"sha256": _checksum(arrays, metadata)})
    return Path(path)


def read_arrays(path) -> tuple[dict[str, np.ndarray], dict[str, str], bool]:
    """Return arrays, metadata and whether the file has a checksum; files of the first version have none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or holds non-finite numbers; names it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no alignment at {path}; an alignment's `save` writes one")
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = dict(stream.metadata() or {})
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, AttributeError) as error:
        raise unusable(path, type(error).__name__) from None
    expected = metadata.pop("sha256", None)
    if expected is not None and expected != _checksum(arrays, metadata):
        raise unusable(path, "its checksum does not match its content")
    if not all(np.issubdtype(x.dtype, np.floating) and np.isfinite(x).all() for x in arrays.values()):
        raise unusable(path, "it holds numbers that are not finite")
    return arrays, metadata, expected is not None


def unusable(path, why: str) -> ValueError:
    """Return the error for a file that is not an intact alignment; it names the file."""
    return ValueError(f"{path} is not an intact alignment ({why}); {REMEDY}")


def _checksum(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
