"""Measure what every alignment closes and costs on every shipped set: ``python studies/alignments.py``.

The first table has the rows of :func:`summarise`, the second recall@1 against the size of the gallery. Only
validation and test rows count, because the heads of the sets' encoders were trained on training rows.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from helpers import EmbeddingSet, gap_vector
from helpers.alignment.registry import COMPARED, make_alignment
from helpers.arrays import distinct_rows, unit_both
from helpers.files import project_root, replacing
from helpers.geometry import gap_norm
from helpers.retrieval import hubness, recall_both_ways, retrieval_ranks
from helpers.separation import half_of_groups, modality_auc, nearest, relative_modality_gap, tied_groups
from helpers.statistics import corrected_interval
from helpers.store.catalogue import SHIPPED, stored

INPUTS = ["data/embeddings"]
OUT = ["data/measured/alignments_shipped.csv", "data/measured/alignments_galleries_shipped.csv"]
MOVES = [(name, renormalise) for renormalise in (True, False) for name in COMPARED]
MOST = 1000  # pairs of a set that are measured
SIZES = (50, 100, 150, 250, 350, 500, 1000)  # pairs in a gallery
FIT = 150  # pairs that an alignment is fitted on, the same number for every gallery and set
DRAWS = 20
NULL_DRAWS = 20  # cuts of both halves that the null of a gap rests on, for each split
CHANGES = ["value", "low", "high", "change", "change_low", "change_high"]
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
        closing.append((names | {"pairs": min(MOST, len(image))}, summarise(compare_alignments(image, text, groups))))
        if len(image) >= FIT + SIZES[1]:
            galleries.append((names | {"pairs": len(image)}, gallery_changes(image, text, groups)))
        print(f"measured: {' '.join(identity)}", flush=True)
    for path, tables in zip(out, (closing, galleries), strict=True):
        with replacing(project_root() / path) as temporary:
            whole = pd.concat([table.assign(**names)[[*names, *table.columns]] for names, table in tables])
            whole.to_csv(temporary, index=False, float_format="%.5f")


def compare_alignments(image, text, groups=None, moves=MOVES, n_splits: int = 5) -> pd.DataFrame:
    """Fit each alignment on half of the pairs and measure it on the other half, over several splits.

    Pairs with an equal image, an equal text or the same group stay on one side of a split. No labels are needed.

    Args:
        image, text: (n, d) vectors of pairs; a random sample of at most ``MOST`` is used.
        groups: (n,) pairs that belong together, such as one patient's.
        moves: names of the alignments, and whether each renormalises.

    Returns:
        one row per alignment, split and measure: alignment, renormalise, split, measure, value, reason. An alignment that the rows
        do not allow, such as whitening with fewer rows than dimensions, has the reason in place of measure and value.
    """
    image, text = unit_both(image, text, pairs=True)
    rows = np.sort(np.random.default_rng(0).permutation(len(image))[:MOST])
    image, text = image[rows], text[rows]
    tied = tied_groups(image, text, None if groups is None else np.asarray(groups)[rows])
    records: list[tuple[str, bool, int, str | None, float, str]] = []
    for split in range(n_splits):
        fit = half_of_groups(tied, split)
        for name, renormalise in moves:
            try:
                alignment = make_alignment(name, renormalise=renormalise).fit(image[fit], text[fit])
                fit_image, fit_text = alignment.transform(image[fit], text[fit])
                held_image, held_text = alignment.transform(image[~fit], text[~fit])
            except ValueError as error:
                records.append((name, renormalise, split, None, np.nan, str(error)))
                continue
            measured = {"modality_auc": modality_auc(fit_image, fit_text, held_image, held_text, tied[fit])}
            measured |= _held_out(held_image, held_text, renormalise)
            measured |= _null_of(name, image, text, tied, fit) if renormalise else {}
            records += [(name, renormalise, split, measure, value, "") for measure, value in measured.items()]
    return pd.DataFrame(records, columns=["alignment", "renormalise", "split", "measure", "value", "reason"])


def summarise(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 95 % interval over splits of each measure of :func:`compare_alignments`, and of its change from none.

    Returns:
        one row per alignment and measure: alignment, renormalise, measure, value, low, high, change, change_low, change_high,
        splits (in which the alignment could be fitted), reason (of the others). An alignment that no split allows has one row
        without a measure.
    """
    names = ["alignment", "renormalise", "measure"]
    wide = comparison.dropna(subset=["measure"]).pivot_table(index=names, columns="split", values="value", sort=False)
    base = wide.xs(("none", True)).reindex(wide.index.get_level_values("measure")).to_numpy()
    rows = [
        [*name, *_over_halves(values), *_over_halves(values - of_none), int((~np.isnan(values)).sum())]
        for name, values, of_none in zip(wide.index, wide.to_numpy(), base, strict=True)
    ]
    result = pd.DataFrame(rows, columns=[*names, *CHANGES, "splits"])
    everything = comparison[names[:2]].drop_duplicates().merge(result, on=names[:2], how="left")
    failed = comparison[comparison["measure"].isna()].drop_duplicates(names[:2])
    everything = everything.merge(failed[[*names[:2], "reason"]], on=names[:2], how="left")
    return everything.assign(splits=everything["splits"].fillna(0).astype(int), reason=everything["reason"].fillna(""))


def null_gaps(name: str, image, text, groups, fit: np.ndarray, n_draws: int = NULL_DRAWS) -> np.ndarray:
    """Return gaps (n_draws,) that sampling alone makes if the alignment learns from one half of pairs and the other is measured.

    Each draw cuts both halves in two by whole groups, and repeats the fit and the measurement on either part. The two parts have
    the same expected gap vector, which their difference removes. They have half of the rows, so half of their difference is as
    long as the noise of the whole, to leading order: the errors of the fitted rows, of the measured ones and of groups are in it.

    Args:
        image, text: (n, d) unit vectors of pairs; ``groups`` (n,) are whole numbers, and ``fit`` (n,) tells which rows are fitted.
    """
    found = []
    for draw in range(n_draws):
        first = np.empty(len(fit), dtype=bool)
        for half in (fit, ~fit):
            first[half] = half_of_groups(groups[half], draw)
        gaps = []
        for part in (first, ~first):
            alignment = make_alignment(name).fit(image[fit & part], text[fit & part])
            gaps.append(gap_vector(*alignment.transform(image[~fit & part], text[~fit & part])))
        found.append(np.linalg.norm(gaps[0] - gaps[1]) / 2)
    return np.array(found)


def _null_of(name: str, image, text, groups, fit: np.ndarray) -> dict[str, float]:
    """Return mean and 95 % quantile of :func:`null_gaps`; nothing if a half of the fitted rows is too few for the alignment."""
    try:
        gaps = null_gaps(name, image, text, groups, fit)
    except ValueError:
        return {}
    return {"gap_null": float(gaps.mean()), "gap_null_95": float(np.quantile(gaps, 0.95, method="weibull"))}


def _held_out(image: np.ndarray, text: np.ndarray, renormalised: bool) -> dict[str, float]:
    """Return each measure of the held-out rows; without unit length only recall by inner product."""
    there, back = recall_both_ways(image, text, 1, unit=renormalised)
    recalls = {"recall_image_to_text": there, "recall_text_to_image": back}
    if not renormalised:
        return recalls
    return recalls | {
        "gap": gap_norm(image, text),
        "relative_gap": relative_modality_gap(image, text),
        "mixing": mixing_at_k(image, text),
        "largest_hub": float(hubness(image, text)[0]),
    }


def mixing_at_k(image, text, k: int = 10) -> float:
    """Return the share of the other modality among the k nearest neighbours of each distinct vector, divided by its chance.

    1 when modalities mix as by chance, 0 when apart. A repeated vector counts once: its copies would be its own neighbours.
    """
    image, text = (distinct_rows(x)[0] for x in unit_both(image, text))
    pooled, sizes = np.concatenate([image, text]), np.array([len(image), len(text)])
    is_text = np.repeat([0, 1], sizes)
    other = (is_text[nearest(pooled, k)] != is_text[:, None]).mean(axis=1)
    chance = sizes[1 - is_text] / (len(pooled) - 1)
    return float((other / chance).mean())


def _over_halves(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean over the splits that have a value and its corrected interval, for as many rows held out as fitted on."""
    values = values[~np.isnan(values)]
    ends = corrected_interval(values, 1.0) if len(values) > 1 else (np.nan, np.nan)
    return float(values.mean()), *ends


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
    image, text = unit_both(image, text, pairs=True)
    sizes = [size for size in sizes if size <= len(image) - n_fit]
    recalls, texts = np.empty((len(names), len(sizes), 2, n_draws)), np.empty((len(sizes), n_draws))
    for draw, (fit, held) in enumerate(draws(tied_groups(image, text, groups), n_fit, n_draws)):
        for i, name in enumerate(names):
            v, t = make_alignment(name).fit(image[fit], text[fit]).transform(image[held], text[held])
            recalls[i, :, :, draw] = [recall_in_parts(v, t, size) for size in sizes]
        texts[:, draw] = [np.mean([len(distinct_rows(text[part])[0]) for part in parts(held, size)]) for size in sizes]
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
