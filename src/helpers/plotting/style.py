"""Set the style of all figures: a white panel, and one colour per encoder, distinct for colour-blind readers.

Colours are from Okabe and Ito, "Color universal design" (2008).
"""

import matplotlib as mpl
from matplotlib.ticker import NullFormatter, StrMethodFormatter

INK, GRID = "#22272e", "#d5d9de"
PUBLISHED, PALE = "#8a9099", "#ccd1d8"  # measurements of others are grey, behind ours
FEATURES = {"joint": "#000000", "image": "#d55e00", "text": "#0072b2"}
BACKBONES = {
    "lit-natural": "#009e73",
    "lit-derm": "#cc79a7",
    "random-clip": "#7a7a7a",
    "clip": "#009e73",
    "siglip": "#56b4e9",
    "siglip-224": "#56b4e9",
    "biomedclip": "#cc79a7",
    "medsiglip": "#e69f00",
}
PROTOCOLS = {"paper": "#0072b2", "authors-code": "#e69f00", "converged": "#000000"}
PROTOCOLS |= {"paper-matched": "#56b4e9", "authors-code-matched": "#d55e00"}
SPARE = ("#e69f00", "#56b4e9", "#8c564b", "#666666")
MARKERS = "osD^vP"
ALIGNMENTS = {
    "lambda": "all four together",
    "shift": "shift",
    "common-scale": "common scale",
    "scale-ratio": "scale ratio",
    "spread": "spread",
    "without-shift": "all but shift",
    "without-common-scale": "all but common scale",
    "without-scale-ratio": "all but scale ratio",
    "without-spread": "all but spread",
    "centred": "centred per modality",
}


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


def write_numbers_as_text() -> None:
    """Let figures hold text rather than outlines of letters, which make a page of many numbers heavy.

    A reader's machine without DejaVu Sans shows Verdana, whose letters are as wide.
    """
    mpl.rcParams.update({"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Verdana"]})


def log_axis(axis, scale: str = "log") -> None:
    """Set an axis to a logarithmic scale with plain numbers at its decades.

    Matplotlib writes powers of ten as mathematics, which :func:`use_style` turns off because a data set's name may hold a ``$``.
    """
    getattr(axis.axes, f"set_{axis.axis_name}scale")(scale)
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def colour(name: str) -> str:
    """Return the colour of a backbone, or a fixed spare colour for an unknown one."""
    return BACKBONES.get(name, SPARE[sum(map(ord, name)) % len(SPARE)])
