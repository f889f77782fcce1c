"""Check and identify the weights of an encoder: their hash, their revision, and whether they are whole."""

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError


def weights_hash(model) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of a torch module's state, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(_bytes(tensor)).numpy().data)
    return digest.hexdigest()


def revision(repository: str, *files: str) -> str | None:
    """Return the commit of a model repository from the first of ``files`` in the hub's local cache; None if it holds none."""
    found = (try_to_load_from_cache(repository, name) for name in files)
    return next((Path(path).parent.name for path in found if isinstance(path, str)), None)


@contextmanager
def readable_weights() -> Iterator[None]:
    """Turn a library's error on damaged weights into one sentence.

    Raises:
        OSError: the weights file is cut short or damaged, or needs unpickling.
    """
    try:
        yield
    except (SafetensorError, pickle.UnpicklingError, EOFError) as error:
        raise OSError(f"its weights are cut short or damaged ({type(error).__name__})") from error
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error) and "size mismatch" not in str(error):
            raise
        raise OSError("its weights are cut short, damaged or of another architecture") from error


def all_weights_found(name: str, info: dict) -> None:
    """Refuse a checkpoint that lacks a weight, because the encoder would be partly random.

    Raises:
        ValueError: names the first weight the checkpoint lacks.
    """
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"{name}: the checkpoint lacks {len(missing)} weights, first {missing[0]}; it is not a model of this architecture"
        )


def _bytes(tensor):
    return torch.uint8 if tensor.dtype != torch.bool else torch.bool
