"""What counts as a recomputed cell of the paper: rows, dimension, repository, commit and route, each missing in turn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import definitions

from helpers import EmbeddingSet
from helpers.backbones.registry import REGISTRY
from helpers.cones import cone_table
from helpers.published import (
    APART,
    BACKBONES,
    DIMENSIONS,
    SetFacts,
    cell_faults,
    datasets,
    facts_of,
    is_cell,
    is_contributed,
    join_contributed,
    which_cell,
    with_routes,
)

COMPARE = definitions("02_r_table")["compare_table1"]
CELL = SetFacts("ham10000", "authors", "clip", 10_015, 2_003, 512, REGISTRY["clip"].source, "a" * 40, "extracted")


def test_a_set_of_the_papers_rows_under_its_encoder_is_a_cell():
    assert which_cell(CELL) == which_cell(replace(CELL, route="imported")) == "it fills its cells of the paper"
    assert "no cell of the paper has these names" in which_cell(replace(CELL, variant="clean"))
    fakeddit = replace(CELL, dataset="fakeddit", rows=5, test_rows=1)  # whose rows the authors did not fix
    assert datasets().set_index("name").loc["fakeddit", "rows_known"] != "yes" and cell_faults(fakeddit) == []
    assert set(DIMENSIONS) == set(BACKBONES.values()) and all("/" in REGISTRY[name].source for name in DIMENSIONS)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rows": 400}, "400"),
        ({"test_rows": 80}, "2,003"),
        ({"dim": 640}, "640"),
        ({"source": "openai/clip-vit-large-patch14"}, "openai/clip-vit-base-patch32"),
        ({"source": None}, "openai/clip-vit-base-patch32"),
        ({"revision": None}, "commit"),
        ({"revision": "main"}, "commit"),
        ({"route": "unknown"}, "extracted"),
        ({"variant": "mine"}, "mine"),
    ],
)
def test_each_fact_is_needed(change, named):
    (fault,) = cell_faults(replace(CELL, **change))
    assert named in fault and which_cell(replace(CELL, **change)) == f"it fills no cell of the paper: {fault}"


def random_set(**provenance) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    labels, split = np.array(["mel", "nv"] * 200), np.repeat(["train", "test"], [300, 100])
    return EmbeddingSet.from_arrays(
        rng.normal(size=(400, 512)) + 1, rng.normal(size=(400, 512)) + 1, labels, split,
        dataset="ham10000", variant="authors", backbone="clip", **provenance,
    )  # fmt: skip


def test_a_set_stands_apart_unless_its_facts_are_those_of_the_cell():
    embeddings = random_set(imported_from={"file": "x.npz"})
    table = with_routes(cone_table(embeddings, 0), [facts_of(embeddings)])
    assert set(table["backbone"]) == {"clip" + APART} and COMPARE(table)["ours"].isna().all()
    why = "; ".join(cell_faults(facts_of(embeddings)))
    assert "400" in why and "commit" in why and not is_cell(facts_of(embeddings))
    filled = COMPARE(with_routes(cone_table(embeddings, 0), [replace(CELL, route="imported")])).dropna(subset="ours")
    assert len(filled) == 2 and set(filled["route"]) == {"imported"}
    sweeps = pd.DataFrame({"dataset": ["ham10000", "own"], "variant": "authors", "backbone": ["clip", "clip"]})
    assert with_routes(sweeps, [])["backbone"].tolist() == ["clip" + APART, "clip"]  # without embeddings nothing is a cell


def test_our_own_cell_stands_before_a_contributed_one():
    ours = pd.DataFrame({"dataset": ["a"], "backbone": ["x"], "value": [1.0], "route": ["extracted"]})
    theirs = pd.DataFrame({"dataset": ["a", "b"], "backbone": "x", "value": [2.0, 3.0], "route": "extracted, contributed by N"})
    both = join_contributed(ours, theirs)
    assert both["value"].tolist() == [1.0, 3.0] and is_contributed(both["route"]).tolist() == [False, True]
