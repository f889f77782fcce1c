"""Measure how the change of recall by an alignment depends on the size of the gallery that is searched."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ..alignment.registry import ALIGNMENTS, make_alignment
from ..arrays import choose, distinct_codes, unit_pairs
from ..retrieval import retrieval_ranks
from ..separation import tied_groups
from ..statistics import corrected_interval

SIZES = (50, 100, 150, 250, 350, 500, 1000)
FIT = 150  # pairs that an alignment is fitted on, the same number for every gallery and set
RECALLS = ("recall_image_to_text", "recall_text_to_image")


def gallery_changes(
    image,
    text,
    groups=None,
    alignments: Sequence[str] = ("lambda-1", "centring"),
    sizes: Sequence[int] = SIZES,
    n_fit: int = FIT,
    n_draws: int = 20,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return recall@1 in galleries of growing size, and its change by each alignment.

    A draw puts the groups in random order. Alignments learn from the first ``n_fit`` pairs. The others are cut in this order into
    as many galleries of g pairs as there are, over which recall is averaged. Pairs with an equal image, an equal text or the same
    group follow each other, and none is on both sides. Draws share pairs, so intervals are those of
    :func:`helpers.statistics.corrected_interval`; relative changes are ratios of means, with the interval of their linear terms.

    Args:
        image, text: (n, d) vectors of pairs.
        groups: (n,) pairs that belong together, such as one patient's.
        alignments: names; ``none`` is always measured.
        sizes: pairs in a gallery; sizes above ``n - n_fit`` are omitted.

    Returns:
        one row per alignment, gallery and direction: alignment, gallery, texts (distinct ones in a gallery, on average), measure,
        draws, and with the ends ``_low`` and ``_high`` of their intervals: value, change (from none), relative (the change as a
        share of the recall without alignment) and growth (of relative since the smallest gallery).

    Raises:
        ValueError: unpaired, non-finite or zero-norm rows, too few pairs for the smallest gallery, or an unknown alignment.
    """
    names = list(dict.fromkeys(["none", *(choose(name, ALIGNMENTS, "alignment") for name in alignments)]))
    image, text = unit_pairs(image, text)
    fitting = sorted({size for size in sizes if size <= len(image) - n_fit})
    if not fitting:
        raise ValueError(f"{len(image)} pairs are too few: {n_fit} to fit on and a gallery of {min(sizes)}; give smaller numbers")
    recalls, texts = np.empty((len(names), len(fitting), 2, n_draws)), np.empty((len(fitting), n_draws))
    for draw, (fit, held) in enumerate(_draws(tied_groups(image, text, groups), n_fit, n_draws, random_state)):
        for i, name in enumerate(names):
            v, t = make_alignment(name).fit(image[fit], text[fit]).transform(image[held], text[held])
            recalls[i, :, :, draw] = [_recall_in_parts(v, t, size) for size in fitting]
        texts[:, draw] = [np.mean([len(distinct_codes(text[part])[0]) for part in _parts(held, size)]) for size in fitting]
    used = np.array([(len(image) - n_fit) // size * size for size in fitting])
    return _table(names, fitting, texts.mean(axis=1), recalls, used / (len(image) - used), level)


def _table(names, sizes, texts, recalls: np.ndarray, ratios: np.ndarray, level: float) -> pd.DataFrame:
    """Return :func:`gallery_changes` from recalls (names, sizes, directions, draws) and held-out pairs per other pair (sizes,)."""
    changes = recalls - recalls[:1]
    base = recalls[:1].mean(axis=-1, keepdims=True)
    share = np.divide(changes.mean(axis=-1, keepdims=True), base, out=np.full((*changes.shape[:-1], 1), np.nan), where=base > 0)
    relative = share + np.divide(changes - share * recalls[:1], base, out=np.full(changes.shape, np.nan), where=base > 0)
    of = {"value": recalls, "change": changes, "relative": relative, "growth": relative - relative[:, :1]}
    records = []
    for i, j, way in np.ndindex(recalls.shape[:3]):
        row: dict[str, object] = {"alignment": names[i], "gallery": sizes[j], "texts": texts[j], "measure": RECALLS[way]}
        for name, values in of.items():
            row[name] = values[i, j, way].mean()
            row[f"{name}_low"], row[f"{name}_high"] = corrected_interval(values[i, j, way], max(ratios[[0, j]]), level)
        records.append(row | {"draws": recalls.shape[-1]})
    return pd.DataFrame(records)


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the parts of ``size`` rows into which rows can be cut, in order; what is left at the end is omitted."""
    yield from (rows[start : start + size] for start in range(0, len(rows) - size + 1, size))


def _recall_in_parts(image: np.ndarray, text: np.ndarray, size: int) -> np.ndarray:
    """Return the mean recall@1 over galleries of ``size`` pairs, in both directions (2,)."""
    found = np.zeros((2, len(image)), dtype=bool)
    for part in (parts := list(_parts(np.arange(len(image)), size))):
        found[0, part] = retrieval_ranks(image[part], text[part]) == 0
        found[1, part] = retrieval_ranks(text[part], image[part]) == 0
    return found[:, : len(parts) * size].mean(axis=1)


def _draws(groups: np.ndarray, n_fit: int, n_draws: int, random_state: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to fit on, whole groups of at most ``n_fit`` in all, and the others in the order in which they enter galleries."""
    sizes = np.bincount(groups)
    for draw in range(n_draws):
        order = np.random.default_rng([random_state, draw]).permutation(len(sizes))
        place = np.argsort(order)
        rows = np.argsort(place[groups], kind="stable")
        within = np.cumsum(sizes[order])
        n_first = int(within[within <= n_fit].max(initial=0)) or int(within[0])
        yield rows[:n_first], rows[n_first:]
