"""Measure Eq. 2 and information against lambda on every shipped set: ``python studies/information.py``.

``study`` says what a row is of: ``label`` and ``modality`` (:mod:`helpers.information`), ``forces`` (Eq. 2 and SigLIP's loss on one
batch of test pairs) or ``critic`` (a neural estimate of the mutual information, which moves though the truth is constant).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import pdist
from scipy.special import log_expit, logsumexp
from torch import nn
from torch.nn.functional import cross_entropy

from helpers import EmbeddingSet, align, gap_vector
from helpers.alignment.shift import steps
from helpers.arrays import embedding_matrix
from helpers.backbones.registry import HEADS
from helpers.files import project_root, read_json, replacing
from helpers.geometry import gap_norm
from helpers.information import COLUMNS, contrastive_terms, label_information, modality_information, scaled_cosines
from helpers.statistics import corrected_interval
from helpers.store.catalogue import SHIPPED, stored

INPUTS = ["data/embeddings", "data/heads"]
OUT = "data/measured/information.csv"
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
UPDATES, STATES = (20, 200), (0, 1, 2)  # of the critic: lengths of training, random states
MOST = 500  # pairs of the batch of Eq. 2
BLOCKS = 20  # of groups, in its jackknife
WIDTH, EMBEDDED, RATE, BATCH = 128, 64, 1e-3, 128  # of the critic


def main() -> None:
    studies = {
        "label": label_information,
        "modality": modality_information,
        "forces": forces,
        "critic": lambda embeddings, lambdas: summarise_critic(critic_table(embeddings, lambdas)),
    }
    tables = []
    for row in stored(project_root() / SHIPPED).itertuples():
        embeddings, names = EmbeddingSet.load(row.path), {n: getattr(row, n) for n in ("dataset", "variant", "backbone")}
        for study, measure in studies.items():
            table = measure(embeddings, LAMBDAS)
            tables.append(table.assign(**names, study=study)[[*names, "study", *table.columns]])
            print(f"measured: {' '.join(names.values())}, {study}", flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.5g")


def forces(embeddings: EmbeddingSet, lambdas: Sequence[float]) -> pd.DataFrame:
    """Return the terms of Eq. 2 and related quantities on one batch of all test pairs, at most ``MOST``, against lambda.

    The gap comes from training pairs; the best temperature and the biases from validation pairs, or from training pairs where
    there are none. Quantities beside those of ``contrastive_terms``: ``bound_best_temperature`` (fitted at each lambda);
    ``alignment``, ``uniformity_image`` and ``uniformity_text`` (Wang and Isola, ICML 2020); ``gap``; ``sigmoid_own_bias`` (the best
    at lambda = 0), ``sigmoid_best_bias`` (fitted at each); ``recovered``, the largest error of a coordinate when Eq. 5 is undone.

    Intervals are of a jackknife over 20 blocks of groups, because a bootstrap's repeated rows would be negatives of themselves.
    """
    temperature = float(read_json(HEADS / f"{embeddings.identity.backbone}.json")["objective"]["temperature"])
    rng = np.random.default_rng(0)
    tuning = "val" if len(embeddings.rows("val")) > 1 else "train"
    tuned, test = (np.sort(rng.permutation(embeddings.rows(split))[:MOST]) for split in (tuning, "test"))
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap, groups = gap_vector(*(x[embeddings.rows("train")] for x in (image, text))), embeddings.pairs["group"].to_numpy()[test]
    blocks = np.array_split(rng.permutation(np.unique(groups)), min(BLOCKS, len(test)))
    samples = [test, *(test[~np.isin(groups, block)] for block in blocks)]
    found, own_bias = {}, None
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        tau, bias = best_temperature(v[tuned], t[tuned]), best_bias(v[tuned], t[tuned], temperature)
        own_bias = bias if own_bias is None else own_bias
        values = pd.DataFrame([pair_terms(v[rows], t[rows], temperature, tau, own_bias, bias) for rows in samples])
        undone = unalign(v[test], t[test], gap, lam)
        values["recovered"] = max(np.abs(undone[0] - image[test]).max(), np.abs(undone[1] - text[test]).max())
        found[lam] = values
    return jackknifed(found)


def unalign(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the vectors that :func:`align` moved, by its closed-form inverse.

    With :math:`c = \pm\frac\lambda2 \Delta` the shift of a modality and :math:`\lVert c \rVert < 1`, an aligned vector x' came from
    :math:`x = s x' - c`, :math:`s = x' \cdot c + \sqrt{(x' \cdot c)^2 + 1 - \lVert c \rVert^2}`: a bijection of the sphere.
    """
    image_step, text_step = steps(np.asarray(gap, dtype=np.float64), lam)
    if np.linalg.norm(text_step) >= 1:
        raise ValueError(f"|lambda| ||gap|| / 2 is {np.linalg.norm(text_step):.3f}; the map can be undone only below 1")
    return _unmoved(embedding_matrix(image, "image"), image_step), _unmoved(embedding_matrix(text, "text"), text_step)


def _unmoved(x: np.ndarray, step: np.ndarray) -> np.ndarray:
    along = x @ step
    return (along + np.sqrt(along**2 + 1 - step @ step))[:, None] * x - step


def pair_terms(image, text, temperature: float, tau: float, own_bias: float, bias: float) -> dict[str, float]:
    """Return every quantity of :func:`forces` but the last, for one batch of pairs."""
    return {
        **contrastive_terms(image, text, temperature),
        "bound_best_temperature": contrastive_terms(image, text, tau)["bound"],
        "alignment": float(np.square(image - text).sum(axis=1).mean()),
        "uniformity_image": uniformity(image),
        "uniformity_text": uniformity(text),
        "gap": gap_norm(image, text),
        "sigmoid_own_bias": sigmoid_loss(image, text, temperature, own_bias),
        "sigmoid_best_bias": sigmoid_loss(image, text, temperature, bias),
    }


def uniformity(x: np.ndarray) -> float:
    """Return the log of the mean of exp(-2 ||x_i - x_j||^2) over pairs of unit rows; the smaller, the more even."""
    potential = -2 * pdist(x, "sqeuclidean")
    return float(logsumexp(potential) - np.log(len(potential)))


def best_temperature(image, text) -> float:
    """Return the temperature of the lowest InfoNCE of some pairs, between 0.001 and 10."""
    loss = lambda log: contrastive_terms(image, text, np.exp(log))["loss"]  # noqa: E731
    return float(np.exp(minimize_scalar(loss, bounds=np.log([1e-3, 10.0]), method="bounded").x))


def sigmoid_loss(image, text, temperature: float, bias: float) -> float:
    """Return SigLIP's loss per pair in nats (Zhai et al., ICCV 2023): each image with each text is one decision."""
    logits = scaled_cosines(image, text, temperature) + bias
    return float(-log_expit((2 * np.eye(len(logits)) - 1) * logits).sum() / len(logits))


def best_bias(image, text, temperature: float) -> float:
    """Return the bias of the lowest :func:`sigmoid_loss` of some pairs, at which training with it would end."""
    return float(minimize_scalar(partial(sigmoid_loss, image, text, temperature), bounds=(-200.0, 200.0), method="bounded").x)


def jackknifed(found: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """Return the values (first row of each table) with intervals from the other rows, each without one block."""
    first, rows = next(iter(found.values())), []
    for lam, values in found.items():
        for name in values:
            row: list = [lam, name]
            for draws in (values[name].to_numpy(), (values[name] - first[name]).to_numpy()):
                half = 1.959964 * np.sqrt((len(draws) - 2) * draws[1:].var())
                row += [draws[0], draws[0] - half, draws[0] + half]
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


class Critic(nn.Module):
    """A separable critic: two perceptrons of one hidden layer, whose outputs' inner product scores a pair."""

    def __init__(self, dim: int):
        super().__init__()
        self.towers = nn.ModuleList(nn.Sequential(nn.Linear(dim, WIDTH), nn.ReLU(), nn.Linear(WIDTH, EMBEDDED)) for _ in range(2))

    def loss(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Return the InfoNCE of a batch of pairs, mean of both directions."""
        scores, own = self.towers[0](image) @ self.towers[1](text).T, torch.arange(len(image))
        return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def neural_information(image, text, image_test, text_test, updates: Sequence[int], random_state: int = 0) -> np.ndarray:
    """Train a critic and return its held-out bound log B - loss in bits after some ascending numbers of Adam's updates.

    The bound is at most the mutual information on average, and at most log2 of the number of test pairs, which are one batch.
    """
    fit, test = (
        [torch.as_tensor(np.asarray(x, dtype=np.float32)) for x in pair] for pair in ((image, text), (image_test, text_test))
    )
    torch.manual_seed(random_state)
    critic = Critic(fit[0].shape[1])
    batches, optimizer = torch.Generator().manual_seed(random_state), torch.optim.Adam(critic.parameters(), lr=RATE)
    found = []
    for update in range(updates[-1] + 1):
        if update in updates:
            with torch.no_grad():
                found.append((np.log(len(test[0])) - critic.loss(*test).item()) / np.log(2))
        rows = torch.randperm(len(fit[0]), generator=batches)[:BATCH]
        optimizer.zero_grad()
        critic.loss(fit[0][rows], fit[1][rows]).backward()
        optimizer.step()
    return np.array(found)


def critic_table(
    embeddings: EmbeddingSet, lambdas: Sequence[float], updates=UPDATES, states=STATES, most: int = 200
) -> pd.DataFrame:
    """Return the estimate of a critic trained on training rows, by lambda, number of updates and random state.

    At most ``most`` test rows are its test batch. Initial weights and batches of a random state are the same at every lambda.
    """
    fit, test = embeddings.rows("train"), np.random.default_rng(0).permutation(embeddings.rows("test"))[:most]
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap, rows = gap_vector(image[fit], text[fit]), []
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        for state in states:
            values = neural_information(v[fit], t[fit], v[test], t[test], updates, state)
            rows += [(lam, n, state, value) for n, value in zip(updates, values, strict=True)]
    return pd.DataFrame(rows, columns=["lambda", "updates", "random_state", "value"])


def summarise_critic(critic: pd.DataFrame) -> pd.DataFrame:
    """Return mean and t interval over random states of :func:`critic_table`, in the columns of the other studies."""
    rows = []
    for updates, of_length in critic.groupby("updates"):
        wide = of_length.pivot(index="lambda", columns="random_state", values="value")
        for lam, values in wide.iterrows():
            change = values - wide.iloc[0]
            ends = [corrected_interval(x, 0.0) for x in (values, change)]
            rows.append((lam, f"critic, {updates} updates", values.mean(), *ends[0], change.mean(), *ends[1]))
    return pd.DataFrame(rows, columns=COLUMNS)


if __name__ == "__main__":
    main()
