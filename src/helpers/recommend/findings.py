"""Summarise the shipped measures of alignments: tables, and three sentences computed from them."""

import re

import pandas as pd

from ..files import project_root

TASKS = "data/measured/alignments_tasks.csv"
GALLERIES = ("data/measured/alignments_galleries_public.csv", "data/measured/alignments_galleries_shipped.csv")
MEASURED = ("data/measured/alignments_public.csv", "data/measured/alignments_shipped.csv")
SET = ["dataset", "variant", "backbone"]
SEARCHABLE = 0.2  # a lower recall leaves too few hits for a change relative to them
CLIP = "CLIP ViT-B/16"
READABLE = 0.9  # modalities with a higher held-out AUC count as separable
LESS_IS_BETTER = re.compile("gap|v_measure|hub|loss|brier|calibration|spread")
BEST_AT = {"modality_auc": 0.5, "mixing": 1.0}  # images and texts cannot be told apart, and mix as by chance
RECALLS = ("recall_image_to_text", "recall_text_to_image")


def shipped_alignments() -> pd.DataFrame:
    """Return the measures of ``benchmarks/alignments.py``: the rows of :func:`helpers.recommend.summarise` of every set."""
    tables = [pd.read_csv(project_root() / path) for path in MEASURED]
    return pd.concat(tables, ignore_index=True).assign(reason=lambda table: table["reason"].fillna(""))


def shipped_tasks(protocol: str) -> pd.DataFrame:
    """Return the tasks of every shipped set that ``benchmarks/alignments.py --tasks`` measured under one protocol.

    Its rows are those of :func:`helpers.recommend.compare_tasks`, with the set.
    """
    tasks = pd.read_csv(project_root() / TASKS, dtype={"reason": str})
    return tasks[tasks["protocol"] == protocol].assign(reason=lambda table: table["reason"].fillna(""))


def shipped_galleries() -> pd.DataFrame:
    """Return what ``benchmarks/alignments.py --galleries`` measured: the rows of ``gallery_changes`` of every set."""
    return pd.concat([pd.read_csv(project_root() / path) for path in GALLERIES], ignore_index=True)


def merit(measure: str, value: float) -> float:
    """Return the value of a measure on a scale on which more is better, whichever way the measure runs."""
    if measure in BEST_AT:
        return -abs(value - BEST_AT[measure])
    return -value if LESS_IS_BETTER.search(measure) else value


def not_measured(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the alignments that could not be fitted in some split: set, alignment, renormalise, splits, reason; one row each."""
    columns = [*SET, "alignment", "renormalise", "splits", "reason"]
    return summary.loc[summary["reason"] != "", columns].drop_duplicates(columns[:-2], ignore_index=True)


def three_sentences(summary: pd.DataFrame) -> list[str]:
    """Return three sentences about the gap, separability and retrieval that a reader may quote.

    Args:
        summary: rows of ``shipped_alignments``, the source of every number; intervals are 95 % over splits.
    """
    moved = {name: _of(summary, name) for name in ("none", "lambda-1", "centring")}
    return [_on_separability(moved), _on_shifting(moved["lambda-1"]), _on_centring(moved)]


def clear_changes(rows: pd.DataFrame, measure: str) -> tuple[int, int]:
    """Count the sets in which a measure falls and those in which it rises, each with an interval that excludes zero."""
    return int((rows["change_high"][measure] < 0).sum()), int((rows["change_low"][measure] > 0).sum())


def _of(summary: pd.DataFrame, alignment: str) -> pd.DataFrame:
    """Return the renormalising form of one alignment: a row per set, columns (number, measure)."""
    rows = summary[(summary["alignment"] == alignment) & summary["renormalise"] & summary["measure"].notna()]
    return rows.set_index([*SET, "measure"])[["value", "change", "change_low", "change_high"]].unstack("measure")


def _on_separability(moved: dict[str, pd.DataFrame]) -> str:
    base, shifted = moved["none"]["value"], moved["lambda-1"]["value"]
    share = (shifted["gap"] / base["gap"]).agg(["min", "max"])
    readable = int((shifted["modality_auc"] > READABLE).sum())
    return (
        f"On held-out pairs of {len(base)} sets, λ = 1 leaves {share['min']:.0%} to {share['max']:.0%} of the gap, and in "
        f"{readable} of them a linear classifier still tells images from texts with an AUC above {READABLE:g}."
    )


def _on_shifting(shifted: pd.DataFrame) -> str:
    (falls_v, rises_v), (falls_t, rises_t) = (clear_changes(shifted, measure) for measure in RECALLS)
    return (
        f"λ = 1 clearly lowers recall@1 from image to text in {falls_v} and from text to image in {falls_t} "
        f"of {len(shifted)} sets, and clearly raises it in {rises_v} and {rises_t}; "
        f"on {CLIP} it changes them by {_changes(shifted)}."
    )


def _on_centring(moved: dict[str, pd.DataFrame]) -> str:
    centred, shifted = moved["centring"], moved["lambda-1"]
    smaller = int((centred["value"]["gap"] < shifted["value"]["gap"]).sum())
    (falls_v, _), (falls_t, _) = (clear_changes(centred, measure) for measure in RECALLS)
    return (
        f"Centring each modality leaves a smaller gap than λ = 1 in {smaller} of {len(centred)} sets, and clearly lowers recall@1 "
        f"from image to text in {falls_v} and from text to image in {falls_t}; "
        f"on {CLIP} it changes them by {_changes(centred)}."
    )


def _changes(rows: pd.DataFrame) -> str:
    """Return both changes of recall@1 on CLIP's vectors with their 95 % intervals."""
    row = rows.xs(CLIP, level="backbone").iloc[0]
    one = "{:+.3f} (95 % interval {:+.3f} to {:+.3f})"
    return " and ".join(one.format(*(row[c, m] for c in ("change", "change_low", "change_high"))) for m in RECALLS)


def gallery_sentences(galleries: pd.DataFrame) -> list[str]:
    """Return what lambda = 1 and centring cost CLIP's recall in the smallest and the largest gallery, one sentence each.

    Args:
        galleries: rows of ``shipped_galleries``; intervals are 95 % over draws.
    """
    clip = galleries[galleries["backbone"] == CLIP].set_index(["alignment", "measure", "gallery"])
    return [_on_galleries(clip.loc[name], said) for name, said in (("lambda-1", "λ = 1"), ("centring", "centring"))]


def searchable(galleries: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the sets whose recall is at least ``SEARCHABLE`` without alignment, both ways in the smallest gallery."""
    base = galleries[(galleries["alignment"] == "none") & (galleries["gallery"] == galleries["gallery"].min())]
    least = base.groupby(SET)["value"].min()
    return galleries[pd.MultiIndex.from_frame(galleries[SET]).isin(least.index[least >= SEARCHABLE])]


def _on_galleries(rows: pd.DataFrame, alignment: str) -> str:
    few, most = rows.index.levels[1].min(), rows.index.levels[1].max()
    parts = []
    for measure, way in zip(RECALLS, ("image to text", "text to image"), strict=True):
        first, last = (_share(*rows.loc[(measure, size), ["relative", "relative_low", "relative_high"]]) for size in (few, most))
        low, high = rows.loc[(measure, most), ["growth_low", "growth_high"]]
        grows = "a clear difference" if low > 0 or high < 0 else "no clear difference"
        parts.append(f"from {way} by {first} among {few} pairs and by {last} among {most}, {grows}")
    return f"On {CLIP}, {alignment} changes recall@1 {'; '.join(parts)}."


def _share(*values: float) -> str:
    return "{:+.0f} % (95 % interval {:+.0f} % to {:+.0f} %)".format(*(round(100 * value) + 0.0 for value in values))


def renormalising_sentence(summary: pd.DataFrame) -> str:
    """Count where renormalising makes the modalities separable again, and name the largest rise of the modality AUC.

    Args:
        summary: rows of ``shipped_alignments``.
    """
    rows = summary[(summary["measure"] == "modality_auc") & (summary["alignment"] != "none")]
    both = rows.set_index([*SET, "alignment", "renormalise"])["value"].unstack("renormalise").dropna()
    without, after = both[False], both[True]
    again = int(((after > READABLE) & (without <= READABLE)).sum())
    dataset, variant, backbone, alignment = most = (after - without).idxmax()
    return (
        f"In {again} of {len(both)} combinations of set and alignment, the modality AUC is above {READABLE:g} only because of "
        f"renormalising. It rises most for {alignment} on {dataset} / {variant} under {backbone}, "
        f"from {without[most]:.2f} to {after[most]:.2f}."
    )


def lambda_sentences(name: str, selected: pd.Series, p_value: float) -> str:
    """Answer whether lambda is worth it on one set, in two sentences.

    Args:
        name: of the set and its encoder, as the page prints it.
        selected: a row of :meth:`helpers.probing.result.SweepResult.selected`.
        p_value: of the test that some lambda beats 0, corrected for trying all of them.
    """
    if selected["lambda_image"]:
        clear = "excludes" if selected["low"] > 0 or selected["high"] < 0 else "includes"
        first = (
            f"For {name}, validation rows select λ = {selected['lambda_image']:g}, which changes test AUC by "
            f"{selected['difference']:+.4f}; its 95 % interval of {selected['low']:+.4f} to {selected['high']:+.4f} {clear} zero."
        )
    else:
        first = f"For {name}, validation rows select no alignment (λ = 0)."
    return f"{first} The test that some λ beats 0 gives a one-sided p of {p_value:.3f}, corrected for trying all of them."


def count_clear(tasks: pd.DataFrame) -> pd.DataFrame:
    """Count the sets in which an alignment clearly improves a measure, and those in which it clearly worsens it.

    Args:
        tasks: rows of ``shipped_tasks``.

    Returns:
        one row per measure and alignment: measure, alignment, sets, better, worse. A change is clear if its interval excludes zero.
    """
    rows = tasks[tasks["measure"].notna() & (tasks["alignment"] != "none")]
    less = rows["measure"].map(lambda measure: LESS_IS_BETTER.search(measure) is not None)
    falls, rises = rows["change_high"] < 0, rows["change_low"] > 0
    counted = rows.assign(sets=1, better=falls.where(less, rises).astype(int), worse=rises.where(less, falls).astype(int))
    return counted.groupby(["measure", "alignment"], sort=False)[["sets", "better", "worse"]].sum().reset_index()


def what_holds(counts: pd.DataFrame, least: int = 2) -> list[str]:
    """Return sentences on what alignments do to tasks in every set, and on how often sets disagree.

    Args:
        counts: rows of :func:`count_clear`.
        least: a measure counts only if at least so many sets have it.
    """
    counts = counts[counts["sets"] >= least]
    if counts.empty:
        return [f"No measure was taken on {least} sets or more, so this says nothing about sets in general."]
    sentences = []
    for verb, column in (("improves", "better"), ("worsens", "worse")):
        always = counts[counts[column] == counts["sets"]]
        named = [f"{name}: {_in_words(rows['measure'])}" for name, rows in always.groupby("alignment", sort=False)]
        listed = "; ".join(named)
        sentences.append(
            f"What an alignment clearly {verb} in every set that has the measure: {listed}."
            if named
            else f"No alignment clearly {verb} any measure in every set."
        )
    both = int(((counts["better"] > 0) & (counts["worse"] > 0)).sum())
    sentences.append(
        f"In {both} of {len(counts)} combinations of alignment and measure, one set is clearly better and another clearly worse."
    )
    return sentences


def _in_words(measures) -> str:
    return ", ".join(measure.replace("_", " ") for measure in measures)


def task_sentence(tasks: pd.DataFrame, alignment: str) -> str:
    """Name the measures of one set that an alignment clearly improves and those that it clearly worsens, against no alignment.

    Args:
        tasks: rows of :func:`helpers.recommend.compare_tasks`; intervals are 95 % over test rows.
    """
    rows = tasks[(tasks["alignment"] == alignment) & tasks["measure"].notna()]
    better, worse = [], []
    for row in rows.itertuples():
        less = LESS_IS_BETTER.search(row.measure) is not None
        if row.change_low > 0 or row.change_high < 0:
            (worse if less == (row.change_low > 0) else better).append(f"{row.measure.replace('_', ' ')} ({row.change:+.3f})")
    return (
        f"Of {len(rows)} measures, {alignment} clearly improves {', '.join(better) or 'none'} and clearly worsens "
        f"{', '.join(worse) or 'none'}."
    )
