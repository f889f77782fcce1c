"""From a release to a page, by commands alone: all eight miniatures, and nothing of a credentialed one where others may look."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import miniatures as miniature
import nbconvert
import pandas as pd
import pytest
from conftest import ROOT
from downloads import make_downloads
from miniatures import release
from tiny_encoders import clip_folder

from helpers.cli import main
from helpers.datasets import DATASETS, load_dataset

pytestmark = pytest.mark.heavy
MARKER = "Zebrafinch77"
CREDENTIALED = [name for name in miniature.WRITERS if DATASETS[name].card.credentialed]
MARKED = {f"{name} (synthetic miniature)" for name in miniature.WRITERS}
FAST = {"n_boot": 100, "protocol": "authors-code", "seeds": [42]}
SETTINGS = '{"protocol": ["authors-code"], "lambdas": [0, 1], "seeds": [1], "features": ["joint"], "alignments": []}'
NOTEBOOKS = {
    "01_cone_effect": {"n_boot": 100},
    "03_lambda_sweep": {**FAST, "protocol": "converged", "lambdas": [0, 1], "alignments": []},
    "07_leakage_audit": {**FAST, "n_pictures": 40, "n_fundus": 80, "n_draws": 1, "datasets": CREDENTIALED},
    "08_adapt": {**FAST, "lambdas": [0, 1], "credentialed": True, "group_column": "group"},
    "09_data": {},
}


def run(*words, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Check, extract, cone and sweep on each miniature, then run five notebooks; return the folder and what was printed.

    A damaged image of mBRSET gives problems to list; a table of one's own has ids, texts, groups and paths that hold the marker.
    """
    folder = tmp_path_factory.mktemp("chain")
    (folder / "data").mkdir()
    (folder / "executed").mkdir()
    encoder, printed = clip_folder(folder / "tiny"), {}

    def command(*arguments, code: int = 0) -> None:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
            found = main([str(a) for a in arguments])
        printed[" ".join(map(str, arguments))] = out.getvalue()
        assert found == code, out.getvalue()

    for name in miniature.WRITERS:
        root = folder / "data" / name
        miniature.write(name, root, n=200, marker=MARKER) if name in CREDENTIALED else root.symlink_to(release(name))
        if name == "mbrset":
            image = root / load_dataset(name, root, "clean").rows["image"][5]
            image.write_bytes(image.read_bytes()[:300])
        for variant in DATASETS[name].variants[0 if name in CREDENTIALED else -1 :]:
            copy, out = [name, "--root", root, "--variant", variant], folder / "store" / name / variant / "tiny"
            command("check", *copy, code=int(name == "mbrset"))
            command("extract", *copy, "--backbone", encoder, "--out", out, "--workers", 0, "--on-error", "skip")
        kept = [name, "tiny", "--variant", variant, "--store", folder / "store"]
        command("cone", *kept, "--n-boot", 0, "--out", folder / f"results/{name}_cone.csv")
        command("sweep", *kept, "--settings", SETTINGS, "--sweeps", folder / "sweeps")
    rows = load_dataset("brset", folder / "data/brset", "clean").rows
    rows["text"] = rows["text"] + f" {MARKER} " + rows["label"].str[:1].mul(3)
    table = folder / "data/brset/own.csv"
    rows[["image", "text", "label", "group"]].to_csv(table, index=False)
    words = ["manifest", "--root", table, "--option", "group=group", "--option", "credentialed=true", "--backbone", encoder]
    command("extract", *words, "--out", folder / "table", "--workers", 0)
    where = {
        "03_lambda_sweep": {"sweeps": str(folder / "kept")}, "07_leakage_audit": {"live_backbone": str(encoder)},
        "08_adapt": {"table": str(table), "backbone": str(encoder)}, "09_data": {"data_root": str(folder / "data")},
    }  # fmt: skip
    for name, parameters in NOTEBOOKS.items():
        store = {} if name == "08_adapt" else {"store": str(folder / "store")}
        given = json.dumps(parameters | where.get(name, {}) | store | {"results": str(folder / "results")})
        words = [ROOT / f"notebooks/{name}.ipynb", f"executed/{name}.ipynb", "--log-output", "-y", given]
        printed[name] = run("papermill", *words, cwd=folder)
    settings = ["nb_execution_mode=off", "extensions=myst_nb", "suppress_warnings=myst,ref,image,misc,mystnb"]
    (folder / "executed/index.md").write_text("# Pages\n\n```{toctree}\n" + "\n".join(NOTEBOOKS) + "\n```\n")
    flags = [word for setting in settings for word in ("-D", setting)]
    printed["pages"] = run("sphinx", "-C", "-b", "html", *flags, "executed", "pages", cwd=folder)
    return folder, printed


def test_every_miniature_reaches_the_pages(chain):
    folder, _ = chain
    for table in ("cone_effect", "lambda_effects", "data_overview", "data_texts_cut"):
        expected = set(miniature.WRITERS) if table.startswith("data") else MARKED
        assert set(pd.read_parquet(folder / f"results/{table}.parquet")["dataset"]) >= expected, table
    for name in miniature.WRITERS:
        assert pd.read_csv(folder / f"results/{name}_cone.csv")["value"].notna().any()
        assert list((folder / "sweeps" / name).rglob("settings.json"))
    page = (folder / "pages/01_cone_effect.html").read_text()
    assert all(name in page for name in MARKED)


def test_the_marker_is_in_what_a_stored_set_keeps_and_nowhere_where_others_may_look(chain):
    folder, printed = chain
    for path in (folder / "store").rglob("pairs.parquet"):
        pairs, name = pd.read_parquet(path), path.parts[-4]
        holding = {c for c in pairs if pairs[c].astype(str).str.contains(MARKER).any()}
        assert holding == ({"pair_id", "group"} if name in CREDENTIALED else set()), path
    assert [step for step, text in printed.items() if MARKER in text] == []
    folders = [folder / part for part in ("executed", "results", "sweeps", "kept", "store", "table", "pages")]
    looked = [p for part in folders for p in part.rglob("*") if p.is_file() and p.name != "pairs.parquet"]
    assert {p.suffix for p in looked} >= {".ipynb", ".html", ".parquet", ".json", ".csv", ".npz", ".safetensors"}
    assert [p for p in looked if MARKER.encode() in p.read_bytes()] == []
    tables = [p for p in looked if p.suffix == ".parquet"]
    assert [p for p in tables if pd.read_parquet(p).astype(str).apply(lambda c: c.str.contains(MARKER)).any(axis=None)] == []
    problems = pd.read_csv(folder / "store/mbrset/clean/tiny.problems.csv")
    assert list(problems["row"]) and "pair_id" not in problems and (problems["severity"] == "error").any()


def test_no_archive_and_no_converted_page_holds_the_marker(chain, tmp_path):
    folder, _ = chain
    shutil.copytree(folder / "pages", tmp_path / "site/book/executed")
    for name in ("index.html", "book/intro.html"):
        (tmp_path / "site" / name).write_text("<html></html>")
    archives = make_downloads(tmp_path / "site", folder / "executed", folder / "results", folder / "sweeps")
    assert {path.name for path in archives} == {"notebooks.zip", "tables.zip", "site.zip"}
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        assert held and not [name for name, data in held.items() if MARKER.encode() in name.encode() + data]
        for name in (name for name in held if name.endswith(".parquet")):
            assert MARKER not in pd.read_parquet(io.BytesIO(held[name])).to_csv()
    for page in (folder / "executed").glob("*.ipynb"):
        for exporter in (nbconvert.HTMLExporter, nbconvert.MarkdownExporter, nbconvert.PythonExporter):
            assert MARKER not in exporter().from_filename(str(page))[0]
