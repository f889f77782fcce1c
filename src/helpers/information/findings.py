"""The answers of the information page, two sentences each, with every number from a result table."""

import numpy as np
import pandas as pd

from ..initialisation.study import what_decides
from ..initialisation.variance import RATIO
from ..probing.repeated import summarise_gains
from ..store.catalogue import SHIPPED_SETS

NAMES = ["dataset", "variant", "backbone"]
Finding = tuple[str, dict]
"""A sentence with places for values, and the values; see :meth:`helpers.page.Page.show_text`."""


def clear(rows: pd.DataFrame, low: str = "change_low", high: str = "change_high") -> pd.Series:
    """Return whether each interval excludes zero."""
    return (rows[low] > 0) | (rows[high] < 0)


def of_quantity(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the rows of one quantity at the largest lambda, one per set."""
    return table[(table["quantity"] == quantity) & (table["lambda"] == table["lambda"].max())]


def span(name: str, values) -> dict[str, float]:
    """Return the smallest and the largest of some values as ``<name>_low`` and ``<name>_high``."""
    return {f"{name}_low": min(values), f"{name}_high": max(values)}


def future_work(table: pd.DataFrame) -> list[Finding]:
    """Answer how gap, information and target are related as lambda goes to 1."""
    gap, label = of_quantity(table, "gap"), pd.concat([of_quantity(table, q) for q in ("image", "text", "both")])
    entropy = label[NAMES].merge(of_quantity(table, "entropy")[[*NAMES, "value"]], on=NAMES)["value"].to_numpy()
    ridge = pd.concat([of_quantity(table, f"ridge_{q}") for q in ("text_from_image", "image_from_text")])
    first = (
        "As λ goes to {last:g} the gap falls from at most {start:.2f} to at most {end:.2f}, while the mutual information of image "
        "and text, and of both with the label, stays what it was: Eq. 5 can be undone, here to {error:.0e} in every coordinate."
    )
    second = (
        "What a converged linear probe can use of it about the label changes by {label_low:+.3f} to {label_high:+.3f} bits, at "
        "most {share:.1%} of the entropy of the label and clearly in {clear} of {n} cases; the share of the other modality's "
        "variance that a ridge regression explains changes by {ridge_low:+.3f} to {ridge_high:+.3f}."
    )
    ends = {"start": (gap["value"] - gap["change"]).max(), "end": gap["value"].max(), "last": table["lambda"].max()}
    counts = {"share": np.abs(label["change"].to_numpy() / entropy).max(), "clear": int(clear(label).sum()), "n": len(label)}
    return [
        (first, ends | {"error": of_quantity(table, "recovered")["value"].max()}),
        (second, counts | span("label", label["change"]) | span("ridge", ridge["change"])),
    ]


def forces(table: pd.DataFrame) -> list[Finding]:
    """Answer what Eq. 2 does against lambda."""
    bound, attraction = of_quantity(table, "bound"), of_quantity(table, "attraction")
    first = (
        "The bound log B - loss of Eq. 2 changes by {bound_low:+.2f} to {bound_high:+.2f} bits from λ = 0 to λ = {last:g} (clearly "
        "on {clear} of {n} sets), though the information that it bounds cannot change; attraction changes by "
        "{attraction_low:+.0f} to {attraction_high:+.0f} nats, and repulsion takes most of that away again."
    )
    second = (
        "A loss that gets worse as the gap closes is therefore no evidence that collapse removes modality-specific information: "
        "the cosine at the trained temperature is one fixed reader, and with the temperature fitted again at each λ the bound "
        "changes by {tuned_low:+.2f} to {tuned_high:+.2f} bits instead."
    )
    counts = {"last": table["lambda"].max(), "clear": int(clear(bound).sum()), "n": len(bound)}
    return [
        (first, counts | span("bound", bound["change"]) | span("attraction", attraction["change"])),
        (second, span("tuned", of_quantity(table, "bound_best_temperature")["change"])),
    ]


def warning(table: pd.DataFrame) -> list[Finding]:
    """Say how far a neural estimate moves where the truth is constant."""
    critic = table[(table["study"] == "critic") & (table["lambda"] == table["lambda"].max())]
    lengths = [rows["change"] for _, rows in critic.groupby("quantity", sort=False)]
    first = (
        "A neural estimate of the information between the modalities changes by {short_low:+.2f} to {short_high:+.2f} bits after "
        "short training and by {long_low:+.2f} to {long_high:+.2f} bits after longer training."
    )
    second = "The truth is constant, so all of this is the estimator's: how fast a critic learns depends on the geometry."
    return [(first, span("short", lengths[0]) | span("long", lengths[-1])), (second, {})]


def splits(gains: pd.DataFrame) -> list[Finding]:
    """Answer what redrawn splits say of the gain of lambda = 1."""
    summary = summarise_gains(gains[gains["split"] != "fixed"])
    fixed = gains[gains["split"] == "fixed"].set_index(NAMES)["gain"]
    inside = [row.low <= fixed[row.dataset, row.variant, row.backbone] <= row.high for row in summary.itertuples()]
    first = (
        "Over {drawn} redrawn splits of each of {n} sets, the mean gain of λ = 1 under a converged probe is "
        "{gain_low:+.4f} to {gain_high:+.4f} in AUC, and its corrected interval excludes zero on {clear} of them; without the "
        "correction it would on {plain}."
    )
    second = (
        "The gain of a single split has a standard deviation of {sd_low:.4f} to {sd_high:.4f} over splits, and the gain of the "
        "fixed split lies within the corrected interval on {inside} of {n} sets."
    )
    few, many = summary["splits"].min(), summary["splits"].max()
    counts = {"drawn": f"{few}" if few == many else f"{few} to {many}", "n": len(summary)}
    counts |= {"clear": int(clear(summary, "low", "high").sum()), "plain": int(clear(summary, "plain_low", "plain_high").sum())}
    return [(first, counts | span("gain", summary["gain"])), (second, counts | {"inside": sum(inside)} | span("sd", summary["sd"]))]


def random_networks(table: pd.DataFrame) -> list[Finding]:
    """Answer whether Eq. 4 is true, for which networks, and whether it is the architecture or the data."""
    ratio, features = table[table["data"] == RATIO], table[(table["inputs"] == "image features") & (table["output"] == "unit")]
    networks, unit = ratio[ratio["depth"] > 0], ratio[(ratio["output"] == "unit") & (ratio["depth"] > 0)]
    plain = networks[~networks["inputs"].str.contains("centred")]
    without = unit.loc[unit["inputs"].str.contains("centred"), "value"]
    values = {"smaller": int((plain["value"] < 1).sum()), "clear": int((plain["high"] < 1).sum()), "n": len(plain)}
    for name, inputs in (("image", "images"), ("text", "texts")):
        row = unit[unit["inputs"] == inputs].iloc[0]
        values |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"], f"{name}_tower": row["network"]}
    first = (
        "The data-induced variance is smaller on the medical data, as Eq. 4 says, in {smaller} of {n} combinations of network, "
        "input and output, and clearly so in {clear}; the ratio is {image:.2f} ({image_low:.2f} to {image_high:.2f}) for the "
        "{image_tower} and {text:.2f} ({text_low:.2f} to {text_high:.2f}) for the {text_tower}."
    )
    second = (
        "The data decide the direction and the architecture the level: the perceptrons' inputs, image features, have a ratio of "
        "{given:.2f} before any network, and subtracting each data set's mean brings the ratios to {without_low:.2f} to "
        "{without_high:.2f}; activation and depth explain {network:.0%} of the variation of the logarithm of the data-induced "
        "variance, the kind of data {data:.0%}."
    )
    given = features.loc[(features["data"] == RATIO) & (features["depth"] == 0), "value"].iloc[0]
    return [(first, values), (second, {"given": given, **span("without", without), **what_decides(features)})]


def not_measured(table: pd.DataFrame) -> list[Finding]:
    """Say which studies of which shipped sets the table does not hold; an empty list when it holds them all."""
    found = set(table[[*NAMES, "study"]].itertuples(index=False, name=None))
    wanted = [(*names, study) for names in SHIPPED_SETS for study in ("label", "modality", "forces", "critic")]
    absent = [" ".join(one) for one in wanted if one not in found]
    sentence = "The shipped table lacks these studies, so the sentences above do not cover them: {absent}."
    return [(sentence, {"absent": "; ".join(absent)})] if absent else []
