"""Heads along their training, and what aligning gains on synthetic pairs with a gap set by hand (page 10).

    python studies/gap_study.py                  all four tables (about two hours on two cores)
    python studies/gap_study.py training heads   the first two alone; `by-hand` and `slopes` make the other two

The gap is set in three ways. `exact`: the cone axes lie in two dimensions that the data do not use, so that the angle between them
changes the gap and nothing within a modality. `in-span`: they lie in the two leading directions of the data, so that rows differ in
their cosine with the gap. `temperature`: heads are trained at several temperatures.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from common import redrawn_split
from head_training import LEARNED, Heads, Settings, training_path
from scipy.optimize import brentq
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from helpers import sweep
from helpers.arrays import unit_rows
from helpers.datasets import canonical_variant
from helpers.datasets.splits import resplit
from helpers.extraction.find import embeddings_for
from helpers.files import project_root, replacing
from helpers.geometry import effective_rank, gap_norm, mean_resultant_length, principal_directions
from helpers.separation import half_of_groups, tied_groups
from helpers.store.embeddings import EmbeddingSet
from helpers.tower_features import TowerFeatures, TrainingPairs, shipped_features

INPUTS = ["data/features/*/*", "data/embeddings/flickr8k/common/lit-natural/*", "data/embeddings/ham10000/clean/lit-derm/*"]
OUT = [f"data/measured/{name}.csv" for name in ("gap_study", "gap_heads", "gap_dials", "gap_slopes")]

ENCODERS = {"flickr8k": "lit-natural", "ham10000": "lit-derm"}
PROTOCOLS = ("paper", "authors-code", "converged")
HELD_OUT = 200  # number of pairs in the retrieval test
EPOCHS = (0, 1, 3, 10, 30, 60, 100, 200, 400)
SLOPE_SPLITS = 4
TEMPERATURES, STATES, PROBE_SEEDS = (0.01, 0.02, 0.07), range(3), (42, 43, 44)
EXACT = {(0.75, 0.75): (0.02, 0.4, 0.75, 1.2), (0.9, 0.5): (0.42, 0.75, 1.2), (0.5, 0.9): (0.42, 0.75, 1.2)}
IN_SPAN = {cones: (0.45, 0.75, 1.1) for cones in EXACT}
COLUMNS = ["dataset", "dial", "block", "setting", "R_image", "R_text", "gap", "protocol", "auc_at_zero", "gain", "low", "high"]
COLUMNS += ["rank_image", "rank_text", "recall", "seeds"]


def held_out_measures(heads: Heads, pairs: TrainingPairs) -> dict[str, float]:
    """Return R of both modalities and the gap over all given pairs, and recall@10 over a fixed sample of at most 200 of them.

    The candidates of an image are distinct texts. A text is a hit if any of its images is among its ten nearest.
    """
    image, text = heads.project(pairs.image, pairs.text[pairs.first])
    rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:HELD_OUT])
    numbers, first = np.unique(pairs.first[rows], return_index=True)
    right = pairs.first[rows][:, None] == numbers[None, :]
    similarity = image[rows] @ text[rows][first].T
    return {
        "R_image": round(mean_resultant_length(image), 4),
        "R_text": round(mean_resultant_length(text), 4),
        "gap": round(gap_norm(image, text), 4),
        "pairs": len(rows),
        "distinct_texts": len(numbers),
        "recall@10_image_to_text": recall_at_k(similarity, right),
        "recall@10_text_to_image": recall_at_k(similarity.T, right.T),
    }


def recall_at_k(similarity: np.ndarray, right: np.ndarray, k: int = 10) -> float:
    """Return the share of rows with a right column among the k most similar, from a matrix (n, m) and booleans of its shape."""
    nearest_columns = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return round(float(np.take_along_axis(right, nearest_columns, axis=1).any(axis=1).mean()), 4)


def measures(heads: Heads, pairs: TrainingPairs) -> dict:
    """Return geometry, recall@10 (mean of both directions) and modality separability of held-out pairs under given heads."""
    image, text = heads.project(pairs.image, pairs.text[pairs.first])
    found = held_out_measures(heads, pairs)
    return {
        **{"epoch": heads.epoch, "loss": heads.loss, "R_image": found["R_image"], "R_text": found["R_text"], "gap": found["gap"]},
        **{"rank_image": effective_rank(image), "rank_text": effective_rank(text)},
        "recall": (found["recall@10_image_to_text"] + found["recall@10_text_to_image"]) / 2,
        "separability": separability(image, text),
    }


def separability(image: np.ndarray, text: np.ndarray) -> float:
    """Return the AUC of a logistic regression of images against texts, fitted on half of the pairs, scored on the others."""
    fit = half_of_groups(tied_groups(image, text), 0)
    model = LogisticRegression(max_iter=1000).fit(np.concatenate([image[fit], text[fit]]), np.repeat([0, 1], fit.sum()))
    scores = model.decision_function(np.concatenate([image[~fit], text[~fit]]))
    return float(roc_auc_score(np.repeat([0, 1], (~fit).sum()), scores))


def train_and_test(dataset: str) -> tuple[TrainingPairs, TrainingPairs]:
    """Return the training and the held-out pairs of the stored tower features."""
    features, variant = shipped_features(dataset), canonical_variant(dataset, "clean")
    return features.pairs(variant, "train"), features.pairs(variant, "test")


def training(dataset: str = "flickr8k") -> Iterator[dict]:
    """Yield the measures of heads along a long training, for each learning rate, temperature and random state."""
    pairs, held_out = train_and_test(dataset)
    for rate, temperature, state in product((3e-4, 1e-3), TEMPERATURES, STATES):
        about = {"dataset": dataset, "temperature": str(temperature), "rate": rate, "random_state": state}
        for heads in training_path(pairs, Settings(temperature, rate, max(EPOCHS), state)):
            if heads.epoch in EPOCHS:
                yield {**about, **measures(heads, held_out)}


def trained(dataset: str) -> Iterator[dict]:
    """Yield the measures of heads trained as long as the shipped ones, at their temperature and at a learned one."""
    pairs, held_out = train_and_test(dataset)
    for rate, temperature, state in product((3e-4, 5e-4, 1e-3), (Settings.temperature, LEARNED), range(5)):
        *_, last = training_path(pairs, Settings(temperature, rate, random_state=state))
        about = {"dataset": dataset, "temperature": str(temperature), "random_state": state, "reached": last.temperature}
        yield {**about, **measures(last, held_out), "rate": rate}


def cone(x: np.ndarray, resultant: float, angle: float) -> np.ndarray:
    r"""Return unit rows :math:`[\sqrt{1 - R^2}\, r,\; R \cos\varphi,\; R \sin\varphi]`, (n, d + 2), r centred rows at unit norm.

    Cosines within the modality and the spectrum of the centred rows do not depend on the angle.
    """
    centred = unit_rows(x - x.mean(axis=0), "centred vectors")
    axis = resultant * np.array([np.cos(angle), np.sin(angle)])
    return np.concatenate([np.sqrt(1 - resultant**2) * centred, np.tile(axis, (len(x), 1))], axis=1)


def axis_angle(gap: float, image: float, text: float) -> float:
    """Return the angle between two cone axes of given lengths whose ends lie ``gap`` apart, by the law of cosines."""
    return float(np.arccos((image**2 + text**2 - gap**2) / (2 * image * text)))


def gap_outside_span(stored: EmbeddingSet, R_image: float, R_text: float, gap: float) -> EmbeddingSet:
    """Return a set with both R and the gap set, the cone axes outside the span of the data."""
    image, text = (np.asarray(x, np.float64) for x in (stored.image, stored.text))
    image, text = cone(image, R_image, 0.0), cone(text, R_text, axis_angle(gap, R_image, R_text))
    return replace(stored, image=image.astype(np.float32), text=text.astype(np.float32))


def gap_in_span(stored: EmbeddingSet, R_image: float, R_text: float, gap: float) -> EmbeddingSet:
    r"""Return a set with both R and the gap set, the cone axes in the two leading directions of the data.

    Rows are :math:`(r + a\,u) / \lVert r + a\,u \rVert` with u the axis and :math:`a \ge 0` such that R has the value asked for.
    """
    centred = [x - x.mean(axis=0) for x in (np.asarray(m, np.float64) for m in (stored.image, stored.text))]
    first, second = principal_directions(np.concatenate(centred), k=2)[0]
    units = [unit_rows(x, "centred vectors") for x in centred]

    def narrowed(rows: np.ndarray, resultant: float, axis: np.ndarray) -> np.ndarray:
        length = brentq(lambda a: mean_resultant_length(rows + a * axis) - resultant, 0.0, 1e3, xtol=1e-6)
        return unit_rows(rows + length * axis)

    def text(angle: float) -> np.ndarray:
        return narrowed(units[1], R_text, np.cos(angle) * first + np.sin(angle) * second)

    image = narrowed(units[0], R_image, first)
    turned = text(brentq(lambda angle: gap_norm(image, text(angle)) - gap, 0.0, np.pi, xtol=1e-5))
    return replace(stored, image=image.astype(np.float32), text=turned.astype(np.float32))


def gains(embeddings: EmbeddingSet, about: dict) -> Iterator[dict]:
    """Yield the gain of lambda = 1 under each protocol, with its interval, beside the geometry of all pairs."""
    image, text = embeddings.image_of(), embeddings.text_of()
    geometry = {"R_image": mean_resultant_length(image), "R_text": mean_resultant_length(text), "gap": gap_norm(image, text)}
    for protocol in PROTOCOLS:
        effects = sweep(embeddings, [0.0, 1.0], PROBE_SEEDS, protocol, progress=False, workers=1).effects(n_boot=500)
        at = effects.set_index("lambda_image")
        found = {"auc_at_zero": at.loc[0.0, "auc"], "gain": at.loc[1.0, "difference"], **at.loc[1.0, ["low", "high"]]}
        yield {**about, **geometry, "protocol": protocol, "seeds": len(PROBE_SEEDS), **found}


def by_hand(dataset: str) -> Iterator[dict]:
    """Yield the gains at each gap: set outside the span of the data, within it, and by the temperature of a training."""
    stored = embeddings_for(dataset, ENCODERS[dataset])
    for how, with_gap, cones in (("exact", gap_outside_span, EXACT), ("in-span", gap_in_span, IN_SPAN)):
        for (image, text), gaps in cones.items():
            for gap in gaps:
                about = {"dataset": dataset, "dial": how, "block": f"{image}/{text}", "setting": gap}
                yield from gains(with_gap(stored, image, text, gap), about)
    features, (pairs, held_out) = shipped_features(dataset), train_and_test(dataset)
    for state, temperature in product(STATES, TEMPERATURES):
        *_, heads = training_path(pairs, Settings(temperature, random_state=state))
        about = {"dataset": dataset, "dial": "temperature", "block": f"seed {state}", "setting": temperature}
        about |= {name: value for name, value in measures(heads, held_out).items() if name in ("rank_image", "rank_text", "recall")}
        yield from gains(embeddings_under(heads, features, stored), about)


def embeddings_under(heads: Heads, features: TowerFeatures, stored: EmbeddingSet) -> EmbeddingSet:
    """Return the pairs and labels of a stored set of the same data and variant with the vectors that given heads compute."""
    rows = features.of_variant(stored.provenance["variant"], own=True).set_index("pair_id").loc[stored.pairs["pair_id"]]
    image, text = heads.project(features.image, features.text)
    pairs = stored.pairs.assign(image=rows["image"].to_numpy(), text=rows["text"].to_numpy())
    return EmbeddingSet(unit_rows(image), unit_rows(text), pairs, stored.task, {**stored.provenance, "backbone": "test bench"})


def class_gains(embeddings: EmbeddingSet, protocol: str) -> pd.Series:
    """Return the gain of lambda = 1 in the AUC of each class on test rows, one training seed."""
    table = sweep(embeddings, [0.0, 1.0], PROBE_SEEDS[:1], protocol, progress=False, workers=1).table
    table = table[(table["split"] == "test") & (table["metric"] == "auc") & table["class"].notna()]
    auc = table.pivot_table(index="class", columns="lambda_image", values="value")
    return auc[1.0] - auc[0.0]


def slopes(dataset: str, n_splits: int = SLOPE_SPLITS) -> Iterator[dict]:
    """Yield the slope of the gain in the gap by dial and protocol, with a 95 % interval over redrawn rows and over labels.

    Each split redraws training, validation and test rows by group; all settings of a dial share it. A slope is that of least
    squares within pairs of R. Splits share rows, so their variance has the correction of Nadeau and Bengio; the variance over
    labels, which stand for other labels of the kind, is added.
    """
    stored = embeddings_for(dataset, ENCODERS[dataset])
    for how, with_gap, cones in (("exact", gap_outside_span, EXACT), ("in-span", gap_in_span, IN_SPAN)):
        settings = [(pair, gap) for pair, gaps in cones.items() for gap in gaps]
        moved = [with_gap(stored, *pair, gap) for pair, gap in settings]
        gaps = pd.Series([gap_norm(of.image_of(), of.text_of()) for of in moved])
        within = gaps - gaps.groupby(np.array([str(pair) for pair, _ in settings])).transform("mean")
        for protocol in PROTOCOLS:
            found, shares = [], []
            for state in range(n_splits):
                redrawn = [resplit(of, redrawn_split(of, state)) for of in moved]
                gain = pd.DataFrame([class_gains(of, protocol) for of in redrawn])  # settings x classes
                found.append(within.to_numpy() @ gain.to_numpy() / (within @ within))
                shares.append(len(redrawn[0].rows("test")) / len(redrawn[0].rows("train")))
            by_split, by_label = np.mean(found, axis=1), np.mean(found, axis=0)
            n, k = len(by_split), len(by_label)
            variance = by_split.var(ddof=1) * (1 / n + np.mean(shares)) + by_label.var(ddof=1) / k
            half = student.ppf(0.975, min(n, k) - 1) * np.sqrt(variance)
            about = {"dataset": dataset, "dial": how, "protocol": protocol, "splits": n, "labels": k}
            yield {**about, "slope": by_split.mean(), "low": by_split.mean() - half, "high": by_split.mean() + half}


def store(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Write a table of ``data/measured``."""
    with replacing(project_root() / f"data/measured/{name}.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    print(f"written: {name}", flush=True)
    return table


if __name__ == "__main__":
    parts = sys.argv[1:] or ["training", "heads", "by-hand", "slopes"]
    if "training" in parts:
        store(pd.DataFrame(training()), "gap_study")
    if "heads" in parts:
        store(pd.DataFrame([row for dataset in ("ham10000", "flickr8k") for row in trained(dataset)]), "gap_heads")
    if "by-hand" in parts:
        store(pd.DataFrame([row for dataset in ENCODERS for row in by_hand(dataset)])[COLUMNS], "gap_dials")
    if "slopes" in parts:
        store(pd.DataFrame([row for dataset in ENCODERS for row in slopes(dataset)]), "gap_slopes")
