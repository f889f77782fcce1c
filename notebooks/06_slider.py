# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Moving lambda by hand

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored
backbones = []  # encoders; an empty list means all that are stored
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
lambdas = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]  # stops of the slider
points = 800  # points shown per modality, at most 800
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from helpers import align, gap_vector
from helpers.datasets.registry import title
from helpers.extraction.find import select
from helpers.files import project_root, replacing
from helpers.geometry import mean_direction, principal_directions
from helpers.page import SOURCE, Page, fill, format_table, integer, many, number
from helpers.plotting import FEATURES

page = Page("06_slider", globals(), {**SOURCE, "lambdas": many(number(-2, 2), least=2), "points": integer(1, 800)})
lead = display(Markdown(""), display_id=True)  # filled in below, once the gap is measured
sets = select(datasets, backbones, variant, store, data_root)
page.describe_sets(sets, [variant])

# %% [markdown]
# λ brings the two cones together, but does not always close the gap. What remains at λ = 1 is real: renormalisation pulls the wider cone
# and the narrower one to different depths ({doc}`/book/theory`).
#
# {eq}`eq-align` shifts every image vector by −λ/2 of the gap and every text vector by +λ/2, then rescales both to unit length. Move
# the slider to see the two cones move.


# %%
def mean_directions(embeddings, lambdas):
    """Return the mean image vector and the mean text vector after Eq. 5 at each lambda, over all pairs: two arrays (lambdas, d)."""
    image, text = embeddings.image_of(), embeddings.text_of()
    gap = gap_vector(image, text)
    means = [[mean_direction(moved) for moved in align(image, text, gap, lam)] for lam in lambdas]
    return np.array(means).swapaxes(0, 1)


def lambda_path(embeddings, lambdas):
    """Measure the gap (Eq. 1) and both R (Eq. 7) that remain after Eq. 5, in all d dimensions: one row per lambda."""
    image, text = mean_directions(embeddings, lambdas)
    return pd.DataFrame(
        {
            "dataset": embeddings.dataset,
            "backbone": embeddings.provenance.get("backbone", "own"),
            "lambda": np.array(lambdas, dtype=float),
            "residual_gap": np.linalg.norm(image - text, axis=1),
            "R_image": np.linalg.norm(image, axis=1),
            "R_text": np.linalg.norm(text, axis=1),
        }
    )


path = page.save_table(pd.concat([lambda_path(s, lambdas) for s in sets], ignore_index=True), "lambda_path")

# %% tags=["hide-input"]
first, last = min(lambdas), max(lambdas)
gaps = path.pivot_table(index=["dataset", "backbone"], columns="lambda", values="residual_gap")
left = gaps[last] / gaps[first]
sentence = "Moving λ from {first:g} to {last:g} leaves {least:.1%} to {most:.1%} of the gap (embedding sets: {n})."
lead.update(Markdown(fill(sentence, first=first, last=last, least=left.min(), most=left.max(), n=len(sets))))


# %% tags=["hide-input"]
def sphere_view(embeddings, lambdas, points=800, random_state=0):
    """Return the data of one embedding set for the slider, rounded to four decimals.

    The three shown directions carry most of the squared length of the uncentred vectors. The view divides a projected vector by its
    own norm, so the factor by which Eq. 5 renormalises cancels: with B the three directions, unit(B x') = unit(B x -+ lambda/2 B Delta).
    Three numbers per point and B Delta therefore give its exact place at every lambda. Each modality is sampled separately and in random
    order, so that no point can be traced to its row or to its pair.

    Returns:
        ``name``, ``pairs``, ``share`` of the squared length shown, ``image`` and ``text`` as (3, points) coordinates at lambda = 0
        before their norm is brought to 1, ``gap`` (3,), and per lambda ``lambdas``, ``residual``, ``r_image``, ``r_text`` and the
        projected means ``mean_image``, ``mean_text`` (3,).
    """
    vectors = {"image": embeddings.image_of(), "text": embeddings.text_of()}
    directions, shares = principal_directions(np.concatenate(list(vectors.values())), k=3, centred=False)
    gap, both = gap_vector(*vectors.values()), sum(map(mean_direction, vectors.values()))
    directions = facing(directions @ both, directions @ gap) @ directions
    table, means = lambda_path(embeddings, lambdas), mean_directions(embeddings, lambdas) @ directions.T
    rng = np.random.default_rng(random_state)
    return {
        "name": f"{title(table['dataset'].iloc[0])} · {table['backbone'].iloc[0]}",
        "pairs": len(embeddings),
        "share": float(shares.sum()),
        **{name: rounded((x[rng.permutation(len(x))[:points]] @ directions.T).T) for name, x in vectors.items()},
        "gap": rounded(directions @ gap, 6),
        "lambdas": table["lambda"].tolist(),
        "residual": rounded(table["residual_gap"]),
        "r_image": rounded(table["R_image"]),
        "r_text": rounded(table["R_text"]),
        "mean_image": rounded(means[0]),
        "mean_text": rounded(means[1]),
    }


def facing(both, gap):
    """Return the rotation (3, 3) that sends ``both`` to the first axis, towards the reader, and ``gap`` to the right."""
    axes = np.linalg.qr(np.stack([both, gap], axis=1), mode="complete")[0].T
    axes[0] *= np.sign(axes[0] @ both) or 1
    axes[1] *= np.sign(axes[1] @ gap) or 1
    axes[2] *= np.sign(np.linalg.det(axes))
    return axes


def rounded(values, decimals=4):
    """Return nested lists of rounded numbers, none of them a negative zero."""
    return (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()


# %% tags=["hide-input"]
assets = project_root() / "book/_static"  # the script of the slider, its style and its two templates
templates = Environment(loader=FileSystemLoader(assets), autoescape=True)


def slider(views, static="../../_static", file=""):
    """Return the slider for one or more views as HTML, which loads only the book's own files.

    Args:
        static: path of those files relative to the page, here that of a page in ``book/executed``.
        file: name of a separate page (:func:`standalone`) for readers whose page runs no scripts.
    """
    data = json.dumps({"views": views, "colours": FEATURES}, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return templates.get_template("lambda.html").render(
        names=[view["name"] for view in views],
        first=max(range(len(views)), key=lambda i: max(views[i]["residual"])),  # where there is most to see
        last=len(views[0]["lambdas"]) - 1,
        static=static,
        file=file,
        data=Markup(data),
        scripts=("plotly-gl3d.min.js", "lambda.js"),
    )


def standalone(views, path):
    """Write the slider as a separate page, which opens from disk and reads the same files as the book."""
    there = Path(os.path.relpath(assets, Path(path).resolve().parent)).as_posix()
    with replacing(path, is_ours=lambda earlier: "<title>Moving lambda by hand</title>" in earlier.read_text("utf-8")) as temporary:
        body = Markup(slider(views, there))
        temporary.write_text(templates.get_template("lambda-page.html").render(body=body), encoding="utf-8")
    return path


views = [sphere_view(s, lambdas, points) for s in sets]
alone = standalone(views, page.results / "06_slider.html")
HTML(slider(views, file="/".join(alone.parts[-3:])))

# %% [markdown]
# Drag the sphere to turn it. Image and text vectors are projected on the three directions that carry most of their squared length at λ = 0
# and rescaled to unit length. **Angles are therefore distorted**: vectors that differ outside these directions look closer than they are.
# The two large points inside the ball are the means, projected but not rescaled. The line between them is the visible part of the gap.
# The gap and R in the curves and in the sentence are not projected: they are measured in all dimensions, over all pairs.
#
# ## The gap and R in numbers

# %% tags=["hide-input"]
stops = path[path["lambda"].isin(lambdas[:: max(1, (len(lambdas) - 1) // 4)])]
format_table(stops.rename(columns={"lambda": "λ", "residual_gap": "gap"}), **{"λ": "{:g}"})

# %% [markdown]
# ## What was not tested
#
# This page shows geometry only. A smaller gap does not mean that a probe reads the vectors better: {doc}`03_lambda_sweep` measures that.
# The picture shows three of all dimensions, chosen at λ = 0.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
