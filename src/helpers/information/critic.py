"""Estimate mutual information by a neural critic, as a warning: the estimate moves with lambda though the truth is constant."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..alignment.shift import align
from ..arrays import same_dimension
from ..geometry import gap_vector
from ..store.embeddings import EmbeddingSet

WIDTH, EMBEDDED, RATE, BATCH = 128, 64, 1e-3, 128


class Critic(nn.Module):
    """A separable critic: two perceptrons of one hidden layer, whose outputs' inner product scores a pair."""

    def __init__(self, dim: int):
        super().__init__()
        self.towers = nn.ModuleList(nn.Sequential(nn.Linear(dim, WIDTH), nn.ReLU(), nn.Linear(WIDTH, EMBEDDED)) for _ in range(2))

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Return the scores of all images with all texts, (n, m)."""
        return self.towers[0](image) @ self.towers[1](text).T


def neural_information(image, text, image_test, text_test, updates: Sequence[int], random_state: int = 0) -> np.ndarray:
    """Train an InfoNCE critic and return its held-out bound log B - loss in bits after some numbers of updates.

    The bound is at most the mutual information on average, and at most log2 of the number of test pairs. Both directions are
    averaged.

    Args:
        image, text: (n, d) training pairs.
        image_test, text_test: (m, d) test pairs, one batch.
        updates: numbers of Adam's updates, ascending, each of at most 128 pairs.
        random_state: seed of initial weights and batches.

    Raises:
        ValueError: updates that are not ascending whole numbers of at least 0, or unequal shapes.
    """
    updates = list(updates)
    if not updates or updates != sorted(set(updates)) or updates[0] < 0:
        raise ValueError(f"updates must be ascending whole numbers of at least 0, got {updates}")
    arrays = [torch.as_tensor(np.asarray(x, dtype=np.float32)) for x in (image, text, image_test, text_test)]
    same_dimension(image, text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        critic = Critic(arrays[0].shape[1])
    batches, optimizer = torch.Generator().manual_seed(random_state), torch.optim.Adam(critic.parameters(), lr=RATE)
    found = []
    for update in range(updates[-1] + 1):
        if update in updates:
            with torch.no_grad():
                loss = _symmetric_loss(critic(arrays[2], arrays[3])).item()
            found.append((np.log(len(arrays[2])) - loss) / np.log(2))
        rows = torch.randperm(len(arrays[0]), generator=batches)[:BATCH]
        optimizer.zero_grad()
        _symmetric_loss(critic(arrays[0][rows], arrays[1][rows])).backward()
        optimizer.step()
    return np.array(found)


def critic_table(
    embeddings: EmbeddingSet, lambdas: Sequence[float], updates: Sequence[int], random_states: Iterable[int], most: int = 200
) -> pd.DataFrame:
    """Return the held-out estimate of a neural critic against lambda, by number of updates and random state.

    Training rows train it; at most ``most`` test rows are its one test batch. Initial weights and batches of a random state are
    the same at every lambda.

    Returns:
        ``lambda, updates, random_state, value`` in bits.
    """
    fit, test = embeddings.rows("train"), np.random.default_rng(0).permutation(embeddings.rows("test"))[:most]
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap, rows = gap_vector(image[fit], text[fit]), []
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        for state in random_states:
            values = neural_information(v[fit], t[fit], v[test], t[test], updates, state)
            rows += [(lam, n, state, value) for n, value in zip(updates, values, strict=True)]
    return pd.DataFrame(rows, columns=["lambda", "updates", "random_state", "value"])


def _symmetric_loss(scores: torch.Tensor) -> torch.Tensor:
    own = torch.arange(len(scores))
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2
