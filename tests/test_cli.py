"""``python -m helpers`` prints its results and exits with the right code."""

import os
import subprocess
import sys
from pathlib import Path

import miniatures
import numpy as np
import pandas as pd
import pytest
import typer

from helpers.cli import main
from helpers.commands import app


def test_cone_prints_and_writes_the_geometry(store, tmp_path, capsys):
    out = tmp_path / "cone.csv"
    assert main(["cone", "ham10000", "lit-derm", "--store", str(store), "--n-boot", "20", "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert {"R", "gap_norm", "residual_gap"} <= set(table["quantity"]) and "gap_norm" in capsys.readouterr().out


def test_sweep_keeps_its_results_where_the_notebook_looks(store, tmp_path, capsys):
    settings = '{"protocol": ["authors-code"], "lambdas": [0, 1], "seeds": [1], "features": ["joint"], "alignments": ["spread"]}'
    arguments = ["sweep", "ham10000", "lit-derm", "--store", str(store), "--sweeps", str(tmp_path), "--settings", settings]
    assert main(arguments) == 0
    for part in ("lambda", "alignments"):
        assert (tmp_path / "ham10000/clean/lit-derm/authors-code" / part / "settings.json").is_file()


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_embeddings_computed_elsewhere_are_brought_in(tmp_path, ending):
    from helpers import EmbeddingSet

    rng = np.random.default_rng(0)
    image, text, label = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), np.array(["a", "b"] * 3)
    split = np.array(["train"] * 4 + ["test"] * 2)
    path = tmp_path / f"mine.{ending}"
    if ending == "npz":
        np.savez(path, image=image, text=text, labels=label, split=split)
    else:
        columns = {f"{name}_emb_{i}": x[:, i] for name, x in (("img", image), ("text", text)) for i in range(3)}
        pd.DataFrame({"pair_id": list("uvwxyz"), **columns, "label": label, "split": split}).to_csv(path, index=False)
    out = tmp_path / "set"
    ids = ["--ids", "pair_id"] if ending == "csv" else []
    assert main(["import", str(path), "--dataset", "mine", "--backbone", "theirs", "--out", str(out), *ids]) == 0
    embeddings = EmbeddingSet.load(out)
    assert embeddings.provenance["backbone"] == "theirs"
    np.testing.assert_allclose(embeddings.image_of(), image / np.linalg.norm(image, axis=1, keepdims=True), atol=1e-6)


def test_lists(capsys):
    assert main(["datasets"]) == 0 and main(["backbones"]) == 0
    printed = capsys.readouterr().out
    assert "mimic_cxr" in printed and "credentialed" in printed and "medsiglip" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cone", "ham1000", "lit-derm"], "did you mean 'ham10000'"),
        (["cone", "ham10000", "lit-derm", "--out", "x.xls"], "must end in .csv or .parquet"),
        (["cone", "ham10000", "lit-derm", "--n-boot", "-3"], "n_boot is -3; an interval needs at least 2"),
        (["sweep", "ham10000", "lit-derm", "--settings", '{"protocol": "convergd"}'], "did you mean 'converged'"),
        (["sweep", "ham10000", "lit-derm", "--settings", "{"], "not valid JSON"),
        (["sweep", "ham10000", "lit-derm", "--settings", '{"lambda": [1]}'], "did you mean 'lambdas'"),
        (["extract", "ham10000", "--backbone", "lit-derm", "--root", "/nowhere/at/all"], "/nowhere/at/all does not exist"),
        (["import", "x.pkl", "--dataset", "a", "--backbone", "b"], "must end in .csv"),
        (["sweep", "ham10000", "lit-derm", "--lambdas", "0,half"], "--lambdas: 'half' is not a number"),
        (["sweep", "ham10000", "lit-derm", "--seeds", "1.5"], "--seeds: '1.5' is not a whole number"),
        (["lengths", "ham10000"], "--root"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(store, arguments, said, capsys):
    if arguments[0] in ("cone", "sweep"):
        arguments = [*arguments, "--store", str(store)]
    assert main(arguments) == 2
    captured = capsys.readouterr().err
    assert said in captured and captured.startswith("error: ") and captured.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "ham10000", "lit-derm", "--workers", "0"], "'--workers': Input should be greater than or equal to 1"),
        (["sweep", "ham10000", "lit-derm", "--protocl", "paper"], "--protocol"),
        (["cone", "ham10000", "lit-derm", "--n-boot", "many"], "--n-boot"),
        (["recommend", "ham10000", "lit-derm", "--protocol", "convergd"], "'converged'"),
        (["cone", "ham10000"], "backbone"),
        (["swep"], "Did you mean 'sweep'"),
        ([], "Missing command"),
    ],
)
def test_arguments_that_cannot_be_read_are_one_line_too(arguments, said, store, capsys):
    where = ["--store", str(store)] if arguments[:1] == ["recommend"] else []
    assert main([*arguments, *where]) == 2
    captured = capsys.readouterr().err
    assert said in captured and captured.startswith("error: ") and captured.count("\n") == 1


def test_lambdas_are_divided_by_commas_or_blanks_and_warnings_are_sentences(store, tmp_path, capsys):
    small = ["--protocol", "authors-code", "--seeds", "1", "--features", "joint", "--alignments", ""]
    for values in ("0,1", "0 1"):
        where = ["--store", str(store), "--sweeps", str(tmp_path / values)]
        assert main(["sweep", "ham10000", "lit-derm", *where, *small, "--lambdas", values]) == 0
    said = capsys.readouterr()
    assert said.out.count("authors-code joint") == 2
    assert [line for line in said.err.splitlines() if "still improving" in line and not line.startswith("warning: ")] == []


def test_a_missing_set_of_ones_own_is_to_be_imported(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", image=rng.normal(size=(9, 3)), text=rng.normal(size=(9, 3)))
    out = ["--variant", "raw", "--out", str(tmp_path / "store/mine/raw/theirs")]
    assert main(["import", str(tmp_path / "mine.npz"), "--dataset", "mine", "--backbone", "theirs", *out]) == 0
    assert main(["cone", "mine", "ours", "--store", str(tmp_path / "store")]) == 2
    assert "helpers import FILE --dataset mine --backbone ours --variant raw" in capsys.readouterr().err
    assert main(["cone", "mine", "theirs", "--store", str(tmp_path / "store"), "--n-boot", "0"]) == 0
    assert "mine raw theirs" in capsys.readouterr().out  # the only variant there is, and named


def test_the_doctor_finds_the_data_sets_of_a_folder(tmp_path, capsys):
    miniatures.write("brset", tmp_path / "brset", n=40)
    assert main(["doctor", "--root", str(tmp_path)]) == 0
    status = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " ready " in status["data set brset (credentialed)"] and " missing " in status["data set mbrset (credentialed)"]


def test_an_unusable_data_set_is_exit_code_1(tmp_path, capsys):
    assert main(["check", "ham10000", "--root", str(tmp_path)]) == 1
    assert "NOT usable" in capsys.readouterr().out


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0 and capsys.readouterr().out.strip()


def test_every_argument_has_help():
    root = typer.main.get_command(app)
    silent = [(name, p.name) for name, command in root.commands.items() for p in command.params if not getattr(p, "help", None)]
    assert len(root.commands) > 10 and [found for found in silent if found[1] != "help"] == []


def test_help_waits_for_no_heavy_library():
    code = (
        "import sys; from helpers.cli import main; main(['--help']); print(sorted({'pandas', 'torch', 'scipy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout.splitlines()[-1] == "[]", run.stdout + run.stderr
