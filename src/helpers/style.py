"""Set the style of every figure of the book."""

import matplotlib as mpl

INK, GRID = "#22272e", "#d5d9de"


def use_style() -> None:
    """Set the style of all figures: SVG in notebooks, equal bytes for equal figures, and no mathematics between ``$``."""
    mpl.rcParams.update(
        {
            "figure.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 100,
            "figure.constrained_layout.use": True, "figure.constrained_layout.h_pad": 0.09, "figure.constrained_layout.w_pad": 0.09,
            "savefig.dpi": 160, "svg.hashsalt": "modality-gap-book", "font.size": 9.5, "axes.titlesize": 10, "axes.labelsize": 9.5,
            "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
            "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6,
            "axes.axisbelow": True, "text.parse_math": False, "legend.frameon": False, "legend.fontsize": 9,
            "lines.linewidth": 1.6, "axes.linewidth": 0.8,
        }
    )  # fmt: skip
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")
