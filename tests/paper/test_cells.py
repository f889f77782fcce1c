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
    with_routes,
)

COMPARE = definitions("02_r_table")["compare_table1"]
CELL = SetFacts("ham10000", "authors", "clip", 10_015, 2_003, 512, REGISTRY["clip"].source, "a" * 40, "extracted")


def test_a_set_of_the_papers_rows_under_its_encoder_is_a_cell():
    assert cell_faults(CELL) == [] and cell_faults(replace(CELL, route="imported")) == []


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
    assert named in fault


def test_every_encoder_of_the_paper_has_a_dimension_and_a_repository():
    assert set(DIMENSIONS) == set(BACKBONES.values())
    assert all("/" in REGISTRY[name].source for name in DIMENSIONS)


def test_the_choice_of_rows_is_not_checked_where_the_authors_did_not_fix_it():
    fakeddit = datasets().set_index("name").loc["fakeddit"]
    assert fakeddit["rows_known"] != "yes"
    assert cell_faults(replace(CELL, dataset="fakeddit", rows=5, test_rows=1)) == []


def random_set(**provenance) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    labels, split = np.array(["mel", "nv"] * 200), np.repeat(["train", "test"], [300, 100])
    return EmbeddingSet.from_arrays(
        rng.normal(size=(400, 512)) + 1, rng.normal(size=(400, 512)) + 1, labels, split,
        dataset="ham10000", variant="authors", backbone="clip", **provenance,
    )  # fmt: skip


def test_random_rows_under_the_names_of_a_cell_stand_apart():
    embeddings = random_set(imported_from={"file": "x.npz"})
    table = with_routes(cone_table(embeddings, 0), [facts_of(embeddings)])
    assert set(table["backbone"]) == {"clip" + APART}
    assert COMPARE(table)["ours"].isna().all()
    why = "; ".join(cell_faults(facts_of(embeddings)))
    assert "400" in why and "commit" in why and not is_cell(facts_of(embeddings))


def test_an_accepted_set_says_its_route_in_table_1():
    embeddings = random_set()
    table = with_routes(cone_table(embeddings, 0), [replace(CELL, route="imported")])
    filled = COMPARE(table).dropna(subset="ours")
    assert len(filled) == 2 and set(filled["route"]) == {"imported"}


def test_a_sweep_without_its_embeddings_is_no_cell():
    table = pd.DataFrame({"dataset": ["ham10000", "own"], "variant": "authors", "backbone": ["clip", "clip"]})
    assert with_routes(table, [])["backbone"].tolist() == ["clip" + APART, "clip"]


def test_our_own_cell_stands_before_a_contributed_one():
    ours = pd.DataFrame({"dataset": ["a"], "backbone": ["x"], "value": [1.0], "route": ["extracted"]})
    theirs = pd.DataFrame({"dataset": ["a", "b"], "backbone": "x", "value": [2.0, 3.0], "route": "extracted, contributed by N"})
    both = join_contributed(ours, theirs)
    assert both["value"].tolist() == [1.0, 3.0] and is_contributed(both["route"]).tolist() == [False, True]
