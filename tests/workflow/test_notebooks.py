"""The notebooks: each pair is in step, carries no outputs, and runs from parameters alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
TINY = {
    "01_cone_effect": ["-p", "n_boot", "20"],
    "02_r_table": ["-p", "n_boot", "20"],
    # as a reader would type it: lists as JSON, one protocol by name
    "03_lambda_sweep": ["-p", "datasets", '["ham10000"]', "-p", "backbones", '["lit-derm"]', "-p", "protocol", "authors-code"],
    "04_discussion": [],
    "05_is_lambda_worth_it": [
        *("-p", "dataset", "ham10000", "-p", "backbone", "lit-derm", "-p", "protocol", "authors-code", "-p", "lambdas", "[0, 0.5]"),
        *("-p", "seeds", "[1]", "-p", "n_boot", "100", "-p", "alignments", "centring"),
    ],
    "06_slider": ["-p", "points", "50", "-p", "lambdas", "[0, 0.5, 1]"],
    "07_leakage_audit": ["-p", "protocol", "authors-code", "-p", "n_pictures", "40", "-p", "n_fundus", "80", "-p", "n_boot", "100"],
    "09_data": ["-p", "datasets", '["ham10000", "flickr8k"]'],
    "10_where_the_gap_comes_from": ["-p", "temperatures", "[0.01]", "-p", "epochs", "[0, 1]"],
    "12_protocol_audit": ["-p", "updates", "12", "-p", "seeds", "[1]"],
    "13_information": ["-p", "lambdas", "0,1", "-p", "networks", "3", "-p", "depths", "[1]"],
    "11_what_lambda_closes": ["-p", "alignments", '["none", "lambda-1"]', "-p", "task_alignments", '["lambda-1"]'],
    "08_adapt": ["-p", "n_images", "40", "-p", "protocol", "authors-code", "-p", "n_boot", "100"],
}
WITHOUT_STORE = ("04_discussion", "08_adapt", "10_where_the_gap_comes_from", "11_what_lambda_closes")


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def source(request) -> Path:
    return request.param


def test_every_notebook_is_tested():
    assert [p.stem for p in NOTEBOOKS] == sorted(TINY) == sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))


def test_the_generated_notebook_is_what_its_source_says(source):
    generated = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    expected = jupytext.read(source)
    cells = [[(c.cell_type, c.source, c.metadata) for c in notebook.cells] for notebook in (generated, expected)]
    assert cells[0] == cells[1]


def test_it_has_no_outputs_a_portable_kernel_and_a_parameters_cell(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert notebook.metadata.kernelspec.name == "python3"
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert tagged == code[:1]
    # papermill cannot read a default that holds an equals sign; a comment says what each parameter is
    for line in tagged[0].source.splitlines():
        assert line.count("=") == 1 and "#" in line


def test_computed_sentences_hold_no_mathematics_that_a_page_would_show_raw(source):
    said = [c.source for c in jupytext.read(source).cells if c.cell_type == "code" and "page.show_text(" in c.source]
    assert not [code for code in said if "$" in code]


def test_figures_have_alternative_text_caption_and_name(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.rstrip().endswith(";"):
            shown = cell.metadata["mystnb"]
            assert len(shown["image"]["alt"]) > 30 and len(shown["figure"]["caption"]) > 30
            assert shown["figure"]["name"].startswith("fig-")


def test_figure_names_are_unique():
    names = re.findall(r'"name": "(fig-[\w-]+)"', "".join(p.read_text() for p in NOTEBOOKS))
    assert len(names) == len(set(names)) > 5


def papermill(name: str, out: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", str(ROOT / f"notebooks/{name}.ipynb"), str(out), "--no-progress-bar", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=out.parent)


@pytest.fixture(scope="module")
def executed(store, tmp_path_factory) -> dict[str, dict]:
    """Run all notebooks in order on small sets and return their cells as JSON."""
    folder = tmp_path_factory.mktemp("executed")
    done = {}
    for name, arguments in TINY.items():
        where = ["-p", "results", str(folder / "results")]
        where += [] if name in WITHOUT_STORE else ["-p", "store", str(store)]
        where += ["-p", "sweeps", str(folder / "sweeps")] if name == "03_lambda_sweep" else []
        run = papermill(name, folder / f"{name}.ipynb", *arguments, *where)
        assert run.returncode == 0, run.stderr[-3000:]
        done[name] = json.loads((folder / f"{name}.ipynb").read_text())
    return {"folder": folder, "notebooks": done}


def glued(notebook: dict) -> dict[str, dict]:
    outputs = (o for c in notebook["cells"] for o in c.get("outputs", []) if "scrapbook" in o.get("metadata", {}))
    return {o["metadata"]["scrapbook"]["name"]: o["data"] for o in outputs}


def test_every_number_in_the_prose_is_glued_as_a_plain_value(executed):
    for name, notebook in executed["notebooks"].items():
        prose = "".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
        values = glued(notebook)
        for key, spec in re.findall(r"\{glue:text\}`([\w-]+)(?::([^`]+))?`", prose):
            assert key in values, f"{name}: {key} is not glued"
            plain = values[key]["application/papermill.record/text/plain"]
            assert "np." not in plain
            if spec:
                format(float(plain), spec)


def test_numbers_in_the_pages_are_glued_by_the_notebook_they_name(executed):
    pages = "".join(p.read_text("utf-8") for p in (ROOT / "book").glob("*.md"))
    named = re.findall(r"\{glue:text\}`executed/(\w+)\.ipynb::([\w-]+):", pages)
    assert len(named) >= 5
    assert [f"{name}: {key}" for name, key in named if key not in glued(executed["notebooks"][name])] == []


def test_the_page_on_speed_names_the_machine_of_the_kept_timings():
    extraction, probing = (json.loads((ROOT / f"benchmarks/results/{name}.json").read_text()) for name in ("extraction", "probing"))
    assert {case["threads"] for case in probing["results"].values()} == {extraction["machine"]["cores"]} == {2}
    assert extraction["machine"]["accelerator"] is None
    page = (ROOT / "book/reexecute.md").read_text("utf-8")
    assert "On two processor cores without an accelerator" in page and "Nothing was timed on an accelerator" in page


def test_results_are_left_as_tables(executed):
    left = {p.stem for p in (executed["folder"] / "results").glob("*.parquet")}
    assert {"cone_effect", "r_table", "lambda_sweep", "lambda_effects", "channel_effects", "claims", "worth_it"} <= left


def test_the_last_cell_says_how_to_run_it_again(executed):
    for name, notebook in executed["notebooks"].items():
        shown = json.dumps(notebook["cells"][-1]["outputs"])
        assert f"papermill notebooks/{name}.ipynb" in shown and "Run time" in shown and "commit" in shown


@pytest.fixture
def shown(executed):
    """The texts that each executed notebook shows below its cells, where pages for own data give their answer."""
    outputs = {
        name: [o for c in notebook["cells"] for o in c.get("outputs", ())] for name, notebook in executed["notebooks"].items()
    }
    return {name: "\n".join("".join(o.get("data", {}).get("text/markdown", "")) for o in of) for name, of in outputs.items()}


def test_whether_lambda_is_worth_it_is_said_and_the_alignment_can_be_taken_home(executed, shown, store):
    from helpers import GapAlignment
    from helpers.extraction.find import embeddings_for

    results, text = executed["folder"] / "results", shown["05_is_lambda_worth_it"]
    selected = pd.read_parquet(results / "worth_it.parquet").set_index("features").loc["joint", "lambda_image"]
    answer = f"select λ = {selected:g}," if selected else "select no alignment (λ = 0)."
    assert f"For HAM10000 under lit-derm, validation rows {answer}" in text
    table = pd.read_parquet(results / "worth_it_alignments.parquet")
    assert list(table["alignment"]) == ["none", "centring"] and ("Do nothing" in text or "Use centring" in text)
    path = results / "ham10000--clean--lit-derm.safetensors"
    assert path.is_file() == (f'GapAlignment.load("{path}")' in text) == (selected > 0)
    assert selected > 0  # of these sets and this seed, so that the rest is tested
    alignment = GapAlignment.load(path)
    assert alignment.lam == selected
    embeddings = embeddings_for("ham10000", "lit-derm", "clean", store)
    image, text = alignment.transform(embeddings.image_of(), embeddings.text_of())
    assert image.shape == text.shape == (len(embeddings), embeddings.dim)


def test_what_alignment_does_to_own_data_is_said_where_it_was_run(shown):
    text = shown["08_adapt"]
    assert "pairs of 40 images and " in text and "At λ = 1 the AUC of the joint probe changes by " in text


def test_a_bad_parameter_stops_before_any_work(store, tmp_path):
    run = papermill("03_lambda_sweep", tmp_path / "out.ipynb", "-p", "store", str(store), "-p", "datasets", "ham1000")
    assert run.returncode != 0 and "'ham1000'" in run.stderr and "did you mean 'ham10000'" in run.stderr
    assert "In [2]" in run.stderr or "In [3]" in run.stderr


def test_cached_sweeps_of_other_embeddings_are_refused(store, tmp_path):
    from conftest import small_set

    from helpers.extraction.find import embeddings_for
    from helpers.probing.cache import cached_or_new, run_sweep, sweep_folder
    from helpers.probing.grid import Grid

    settings = Grid(lambdas=[0.0, 1.0], seeds=[1], features=["joint"]).arguments("lambda")
    embeddings = embeddings_for("ham10000", "lit-derm", "clean", store)
    folder = sweep_folder("ham10000", "clean", "lit-derm", "authors-code", "lambda", tmp_path)
    run_sweep(embeddings, "authors-code", settings, folder)
    cached = cached_or_new(embeddings, "authors-code", "lambda", settings, tmp_path)
    assert cached.provenance["embeddings"] == embeddings.fingerprint
    changed = small_set("ham10000", "clean", "lit-derm", multilabel=False, seed=99)
    with pytest.raises(ValueError, match="is stale: made from embeddings .* remove the folder to train"):
        cached_or_new(changed, "authors-code", "lambda", settings, tmp_path)
