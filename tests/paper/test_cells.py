"""What counts as a recomputed cell of the paper: rows, dimension, repository, commit and route, each missing in turn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import definitions

from helpers import EmbeddingSet
from helpers.backbones.registry import REGISTRY
from helpers.cones import cone_table
from helpers.published import APART, BACKBONES, DIMENSIONS, SetFacts, cell_faults, datasets, facts_of, which_cell, with_routes

COMPARE = definitions("02_r_table")["compare_table1"]
NAMES = ("ham10000", "authors", "clip")
CELL = SetFacts(NAMES, 10_015, 2_003, 512, REGISTRY["clip"].source, "a" * 40, "extracted")


def test_a_set_of_the_papers_rows_under_its_encoder_is_a_cell():
    assert which_cell(CELL) == which_cell(replace(CELL, route="imported")) == "it fills its cells of the paper"
    clean = replace(CELL, names=("ham10000", "clean", "clip"))
    assert cell_faults(clean) is None and "no cell of the paper has these names" in which_cell(clean)
    fakeddit = replace(CELL, names=("fakeddit", "authors", "clip"), rows=5, test_rows=1)  # whose rows the authors did not fix
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
        ({"route": "unknown, contributed by N"}, "extracted"),
        ({"names": ("ham10000", "mine", "clip")}, "mine"),
    ],
)
def test_each_fact_is_needed(change, named):
    (fault,) = cell_faults(replace(CELL, **change))
    assert named in fault and which_cell(replace(CELL, **change)) == f"it fills no cell of the paper: {fault}"


def test_a_set_stands_apart_unless_its_facts_are_those_of_the_cell():
    rng, named = np.random.default_rng(0), dict(zip(("dataset", "variant", "backbone"), NAMES, strict=True))
    vectors, split = rng.normal(size=(2, 400, 512)) + 1, np.repeat(["train", "test"], [300, 100])
    embeddings = EmbeddingSet.from_arrays(*vectors, np.array(["mel", "nv"] * 200), split, **named, imported_from={"file": "x.npz"})
    table = with_routes(cone_table(embeddings, 0), [facts_of(embeddings)])
    assert set(table["backbone"]) == {"clip" + APART} and COMPARE(table)["ours"].isna().all()
    why = "; ".join(cell_faults(facts_of(embeddings)))
    assert "400" in why and "commit" in why
    filled = COMPARE(with_routes(cone_table(embeddings, 0), [replace(CELL, route="imported")])).dropna(subset="ours")
    assert len(filled) == 2 and set(filled["route"]) == {"imported"}
    sweeps = pd.DataFrame({"dataset": ["ham10000", "own"], "variant": "authors", "backbone": ["clip", "clip"]})
    assert with_routes(sweeps, [])["backbone"].tolist() == ["clip" + APART, "clip"]  # without embeddings nothing is a cell
