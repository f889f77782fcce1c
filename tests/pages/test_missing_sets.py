"""The book in every profile: sets missing, results without their embeddings; each page says so, and no number in it is empty."""

import math
import re
import shutil

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from helpers.extraction.find import embeddings_for
from helpers.probing.cache import run_sweep, sweep_folder
from helpers.probing.protocol import Grid
from helpers.store import catalogue
from helpers.store.catalogue import Identity

SWEEP = {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "alignments": ["shift"]}
GRID = Grid.of(SWEEP)
SMALL = {
    "01_cone_effect": {"n_boot": 20, "points": 20, "lambdas": [0.0, 1.0]},
    "02_r_table": {"n_boot": 20},
    "03_lambda_sweep": {**SWEEP, "n_boot": 100},
    "05_is_lambda_worth_it": SWEEP | {"protocol": "authors-code", "n_boot": 100, "alignments": ["centring"]},
    "07_leakage_audit": {"protocol": "authors-code", "n_pictures": 40, "n_fundus": 80, "n_draws": 1, "n_boot": 100},
}
MISSING = {"flickr8k": "Flickr8k (common)", "ham10000": "HAM10000 (", "*/*/lit-derm": "lit-derm", "ham10000/authors": "(authors)"}


def run_page(name: str, **parameters) -> tuple[dict, str]:
    """Run the code cells of a notebook here; return its glued values, and all its output as one text."""
    shell, glued, said = InteractiveShell.instance(), {}, []
    shell.reset()
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    sources = [c.source for c in notebook.cells if c.cell_type == "code"]
    injected = "\n".join(f"{k} = {v!r}" for k, v in parameters.items())
    for source in [sources[0], injected, *sources[1:]]:
        with capture_output() as captured:
            run = shell.run_cell(source, store_history=True)
        run.raise_error()
        said.append(run.result._repr_html_() if hasattr(run.result, "_repr_html_") else "")
        for output in captured.outputs:
            if "scrapbook" in (output.metadata or {}):
                glued[output.metadata["scrapbook"]["name"]] = next(iter(output.data.values()))
            else:
                said.append(output.data.get("text/markdown", output.data.get("text/html", "")))
    plt.close("all")
    prose = "".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    for key, spec in re.findall(r"\{glue:text\}`([\w-]+)(?::([^`]+))?`", prose):
        value = glued[key].strip("'")
        assert value not in ("", "nan") and (not spec or math.isfinite(float(value))), f"{name}: {key} is empty"
    return glued, "\n".join(said)


@pytest.mark.heavy
@pytest.mark.parametrize("gone", MISSING)
@pytest.mark.parametrize("name", SMALL)
def test_a_page_without_some_sets_says_what_is_missing(store, tmp_path, name, gone):
    shutil.copytree(store, tmp_path / "store")
    for folder in (tmp_path / "store").glob(gone):
        shutil.rmtree(folder)
    where = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results")}
    where |= {"sweeps": str(tmp_path / "sweeps")} if name == "03_lambda_sweep" else {}
    _, said = run_page(name, **SMALL[name], **where)
    reads = {"flickr8k": name != "07_leakage_audit", "ham10000/authors": name in ("02_r_table", "07_leakage_audit")}
    if reads.get(gone, True):
        assert re.search(rf"No embeddings of .*{re.escape(MISSING[gone])}.* are stored here.*helpers extract", said), said[:500]


@pytest.fixture
def cached(store, tmp_path):
    """Return cached sweeps of HAM10000 under lit-derm, and the same store without that set."""
    embeddings = embeddings_for("ham10000", "lit-derm", "clean", store)
    for part in ("lambda", "alignments"):
        folder = sweep_folder(Identity("ham10000", "clean", "lit-derm"), "authors-code", part, tmp_path / "sweeps")
        run_sweep(embeddings, "authors-code", GRID.arguments(part), folder)
    shutil.copytree(store, tmp_path / "store")
    shutil.rmtree(tmp_path / "store/ham10000/clean/lit-derm")
    return embeddings


@pytest.mark.parametrize("left", ["others", "named", "none"])
def test_cached_sweeps_are_shown_without_their_embeddings(cached, tmp_path, left):
    where = {name: str(tmp_path / name) for name in ("store", "results", "sweeps")}
    where |= {"datasets": ["ham10000"], "backbones": ["lit-derm"]} if left == "named" else {}
    if left == "none":
        shutil.rmtree(tmp_path / "store")
        (tmp_path / "store").mkdir()
        shutil.rmtree(tmp_path / "sweeps/ham10000/clean/lit-derm/authors-code/alignments")
    _, said = run_page("03_lambda_sweep", **SMALL["03_lambda_sweep"], **where)
    assert "ham10000 (clean) under lit-derm: cached sweeps of embeddings" in said and cached.fingerprint[:16] in said
    assert "lit-derm *" in said and "lit-natural *" not in said
    table = pd.read_parquet(tmp_path / "results/lambda_sweep.parquet")
    shown = set(table["dataset"] + " " + table["backbone"])
    assert shown >= {"flickr8k lit-derm", "ham10000 lit-derm"} if left == "others" else shown == {"ham10000 lit-derm"}


def test_sweeps_of_an_own_set_are_no_part_of_a_page_on_another_store(cached, store, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "OWN", tmp_path / "own")
    shutil.copytree(store / "ham10000/clean/lit-derm", tmp_path / "own/ham10000/clean/lit-derm")
    where = {name: str(tmp_path / name) for name in ("store", "results", "sweeps")}
    _, said = run_page("03_lambda_sweep", **SMALL["03_lambda_sweep"], **where)
    table = pd.read_parquet(tmp_path / "results/lambda_sweep.parquet")
    assert "cached sweep" not in said and "ham10000 lit-derm" not in set(table["dataset"] + " " + table["backbone"])
