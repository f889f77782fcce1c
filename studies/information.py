r"""Measure Eq. 2 and information against lambda on every shipped set: ``python studies/information.py``; page 13 measures one set.

``study`` says what a row is of: ``label`` (:func:`label_information`), ``modality`` (:func:`modality_information`), ``forces``
(Eq. 2 and SigLIP's loss on one batch of test pairs) or ``critic`` (a neural estimate of the mutual information, which moves though
the truth is constant).

Predictive V-information of linear probes (Xu et al., ICLR 2020) is :math:`I_V(X \to Y) = H_V(Y) - H_V(Y \mid X)`: the log loss of
the best constant minus that of the best linear probe. Both are fitted on training rows and scored on test rows, so an estimate can
be negative. Changes are from the first lambda. Intervals are of a bootstrap over groups of test rows and hold the fits fixed.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import pdist
from scipy.special import log_expit, logsumexp
from torch import nn
from torch.nn.functional import cross_entropy

from helpers import EmbeddingSet, align, gap_vector, sweep
from helpers.alignment.shift import steps
from helpers.arrays import embedding_matrix, unit_both
from helpers.backbones.registry import HEADS
from helpers.files import project_root, read_json, replacing
from helpers.geometry import gap_norm
from helpers.metrics import log_losses
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.result import SweepResult
from helpers.statistics import bootstrap_counts, corrected_interval, percentile_interval
from helpers.store.catalogue import SHIPPED, stored

INPUTS = ["data/embeddings", "data/heads"]
OUT = "data/measured/information.csv"
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
UPDATES, STATES = (20, 200), (0, 1, 2)  # of the critic: lengths of training, random states
MOST = 500  # pairs of the batch of Eq. 2
BLOCKS = 20  # of groups, in its jackknife
WIDTH, EMBEDDED, RATE, BATCH = 128, 64, 1e-3, 128  # of the critic
SOURCES = {"image": "image", "text": "text", "joint": "both"}
LIKELIHOOD = PROTOCOLS["converged"].replace(name="unweighted", weighting="none")
SHARES = ("unique_image", "unique_text", "redundant", "synergistic")
STRENGTHS = np.logspace(-5, 2, 29)  # of the ridge, in units of the mean variance of a feature
RIDGES = np.logspace(-5, 1, 13)  # of the canonical correlations, in the same unit
COLUMNS = ["lambda", "quantity", "value", "low", "high", "change", "change_low", "change_high"]


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


def label_information(embeddings: EmbeddingSet, lambdas: Sequence[float], n_boot=1000, protocol=LIKELIHOOD) -> pd.DataFrame:
    """Return the bits of image, text and both about the label for a converged linear probe, and their shares.

    Labels of a multi-label task are predicted one by one and their information is summed. The protocol has no class weights, or the
    log loss is no likelihood. Quantities: ``entropy`` (of the class frequencies), ``image``, ``text``, ``both``, the shares of
    :func:`information_shares` and the ends of each share over all definitions, ``least_...`` and ``most_...``.
    """
    result = sweep(embeddings, lambdas, seeds=[0], protocol=protocol, features=tuple(SOURCES), workers=1, progress=False)
    null, losses = _losses(embeddings, result)
    weights = _counts(len(null), n_boot, result.groups)
    weights /= weights.sum(axis=1, keepdims=True)
    found = {}
    for lam in map(float, lambdas):
        means = {name: weights @ (null - losses[features, lam]) for features, name in SOURCES.items()}
        found[lam] = {"entropy": weights @ null, **means, **information_shares(**means), **share_bounds(**means)}
    return _against_first(found)


def information_shares(image, text, both, redundant=None) -> dict[str, np.ndarray]:
    """Return unique, redundant and synergistic information, which add up to ``both``, from that of each source and of both.

    Both tell what is redundant up to the smaller of the two: minimum mutual information (Barrett, Physical Review E 91, 2015).
    """
    redundant = np.minimum(image, text) if redundant is None else redundant
    return dict(zip(SHARES, (image - redundant, text - redundant, redundant, both - image - text + redundant), strict=True))


def share_bounds(image, text, both) -> dict[str, np.ndarray]:
    r"""Return the smallest and the largest value of each share over all definitions without a negative share.

    These have :math:`\max(0, I_v + I_t - I_{vt}) \le R \le \min(I_v, I_t)`; Barrett's redundancy is the largest.
    """
    least = np.minimum(np.maximum(0, image + text - both), np.minimum(image, text))  # estimates may be inconsistent by their error
    a, b = information_shares(image, text, both, least), information_shares(image, text, both)
    return {f"{end}_{n}": of(a[n], b[n]) for n in SHARES for end, of in (("least", np.minimum), ("most", np.maximum))}


def modality_information(embeddings: EmbeddingSet, lambdas: Sequence[float], n_boot=1000, components=10) -> pd.DataFrame:
    r"""Return what linear maps predict of one modality from the other; labels are not used.

    Quantities: ``ridge_text_from_image`` and ``ridge_image_from_text``, the share of the held-out variance that a ridge regression
    explains; ``cca``, the Gaussian information :math:`-\frac12 \sum_k \log_2 (1 - \rho_k^2)` in bits of the first canonical
    pairs, with :math:`\rho_k` their held-out correlations. Validation rows choose the ridges, or training rows if there are none.
    """
    fit, val, test = (embeddings.rows(split) for split in ("train", "val", "test"))
    rows = fit, val if len(val) else fit, test
    counts = _counts(len(test), n_boot, embeddings.pairs["group"].to_numpy()[test])
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap = gap_vector(image[fit], text[fit])
    found = {}
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        found[lam] = {
            "ridge_text_from_image": explained_share(v, t, *rows, counts),
            "ridge_image_from_text": explained_share(t, v, *rows, counts),
            "cca": gaussian_information(*canonical_scores(v, t, *rows, components), counts),
        }
    return _against_first(found)


def explained_share(x, y, fit, val, test, counts: np.ndarray) -> np.ndarray:
    """Return the test variance of y (n, e) that a ridge on x (n, d), chosen on ``val``, explains, per weighting (b, n_test)."""
    x_mean, y_mean = x[fit].mean(axis=0), y[fit].mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True))
    values = values.clip(min=0)
    projected = directions.T @ ((x[fit] - x_mean).T @ (y[fit] - y_mean)) / len(fit)
    moved = (x - x_mean) @ directions

    def errors(rows, strength) -> np.ndarray:
        return np.square(y[rows] - y_mean - (moved[rows] / (values + strength * values.mean())) @ projected).sum(axis=1)

    best = min(STRENGTHS, key=lambda strength: errors(val, strength).sum())
    return 1 - (counts @ errors(test, best)) / (counts @ np.square(y[test] - y_mean).sum(axis=1))


def canonical_scores(image, text, fit, val, test, components: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of test rows on the first canonical pairs of the rows fitted on, (n_test, components) each.

    Covariances within a modality have a ridge, so that fewer rows than dimensions will do; ``val`` rows choose it.
    """
    means = image[fit].mean(axis=0), text[fit].mean(axis=0)
    spectra = [np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True)) for x in (image, text)]
    cross = (image[fit] - means[0]).T @ (text[fit] - means[1]) / len(fit)

    def scores(rows, strength) -> tuple[np.ndarray, np.ndarray]:
        whiteners = [directions / np.sqrt(values.clip(min=0) + strength * values.mean()) for values, directions in spectra]
        left, _, right = np.linalg.svd(whiteners[0].T @ cross @ whiteners[1], full_matrices=False)
        maps = whiteners[0] @ left[:, :components], whiteners[1] @ right[:components].T
        return (image[rows] - means[0]) @ maps[0], (text[rows] - means[1]) @ maps[1]

    return scores(test, max(RIDGES, key=lambda ridge: gaussian_information(*scores(val, ridge), np.ones((1, len(val))))[0]))


def gaussian_information(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the summed bits of Gaussian pairs of columns of a and b (n, k), (m,), under each weighting of the rows (m, n)."""
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean_a, mean_b = weights @ a, weights @ b
    covariance = weights @ (a * b) - mean_a * mean_b
    spread = (weights @ np.square(a) - np.square(mean_a)) * (weights @ np.square(b) - np.square(mean_b))
    correlation = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0).clip(
        0, 1 - 1e-12
    )  # a negative one is none
    return -np.log2(1 - np.square(correlation)).sum(axis=1) / 2


def contrastive_terms(image, text, temperature: float) -> dict[str, float]:
    r"""Return both forces of Eq. 2 in both directions and the loss, their mean, in nats, and the bound on information in bits.

    The bound :math:`\log B - \text{loss}` of B independent pairs is at most their mutual information (van den Oord et al., 2018).
    A pair is its only positive: a repeated text is a negative of the others, as the bound requires.
    """
    logits = scaled_cosines(image, text, temperature)
    attraction = -float(np.diagonal(logits).mean())
    there, back = (float(logsumexp(logits, axis=axis).mean()) for axis in (1, 0))
    loss = attraction + (there + back) / 2
    terms = {"attraction": attraction, "repulsion_image_to_text": there, "repulsion_text_to_image": back, "loss": loss}
    return terms | {"bound": (np.log(len(logits)) - loss) / np.log(2)}


def scaled_cosines(image, text, temperature: float) -> np.ndarray:
    """Return the cosine of every image with every text of some pairs over the temperature, (n, n) float64."""
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}; CLIP ends its training at 0.01")
    image, text = unit_both(np.asarray(image, dtype=np.float64), np.asarray(text, dtype=np.float64), pairs=True)
    return image @ text.T / temperature


def _losses(embeddings: EmbeddingSet, result: SweepResult) -> tuple[np.ndarray, dict[tuple[str, float], np.ndarray]]:
    """Return the log loss in bits on every test row (n_test,) of the training rows' class frequencies, and that of each probe."""
    multiclass, train, test = result.task.kind == "multiclass", embeddings.targets[embeddings.rows("train")], result.targets
    learned, outputs = (slice(None), 1) if multiclass else (result.learned, int(result.learned.sum()))
    shares = (train.sum(axis=0) + 0.5) / (len(train) + (train.shape[1] / 2 if multiclass else 1))  # no zero
    null = -np.where(test == 1, np.log2(shares), 0 if multiclass else np.log2(1 - shares))[:, learned].sum(axis=1)
    return null, {
        (run.features, run.lambda_image): outputs * log_losses(s[:, learned], test[:, learned], multiclass) / np.log(2)
        for run, s in zip(result.runs.itertuples(), result.scores, strict=True)
    }


def _counts(n: int, n_boot: int, groups) -> np.ndarray:
    """Return how often each row counts, (1 + n_boot, n): once, and in each bootstrap replicate."""
    return np.concatenate([np.ones((1, n)), bootstrap_counts(n, n_boot, groups=groups)])


def _against_first(found: Mapping[float, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return each quantity and its change from the first lambda with intervals; arrays hold the value and then its replicates."""
    first, rows = next(iter(found.values())), []
    for lam, quantities in found.items():
        for name, draws in quantities.items():
            change = draws - first[name]
            ends = percentile_interval(draws[1:]), percentile_interval(change[1:])
            rows.append((lam, name, draws[0], *ends[0], change[0], *ends[1]))
    return pd.DataFrame(rows, columns=COLUMNS)


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
