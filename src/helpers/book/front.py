"""Write the finding of the book as one figure and three sentences: ``python -m helpers.book.front``.

The figure goes to ``book/_static/finding.svg`` and the sentences into the README; the front page includes them at each build.
All numbers come from the tables in ``data/measured``.
"""

import hashlib
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from ..files import project_root, replacing
from ..plotting import use_style
from ..plotting.front import finding

ROOT = project_root()
PATHS, LIMITS = (ROOT / "data" / "measured" / name for name in ("training_gain.csv", "training_gain_limit.csv"))
FIGURE, README = ROOT / "book" / "_static" / "finding.svg", ROOT / "README.md"
OPTIMIZER, RATE = "adamw", 3e-4  # of the authors' probe
BEGIN, END = "<!-- finding: written by python -m helpers.book.front -->", "<!-- end of finding -->"


def whole_alignment() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the gains of lambda = 1 along the training of the authors' optimiser and rate, and those of converged probes."""
    paths, limits = pd.read_csv(PATHS), pd.read_csv(LIMITS)
    of_authors = (paths["optimizer"] == OPTIMIZER) & (paths["rate"] == RATE)
    return paths[of_authors & (paths["alignment"] == "lambda")], limits[limits["alignment"] == "lambda"]


def sentences() -> list[str]:
    """Return what a reader may quote: of a converged probe, of one that is not, and of the gap."""
    paths, limits = whole_alignment()
    last = paths[paths["updates"] == paths["updates"].max()]
    alignments = pd.concat([pd.read_csv(ROOT / "data" / "measured" / f"alignments_{of}.csv") for of in ("public", "shipped")])
    tested = alignments.query("measure == 'gap' and renormalise").pivot_table(
        index=["dataset", "variant", "backbone"], columns="alignment", values="value"
    )  # fmt: skip
    left = (tested["lambda-1"] / tested["none"]).dropna()
    return [
        f"**Trained to convergence**, a linear probe changes its test AUC by {_range(limits)} from λ = 0 to λ = 1, and "
        f"{_clear(limits)}.",
        f"**Not trained to convergence**, the same probe changes by {_range(paths)} on its way, depending on the data and on when "
        f"training ends; after {last['updates'].iloc[0]:,} updates, as many as the paper's probe has on BRSET, by {_range(last)}, "
        f"and {_clear(last)}.",
        f"**The gap** is a distance between two means, of which λ = 1 leaves {100 * left.min():.0f} % to {100 * left.max():.0f} % "
        f"on held-out pairs of {len(left)} sets; it is not lost information, because the shift can be undone vector by vector.",
    ]


def write_figure(path: Path = FIGURE) -> Path:
    """Draw the figure with the texts without label proxies, and write it as SVG with the digest of its data."""
    paths, limits = (table[table["variant"] != "authors"] for table in whole_alignment())
    use_style()
    figure = finding(paths.sort_values("dataset", ascending=False), limits)
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


def _range(rows: pd.DataFrame) -> str:
    return f"{rows['gain'].min():+.4f} to {rows['gain'].max():+.4f}"


def _clear(rows: pd.DataFrame) -> str:
    """Say how many intervals of these rows, one a set, exclude zero."""
    clear = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    verb = "excludes" if clear < 2 else "exclude"
    return f"{clear or 'none'} of {len(rows)} intervals (95 %, over test rows) {verb} zero"


if __name__ == "__main__":
    print(write_figure())
    README.write_text(in_readme(README.read_text("utf-8")), encoding="utf-8")
