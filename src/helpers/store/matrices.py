"""Read and write the matrix of one modality as a safetensors file, in blocks where it is larger than memory should hold."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from ..arrays import blocks
from .record import DAMAGE

IN_MEMORY = 2**25  # numbers of a matrix above which its rows stay in the file; a converged sweep of so many takes 4 GB
NAME = "embeddings"
TYPES = {"F16": "float16", "F32": "float32"}


def write_matrix(path: Path, matrix, dtype: str) -> None:
    """Write a matrix (n, d) block by block, with the bytes that the safetensors library would write."""
    n, d = matrix.shape
    code = next(code for code, known in TYPES.items() if known == dtype)
    about = {NAME: {"dtype": code, "shape": [n, d], "data_offsets": [0, n * d * np.dtype(dtype).itemsize]}}
    header = json.dumps(about, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for block in blocks(matrix):
            stream.write(np.ascontiguousarray(block, dtype=dtype).data)


def parse_matrix(data, path: Path) -> np.ndarray:
    """Return the tensor ``embeddings`` (n, d), float16 or float32, of a safetensors file; memory-mapped if its bytes are.

    Raises:
        ValueError: the file is damaged or holds another tensor, shape or type; names the file.
    """
    try:
        tensors = {NAME: _mapped(data)} if isinstance(data, np.ndarray) else load_safetensors(data)
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(f"{path} is not a whole safetensors file ({type(error).__name__}); {DAMAGE}") from None
    matrix = tensors.get(NAME)
    if matrix is None or len(tensors) != 1 or matrix.ndim != 2 or matrix.dtype not in (np.float16, np.float32):
        raise ValueError(f"{path} must hold one tensor 'embeddings' (n, d) of float16 or float32; {DAMAGE}")
    return matrix


def _mapped(data: np.ndarray) -> np.ndarray:
    """Return the only tensor of a memory-mapped safetensors file, whose bytes are not read yet.

    Raises:
        KeyError, TypeError, ValueError: the header does not describe this one tensor and these bytes.
    """
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    about = header[NAME]
    matrix = data[start:].view(TYPES[about["dtype"]]).reshape(about["shape"])
    if about["data_offsets"] != [0, matrix.nbytes] or set(header) - {NAME, "__metadata__"}:
        raise ValueError("the header and the length of the file disagree")
    return matrix
