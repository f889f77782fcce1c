"""Measure what every alignment closes and costs: fit it on half of the pairs, measure the other half, over several splits."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import t as student

from ..alignment.registry import ALIGNMENTS, COMPARED, make_alignment
from ..arrays import choose, unit_pairs
from ..geometry import gap_norm
from ..retrieval import hubness, recall_both_ways
from ..separation import half_of_groups, mixing_at_k, modality_auc, modality_v_measure, relative_modality_gap, tied_groups

MOVES = [(name, renormalise) for renormalise in (True, False) for name in COMPARED]


def compare_alignments(
    image,
    text,
    groups=None,
    moves: Iterable[tuple[str, bool]] = MOVES,
    n_splits: int = 5,
    max_pairs: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Fit each alignment on half of the pairs and measure it on the other half.

    Pairs with an equal image, an equal text or the same group stay on one side of a split. An alignment that the rows do not allow,
    such as whitening with fewer rows than dimensions, has one row with the reason, so that no alignment is missing from the result.

    Args:
        image, text: (n, d) vectors of pairs; a random sample of at most ``max_pairs`` is used.
        groups: (n,) pairs that belong together, such as one patient's.
        moves: names of the alignments, and whether each renormalises.

    Returns:
        one row per alignment, split and measure: alignment, renormalise, split, measure, value, reason. The reason is empty if the
        alignment was measured; otherwise measure and value are missing.

    Raises:
        ValueError: unpaired, non-finite or zero-norm rows, or an unknown alignment.
    """
    moves = [(choose(name, ALIGNMENTS, "alignment"), renormalise) for name, renormalise in moves]
    image, text = unit_pairs(image, text)
    rows = np.sort(np.random.default_rng(random_state).permutation(len(image))[:max_pairs])
    image, text = image[rows], text[rows]
    tied = tied_groups(image, text, None if groups is None else np.asarray(groups)[rows])
    records: list[tuple[str, bool, int, str | None, float, str]] = []
    for split in range(n_splits):
        fit = half_of_groups(tied, random_state + split)
        for name, renormalise in moves:
            try:
                alignment = make_alignment(name, renormalise=renormalise).fit(image[fit], text[fit])
                fitted, held = alignment.transform(image[fit], text[fit]), alignment.transform(image[~fit], text[~fit])
            except ValueError as error:
                records.append((name, renormalise, split, None, np.nan, str(error)))
                continue
            for measure, value in _measures(fitted[0], fitted[1], held[0], held[1], tied[fit], renormalise).items():
                records.append((name, renormalise, split, measure, value, ""))
    return pd.DataFrame(records, columns=["alignment", "renormalise", "split", "measure", "value", "reason"])


def expected_gap(image, text) -> float:
    r"""Return the norm of the gap that n pairs show on average when the true gap is zero.

    :math:`\sqrt{\mathrm{tr}\,\mathrm{Cov}(v - t) / n}`, with rows of pairs (n, d) as unit vectors.
    """
    image, text = unit_pairs(image, text)
    difference = (image - text).astype(np.float64)
    return float(np.sqrt(difference.var(axis=0, ddof=1).sum() / len(difference)))


def summarise(comparison: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return mean and interval over splits of each measure, and of its change from no alignment.

    Splits share rows, so the standard error is that of Nadeau and Bengio (Machine Learning, 2003) for halves:
    sd times :math:`\\sqrt{1/J + 1}` over J splits, with Student's t.

    Returns:
        one row per alignment and measure: alignment, renormalise, measure, value, low, high, change, change_low, change_high,
        splits, reason. ``splits`` counts the splits in which the alignment was measured, and ``reason`` explains the others. An
        alignment that no split allows has one row without a measure.
    """
    names = ["alignment", "renormalise", "measure"]
    measured = comparison.dropna(subset=["measure"])
    wide = measured.pivot_table(index=names, columns="split", values="value", sort=False)
    base = wide.xs(("none", True)).reindex(wide.index.get_level_values("measure")).to_numpy()
    result = wide.index.to_frame(index=False)
    for prefix, values in (("value", wide.to_numpy()), ("change", wide.to_numpy() - base)):
        ends = ("low", "high") if prefix == "value" else ("change_low", "change_high")
        result[prefix], result[ends[0]], result[ends[1]] = _mean_and_interval(values, level)
    result["splits"] = wide.notna().sum(axis=1).to_numpy()
    everything = comparison[names[:2]].drop_duplicates().merge(result, on=names[:2], how="left")
    failed = comparison[comparison["measure"].isna()].drop_duplicates(names[:2])
    everything = everything.merge(failed[[*names[:2], "reason"]], on=names[:2], how="left")
    return everything.assign(splits=everything["splits"].fillna(0).astype(int), reason=everything["reason"].fillna(""))


def _mean_and_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean over the splits (columns) that have a value, and its interval; NaN for fewer than two."""
    n = (~np.isnan(values)).sum(axis=1)
    several = np.where(n > 1, n, 2)
    mean = np.nanmean(values, axis=1)
    spread = np.sqrt(np.nansum((values - mean[:, None]) ** 2, axis=1) / (several - 1))
    half = np.where(n > 1, student.ppf((1 + level) / 2, several - 1) * spread * np.sqrt(1 / several + 1), np.nan)
    return mean, mean - half, mean + half


def _measures(
    fit_image: np.ndarray, fit_text: np.ndarray, image: np.ndarray, text: np.ndarray, fit_groups: np.ndarray, renormalised: bool
) -> dict[str, float]:
    """Return each measure of the held-out rows; without unit length only the classifier and recall by inner product."""
    recalls = recall_both_ways(image, text, 1, unit=renormalised)
    both = {
        "modality_auc": modality_auc(fit_image, fit_text, image, text, fit_groups),
        "recall_image_to_text": recalls[0],
        "recall_text_to_image": recalls[1],
    }
    if not renormalised:
        return both
    return both | {
        "gap": gap_norm(image, text),
        "gap_null": expected_gap(image, text),
        "relative_gap": relative_modality_gap(image, text),
        "v_measure": modality_v_measure(image, text),
        "mixing": mixing_at_k(image, text),
        "largest_hub": float(hubness(image, text)[0]),
    }
