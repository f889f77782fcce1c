"""Each page runs on what it declares, reads all of it, and its result tables are the frozen ones."""

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from runs import FROZEN, MANIFEST, PAGES, REAL_SETS, SMALL, compare, freeze, is_read, manifest, run_page

from helpers import EmbeddingSet

LISTED = [entry["file"] for entry in yaml.safe_load(MANIFEST.read_text("utf-8"))["manifest"]]


@pytest.fixture(scope="module")
def executed(tmp_path_factory, request):
    """Return a function that runs a page once, after those whose tables it reads."""
    done, tables = {}, tmp_path_factory.mktemp("tables")

    def run(name: str):
        if name not in done:
            makers = [m for m, page in PAGES.items() if set(PAGES[name].reads.tables) & set(page.writes.get("tables", []))]
            for maker in makers:
                for path in (run(maker).folder / "results").glob("*.parquet"):
                    (tables / path.name).write_bytes(path.read_bytes())
            done[name] = run_page(name, tmp_path_factory.mktemp(name), tables)
            if request.config.getoption("freeze"):
                freeze(name, done[name])
        return done[name]

    return run


@pytest.fixture(params=PAGES)
def page(request, executed):
    return request.param, executed(request.param)


def test_it_reads_every_file_that_it_declares_and_no_other(page, tmp_path):
    (tmp_path / "file").write_text("x")
    os.utime(tmp_path / "file", (1, 2))
    (tmp_path / "file").read_text()
    if not is_read(tmp_path / "file"):
        pytest.skip("this file system keeps no times of access")
    name, run = page
    reads = PAGES[name].reads
    globs = [*reads.files, *(f"results/{table}.parquet" for table in reads.tables)]
    globs += [f"data/embeddings/ham10000/{variant}/*/*" for variant in reads.sets if name not in REAL_SETS]
    globs += ["data/embeddings/*/*/*/*"] * bool(reads.sets)
    assert [glob for glob in globs if not run.has_read(glob)] == [], f"{name} declares what it does not read"
    undeclared = [str(path.relative_to(run.folder)) for path in run.decoys if is_read(path)]
    assert undeclared == [], f"{name} reads what it does not declare"


def test_it_writes_what_it_declares(page):
    name, run = page
    results, writes = run.folder / "results", PAGES[name].writes
    files = {path for path in results.rglob("*") if path.is_file()}
    tables = {results / f"{table}.parquet" for table in (*writes.get("tables", []), *PAGES[name].reads.tables)}
    assert files == tables | {path for glob in writes.get("files", []) for path in results.glob(glob) if path.is_file()}


@pytest.mark.parametrize("file", LISTED)
def test_its_result_tables_are_the_frozen_ones(file, executed):
    path = ROOT / file
    compare(executed(path.parent.name).table(path.stem.rsplit("-", 1)[0]), path)


def test_the_manifest_lists_every_table_of_every_page():
    assert yaml.safe_load(MANIFEST.read_text("utf-8")) == manifest()
    frozen = {(path.parent.name, path.stem.rsplit("-", 1)[0]) for path in FROZEN.glob("*/*.csv")}
    declared = {(name, table) for name, page in PAGES.items() for table in page.writes.get("tables", [])}
    assert frozen == declared, "run pytest tests/pages --freeze and look at the difference"


def test_a_changed_number_or_row_of_a_listed_table_is_found(tmp_path):
    path = tmp_path / "table-3.csv"
    table = pd.DataFrame({"set": ["a", "b", "c"], "value": [0.1, 0.2, 0.3]})
    table.to_csv(path, index=False)
    compare(table, path)
    for changed in (
        table.assign(value=[0.1, 0.2, 0.3001]),
        table.assign(set=["a", "b", "d"]),
        table[:2],
        table.drop(columns="set"),
    ):
        with pytest.raises(AssertionError, match="table"):
            compare(changed, path)


def test_every_number_in_its_prose_is_glued_as_a_plain_value_and_its_last_cell_says_how_to_run_it_again(page):
    name, run = page
    prose = "".join("".join(cell["source"]) for cell in run.cells if cell["cell_type"] == "markdown")
    for key, spec in re.findall(r"\{glue:text\}`([\w-]+)(?::([^`]+))?`", prose):
        assert "np." not in run.glued[key]
        if spec:
            format(float(run.glued[key]), spec)
    shown = json.dumps(run.cells[-1]["outputs"])
    assert f"papermill notebooks/{name}.ipynb" in shown and "Run time" in shown and "commit" in shown


def test_numbers_in_other_pages_are_glued_by_the_notebook_they_name(executed):
    texts = [path.read_text("utf-8") for path in (*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py"))]
    named = set(re.findall(r"\{glue:text\}`(?:executed/)?(\w+)\.ipynb::([\w-]+):", "".join(texts)))
    assert len(named) >= 5
    assert [f"{name}: {key}" for name, key in named if key not in executed(name).glued] == []


def test_whether_lambda_is_worth_it_is_said_and_the_alignment_can_be_taken_home(executed):
    from helpers.alignment.registry import load_alignment

    run = executed("05_is_lambda_worth_it")
    selected = run.table("worth_it").set_index("features").loc["joint", "lambda_image"]
    assert selected > 0  # of these sets and this seed
    assert f"validation rows select λ = {selected:g}," in run.texts
    path = f"results/flickr8k--common--lit-natural--lambda-{selected:g}.safetensors"
    alignment = load_alignment(run.folder / path)
    assert path in run.texts and alignment.lam == selected
    assert "No alignment is recommended." in run.texts and "is saved for comparison, not as a recommendation" in run.texts
    embeddings = EmbeddingSet.load(run.folder / "data/embeddings/flickr8k/common/lit-natural")
    image, text = alignment.transform(embeddings.image_of(), embeddings.text_of())
    assert image.shape == text.shape == (len(embeddings), embeddings.dim)


@pytest.mark.heavy
def test_the_page_that_writes_an_example_table_runs_again_in_its_own_results(tmp_path):
    values = json.dumps(SMALL["08_adapt"] | {"results": str(tmp_path / "results")})
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/08_adapt.ipynb",
        str(tmp_path / "out.ipynb"),
        "-y",
        values,
        "--no-progress-bar",
    ]
    for _ in range(2):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-2000:]
