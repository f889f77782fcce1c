"""Tabulate the geometry of one embedding set: cones, gap, directions, ranks, and the gap that remains after alignment."""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from .alignment.shift import predicted_residual_gap, residual_gap
from .arrays import blocks, distinct_rows
from .datasets.registry import domain
from .geometry import effective_rank, gap_and_first_direction, gap_vector, mean_resultant_length, moments_of, principal_directions
from .retrieval import MOST_PAIRS, sanity_check
from .statistics import length_interval, resampled_means
from .store.embeddings import EmbeddingSet

COMMON, ORDERED, SAME = 0.9, 0.8, 0.999  # share, rank correlation and cosine beyond which a diagnosis is named
COLUMNS = ["dataset", "variant", "backbone", "domain", "modality", "quantity", "value", "low", "high"]


def cone_table(embeddings: EmbeddingSet, n_boot: int = 1000) -> pd.DataFrame:
    """Return the geometry of all pairs of a set, of any split, with intervals by group for R and the gap; no labels are needed.

    Quantities by modality (image, text): ``R`` over pairs (Eq. 7) and ``R_distinct`` over distinct items, ``effective_rank`` of the
    centred vectors, ``distinct_share`` (distinct items per pair). Joint: ``gap_norm`` (Eq. 1), ``cos_gap_pc1`` (absolute cosine
    with the first principal direction of both modalities together), ``gap_share`` (share of the pooled variance along the gap),
    ``pc1_share``, ``residual_gap`` and ``residual_gap_predicted`` at lambda = 1. What equal vectors do not define is NaN.
    """
    pairs = {modality: embeddings.paired(modality) for modality in ("image", "text")}
    found = {modality: moments_of(x, modality) for modality, x in pairs.items()}
    (image, text), gap = found.values(), gap_vector(*found.values())
    groups, intervals = embeddings.pairs["group"].to_numpy(), [(np.nan, np.nan)] * 3
    if n_boot:
        drawn = [means for means, _ in resampled_means(*pairs.values(), groups=groups, n_boot=n_boot)]
        lengths = zip((*drawn, drawn[0] - drawn[1]), (image.mean, text.mean, gap), strict=True)
        intervals = [length_interval(np.linalg.norm(means, axis=1), float(np.linalg.norm(whole))) for means, whole in lengths]
    rows = []
    for (modality, x), interval in zip(found.items(), intervals, strict=False):
        distinct = getattr(embeddings, modality)
        rows.append((modality, "R", mean_resultant_length(x), *interval))
        rows.append((modality, "R_distinct", mean_resultant_length(distinct), np.nan, np.nan))
        rows.append((modality, "effective_rank", np.nan if _all_equal(distinct) else effective_rank(x), np.nan, np.nan))
        rows.append((modality, "distinct_share", len(distinct) / x.n, np.nan, np.nan))
    point = _all_equal(embeddings.image, embeddings.text)  # no gap and no variance to divide by
    cosine, share = (np.nan, np.nan) if point else gap_and_first_direction(image, text)
    joint = {
        "cos_gap_pc1": cosine,
        "gap_share": share,
        "pc1_share": np.nan if point else float(principal_directions(image + text, k=1)[1][0]),
        "residual_gap": residual_gap(pairs["image"], pairs["text"], 1.0, gap),
        "residual_gap_predicted": predicted_residual_gap(image, text, 1.0),
    }
    rows.append(("joint", "gap_norm", float(np.linalg.norm(gap)), *intervals[2]))
    rows += [("joint", name, value, np.nan, np.nan) for name, value in joint.items()]
    names = embeddings.identity.columns
    return pd.DataFrame([(*names.values(), domain(names["dataset"]), *row) for row in rows], columns=COLUMNS)


def diagnose(embeddings: EmbeddingSet, texts=None) -> list[str]:
    """Return sentences on what makes the cosines of a set alike, low or unstable, from at most 1,000 random pairs.

    With ``texts``, one string per pair, also on whether length orders text vectors and whether equal texts have different vectors.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:MOST_PAIRS])
    image, text = embeddings.image_of(rows), embeddings.text_of(rows)
    (low, high), level = np.quantile(image @ text.T, [0.01, 0.99]), image.mean(axis=0) @ text.mean(axis=0)
    pairs, suspicion = np.einsum("ij,ij->i", image, text).mean(), sanity_check(image, text)["suspicion"]
    low, high, pairs, level, added = (round(float(x), 2) + 0.0 for x in (low, high, pairs, level, pairs - level))  # no "-0.00"
    shared = [mean_resultant_length(distinct_rows(x)[0]) ** 2 for x in (image, text)]
    of_image, of_text = (f"{100 * share:.0f} %" for share in shared)
    found = [
        f"98 % of the cosines of an image with a text lie between {low:.2f} and {high:.2f}.",
        f"Pairs have {pairs:.2f} on average: {level:.2f} is common to all images and texts, and pairing adds {added:.2f}.",
        suspicion or "Another encoder has another common level: compare ranks with it, such as recall, and not cosines.",
        f"A component common to all is {of_image} of an image vector and {of_text} of a text vector (squared length).",
    ]
    for what, share in zip(("image", "text"), shared, strict=True):
        if share > COMMON:
            found.append(f"Every {what} is similar to every other because of this component; centring removes it.")
    if texts is not None:
        texts = np.asarray(texts, dtype=object)[rows]
        lengths = [len(words) for words in texts]
        if len(set(lengths)) > 1 and not _all_equal(text):
            along = (text - text.mean(axis=0)) @ principal_directions(text, k=1)[0][0]
            if (order := abs(spearmanr(lengths, along)[0])) > ORDERED:
                found.append(f"Length orders the texts (rank correlation {order:.2f}): padding may be pooled; check the mask.")
        _, first, code = np.unique(texts, return_index=True, return_inverse=True)
        if (same := np.einsum("ij,ij->i", text, text[first[code]]).min()) < SAME:
            found.append(f"Equal texts have vectors with a cosine down to {same:.2f}: a vector depends on its batch; encode again.")
    return found


def _all_equal(*matrices) -> bool:
    """Return whether all rows (n, d) are one vector, which has no spread."""
    return all((block == matrices[0][:1]).all() for vectors in matrices for block in blocks(vectors))
