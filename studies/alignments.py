"""Measure what every alignment closes and costs on every shipped set: ``python studies/alignments.py``.

The first table has the rows of :func:`helpers.comparison.summarise`, the second recall@1 against the size of the gallery. Only
validation and test rows count, because the heads of the sets' encoders were trained on training rows.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from helpers import EmbeddingSet
from helpers.alignment.registry import make_alignment
from helpers.arrays import distinct_codes, unit_pairs
from helpers.comparison import compare_alignments, summarise
from helpers.files import project_root, replacing
from helpers.retrieval import retrieval_ranks
from helpers.separation import tied_groups
from helpers.statistics import corrected_interval
from helpers.store.catalogue import SHIPPED, stored

INPUTS = ["data/embeddings"]
OUT = ["data/measured/alignments_shipped.csv", "data/measured/alignments_galleries_shipped.csv"]
MOST = 1000  # pairs of a set that are measured
SIZES = (50, 100, 150, 250, 350, 500, 1000)  # pairs in a gallery
FIT = 150  # pairs that an alignment is fitted on, the same number for every gallery and set
DRAWS = 20
RECALLS = ("recall_image_to_text", "recall_text_to_image")


def shipped() -> Iterator[tuple[tuple, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the identity, vectors and groups of the held-out rows of every shipped set."""
    for row in stored(project_root() / SHIPPED).itertuples():
        embeddings = EmbeddingSet.load(row.path)
        rows = np.concatenate([embeddings.rows("val"), embeddings.rows("test")])
        identity = (row.dataset, row.variant, row.backbone, "validation and test")
        yield identity, embeddings.image_of(rows), embeddings.text_of(rows), embeddings.pairs["group"].to_numpy()[rows]


def measure(sets: Iterable[tuple], out: list[str]) -> None:
    """Write both tables of some sets of pairs."""
    closing, galleries = [], []
    for identity, image, text, groups in sets:
        names = dict(zip(("dataset", "variant", "backbone", "rows"), identity, strict=True))
        closing.append(
            (names | {"pairs": min(MOST, len(image))}, summarise(compare_alignments(image, text, groups, max_pairs=MOST)))
        )
        if len(image) >= FIT + SIZES[1]:
            galleries.append((names | {"pairs": len(image)}, gallery_changes(image, text, groups)))
        print(f"measured: {' '.join(identity)}", flush=True)
    for path, tables in zip(out, (closing, galleries), strict=True):
        with replacing(project_root() / path) as temporary:
            whole = pd.concat([table.assign(**names)[[*names, *table.columns]] for names, table in tables])
            whole.to_csv(temporary, index=False, float_format="%.5f")


def gallery_changes(
    image, text, groups=None, alignments=("lambda-1", "centring"), sizes=SIZES, n_fit: int = FIT, n_draws: int = DRAWS
) -> pd.DataFrame:
    """Return recall@1 in galleries of growing size, and its change by each alignment.

    A draw puts the groups in random order. Alignments learn from the first ``n_fit`` pairs. The others are cut in this order into
    as many galleries of g pairs as there are, over which recall is averaged. Pairs with an equal image, an equal text or the same
    group follow each other, and none is on both sides. Draws share pairs, so intervals are corrected; relative changes are ratios
    of means, with the interval of their linear terms.

    Returns:
        one row per alignment, gallery and direction: alignment, gallery, texts (distinct ones in a gallery, on average), measure,
        draws, and with the ends ``_low`` and ``_high`` of their intervals: value, change (from none), relative (the change as a
        share of the recall without alignment) and growth (of relative since the smallest gallery).
    """
    names = ["none", *alignments]
    image, text = unit_pairs(image, text)
    sizes = [size for size in sizes if size <= len(image) - n_fit]
    recalls, texts = np.empty((len(names), len(sizes), 2, n_draws)), np.empty((len(sizes), n_draws))
    for draw, (fit, held) in enumerate(draws(tied_groups(image, text, groups), n_fit, n_draws)):
        for i, name in enumerate(names):
            v, t = make_alignment(name).fit(image[fit], text[fit]).transform(image[held], text[held])
            recalls[i, :, :, draw] = [recall_in_parts(v, t, size) for size in sizes]
        texts[:, draw] = [np.mean([len(distinct_codes(text[part])[0]) for part in parts(held, size)]) for size in sizes]
    used = np.array([(len(image) - n_fit) // size * size for size in sizes])
    return gallery_table(names, sizes, texts.mean(axis=1), recalls, used / (len(image) - used))


def gallery_table(names, sizes, texts, recalls: np.ndarray, ratios: np.ndarray) -> pd.DataFrame:
    """Return the table of recalls (names, sizes, directions, draws) and of held-out pairs per other pair (sizes,)."""
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
            row[f"{name}_low"], row[f"{name}_high"] = corrected_interval(values[i, j, way], max(ratios[[0, j]]))
        records.append(row | {"draws": recalls.shape[-1]})
    return pd.DataFrame(records)


def parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the parts of ``size`` rows into which rows can be cut, in order; what is left at the end is omitted."""
    yield from (rows[start : start + size] for start in range(0, len(rows) - size + 1, size))


def recall_in_parts(image: np.ndarray, text: np.ndarray, size: int) -> np.ndarray:
    """Return the mean recall@1 over galleries of ``size`` pairs, in both directions (2,)."""
    found = [
        (retrieval_ranks(image[part], text[part]) == 0, retrieval_ranks(text[part], image[part]) == 0)
        for part in parts(np.arange(len(image)), size)
    ]
    return np.concatenate(found, axis=1).mean(axis=1)


def draws(groups: np.ndarray, n_fit: int, n_draws: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to fit on, whole groups of at most ``n_fit`` in all, and the others in the order in which they enter galleries."""
    sizes = np.bincount(groups)
    for draw in range(n_draws):
        order = np.random.default_rng([0, draw]).permutation(len(sizes))
        rows = np.argsort(np.argsort(order)[groups], kind="stable")
        within = np.cumsum(sizes[order])
        n_first = int(within[within <= n_fit].max(initial=0)) or int(within[0])
        yield rows[:n_first], rows[n_first:]


if __name__ == "__main__":
    measure(shipped(), OUT)
