"""Write the finding of the book as one figure and three sentences: ``python workflow/front.py``.

The figure goes to ``book/_static/finding.svg`` and the sentences into the README; the front page includes them at each build.
All numbers come from the tables in ``data/measured``.
"""

import hashlib
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from helpers.datasets.registry import title
from helpers.files import project_root, replacing
from helpers.plotting import BACKBONES, INK, use_style

ROOT = project_root()
MEASURED = ROOT / "data" / "measured"
PATHS, LIMITS = MEASURED / "training_gain.csv", MEASURED / "training_gain_limit.csv"
FIGURE, README = ROOT / "book" / "_static" / "finding.svg", ROOT / "README.md"
BEGIN, END = "<!-- finding: written by python workflow/front.py -->", "<!-- end of finding -->"
SIDE = 1.25  # factor on the number of updates: where the converged probes stand, right of the last


def whole_alignment() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the gains of lambda = 1 along the training of the authors' optimiser and rate, and those of converged probes."""
    paths, limits = pd.read_csv(PATHS), pd.read_csv(LIMITS)
    authors = paths.query("alignment == 'lambda' and optimizer == 'adamw' and rate == 3e-4")
    return authors, limits.query("alignment == 'lambda'")


def sentences() -> list[str]:
    """Return what a reader may quote: of a converged probe, of one that is not, and of the gap."""
    paths, limits = whole_alignment()
    last = paths[paths["updates"] == paths["updates"].max()]
    tested = pd.concat(pd.read_csv(MEASURED / f"alignments_{name}.csv") for name in ("public", "shipped"))
    gaps = tested.query("measure == 'gap' and renormalise").pivot_table(
        index=["dataset", "variant", "backbone"], columns="alignment", values="value"
    )  # fmt: skip
    left = (100 * gaps["lambda-1"] / gaps["none"]).dropna()
    return [
        f"**Trained to convergence**, a linear probe changes its test AUC by {_range(limits)} from λ = 0 to λ = 1, and "
        f"{_clear(limits)}.",
        f"**Not trained to convergence**, the same probe changes by {_range(paths)} on its way, depending on the data and on when "
        f"training ends; after {last['updates'].iloc[0]:,} updates, as many as the paper's probe has on BRSET, by {_range(last)}, "
        f"and {_clear(last)}.",
        f"**The gap** is a distance between two means, of which λ = 1 leaves {left.min():.0f} % to {left.max():.0f} % "
        f"on held-out pairs of {len(left)} sets; it is not lost information, because the shift can be undone vector by vector.",
    ]


def _range(rows: pd.DataFrame) -> str:
    return f"{rows['gain'].min():+.4f} to {rows['gain'].max():+.4f}"


def _clear(rows: pd.DataFrame) -> str:
    """Say how many intervals of these rows, one a set, exclude zero."""
    clear = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    verb = "excludes" if clear < 2 else "exclude"
    return f"{clear or 'none'} of {len(rows)} intervals (95 %, over test rows) {verb} zero"


def draw(paths: pd.DataFrame, limits: pd.DataFrame):
    """Draw AUC(1) - AUC(0) against updates, a panel per data set and a line per encoder, with the converged gains at the right."""
    datasets, encoders = list(dict.fromkeys(paths["dataset"])), list(dict.fromkeys(paths["backbone"]))
    figure, axes = plt.subplots(1, len(datasets), figsize=(3.9 * len(datasets), 3.2), squeeze=False, sharex=True, sharey=True)
    for ax, dataset in zip(axes[0], datasets, strict=True):
        ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
        for place, encoder in enumerate(encoders):
            of_set = f"dataset == '{dataset}' and backbone == '{encoder}'"
            line, limit, shade = paths.query(of_set).sort_values("updates"), limits.query(of_set), BACKBONES[encoder]
            ax.plot(line["updates"], line["gain"], color=shade, linewidth=2)
            ax.fill_between(line["updates"], line["low"], line["high"], color=shade, alpha=0.2, linewidth=0)
            x = line["updates"].max() * SIDE * (1 + 0.4 * place)
            ax.vlines(x, limit["low"], limit["high"], color=shade, linewidth=3, alpha=0.5)
            ax.plot([x] * len(limit), limit["gain"], "D", color=shade, markeredgecolor=INK, markersize=6, clip_on=False)
        ax.set(xscale="log", title=title(dataset), xlabel="updates of the probe (logarithmic)")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("AUC(λ = 1) − AUC(λ = 0)")
    handles = [Line2D([], [], color=BACKBONES[name], linewidth=2, label=name) for name in encoders]
    diamond = {"color": "white", "marker": "D", "markeredgecolor": INK, "markersize": 6}
    handles += [Line2D([], [], label="trained to convergence", **diamond)]
    handles += [Patch(color=INK, alpha=0.2, linewidth=0, label="95 % interval over test rows")]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def write_figure(path: Path = FIGURE) -> Path:
    """Draw the figure with the texts without label proxies, and write it as SVG with the digest of its data."""
    paths, limits = (table[table["variant"] != "authors"] for table in whole_alignment())
    use_style()
    figure = draw(paths.sort_values("dataset", ascending=False), limits.sort_values("gain"))
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Description": data_digest()})
    plt.close(figure)
    return path


def data_digest() -> str:
    """Return the SHA-256 of the tables behind the figure."""
    return hashlib.sha256(PATHS.read_bytes() + LIMITS.read_bytes()).hexdigest()


def in_readme(text: str) -> str:
    """Return the text of the README with the sentences of today's tables between its two marks."""
    body = "\n".join(f"- {sentence}" for sentence in sentences())
    return re.sub(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{body}\n{END}", text)


if __name__ == "__main__":
    print(write_figure())
    README.write_text(in_readme(README.read_text("utf-8")), encoding="utf-8")
