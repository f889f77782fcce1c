"""Write the finding of the book as one figure and four sentences, also into the README: ``python workflow/front.py``."""

import hashlib
import re
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from helpers.datasets.registry import title
from helpers.files import project_root, replacing, shipped_file
from helpers.page import span
from helpers.plotting import INK, colour, use_style
from helpers.published import BACKBONES, authors_sweep
from helpers.schemas import shipped_table

ROOT = project_root()
DATASETS = {"brset": "BRSET", "ham10000": "HAM10000", "mbrset": "mBRSET", "mimic": "MIMIC-CXR"}
MARKERS = dict(zip(DATASETS.values(), "osD^", strict=True))
FIGURE, README = ROOT / "book" / "_static" / "finding.svg", ROOT / "README.md"
BEGIN, END = "<!-- finding: written by python workflow/front.py -->", "<!-- end of finding -->"
KEYS = ["dataset", "backbone"]


def ends(curves: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return the value at λ = 0 and its change to λ = 1, a row per curve; the keys are the index."""
    wide = curves.pivot_table(index=[*KEYS, *({"fusion"} & set(curves))], columns="lambda", values=value)
    return pd.DataFrame({"start": wide[0.0], "gain": wide[1.0] - wide[0.0]})


def published() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the authors' linear probes (start, gain, deficit) and hidden layers (start, gain), by data set and encoder."""
    linear = ends(authors_sweep(), "auc_mean")
    hidden = shipped_table("published/authors_hidden_layer").rename(columns={"encoder": "backbone"})
    hidden = ends(hidden.assign(dataset=hidden["dataset"].map(DATASETS)), "auc")
    return linear.assign(deficit=hidden.xs("early", level="fusion")["start"] - linear["start"]), hidden


def rank_correlation(cells: pd.DataFrame) -> float:
    return float(cells["deficit"].corr(cells["gain"], method="spearman"))


def over_datasets(cells: pd.DataFrame) -> tuple[float, float]:
    """Return the 95 % interval of the rank correlation over all draws of whole data sets with replacement."""
    of = dict(list(cells.groupby(level="dataset")))
    draws = [drawn for drawn in product(of, repeat=len(of)) if len(set(drawn)) > 1]
    return tuple(np.quantile([rank_correlation(pd.concat([of[d] for d in drawn])) for drawn in draws], [0.025, 0.975]))


def sentences() -> list[str]:
    """Return what a reader may quote, the paper's own encoders first; each sentence names its scope."""
    linear, hidden = published()
    low, high = over_datasets(linear)
    longer, short = ends(authors_sweep(longer=True), "auc_mean"), linear.loc[["BRSET"]]
    both = int(((longer["start"] > short["start"]) & (longer["gain"] < short["gain"])).sum())
    return [
        "**In the authors' own results** (four encoders, four medical data sets, none recomputed here) λ = 1 raises the test AUC "
        f"of the linear probe in {int((linear['gain'] > 0).sum())} of {len(linear)} curves, by {linear['gain'].min():.4f} to "
        f"{linear['gain'].max():.4f}.",
        f"**With one hidden layer** on the same vectors it raises AUC in {int((hidden['gain'] > 0).sum())} of {len(hidden)} single "
        "runs, and the linear probe gains most where it lies furthest below the hidden layer: rank correlation "
        f"{rank_correlation(linear):.2f} over {len(linear)} curves (95 % interval over data sets {low:.2f} to {high:.2f}).",
        f"**Trained longer** on BRSET, the authors' linear probe has a higher AUC and a smaller gain for {both} of {len(longer)} "
        f"encoders ({span(longer['gain'].min(), longer['gain'].max())}), which fits unfinished training and does not show that a "
        "smaller gap holds more information.",
        _test_bench(),
    ]


def _test_bench() -> str:
    limits = shipped_table("measured/training_gain_limit").query("alignment == 'lambda'")
    redrawn = shipped_table("measured/repeated_splits").query("split != 'fixed'")
    of_sets, least = (
        redrawn.groupby(["dataset", "variant", "backbone"])["gain"],
        redrawn.groupby(["dataset", "backbone"])["gain"].min(),
    )
    always = " and ".join(f"{title(dataset)} under {backbone}" for dataset, backbone in least.index[least > 0]) or "no set"
    return (
        f"**On our two small test-bench encoders** ({len(of_sets)} embedding sets of two data sets), λ = 1 changes the test AUC "
        f"of a converged linear probe by at most {limits['gain'].abs().max():.4f} on the given splits, and by "
        f"{span(of_sets.mean().min(), of_sets.mean().max())} on average over {of_sets.size().max()} redrawn splits, with a gain "
        f"above zero in each of them for {always}."
    )


def draw(linear: pd.DataFrame, hidden: pd.DataFrame):
    """Draw the gains of both probes, a row per curve, and beside them the linear gains against the deficit."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.9), gridspec_kw={"width_ratios": [1, 1.15]})
    order = linear.sort_values("gain").index
    for row, key in enumerate(order):
        runs = hidden.loc[key, "gain"]
        left.plot(runs, [row] * len(runs), "o", color="#d55e00", markersize=4, alpha=0.8)
        left.plot(linear.loc[key, "gain"], row, "D", color=INK, markersize=5)
        at, shade = linear.loc[key], colour(BACKBONES[key[1]])
        right.plot(at["deficit"], at["gain"], MARKERS[key[0]], color=shade, markersize=8)
    left.set_yticks(range(len(order)), [" ".join(key) for key in order], fontsize=7.5)
    left.axvline(0, color=INK, linewidth=0.8, zorder=1)
    right.axhline(0, color=INK, linewidth=0.8, zorder=1)
    left.set(xlabel="change of AUC, λ = 0 to 1", title="published runs of the paper's authors")
    right.set(xlabel="AUC that the linear probe lacks at λ = 0", ylabel="gain of λ = 1, linear probe")
    probes = [("D", INK, "linear probe"), ("o", "#d55e00", "hidden layer")]
    curves = [(m, INK, d) for d, m in MARKERS.items()] + [("o", colour(n), b) for b, n in BACKBONES.items()]
    for ax, marks, style in ((left, probes, {"loc": "lower right"}), (right, curves, {"loc": "upper left", "ncols": 2})):
        ax.legend(handles=[Line2D([], [], marker=m, color=c, ls="", label=what) for m, c, what in marks], **style)
    return figure


def write_figure(path: Path = FIGURE) -> Path:
    """Draw the figure and write it as SVG with the digest of its data."""
    use_style()
    figure = draw(*published())
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Description": data_digest()})
    plt.close(figure)
    return path


def data_digest() -> str:
    """Return the SHA-256 of the tables behind the figure."""
    paths = (shipped_file(f"data/published/{name}.csv") for name in ("authors_hidden_layer", "authors_lambda_sweep"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def in_readme(text: str) -> str:
    """Return the text of the README with the sentences of today's tables between its two marks."""
    body = "\n".join(f"- {sentence}" for sentence in sentences())
    return re.sub(f"(?s){BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{body}\n{END}", text)


if __name__ == "__main__":
    print(write_figure())
    README.write_text(in_readme(README.read_text("utf-8")), encoding="utf-8")
