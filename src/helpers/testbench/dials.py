"""Set the gap exactly through the angle between two cone axes, and test what rises with it."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import rankdata

from ..arrays import embedding_matrix, unit_rows
from ..geometry import gap_norm, mean_resultant_length, principal_directions
from ..store.embeddings import EmbeddingSet


def dial_cone(x, resultant: float, angle: float = 0.0) -> np.ndarray:
    r"""Put the directions of one modality into a cone of chosen width about a chosen axis.

    .. math:: x' = [\sqrt{1 - R^2}\, r,\; R \cos\varphi,\; R \sin\varphi]

    with r the centred rows brought to unit norm. The axis lies in two dimensions that the data do not use. Cosines within the
    modality and the spectrum of the centred rows do not depend on the angle.

    Args:
        x: (n, d) vectors.
        resultant: R in [0, 1).
        angle: phi in radians.

    Returns:
        (n, d + 2) unit rows.

    Raises:
        ValueError: R outside [0, 1), or a row equal to the mean.
    """
    if not 0 <= resultant < 1:
        raise ValueError(f"resultant must be at least 0 and below 1, got {resultant}")
    x = embedding_matrix(x).astype(np.float64)
    centred = unit_rows(x - x.mean(axis=0), "centred vectors")
    axis = resultant * np.array([np.cos(angle), np.sin(angle)])
    return np.concatenate([np.sqrt(1 - resultant**2) * centred, np.tile(axis, (len(x), 1))], axis=1)


def axis_angle(gap: float, resultant_image: float, resultant_text: float) -> float:
    """Return the angle between two cone axes of given lengths whose ends lie ``gap`` apart, by the law of cosines.

    Raises:
        ValueError: no angle gives this gap.
    """
    low, high = abs(resultant_image - resultant_text), resultant_image + resultant_text
    if not low - 1e-12 <= gap <= high + 1e-12:
        raise ValueError(f"gap must lie between {low:.3f} and {high:.3f} for these R, got {gap}")
    cosine = (resultant_image**2 + resultant_text**2 - gap**2) / (2 * resultant_image * resultant_text)
    return float(np.arccos(np.clip(cosine, -1, 1)))


def dialled(embeddings: EmbeddingSet, resultant_image: float, resultant_text: float, gap: float) -> EmbeddingSet:
    """Return a set with the gap between the cone axes set exactly; see :func:`dial_cone`."""
    angle = axis_angle(gap, resultant_image, resultant_text)
    image, text = dial_cone(embeddings.image, resultant_image), dial_cone(embeddings.text, resultant_text, angle)
    return EmbeddingSet(image.astype(np.float32), text.astype(np.float32), embeddings.pairs, embeddings.task, embeddings.provenance)


def dial_cone_in_span(x, resultant: float, axis: np.ndarray) -> np.ndarray:
    r"""Put the directions of one modality into a cone about an axis that lies where the data vary.

    :math:`x' = (r + a\,u) / \lVert r + a\,u \rVert` with r the centred rows at unit norm, u the axis, and :math:`a \ge 0` found
    such that R has the value asked for. Unlike :func:`dial_cone` the rows then differ in their cosine with the gap.

    Args:
        x: (n, d) vectors.
        resultant: R in (0, 1); not below that of the centred rows.
        axis: (d,) unit vector.

    Raises:
        ValueError: no length of the axis gives this R.
    """
    x = embedding_matrix(x).astype(np.float64)
    centred = unit_rows(x - x.mean(axis=0), "centred vectors")

    def excess(length: float) -> float:
        return mean_resultant_length(centred + length * axis) - resultant

    if not excess(0.0) < 0 < excess(1e3):
        raise ValueError(f"resultant must lie between {excess(0.0) + resultant:.3f} and 1 for these rows, got {resultant}")
    return unit_rows(centred + brentq(excess, 0.0, 1e3, xtol=1e-6) * axis)


def dialled_in_span(embeddings: EmbeddingSet, resultant_image: float, resultant_text: float, gap: float) -> EmbeddingSet:
    """Return a set with R of both modalities and the gap set, the cone axes lying in the two leading directions of the data.

    R and gap are those of distinct rows. See :func:`dial_cone_in_span`.

    Raises:
        ValueError: no angle between the axes gives this gap.
    """
    centred = [x - x.mean(axis=0) for x in (np.asarray(m, np.float64) for m in (embeddings.image, embeddings.text))]
    first, second = principal_directions(np.concatenate(centred), k=2)[0]
    image = dial_cone_in_span(embeddings.image, resultant_image, first)

    def text(angle: float) -> np.ndarray:
        return dial_cone_in_span(embeddings.text, resultant_text, np.cos(angle) * first + np.sin(angle) * second)

    ends = [gap_norm(image, text(angle)) for angle in (0.0, np.pi)]
    if not ends[0] <= gap <= ends[1]:
        raise ValueError(f"gap must lie between {ends[0]:.3f} and {ends[1]:.3f} for these R and data, got {gap}")
    turned = text(brentq(lambda angle: gap_norm(image, text(angle)) - gap, 0.0, np.pi, xtol=1e-5))
    return EmbeddingSet(
        image.astype(np.float32), turned.astype(np.float32), embeddings.pairs, embeddings.task, embeddings.provenance
    )


def permuted_within(table: pd.DataFrame, cause: str, effect: str, within: str | None, n: int = 10_000, random_state: int = 0):
    """Test whether ``effect`` rises with ``cause``: the rank correlation, and its two-sided permutation p-value.

    Args:
        within: column of blocks; causes are permuted within a block only. None for one block.

    Returns:
        (correlation, p).
    """
    blocks = np.zeros(len(table)) if within is None else pd.factorize(table[within])[0]
    x, y = (np.zeros(len(table)) for _ in range(2))
    for block in np.unique(blocks):
        rows = blocks == block
        for ranks, column in ((x, cause), (y, effect)):
            own = rankdata(table[column].to_numpy()[rows])
            ranks[rows] = own - own.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    if scale == 0:
        return float("nan"), 1.0
    rng, observed = np.random.default_rng(random_state), abs(x @ y)
    order = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    hits = 0
    for _ in range(n):
        shuffled = x.copy()
        for rows in order:
            shuffled[rows] = rng.permutation(x[rows])
        hits += int(abs(shuffled @ y) >= observed - 1e-9)
    return float(x @ y / scale), (hits + 1) / (n + 1)
