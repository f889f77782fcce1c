"""From a release to a page, by commands alone: all eight miniatures, and nothing of a credentialed one where others may look."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import miniatures as miniature
import pandas as pd
import pytest
from conftest import ROOT
from miniatures import release
from tiny_encoders import clip_folder

from helpers.cli import main
from helpers.datasets import DATASETS, load_dataset

pytestmark = pytest.mark.heavy
MARKER = "Zebrafinch77"
CREDENTIALED = [name for name in miniature.WRITERS if DATASETS[name].card.credentialed]
SHORT = {"n_boot": 100}
FAST = {**SHORT, "protocol": "authors-code", "seeds": [42]}
ABOUT_DATA = ("data_overview", "data_texts_cut")
NOTEBOOKS = {
    "01_cone_effect": SHORT,
    "03_lambda_sweep": {**FAST, "protocol": "converged", "lambdas": [0, 1], "alignments": []},
    "07_leakage_audit": {**FAST, "n_pictures": 40, "n_fundus": 80, "n_draws": 1},
    "08_adapt": {**FAST, "lambdas": [0, 1], "credentialed": True},
    "09_data": {},
}


class Chain(NamedTuple):
    """The folder of all results and what was printed, step by step."""

    folder: Path
    printed: dict[str, str]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "results" / f"{name}.parquet")


def command(*arguments) -> tuple[int, str]:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        return main([str(a) for a in arguments]), out.getvalue()


def papermill(name: str, folder: Path, **parameters) -> str:
    words = [sys.executable, "-m", "papermill", str(ROOT / f"notebooks/{name}.ipynb"), str(folder / f"executed/{name}.ipynb")]
    given = json.dumps(parameters | {"results": str(folder / "results")})
    run = subprocess.run([*words, "--log-output", "-y", given], capture_output=True, text=True, cwd=folder)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout + run.stderr


def marked_table(root: Path) -> Path:
    """Write a table of one's own whose ids, texts, groups and image paths all hold the marker."""
    rows = load_dataset("brset", root, "clean").rows
    rows["text"] = rows["text"] + f" {MARKER} " + rows["label"].str[:1].mul(3)
    rows[["image", "text", "label", "group"]].to_csv(root / "own.csv", index=False)
    return root / "own.csv"


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    """Check, extract, cone and sweep on each miniature, then five notebooks on all of them, then their pages."""
    folder = tmp_path_factory.mktemp("chain")
    for part in ("data", "executed", "results"):
        (folder / part).mkdir()
    encoder, printed = clip_folder(folder / "tiny"), {}
    for name in miniature.WRITERS:
        root = folder / "data" / name
        miniature.write(name, root, n=200, marker=MARKER) if name in CREDENTIALED else root.symlink_to(release(name))
        printed |= steps(name, root, encoder, folder)
    of_all = {"store": str(folder / "store")}
    table = marked_table(folder / "data/brset")
    own = {"table": str(table), "group_column": "group", "backbone": str(encoder)}
    words = ["manifest", "--root", table, "--option", "group=group", "--option", "credentialed=true", "--backbone", encoder]
    code, printed["extract a table"] = command("extract", *words, "--out", folder / "table", "--workers", 0)
    assert code == 0 and "own common tiny (synthetic miniature): 200 pairs" in printed["extract a table"]
    where = dict.fromkeys(NOTEBOOKS, of_all) | {"08_adapt": own, "09_data": of_all | {"data_root": str(folder / "data")}}
    where["03_lambda_sweep"] = of_all | {"sweeps": str(folder / "kept")}
    where["07_leakage_audit"] = of_all | {"datasets": CREDENTIALED, "live_backbone": str(encoder)}
    for name, parameters in NOTEBOOKS.items():
        printed[name] = papermill(name, folder, **parameters, **where[name])
    printed["pages"] = rendered(folder)
    return Chain(folder, printed)


def steps(name: str, root: Path, encoder: Path, folder: Path) -> dict[str, str]:
    """Check and extract (credentialed data in each variant), cone and sweep; a damaged image of mBRSET gives problems to list."""
    printed, store = {}, folder / "store"
    damaged = name == "mbrset"
    if damaged:
        image = root / load_dataset(name, root, "clean").rows["image"][5]
        image.write_bytes(image.read_bytes()[:300])
    for variant in DATASETS[name].variants[0 if name in CREDENTIALED else -1 :]:
        copy = [name, "--root", root, "--variant", variant]
        to = ["--backbone", encoder, "--out", store / name / variant / "tiny", "--workers", 0, "--on-error", "skip"]
        code, printed[f"check {name} {variant}"] = command("check", *copy)
        assert code == damaged, printed
        code, printed[f"extract {name} {variant}"] = command("extract", *copy, *to)
        assert code == 0, printed
    kept = [name, "tiny", "--variant", variant, "--store", store]
    settings = '{"protocol": ["authors-code"], "lambdas": [0, 1], "seeds": [1], "features": ["joint"], "alignments": []}'
    code, printed[f"cone {name}"] = command("cone", *kept, "--n-boot", 0, "--out", folder / f"results/{name}_cone.csv")
    swept, printed[f"sweep {name}"] = command("sweep", *kept, "--settings", settings, "--sweeps", folder / "sweeps")
    assert code == swept == 0
    return printed


def rendered(folder: Path) -> str:
    """Return the executed notebooks as HTML pages, by the book's own parser."""
    settings = ["nb_execution_mode=off", "extensions=myst_nb", "suppress_warnings=myst,ref,image,misc,mystnb"]
    (folder / "executed/index.md").write_text("# Pages\n\n```{toctree}\n" + "\n".join(NOTEBOOKS) + "\n```\n")
    words = [sys.executable, "-m", "sphinx", "-C", "-b", "html", *(w for s in settings for w in ("-D", s))]
    run = subprocess.run([*words, str(folder / "executed"), str(folder / "pages")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout + run.stderr


def test_every_miniature_reaches_the_pages(chain):
    marked = {f"{name} (synthetic miniature)" for name in miniature.WRITERS}
    for table, names in (("cone_effect", marked), ("lambda_effects", marked), *((t, miniature.WRITERS) for t in ABOUT_DATA)):
        assert set(chain.table(table)["dataset"]) >= set(names), table
    auc = chain.table("lambda_sweep").query("features == 'joint' and split == 'test' and metric == 'auc' and `class`.isna()")
    assert auc.groupby("dataset")["value"].min().between(0, 1).all() and set(auc["dataset"]) == marked
    for name in miniature.WRITERS:
        assert pd.read_csv(chain.folder / f"results/{name}_cone.csv")["value"].notna().any()
        assert list((chain.folder / "sweeps" / name).rglob("settings.json"))
    page = (chain.folder / "pages/01_cone_effect.html").read_text()
    assert all(name in page for name in marked)


def test_the_marker_is_in_what_a_stored_set_keeps_and_in_nothing_else_of_it(chain):
    assert MARKER in pd.read_parquet(chain.folder / "table/pairs.parquet")["group"][0]
    for path in (chain.folder / "store").rglob("pairs.parquet"):
        pairs, name = pd.read_parquet(path), path.parts[-4]
        holding = {c for c in pairs if pairs[c].astype(str).str.contains(MARKER).any()}
        assert holding == ({"pair_id", "group"} if name in CREDENTIALED else set()), path


def test_the_marker_is_nowhere_where_others_may_look(chain):
    printed = [step for step, text in chain.printed.items() if MARKER in text]
    assert printed == []
    folders = [chain.folder / part for part in ("executed", "results", "sweeps", "kept", "store", "table", "pages")]
    looked = [p for folder in folders for p in folder.rglob("*") if p.is_file() and p.name != "pairs.parquet"]
    assert {p.suffix for p in looked} >= {".ipynb", ".html", ".parquet", ".json", ".csv", ".npz", ".safetensors"}
    assert [p for p in looked if MARKER.encode() in p.read_bytes()] == []
    tables = [p for p in looked if p.suffix == ".parquet"]
    assert [p for p in tables if pd.read_parquet(p).astype(str).apply(lambda c: c.str.contains(MARKER)).any(axis=None)] == []


def test_problems_of_a_credentialed_set_are_listed_by_row(chain):
    problems = pd.read_csv(chain.folder / "store/mbrset/clean/tiny.problems.csv")
    assert list(problems["row"]) and "pair_id" not in problems and (problems["severity"] == "error").any()
