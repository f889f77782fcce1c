"""Every entrance for data of one's own gives one answer to one input: the same rows and labels, or the same refusal."""

import ast
import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from tiny_encoders import linear_backbone

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.datasets import load_dataset

N = 24
VECTORS = np.random.default_rng(0).normal(size=(2, N, 4)).astype("float32")
NOTEBOOK = ast.parse((ROOT / "notebooks/08_adapt.py").read_text("utf-8")).body
PARAMETERS = next(n for n, node in enumerate(NOTEBOOK) if "Page(" in ast.unparse(node) and isinstance(node, ast.Assign))
DATA = next(n for n, node in enumerate(NOTEBOOK) if ast.unparse(node).startswith("data = "))
USED = {"label": "labels", "group": "groups", "id": "ids", "split": "split"}  # column: argument of ``from_arrays``


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("helpers.backbones.load_backbone", lambda name, device, weights: linear_backbone())
    (tmp_path / "data").mkdir()
    for i in range(N):
        Image.new("RGB", (8, 8), (9 * i, 0, 0)).save(f"data/{i}.png")
    return pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(N)],
            "text": [f"sentence {i}" for i in range(N)],
            "label": [str(i % 2) for i in range(N)],
            "edema": [str(i // 2 % 2) for i in range(N)],
            "group": [f"p{i // 4}" for i in range(N)],
            "id": [f"a{i:02d}" for i in range(N)],
            "split": [("train", "train", "val", "test", "train", "test")[i // 4] for i in range(N)],
        }
    ).astype(object)


def coordinates(table: pd.DataFrame) -> pd.DataFrame:
    parts = [pd.DataFrame(x).add_prefix(prefix) for x, prefix in zip(VECTORS, ("img_emb_", "text_emb_"), strict=True)]
    return pd.concat([table.drop(columns=["image", "text"]), *parts], axis=1)


def named(label: list[str]) -> dict:
    return {"label": label if len(label) > 1 else label[0], "group": "group", "ids": "id", "split": "split"}


def from_arrays(table, label, **options):
    columns = {argument: table[column] for column, argument in USED.items()}
    columns["labels"] = table[label].to_numpy() if len(label) > 1 else table[label[0]].to_numpy()
    if len(label) > 1:
        options["classes"] = label
    return EmbeddingSet.from_arrays(*VECTORS, **columns, **options).pairs


def from_csv(table, label, **options):
    coordinates(table).to_csv("vectors.csv", index=False)
    return EmbeddingSet.from_csv("vectors.csv", **named(label), **options).pairs


def from_parquet(table, label, **options):
    coordinates(table).to_parquet("vectors.parquet")
    return EmbeddingSet.from_csv("vectors.parquet", **named(label), **options).pairs


def from_npz(table, label, **options):
    written = table.map(lambda cell: "" if cell is None else str(cell))
    labels = written[label].to_numpy().astype("U") if len(label) > 1 else written[label[0]].to_numpy().astype("U")
    columns = {argument: written[column].to_numpy().astype("U") for column, argument in USED.items()}
    np.savez("vectors.npz", image=VECTORS[0], text=VECTORS[1], **columns | {"labels": labels})
    return EmbeddingSet.from_npz("vectors.npz", **options | ({"classes": label} if len(label) > 1 else {})).pairs


def imported(source, table, label, options):
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    words += ["--label", ",".join(label), "--group", "group", "--ids", "id", "--split", "split"]
    code = main(["import", *source, *words, "--dataset", "own", "--backbone", "b", "--out", "set", "--overwrite"])
    return EmbeddingSet.load("set").pairs if code == 0 else None


def import_table(table, label, **options):
    coordinates(table).to_csv("vectors.csv", index=False)
    return imported(["vectors.csv"], table, label, options)


def import_arrays_with_a_table(table, label, **options):
    np.save("vectors.npy", VECTORS)
    table.drop(columns=["image", "text"]).to_json("rows.jsonl", orient="records", lines=True)
    return imported(["vectors.npy", "--table", "rows.jsonl"], table, label, options)


def load(table, label, **options):
    table.to_csv("data/pairs.csv", index=False)
    return load_dataset("manifest", "data/pairs.csv", label=label, group="group", id="id", **options).rows


def commanded(command, table, label, options):
    table.to_parquet("data/pairs.parquet")
    given = {"label": ",".join(label), "group": "group", "id": "id"} | options
    return main([*command, "--root", "data/pairs.parquet", *(word for o in given.items() for word in ("--option", "=".join(o)))])


def check(table, label, **options):
    return load(table, label, **options) if commanded(["check", "manifest"], table, label, options) == 0 else None


def extract(table, label, **options):
    command = ["extract", "manifest", "--backbone", "linear", "--out", "set", "--overwrite", "--workers", "0"]
    return EmbeddingSet.load("set").pairs if commanded(command, table, label, options) == 0 else None


def notebook(table, label, **options):
    """Run the page up to the rows that it encodes."""
    table.to_csv("data/pairs.csv", index=False)
    names: dict = {}
    given = {"table": "data/pairs.csv", "label_column": label, "group_column": "group", "results": "results", **options}
    for n, node in enumerate(NOTEBOOK[: DATA + 1]):
        if n == PARAMETERS:
            names |= given
        exec(compile(ast.Module([node], []), "08_adapt", "exec"), names)
    return names["data"].rows


ENTRANCES = (
    from_arrays, from_csv, from_parquet, from_npz, import_table, import_arrays_with_a_table, load, check, extract, notebook,
)  # fmt: skip


def put(value, column: str = "label"):
    """Return a change of the fourth row."""
    return lambda table: table.assign(**{column: [*table[column][:3], value, *table[column][4:]]})


def pets(table):
    return table.assign(label=["cat", "dog"] * (N // 2))


def lists(table):
    return table.assign(label=['["a"]', '["a", "b"]'] * (N // 2))


GAP = r"label.* has 1 missing value\(s\) \(1 {}\), first at (row 3|line 5); "
ANSWERS = {  # change of the table, label columns, options, and the refusal or the labels of the first five rows
    "-1": (put("-1"), ["label"], {}, GAP.format("-1") + "say how -1 is read with uncertain= drop, zero or one"),
    "-1 is zero": (put("-1"), ["label"], {"uncertain": "zero"}, [["0"], ["1"], ["0"], ["0"], ["0"]]),
    "-1 is one": (put("-1.0"), ["label", "edema"], {"uncertain": "one"}, [[0, 0], [1, 0], [0, 1], [1, 1], [0, 0]]),
    "-1 among names": (
        lambda t: put("-1")(pets(t)),
        ["label"],
        {"uncertain": "one"},
        "uncertain=one needs labels of 0 and 1 alone",
    ),
    "None": (put(None), ["label"], {}, GAP.format("(empty|nan)") + "label or drop"),
    "NaN": (put(float("nan")), ["label", "edema"], {}, GAP.format("(empty|nan)") + "label or drop"),
    "blank is zero": (put(" "), ["label", "edema"], {"missing_labels": "zero"}, [[0, 0], [1, 0], [0, 1], [0, 1], [0, 0]]),
    "no list": (lambda t: put("")(lists(t)), ["label"], {"missing_labels": "drop"}, [[1, 0], [1, 1], [1, 0], [1, 0], [1, 1]]),
    "no group": (
        put(None, "group"),
        ["label"],
        {},
        r"groups? has 1 missing value\(s\) \(1 (empty|nan)\), first at (row 3|line 5); fill",
    ),
    "no split": (put("NA", "split"), ["label"], {}, r"split has 1 missing value\(s\) \(1 NA\), first at (row 3|line 5); fill"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_every_entrance_gives_the_same_answer(case, own, capsys):
    change, label, options, expected = ANSWERS[case]
    for entrance in ENTRANCES:
        capsys.readouterr()
        try:
            pairs, said = entrance(change(own), label, **options), ""
        except ValueError as error:
            pairs, said = None, str(error)
        printed = capsys.readouterr()
        said += printed.err + printed.out * (entrance is check)
        if isinstance(expected, str):
            assert pairs is None and re.search(expected, " ".join(said.split())), f"{entrance.__name__}: {said or pairs}"
        else:
            columns = [name for name in pairs if name.startswith("label")] if pairs is not None else said
            assert pairs is not None and pairs[columns][:5].to_numpy().tolist() == expected, f"{entrance.__name__}: {columns}"
