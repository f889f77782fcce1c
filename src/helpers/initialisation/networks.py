"""Compute outputs of networks with random weights: plain multilayer perceptrons and the towers of a real dual encoder."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from scipy.special import ndtr

from ..arrays import choose, unit_rows
from ..backbones.openclip import random_clip

IMAGES_PER_BATCH = 32
ROOT_2 = 2**0.5
ACTIVATIONS: dict[
    str, tuple[Callable[[np.ndarray], np.ndarray], float]
] = {  # function, and the gain of its weights that keeps signals from dying out (He et al., 2015; LeCun et al., 1998)
    "relu": (lambda x: np.maximum(x, 0), ROOT_2),
    "gelu": (lambda x: x * ndtr(x), ROOT_2),
    "tanh": (np.tanh, 5 / 3),
    "linear": (lambda x: x, 1.0),
}


def mlp_outputs(
    inputs: Sequence[np.ndarray], activation: str, depth: int, networks: int, width: int = 256, random_state: int = 0
) -> list[np.ndarray]:
    """Pass every data set through the same random perceptrons.

    A network has ``depth`` hidden layers and a linear read-out without activation, as the projection of an encoder. Weights are
    normal with variance gain^2 over the number of inputs; there are no biases. Rows are scaled to norm root d beforehand, so that
    first pre-activations have the variance gain^2.

    Args:
        inputs: one array (n, d) per data set, d the same for all.
        activation: one of ``ACTIVATIONS``.
        depth: hidden layers, at least 1.
        networks: K, how many initialisations.
        width: of hidden layers and of the output.

    Returns:
        one array (K, n, width) float64 per data set.

    Raises:
        ValueError: an unknown activation, a number below 1, unequal dimensions, or zero-norm rows.
    """
    act, gain = ACTIVATIONS[choose(activation, ACTIVATIONS, "activation")]
    for name, value in (("depth", depth), ("networks", networks), ("width", width)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    rows = [unit_rows(np.asarray(x, dtype=np.float64), "inputs") for x in inputs]
    dims = {x.shape[1] for x in rows}
    if len(dims) > 1:
        raise ValueError(f"inputs have {' and '.join(map(str, sorted(dims)))} columns; one network takes one number of inputs")
    sizes, stacked = np.cumsum([len(x) for x in rows])[:-1], np.concatenate(rows) * np.sqrt(dims.pop())
    outputs = np.empty((networks, len(stacked), width))
    for k in range(networks):
        rng, x = np.random.default_rng([random_state, k]), stacked
        for _ in range(depth):
            x = act(x @ rng.normal(scale=gain / np.sqrt(x.shape[1]), size=(x.shape[1], width)))
        outputs[k] = x @ rng.normal(scale=1 / np.sqrt(width), size=(width, width))
    return [part.copy() for part in np.split(outputs, sizes, axis=1)]


def encoder_outputs(
    images: list, texts: list[str], seeds: Iterable[int], architecture: str = "ViT-B-32", device: str = "cpu"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the outputs of a dual encoder's two towers at one random initialisation after the other, not normalised.

    Args:
        images: PIL images.
        texts: captions, cut to the context of the encoder.
        seeds: one initialisation each.
        architecture: of open_clip.
        device: torch device.

    Yields:
        (image outputs (n, d), text outputs (m, d)), float64.
    """
    pixels, tokens = torch.empty(0), []
    for seed in seeds:
        encoder = random_clip(f"random-clip:{seed}", architecture, device, seed)
        if not tokens:
            pixels = torch.from_numpy(np.stack([encoder.preprocess(image.convert("RGB")) for image in images]))
            tokens = padded_tokens(encoder.tokenizer.ids(texts), encoder.tokenizer.context_length, encoder.tokenizer.pad_id)
        with torch.inference_mode():
            image = [encoder.image_features(batch.to(device)) for batch in pixels.split(IMAGES_PER_BATCH)]
            text = [encoder.text_features(ids.to(device), mask.to(device)) for ids, mask in tokens]
        yield torch.cat(image).double().cpu().numpy(), torch.cat(text).double().cpu().numpy()


def padded_tokens(ids: list[list[int]], context: int, pad_id: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return batches of token ids (b, context) and of their masks, padded to the context."""
    padded, mask = torch.full((len(ids), context), pad_id, dtype=torch.int64), torch.zeros((len(ids), context), dtype=torch.int64)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return list(zip(padded.split(IMAGES_PER_BATCH), mask.split(IMAGES_PER_BATCH), strict=True))
