"""The lambda slider: what the browser needs to move both cones on the sphere, and the page element that holds it.

The view divides a projected vector by its own norm, so the factor by which Eq. 5 renormalises drops out: with B the three shown
directions, unit(B x') = unit(B x -+ lambda/2 B Delta). Three numbers per point and B Delta therefore give its place at every lambda
exactly; the gap and R, which need all d dimensions, are computed here over all pairs.
"""

import json
import os
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from ..alignment.shift import align
from ..datasets.registry import title
from ..files import project_root, replacing
from ..geometry import gap_vector, mean_direction, principal_directions
from ..plotting.style import FEATURES
from ..store.embeddings import EmbeddingSet

STATIC = "../../_static"  # as seen from a page in book/executed
FILES = ("plotly-gl3d.min.js", "lambda.js")
MOST_POINTS = 800


def lambda_path(embeddings: EmbeddingSet, lambdas) -> pd.DataFrame:
    """What Eq. 5 leaves of the gap and of both cones at each lambda, in all d dimensions and over all pairs.

    Returns:
        one row per lambda: dataset, backbone, lambda, residual_gap (Eq. 1), R_image, R_text (Eq. 7).
    """
    rows = []
    for lam, image, text in _mean_directions(embeddings, lambdas):
        rows.append((lam, np.linalg.norm(image - text), np.linalg.norm(image), np.linalg.norm(text)))
    table = pd.DataFrame(rows, columns=["lambda", "residual_gap", "R_image", "R_text"])
    table.insert(0, "backbone", embeddings.provenance.get("backbone", "own"))
    table.insert(0, "dataset", embeddings.dataset)
    return table


def sphere_view(embeddings: EmbeddingSet, lambdas, points: int = MOST_POINTS, random_state: int = 0) -> dict:
    """One embedding set as the slider shows it, rounded to four decimals.

    The three directions carry most of the squared length of the uncentred vectors. Within their span the axes are turned so that
    the sum of both means points at the reader and the gap runs from left (text) to right (image). Each modality's points are drawn
    on their own and in random order, so that no point can be traced to its row or to its pair.

    Args:
        points: at most so many per modality.

    Returns:
        ``name``, ``pairs``, ``share`` of the squared length shown, ``image`` and ``text`` as (3, points) coordinates at lambda = 0
        before their norm is brought to 1, ``gap`` (3,), and per lambda ``lambdas``, ``residual``, ``r_image``, ``r_text`` and the
        projected means ``mean_image``, ``mean_text`` (3,).
    """
    image, text = embeddings.image_of(), embeddings.text_of()
    directions, shares = principal_directions(np.concatenate([image, text]), k=3, centred=False)
    gap, both = gap_vector(image, text), mean_direction(image) + mean_direction(text)
    directions = _towards(directions @ both, directions @ gap) @ directions
    table = lambda_path(embeddings, lambdas)
    means = [(directions @ v, directions @ t) for _, v, t in _mean_directions(embeddings, lambdas)]
    rng = np.random.default_rng(random_state)
    drawn = {m: x[rng.permutation(len(x))[:points]] @ directions.T for m, x in (("image", image), ("text", text))}
    return {
        "name": f"{title(table['dataset'].iloc[0])} · {table['backbone'].iloc[0]}",
        "pairs": len(embeddings),
        "share": float(shares.sum()),
        "image": _rounded(drawn["image"].T),
        "text": _rounded(drawn["text"].T),
        "gap": _rounded(directions @ gap, 6),
        "lambdas": table["lambda"].tolist(),
        "residual": _rounded(table["residual_gap"]),
        "r_image": _rounded(table["R_image"]),
        "r_text": _rounded(table["R_text"]),
        "mean_image": _rounded([v for v, _ in means]),
        "mean_text": _rounded([t for _, t in means]),
    }


def slider(views: list[dict], static: str = STATIC, file: str = "") -> str:
    """The element that holds the slider for one or more views, as HTML; it fetches nothing but the book's own static files.

    Args:
        static: where those files are, as seen from the page.
        file: name of a page by itself (:func:`standalone`) that readers are sent to where scripts do not run.
    """
    first = max(range(len(views)), key=lambda i: max(views[i]["residual"]))  # where there is most to see
    options = "".join(
        f'<option value="{i}"{" selected" if i == first else ""}>{escape(view["name"])}</option>' for i, view in enumerate(views)
    )
    data = json.dumps({"views": views, "colours": FEATURES}, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    scripts = "".join(f'<script defer src="{static}/{name}"></script>' for name in FILES)
    instead = f"; in Jupyter, open {escape(file)} in a browser" if file else ""
    last = len(views[0]["lambdas"]) - 1
    return PAGE.format(options=options, last=last, static=static, instead=instead, data=data, scripts=scripts)


def standalone(views: list[dict], path) -> Path:
    """Write the slider as a page by itself, which opens from disk and reads the same static files as the book."""
    path = Path(path)
    static = Path(os.path.relpath(project_root() / "book/_static", path.resolve().parent)).as_posix()
    with replacing(path) as temporary:
        temporary.write_text(DOCUMENT.format(body=slider(views, static)), encoding="utf-8")
    return path


def _mean_directions(embeddings: EmbeddingSet, lambdas):
    """Yield (lambda, mean of aligned image rows, mean of aligned text rows)."""
    image, text = embeddings.image_of(), embeddings.text_of()
    gap = gap_vector(image, text)
    for lam in lambdas:
        moved = align(image, text, gap, lam)
        yield float(lam), *map(mean_direction, moved)


def _towards(both: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that sends ``both`` to the first axis and ``gap`` into the plane of the first two, towards the second."""
    axes = np.linalg.qr(np.stack([both, gap], axis=1), mode="complete")[0].T
    axes[0] *= np.sign(axes[0] @ both) or 1
    axes[1] *= np.sign(axes[1] @ gap) or 1
    axes[2] *= np.sign(np.linalg.det(axes))
    return axes


def _rounded(values, decimals: int = 4) -> list:
    return (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()  # no negative zero


DOCUMENT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Moving lambda by hand</title>
<style>
:root {{
--pst-color-text-base: #22272e; --pst-color-text-muted: #48566b; --pst-color-border: #c9c9c9;
--pst-color-primary: #0a7d91; --pst-color-surface: #f3f4f5;
}}
body {{ font-family: sans-serif; max-width: 60rem; margin: auto; padding: 1rem; }}
</style></head>
<body>{body}</body>
</html>
"""
PAGE = """<link rel="stylesheet" href="{static}/lambda.css">
<div class="lambda-view">
<p class="lambda-fallback">The moving view needs JavaScript and the built book{instead}. The table below has its numbers.</p>
<div class="lambda-body" hidden>
<div class="lambda-controls">
<label>Embeddings <select class="lambda-set">{options}</select></label>
<label class="lambda-range">Alignment strength λ
<input type="range" class="lambda-slider" min="0" max="{last}" step="1" value="0"></label>
</div>
<output class="lambda-text" aria-live="polite"></output>
<div class="lambda-plots">
<div>
<div class="lambda-sphere" role="img" aria-label="Unit sphere with image and text points, which move as lambda changes"></div>
<div class="lambda-turn"><button type="button" data-turn="-30">Turn left</button>
<button type="button" data-turn="0">Front</button> <button type="button" data-turn="30">Turn right</button></div>
</div>
<div class="lambda-lines" role="img" aria-label="Gap and R against lambda, with markers at the chosen lambda"></div>
</div>
<p class="lambda-share"></p>
</div>
<script type="application/json" class="lambda-data">{data}</script>
</div>
{scripts}"""
