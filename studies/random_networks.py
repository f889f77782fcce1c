r"""Divide the output variance of random networks between data and weights (Eq. 3) and test Eq. 4.

``MEASURED_ROOT=FOLDER python studies/random_networks.py``; FOLDER holds ``ham10000`` and ``flickr8k`` with their images. Networks
are the towers of open_clip's ViT-B/32 and perceptrons by activation and depth. Perceptrons see pixels (32 x 32, so that the mean
colour and the coarse layout remain) and the stored features of the locked towers.

The output of network k on item i is modelled as :math:`h_{ki} = \mu + a_k + b_i + e_{ki}` with independent effects of the weights,
of the data and of both together. Variances are traces over the output's dimensions. The data-induced term of Eq. 3 is that of b
plus that of e, the weight-induced one that of a. Estimates are those of the analysis of variance (Searle, Casella and McCulloch,
1992): unbiased, so that a variance near zero may be estimated below zero.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr
from scipy.stats import t as student

from helpers import load_dataset
from helpers.arrays import unit_rows
from helpers.backbones.openclip import random_clip
from helpers.files import project_root, replacing
from helpers.images import decode
from helpers.tower_features import shipped_features

INPUTS = ["$MEASURED_ROOT/ham10000", "$MEASURED_ROOT/flickr8k", "data/features"]
OUT = "data/measured/random_networks.csv"
SETS = {"medical": ("ham10000", "clean"), "natural": ("flickr8k", "common")}
NETWORKS, ITEMS, DEPTHS, PIXELS = 10, 64, (1, 2, 4, 8, 16), 32
PARTS = ["data", "data x weights", "weights", "data-induced"]  # the first three add up; the last is the sum of the first two
RATIO = "medical / natural"  # what stands for the data where both are compared
BLOCKS = 20  # of items, in the jackknife
BATCH = 32  # images or texts encoded at a time
ACTIVATIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    # function, and the gain of its weights that keeps signals from dying out (He et al., 2015; LeCun et al., 1998)
    "relu": (lambda x: np.maximum(x, 0), 2**0.5),
    "gelu": (lambda x: x * ndtr(x), 2**0.5),
    "tanh": (np.tanh, 5 / 3),
    "linear": (lambda x: x, 1.0),
}
Pair = tuple[np.ndarray, np.ndarray]  # medical and natural


def main() -> None:
    root, rows = Path(os.path.expandvars(INPUTS[0])).parent, {}
    for kind, (dataset, variant) in SETS.items():
        table = load_dataset(dataset, root / dataset, variant, missing_images="drop").rows
        rows[kind] = table.sample(ITEMS, random_state=0).assign(file=lambda t, d=dataset: [root / d / p for p in t["image"]])
    images = {kind: [decode(path) for path in table["file"]] for kind, table in rows.items()}
    perceptrons = perceptron_table(perceptron_inputs(images, rows), DEPTHS, NETWORKS)
    towers = tower_table(images, {kind: list(table["text"]) for kind, table in rows.items()})
    first = ["inputs", "network", "depth", "networks", "items"]
    whole = pd.concat([towers, perceptrons])
    with replacing(project_root() / OUT) as temporary:
        whole[first + [c for c in whole if c not in first]].to_csv(temporary, index=False, float_format="%.5g")


def perceptron_inputs(images: dict[str, list], rows: dict[str, pd.DataFrame]) -> dict[str, Pair]:
    """Return what perceptrons see, by name: pixels and features of the same items."""
    pixels = {k: np.stack([np.asarray(i.resize((PIXELS, PIXELS)), dtype=np.float64).ravel() for i in v]) for k, v in images.items()}
    image, text = [], []
    for kind, (dataset, variant) in SETS.items():
        stored = shipped_features(dataset)
        own = stored.captions[(stored.captions["variant"] == variant) & (stored.captions["caption"] == 0)].set_index("pair_id")
        own = own.loc[rows[kind]["pair_id"]]
        image.append(stored.image[own["image"]])
        text.append(stored.text[own["text"]])
    found = {"pixels": (pixels["medical"], pixels["natural"]), "image features": (image[0], image[1])}
    return found | {"text features": (text[0], text[1])}


def perceptron_table(inputs: Mapping[str, Pair], depths: Iterable[int], networks: int, width: int = 256) -> pd.DataFrame:
    """Return :func:`compare_outputs` of random perceptrons by input, activation and depth; depth 0 is the inputs."""
    frames = []
    for name, pair in inputs.items():
        items = sum(map(len, pair))
        variance = {k: unit_rows(x).var(axis=0, ddof=1).sum() for k, x in zip(SETS, pair, strict=True)}
        variance[RATIO] = variance["medical"] / variance["natural"]
        given = pd.DataFrame({"output": "unit", "data": variance.keys(), "part": PARTS[3], "value": variance.values()})
        frames.append(given.assign(inputs=name, network="inputs", depth=0, networks=0, items=items))
        for activation in ACTIVATIONS:
            for depth in depths:
                found = compare_outputs(*mlp_outputs(pair, activation, depth, networks, width))
                about = {
                    "inputs": name,
                    "network": f"{activation} perceptron",
                    "depth": depth,
                    "networks": networks,
                    "items": items,
                }
                frames.append(found.assign(**about))
    return pd.concat(frames, ignore_index=True)


def mlp_outputs(inputs: Sequence[np.ndarray], activation: str, depth: int, networks: int, width: int = 256) -> list[np.ndarray]:
    """Pass every data set (n, d) through the same random perceptrons; return one array (networks, n, width) per data set.

    A network has ``depth`` hidden layers and a linear read-out without activation, as the projection of an encoder. Weights are
    normal with variance gain^2 over the number of inputs; there are no biases. Rows are scaled to norm root d beforehand, so that
    first pre-activations have the variance gain^2.
    """
    act, gain = ACTIVATIONS[activation]
    rows = np.concatenate([unit_rows(np.asarray(x, dtype=np.float64)) for x in inputs]) * np.sqrt(inputs[0].shape[1])
    outputs = np.empty((networks, len(rows), width))
    for k in range(networks):
        rng, x = np.random.default_rng([0, k]), rows
        for _ in range(depth):
            x = act(x @ rng.normal(scale=gain / np.sqrt(x.shape[1]), size=(x.shape[1], width)))
        outputs[k] = x @ rng.normal(scale=1 / np.sqrt(width), size=(width, width))
    return np.split(outputs, np.cumsum([len(x) for x in inputs])[:-1], axis=1)


def tower_table(images: dict[str, list], texts: dict[str, list[str]]) -> pd.DataFrame:
    """Compare both towers of random encoders on medical and natural data."""
    towers = zip(*encoder_outputs(sum(images.values(), []), sum(texts.values(), []), NETWORKS), strict=True)
    frames = []
    for what, name, items, outputs in zip(
        ("images", "texts"), ("ViT-B/32", "text transformer"), (images, texts), towers, strict=True
    ):
        medical, natural = np.split(np.stack(outputs), [len(items["medical"])], axis=1)
        about = {"inputs": what, "network": name, "depth": 12, "networks": NETWORKS, "items": len(medical[0]) + len(natural[0])}
        frames.append(compare_outputs(medical, natural).assign(**about))
    return pd.concat(frames, ignore_index=True)


def encoder_outputs(images: list, texts: list[str], networks: int, architecture: str = "ViT-B-32") -> Iterator[Pair]:
    """Yield the outputs of both towers, not normalised, (n, d) and (m, d), at one random initialisation after the other."""
    for seed in range(networks):
        encoder = random_clip(f"random-clip:{seed}", architecture, "cpu", seed)
        pixels = torch.from_numpy(np.stack([encoder.preprocess(image.convert("RGB")) for image in images]))
        ids, context = encoder.tokenizer.ids(texts), encoder.tokenizer.context_length
        padded, mask = (
            torch.full((len(ids), context), encoder.tokenizer.pad_id),
            torch.zeros((len(ids), context), dtype=torch.int64),
        )
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        with torch.inference_mode():
            image = [encoder.image_features(batch) for batch in pixels.split(BATCH)]
            text = [encoder.text_features(*batch) for batch in zip(padded.split(BATCH), mask.split(BATCH), strict=True)]
        yield torch.cat(image).double().numpy(), torch.cat(text).double().numpy()
        print(f"initialisation {seed + 1} of {networks}", flush=True)


def compare_outputs(medical: np.ndarray, natural: np.ndarray) -> pd.DataFrame:
    """Return the parts of the variance on both kinds of data and, of the data-induced part, the ratio that Eq. 4 bounds by 1.

    Args:
        medical, natural: (K, n, d) and (K, m, d) outputs of the same networks, not normalised.
    """
    frames = []
    for output in ("unit", "unnormalised"):
        both = dict(zip(SETS, (medical, natural), strict=True))
        if output == "unit":
            both = {kind: x / np.linalg.norm(x, axis=-1, keepdims=True) for kind, x in both.items()}
        estimates = {kind: Estimate.of(x) for kind, x in both.items()}
        for kind, estimate in estimates.items():
            values = interval_over_both(lambda parts: parts, estimate)
            shares = interval_over_both(lambda parts: parts / parts[:3].sum(), estimate)
            columns = dict(zip(("value", "low", "high", "share", "share_low", "share_high"), (*values, *shares), strict=True))
            frames.append(pd.DataFrame({"output": output, "data": kind, "part": PARTS, **columns}))
        log_ratio = interval_over_both(lambda one, other: np.log(one[3] / other[3]), *estimates.values())
        ratio = dict(zip(("value", "low", "high"), np.exp(log_ratio), strict=True))
        frames.append(pd.DataFrame([{"output": output, "data": RATIO, "part": PARTS[3], **ratio}]))
    return pd.concat(frames, ignore_index=True)


def variance_parts(outputs: np.ndarray) -> np.ndarray:
    """Return the variance of each of ``PARTS`` (4,) of outputs (K, n, d)."""
    k, n, _ = outputs.shape
    grand = outputs.mean(axis=(0, 1))
    of_network, of_item = outputs.mean(axis=1) - grand, outputs.mean(axis=0) - grand
    weights, data = n * np.square(of_network).sum(), k * np.square(of_item).sum()
    both = (np.square(outputs - grand).sum() - weights - data) / ((k - 1) * (n - 1))
    from_data = (data / (n - 1) - both) / k
    return np.array([from_data, both, (weights / (k - 1) - both) / n, from_data + both])


@dataclass(frozen=True)
class Estimate:
    """The variance parts of outputs (4,), and of the outputs without each network (K, 4) and without each block of items (G, 4)."""

    parts: np.ndarray
    without_network: np.ndarray
    without_items: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray) -> "Estimate":
        """Estimate the parts of outputs (K, n, d) and their jackknife values; items are removed in at most 20 random blocks."""
        networks, items = outputs.shape[:2]
        blocks = np.array_split(np.random.default_rng(0).permutation(items), min(BLOCKS, items))
        return cls(
            variance_parts(outputs),
            np.stack([variance_parts(np.delete(outputs, k, axis=0)) for k in range(networks)]),
            np.stack([variance_parts(np.delete(outputs, block, axis=1)) for block in blocks]),
        )


def interval_over_both(statistic: Callable[..., np.ndarray], *estimates: Estimate):
    """Return a statistic of the parts of crossed samples and the ends of its 95 % interval over random networks and random items.

    Samples share their networks, so the jackknife removes a network from all of them at once and items from one sample at a time.
    The variances of these jackknives add up and count the interaction of networks and items twice, which is conservative.
    Student's t has one degree of freedom less than there are networks.
    """
    parts = [e.parts for e in estimates]
    value = statistic(*parts)
    variance = jackknife_variance([statistic(*rows) for rows in zip(*(e.without_network for e in estimates), strict=True)])
    for i, estimate in enumerate(estimates):
        replaced = [[*parts[:i], without, *parts[i + 1 :]] for without in estimate.without_items]
        variance = variance + jackknife_variance([statistic(*rows) for rows in replaced])
    half = student.ppf(0.975, len(estimates[0].without_network) - 1) * np.sqrt(variance)
    return value, value - half, value + half


def jackknife_variance(without: list[np.ndarray]) -> np.ndarray:
    """Return the jackknife variance of a statistic from its values without one unit each."""
    values = np.stack(without)
    return (len(values) - 1) / len(values) * np.square(values - values.mean(axis=0)).sum(axis=0)


if __name__ == "__main__":
    main()
