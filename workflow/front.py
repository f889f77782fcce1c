"""Write the finding of the book as one figure and four sentences: ``python workflow/front.py``.

The figure goes to ``book/_static/finding.svg`` and the sentences into the README; the front page includes them at each build.
The paper's own encoders come first, from what its authors stored (``data/published``); then the test bench (``data/measured``).
"""

import hashlib
import re
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from helpers.datasets.registry import title
from helpers.files import project_root, replacing
from helpers.plotting import INK, colour, use_style
from helpers.published import BACKBONES, authors_longer_sweep, authors_sweep

ROOT = project_root()
HIDDEN = ROOT / "data" / "published" / "authors_hidden_layer.csv"
SPLITS = ROOT / "data" / "measured" / "repeated_splits.csv"
LIMITS = ROOT / "data" / "measured" / "training_gain_limit.csv"
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
    hidden = pd.read_csv(HIDDEN).rename(columns={"encoder": "backbone"})
    hidden = ends(hidden.assign(dataset=hidden["dataset"].map(DATASETS)), "auc")
    return linear.assign(deficit=hidden.xs("early", level="fusion")["start"] - linear["start"]), hidden


def rank_correlation(cells: pd.DataFrame) -> float:
    return float(cells["deficit"].corr(cells["gain"], method="spearman"))


def over_datasets(cells: pd.DataFrame) -> tuple[float, float]:
    """Return the 95 % interval of the rank correlation over all draws of whole data sets with replacement."""
    of = {dataset: rows for dataset, rows in cells.groupby(level="dataset")}
    draws = [drawn for drawn in product(of, repeat=len(of)) if len(set(drawn)) > 1]
    found = [rank_correlation(pd.concat([of[d] for d in drawn])) for drawn in draws]
    return tuple(np.quantile(found, [0.025, 0.975]))


def sentences() -> list[str]:
    """Return what a reader may quote, the paper's own encoders first; each sentence names its scope."""
    linear, hidden = published()
    low, high = over_datasets(linear)
    longer, short = ends(authors_longer_sweep(), "auc_mean"), linear.loc[["BRSET"]]
    up, down = int((longer["start"] > short["start"]).sum()), int((longer["gain"] < short["gain"]).sum())
    return [
        "**In the authors' own results** (four encoders, four medical data sets, none recomputed here) λ = 1 raises the test AUC "
        f"of the linear probe in {int((linear['gain'] > 0).sum())} of {len(linear)} curves, by {linear['gain'].min():.4f} to "
        f"{linear['gain'].max():.4f}.",
        f"**With one hidden layer** on the same vectors it raises AUC in {int((hidden['gain'] > 0).sum())} of {len(hidden)} single "
        "runs. The linear probe's gain follows what that probe lacks against the hidden layer: rank correlation "
        f"{rank_correlation(linear):.2f} over {len(linear)} curves (95 % interval over data sets {low:.2f} to {high:.2f}).",
        f"**Trained longer** on BRSET, the authors' linear probe has a higher AUC and a smaller gain for {min(up, down)} of "
        f"{len(longer)} encoders. This fits unfinished training; that a smaller gap holds more information is not shown.",
        _test_bench(),
    ]


def _test_bench() -> str:
    limits = pd.read_csv(LIMITS).query("alignment == 'lambda'")
    redrawn = pd.read_csv(SPLITS).query("split != 'fixed'").groupby(["dataset", "variant", "backbone"])["gain"]
    positive, splits = redrawn.apply(lambda gains: int((gains > 0).sum())), redrawn.size()
    always = [f"{title(d)} ({v}) under {b}" for d, v, b in positive.index[positive == splits]]
    return (
        "**On our two small test-bench encoders**, λ = 1 changes the test AUC of a converged linear probe by at most "
        f"{limits['gain'].abs().max():.3f} on the given splits. Over {splits.max()} redrawn splits the mean gain of {len(splits)} "
        "embedding sets (two data sets, one of them under two texts, each with two heads on one pair of towers) is "
        f"{_signed(redrawn.mean().min())} to {_signed(redrawn.mean().max())}, positive in every split for "
        f"{' and '.join(always) or 'none'}."
    )


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def draw(linear: pd.DataFrame, hidden: pd.DataFrame):
    """Draw the gains of both probes, a row per curve, and beside them the linear gains against the deficit."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.9), gridspec_kw={"width_ratios": [1, 1.15]})
    order = linear.sort_values("gain").index
    for row, key in enumerate(order):
        runs = hidden.loc[key, "gain"]
        left.plot(runs, [row] * len(runs), "o", color="#d55e00", markersize=4, alpha=0.8)
        left.plot(linear.loc[key, "gain"], row, "D", color=INK, markersize=5)
        right.plot(
            linear.loc[key, "deficit"], linear.loc[key, "gain"], MARKERS[key[0]], color=colour(BACKBONES[key[1]]), markersize=8
        )
    left.set_yticks(range(len(order)), [" ".join(key) for key in order], fontsize=7.5)
    for axis in (left.axvline, right.axhline):
        axis(0, color=INK, linewidth=0.8, zorder=1)
    left.set(xlabel="change of AUC, λ = 0 to 1", title="published runs of the paper's authors")
    right.set(xlabel="AUC that the linear probe lacks at λ = 0", ylabel="gain of λ = 1, linear probe")
    probes = [
        Line2D([], [], marker="D", color=INK, ls="", label="linear probe"),
        Line2D([], [], marker="o", color="#d55e00", ls="", label="hidden layer"),
    ]
    left.legend(handles=probes, loc="lower right")
    handles = [Line2D([], [], marker=m, ls="", color=INK, label=d) for d, m in MARKERS.items()]
    handles += [Line2D([], [], marker="o", ls="", color=colour(n), label=b) for b, n in BACKBONES.items()]
    right.legend(handles=handles, loc="upper left", ncols=2)
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
    return hashlib.sha256(HIDDEN.read_bytes() + HIDDEN.with_name("authors_lambda_sweep.csv").read_bytes()).hexdigest()


def in_readme(text: str) -> str:
    """Return the text of the README with the sentences of today's tables between its two marks."""
    body = "\n".join(f"- {sentence}" for sentence in sentences())
    return re.sub(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{body}\n{END}", text)


if __name__ == "__main__":
    print(write_figure())
    README.write_text(in_readme(README.read_text("utf-8")), encoding="utf-8")
