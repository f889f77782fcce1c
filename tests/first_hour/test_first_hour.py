"""The first hour of a new user, replayed through the real entrances: README, one notebook, an own table, own vectors, and mistakes.

Every mistake must end with one sentence that names what is wrong; no command may change the results of the book.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

pytestmark = pytest.mark.heavy
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
SMALL = ["-p", "protocol", "authors-code", "-p", "n_boot", "100"]


def run(*words, where: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=where, env=ENVIRONMENT)


def papermill(notebook: str, *parameters, where: Path) -> subprocess.CompletedProcess:
    return run("papermill", ROOT / f"notebooks/{notebook}.ipynb", "out.ipynb", "--no-progress-bar", *parameters, where=where)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def the_book_is_left_alone():
    """No step of a first hour writes where the book's own results are."""

    def state() -> dict[str, int]:
        files = [p for name in ("runs/book", "data", "book/executed") for p in (ROOT / name).rglob("*") if p.is_file()]
        return {str(p): p.stat().st_mtime_ns for p in files}

    before = state()
    yield
    assert state() == before


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A table of 120 pairs with pictures beside it, as a user would bring it: two classes, 40 patients."""
    folder = tmp_path_factory.mktemp("study")
    rng, rows = np.random.default_rng(0), []
    (folder / "img").mkdir()
    for i in range(120):
        sick = i % 2
        pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8) + np.uint8(100 * sick)
        Image.fromarray(pixels).save(folder / f"img/{i}.png")
        report = f"{'opacity in' if sick else 'clear'} the {('left', 'right')[i % 3 % 2]} lung, view {i % 5}"
        rows.append((f"img/{i}.png", report, ("healthy", "sick")[sick], f"patient {i // 3}"))
    pd.DataFrame(rows, columns=["file", "report", "diagnosis", "patient"]).to_csv(folder / "pairs.csv", index=False)
    return folder


def test_the_notebook_line_of_the_readme_runs_and_writes_beside_its_output(store, tmp_path):
    line = next(line for line in "\n".join(blocks("README.md", "bash")).splitlines() if line.startswith("papermill"))
    words = shlex.split(line)[1:]
    notebook, out, parameters = words[0], words[1], words[2:]
    small = {"lambdas": "0,1", "seeds": 42, "features": "joint", "alignments": "[]", "n_boot": 100, "store": store, "sweeps": "s"}
    given = [word for name, value in small.items() for word in ("-p", name, value)]
    done = run("papermill", ROOT / notebook, out, "--no-progress-bar", *parameters, *given, where=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "converged probes: 100%" in done.stderr  # the bar of the sweep, in the terminal
    again = run("papermill", ROOT / notebook, out, "--no-progress-bar", *parameters, *given, where=tmp_path)
    assert again.returncode == 0 and "converged probes" not in again.stderr  # its sweep is cached
    assert (tmp_path / "results/lambda_sweep.parquet").is_file() and (tmp_path / out).is_file()
    assert not list(tmp_path.glob("results/lambda_sweep.*.parquet"))
    ignored = subprocess.run(["git", "check-ignore", out], cwd=ROOT, capture_output=True, text=True)
    assert ignored.stdout.strip() == out


def test_the_python_lines_of_the_readme_run():
    rng = np.random.default_rng(0)
    names = {
        "image": rng.normal(size=(90, 4)), "text": rng.normal(size=(90, 4)), "labels": np.array(["a", "b"] * 45),
        "split": np.repeat(["train", "val", "test"], 30),
    }  # fmt: skip
    for code in blocks("README.md", "python"):
        exec(code, names)
    assert len(names["embeddings"]) == 90


def test_an_own_table_is_checked_encoded_and_swept(pictures, tmp_path):
    named = {"image_column": "file", "text_column": "report", "label_column": "diagnosis", "group_column": "patient"}
    columns = [word for name, column in named.items() for word in ("-p", name, column)]
    done = papermill("08_adapt", "-p", "table", pictures / "pairs.csv", *columns, *SMALL, "-p", "seeds", "[1]", where=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    shown = json.dumps([cell["outputs"] for cell in cells if cell["cell_type"] == "code"])
    assert "120 pairs" in shown and not re.search(r"\bnan\b", shown, re.IGNORECASE)
    assert (tmp_path / "results/adapt_sweep.parquet").is_file()


def test_radiographs_of_12_bits_with_a_broken_one_and_a_class_called_none_are_windowed_skipped_and_listed(tmp_path):
    (tmp_path / "study").mkdir()
    for i in range(40):
        Image.fromarray(np.roll(np.arange(4096, dtype=np.uint16), 67 * i).reshape(64, 64)).save(tmp_path / f"study/{i}.png")
    (tmp_path / "study/7.png").write_bytes(b"broken")
    rows = {
        "image": [f"{i}.png" for i in range(40)],
        "text": [f"finding {i % 9}" for i in range(40)],
        "label": ["None", "effusion"] * 20,
    }
    pd.DataFrame(rows).to_csv(tmp_path / "study/pairs.csv", index=False)
    given = {"table": "../study/pairs.csv", "window": "0,4095", "on_error": "skip", "classes": "None,effusion", "lambdas": "[0,1]"}
    (tmp_path / "out").mkdir()
    words = [word for name, value in given.items() for word in ("-p", name, value)]
    done = papermill("08_adapt", *words, *SMALL, "-p", "seeds", "[1]", where=tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads(next((tmp_path / "out/results/08_adapt").rglob("provenance.json")).read_text())
    assert record["task"]["classes"] == ["None", "effusion"] and record["converted"]["16 bits reduced to 8, window 0,4095"] == 39
    shown = (tmp_path / "out/out.ipynb").read_text()
    assert "Excluded: 1 row (file is no image" in shown and "is common to all images and texts, and pairing adds" in shown


@pytest.mark.parametrize("name", ["mine.npz", "mine.csv"])
def test_own_vectors_are_imported_measured_swept_and_reported(tmp_path, name):
    rng, n, d = np.random.default_rng(1), 300, 6
    label = rng.integers(0, 2, n)
    image, text = (rng.normal(size=(n, d)) + 0.5 * label[:, None] + shift for shift in (2, -2))
    if name == "mine.npz":
        np.savez(tmp_path / name, image=image, text=text, labels=label.astype(str))
    else:
        columns = {f"{m}_emb_{i}": x[:, i] for m, x in (("img", image), ("text", text)) for i in range(d)}
        pd.DataFrame({"label": label.astype(str), "patient": np.arange(n) // 2, **columns}).to_csv(tmp_path / name, index=False)
    names, sweeps = ["mine", "theirs", "--store", "store"], ["--sweeps", "sweeps"]
    steps = [
        ["import", name, "--dataset", "mine", "--backbone", "theirs", "--out", "store/mine/clean/theirs"],
        ["cone", *names, "--n-boot", "20"],
        ["sweep", *names, *sweeps, "--protocol", "authors-code", "--lambdas", "0,1", "--seeds", "1", "--features", "joint",
         "--alignments", ""],
        ["report", *names, *sweeps, "--variant", "clean", "--by", "N", "--how", "H"],
    ]  # fmt: skip
    for step in steps:
        done = run("helpers", *step, where=tmp_path)
        assert done.returncode == 0, f"{step[0]}: {done.stderr}"
    report = json.loads((tmp_path / "mine--clean--theirs.json").read_text())
    assert report["counts"]["pairs"] == 300 and report["sweep"][0][0] == "authors-code"
    assert "no cell of the paper" in done.stdout


COMMANDS = [
    (["cone", "ham10000", "nothing"], ["nothing"]),
    (["cone", "ham10000", "lit-derm", "--store", "nowhere"], ["nowhere"]),
    (["import", "nowhere.csv", "--dataset", "a", "--backbone", "b"], ["nowhere.csv"]),
    (["import", "{bad}/empty.csv", "--dataset", "a", "--backbone", "b"], ["empty.csv", "empty"]),
    (["import", "{bad}/semicolon.csv", "--dataset", "a", "--backbone", "b"], ["semicolon.csv", "one class only"]),
    (["import", "{bad}/latin.csv", "--dataset", "a", "--backbone", "b"], ["latin.csv", "UTF-8"]),
    (["import", "{bad}/text.parquet", "--dataset", "a", "--backbone", "b"], ["text.parquet"]),
    (["import", "{bad}/pickled.npz", "--dataset", "a", "--backbone", "b"], ["pickled.npz"]),
    (["check", "manifest", "--root", "{bad}/empty.csv"], ["empty.csv"]),
    (["extract", "ham10000", "--backbone", "clipp", "--root", "{bad}", "--out", "x"], ["did you mean 'clip'"]),
    (["report", "ham1000", "clip", "--by", "a", "--how", "b"], ["did you mean 'ham10000'"]),
]


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    """Files as they come by mistake."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.csv").write_text("")
    (folder / "semicolon.csv").write_text("label;img_emb_0;text_emb_0\na;1;2\n")
    (folder / "latin.csv").write_bytes("label,img_emb_0,text_emb_0\nmüde,1,2\n".encode("latin-1"))
    (folder / "text.parquet").write_text("no Parquet")
    np.savez(folder / "pickled.npz", image=np.array([object()]), text=np.ones((1, 2)))
    return folder


@pytest.mark.parametrize(("words", "facts"), COMMANDS, ids=[" ".join(words[:2]) for words, _ in COMMANDS])
def test_a_mistake_at_the_command_line_ends_with_one_sentence(words, facts, bad, tmp_path):
    done = run("helpers", *(word.format(bad=bad) for word in words), where=tmp_path)
    sentences = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    said = done.stderr + done.stdout * (done.returncode == 1)  # `check` prints its findings
    assert [fact for fact in facts if fact not in said] == [] and len(sentences) <= 1, said


PARAMETERS = [
    ("03_lambda_sweep", ["-p", "lambdas", "[0, 7]"], ["'lambdas'", "7", "-2", "2"]),
    ("03_lambda_sweep", ["-p", "datasets", "ham1000"], ["did you mean 'ham10000'"]),
    ("03_lambda_sweep", ["-p", "data_root", "/nonexistent"], ["'data_root'", "/nonexistent does not exist"]),
    ("02_r_table", ["-p", "store", "nowhere"], ["nowhere"]),
    ("02_r_table", ["-p", "contributed", "nowhere"], ["nowhere", "contributed"]),
    ("08_adapt", ["-p", "table", "nowhere.csv"], ["nowhere.csv"]),
    ("08_adapt", ["-p", "table", "{study}/pairs.csv"], ["'image'"]),
]


@pytest.mark.parametrize(
    ("notebook", "parameters", "facts"), PARAMETERS, ids=[f"{n[:2]} {' '.join(p[1:])[:30]}" for n, p, _ in PARAMETERS]
)
def test_a_mistake_in_a_parameter_stops_the_notebook_with_one_sentence(notebook, parameters, facts, store, pictures, tmp_path):
    own = [] if notebook == "08_adapt" or "store" in parameters else ["-p", "store", store]
    done = papermill(notebook, *own, *(p.format(study=pictures) for p in parameters), where=tmp_path)
    last = [line for line in done.stderr.splitlines() if line.strip()][-1]
    assert done.returncode != 0 and [fact for fact in facts if fact not in last] == [], last
