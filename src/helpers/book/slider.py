"""Make the lambda slider: the data with which the browser moves both cones on the sphere, and its page element.

The view divides a projected vector by its own norm, so the factor by which Eq. 5 renormalises cancels: with B the three shown
directions, unit(B x') = unit(B x -+ lambda/2 B Delta). Therefore three numbers per point and B Delta give its exact place at every
lambda. The gap and R need all d dimensions and are computed here over all pairs.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup

from ..alignment.shift import align
from ..datasets.registry import title
from ..files import project_root, replacing
from ..geometry import gap_vector, mean_direction, principal_directions
from ..plotting import FEATURES
from ..store.embeddings import EmbeddingSet

STATIC = "../../_static"  # as seen from a page in book/executed
FILES = ("plotly-gl3d.min.js", "lambda.js")
MOST_POINTS = 800


def lambda_path(embeddings: EmbeddingSet, lambdas) -> pd.DataFrame:
    """Measure the gap and both cones that remain after Eq. 5 at each lambda, in all d dimensions and over all pairs.

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
    """Return the data of one embedding set for the slider, rounded to four decimals.

    The three directions carry most of the squared length of the uncentred vectors. Their axes are turned so that the sum of both
    means points at the reader and the gap runs from left (text) to right (image). Each modality is sampled separately and in random
    order, so that no point can be traced to its row or to its pair.

    Args:
        points: largest number of points per modality.

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
    sampled = {m: x[rng.permutation(len(x))[:points]] @ directions.T for m, x in (("image", image), ("text", text))}
    return {
        "name": f"{title(table['dataset'].iloc[0])} · {table['backbone'].iloc[0]}",
        "pairs": len(embeddings),
        "share": float(shares.sum()),
        "image": _rounded(sampled["image"].T),
        "text": _rounded(sampled["text"].T),
        "gap": _rounded(directions @ gap, 6),
        "lambdas": table["lambda"].tolist(),
        "residual": _rounded(table["residual_gap"]),
        "r_image": _rounded(table["R_image"]),
        "r_text": _rounded(table["R_text"]),
        "mean_image": _rounded([v for v, _ in means]),
        "mean_text": _rounded([t for _, t in means]),
    }


def slider(views: list[dict], static: str = STATIC, file: str = "") -> str:
    """Return the element that holds the slider for one or more views, as HTML; it loads only the book's own static files.

    Args:
        static: path of those files relative to the page.
        file: name of a separate page (:func:`standalone`) for readers whose page runs no scripts.
    """
    data = json.dumps({"views": views, "colours": FEATURES}, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return _template("lambda.html").render(
        names=[view["name"] for view in views],
        first=max(range(len(views)), key=lambda i: max(views[i]["residual"])),  # where there is most to see
        last=len(views[0]["lambdas"]) - 1,
        static=static,
        file=file,
        data=Markup(data),
        scripts=FILES,
    )


def _template(name: str) -> Template:
    return Environment(loader=FileSystemLoader(project_root() / "book/_static"), autoescape=True).get_template(name)


def standalone(views: list[dict], path) -> Path:
    """Write the slider as a separate page, which opens from disk and reads the same static files as the book."""
    path = Path(path)
    static = Path(os.path.relpath(project_root() / "book/_static", path.resolve().parent)).as_posix()
    with replacing(path) as temporary:
        temporary.write_text(_template("lambda-page.html").render(body=Markup(slider(views, static))), encoding="utf-8")
    return path


def _mean_directions(embeddings: EmbeddingSet, lambdas):
    """Yield (lambda, mean of aligned image rows, mean of aligned text rows)."""
    image, text = embeddings.image_of(), embeddings.text_of()
    gap = gap_vector(image, text)
    for lam in lambdas:
        moved = align(image, text, gap, lam)
        yield float(lam), *map(mean_direction, moved)


def _towards(both: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) that sends ``both`` to the first axis and ``gap`` into the plane of the first two."""
    axes = np.linalg.qr(np.stack([both, gap], axis=1), mode="complete")[0].T
    axes[0] *= np.sign(axes[0] @ both) or 1
    axes[1] *= np.sign(axes[1] @ gap) or 1
    axes[2] *= np.sign(np.linalg.det(axes))
    return axes


def _rounded(values, decimals: int = 4) -> list:
    return (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()  # no negative zero
