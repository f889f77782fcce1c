"""``python -m helpers`` prints its results and exits with the right code."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import miniatures
import numpy as np
import pandas as pd
import pytest
import torch
import typer

from helpers import EmbeddingSet, sweep
from helpers.cli import app, main

SET = ["ham10000", "lit-derm"]
QUICK = ["--protocol", "authors-code", "--seeds", "1", "--features", "joint"]


def test_cone_prints_and_writes_the_geometry(store, tmp_path, capsys):
    out = tmp_path / "cone.csv"
    assert main(["cone", *SET, "--store", str(store), "--n-boot", "20", "--out", str(out)]) == 0
    assert {"R", "gap_norm", "residual_gap"} <= set(pd.read_csv(out)["quantity"]) and "gap_norm" in capsys.readouterr().out


@pytest.mark.parametrize("lambdas", ["0,1", "0 1"])
def test_sweep_keeps_its_results_where_the_notebook_looks_and_warnings_are_sentences(store, tmp_path, capsys, lambdas):
    settings = ["--lambdas", lambdas, "--settings", '{"lambdas": [0.5], "alignments": ["spread"]}']  # the first goes before
    assert main(["sweep", *SET, "--store", str(store), "--sweeps", str(tmp_path), *QUICK, *settings]) == 0
    for part, values in (("lambda", {0, 1}), ("alignments", {0, 1})):
        folder = tmp_path / "ham10000/clean/lit-derm/authors-code" / part
        assert set(pd.read_parquet(folder / "table.parquet")["lambda_image"]) == values and (folder / "settings.json").is_file()
    said = capsys.readouterr()
    assert said.out.count("authors-code joint") == 1
    assert [line for line in said.err.splitlines() if "still improving" in line and not line.startswith("warning: ")] == []


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_embeddings_computed_elsewhere_are_brought_in_and_a_missing_set_is_to_be_imported(tmp_path, ending, capsys):
    rng = np.random.default_rng(0)
    image, text, label = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), np.array(["a", "b"] * 3)
    split = np.array(["train"] * 4 + ["test"] * 2)
    path = tmp_path / f"mine.{ending}"
    if ending == "npz":
        np.savez(path, image=image, text=text, labels=label, split=split)
    else:
        columns = {f"{name}_emb_{i}": x[:, i] for name, x in (("img", image), ("text", text)) for i in range(3)}
        pd.DataFrame({"pair_id": list("uvwxyz"), **columns, "label": label, "split": split}).to_csv(path, index=False)
    out, ids = tmp_path / "store/mine/raw/theirs", ["--ids", "pair_id"] if ending == "csv" else []
    names = ["--dataset", "mine", "--backbone", "theirs", "--variant", "raw", "--out", str(out)]
    assert main(["import", str(path), *names, *ids]) == 0
    embeddings = EmbeddingSet.load(out)
    assert embeddings.provenance["backbone"] == "theirs"
    np.testing.assert_allclose(embeddings.image_of(), image / np.linalg.norm(image, axis=1, keepdims=True), atol=1e-6)
    where = ["--store", str(tmp_path / "store"), "--n-boot", "0"]
    assert main(["cone", "mine", "ours", *where]) == 2
    assert "helpers import FILE --dataset mine --backbone ours --variant raw" in capsys.readouterr().err
    assert main(["cone", "mine", "theirs", *where]) == 0
    assert "mine / raw / theirs" in capsys.readouterr().out  # the only variant there is, and named


def test_lists_and_the_version(capsys):
    assert main(["datasets"]) == main(["backbones"]) == main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert "mimic_cxr" in printed and "credentialed" in printed and "medsiglip" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cone", "ham1000", "lit-derm"], "did you mean 'ham10000'"),
        (["cone", *SET, "--out", "x.xls"], "must end in .csv or .parquet"),
        (["cone", *SET, "--n-boot", "-3"], "'--n-boot': Input should be greater than or equal to 0"),
        (["recommend", *SET, "--n-boot", "1"], "'--n-boot': Input should be greater than or equal to 2"),
        (["recommend", *SET, "--out", "x.xlsx"], "must end in .csv or .parquet"),
        (["recommend", *SET, "--save", "."], ". is a folder, a pipe or a device; give the name of a regular file"),
        (
            ["report", *SET, "--by", "a", "--how", "b", "--out", "."],
            ". is a folder, a pipe or a device; give the name of a regular file",
        ),
        (
            ["extract", "easy_vqa", "--backbone", "lit-derm", "--precision", "int8"],
            "'int8' is not one of 'float32', 'bfloat16'",
        ),
        (["cone", *SET, "--n-boot", "many"], "--n-boot"),
        (["cone", "ham10000"], "backbone"),
        (["sweep", *SET, "--settings", '{"protocol": "convergd"}'], "did you mean 'converged'"),
        (["sweep", *SET, "--settings", "{"], "not valid JSON"),
        (["sweep", *SET, "--settings", '{"lambda": [1]}'], "did you mean 'lambdas'"),
        (["sweep", *SET, "--lambdas", "0,half"], "'lambdas': 'half' is not a finite number"),
        (["sweep", *SET, "--seeds", "1.5"], "'seeds': 1.5 is not a whole number"),
        (["sweep", *SET, "--workers", "0"], "'--workers': Input should be greater than or equal to 1"),
        (["sweep", *SET, "--protocl", "paper"], "--protocol"),
        (["recommend", *SET, "--protocol", "convergd"], "'converged'"),
        (["extract", "ham10000", "--backbone", "lit-derm", "--root", "/nowhere/at/all"], "/nowhere/at/all does not exist"),
        (["import", "x.pkl", "--dataset", "a", "--backbone", "b"], "x.pkl does not exist"),
        (["swep"], "Did you mean 'sweep'"),
        ([], "Missing command"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(store, arguments, said, capsys):
    where = ["--store", str(store)] if arguments[:1] in (["cone"], ["sweep"], ["recommend"]) else []
    assert main([*arguments, *where]) == 2
    captured = capsys.readouterr().err
    assert said in captured and captured.startswith("error: ") and captured.count("\n") == 1


def test_the_doctor_finds_the_data_sets_of_a_folder_and_an_unusable_one_is_exit_code_1(tmp_path, capsys):
    miniatures.write("brset", tmp_path / "brset", n=40)
    assert main(["doctor", "--root", str(tmp_path)]) == 0
    status = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " ready " in status["data set brset (credentialed)"] and " missing " in status["data set mbrset (credentialed)"]
    assert main(["check", "ham10000", "--root", str(tmp_path)]) == 1 and "NOT usable" in capsys.readouterr().out


def test_every_command_shows_an_example_that_its_options_take():
    commands = typer.main.get_command(app).commands
    for name, command in commands.items():
        start, program, given, *words = shlex.split(command.epilog)
        assert (start, program, given) == ("Example:", "modality-gap", name)
        command.make_context(name, words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--backbone", "clipp"], "did you mean 'clip'"), (["--backbone", "lit-derm", "--shard", "4/3"], "must look like '3/16'"),
        (["--backbone", "lit-derm", "--out", "{taken}"], "something that is not an embedding set"),
        (["--backbone", "lit-derm", "--device", "cuda"], "torch finds no CUDA device"),
    ],
)  # fmt: skip
def test_an_extraction_checks_its_options_before_it_reads_the_rows(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "notes.txt").touch()
    with patch("helpers.datasets.load_dataset", side_effect=AssertionError("rows were read first")):
        assert main(["extract", "easy_vqa", *(word.format(taken=tmp_path) for word in words)]) == 2
    assert told in capsys.readouterr().err


def test_the_usage_line_names_the_program_that_was_called(monkeypatch, capsys):
    for called, shown in (("/usr/bin/modality-gap", "modality-gap"), ("helpers/__main__.py", "python -m helpers")):
        monkeypatch.setattr(sys, "argv", [called, "cone", "--help"])
        assert main() == 0 and f"Usage: {shown} cone" in capsys.readouterr().out
        assert main(["cone"]) == 2 and f"`{shown} cone --help` lists the arguments" in capsys.readouterr().err


def test_a_report_leaves_out_other_protocols_by_name_and_needs_no_table_of_the_paper(store, tmp_path, monkeypatch, capsys):
    where, own = ["--store", str(store), "--sweeps", str(tmp_path)], ["--lambdas", "0,1", "--alignments", ""]
    for protocol in ("authors-code", "authors-code-matched"):
        assert main(["sweep", *SET, *where, *own, "--protocol", protocol, "--seeds", "1", "--features", "joint"]) == 0
    monkeypatch.setenv("HELPERS_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = ["report", *SET, *where, "--variant", "clean", "--n-boot", "2", "--by", "N", "--how"]
    assert main([*report, "H"]) == 0
    said = capsys.readouterr().out
    assert "sweeps: authors-code\n" in said and "compares the paper's protocols: authors-code-matched" in said
    assert "is not known here: there is no data/published/datasets.csv" in said
    assert len(list(tmp_path.glob("ham10000--clean--lit-derm.json"))) == 1
    with patch("helpers.contributed.cone_table", side_effect=AssertionError("computed before the sentence was read")):
        assert main([*report, "a <b>"]) == 2
    assert "how is 'a <b>'; give one line" in capsys.readouterr().err


def test_every_argument_has_help():
    commands = typer.main.get_command(app).commands
    silent = [(name, p.name) for name, command in commands.items() for p in command.params if not getattr(p, "help", None)]
    assert len(commands) >= 10 and [found for found in silent if found[1] != "help"] == []


def test_help_waits_for_no_heavy_library():
    code = "import sys; from helpers.cli import main; main(['--help']); print({'pandas', 'torch', 'scipy'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout.splitlines()[-1] == "set()", run.stdout + run.stderr


def test_a_setting_that_stands_twice_and_a_number_that_is_no_float_are_one_short_line(capsys):
    long = "x" * 200_000
    for settings, said in (
        ('{"seeds": [1], "seeds": [2]}', "the key 'seeds' stands twice"),
        ('{"lambdas": [1, {"a": 1, "b": 2, "a": 3}]}', "the key 'a' stands twice"),
        ('{"lambdas": [1' + "0" * 400 + "]}", "between -2 and 2, got 10000"),
        ('{"seeds": [1' + "0" * 400 + "]}", "between 0 and 2^32 - 1"),
        (f'{{"seeds": ["{long}"]}}', "is not a whole number"),
        (f'{{"{long}": 1}}', "valid: protocol, lambdas"),
        (long, "is not valid JSON"),
    ):
        assert main(["sweep", "flickr8k", "lit-natural", "--settings", settings]) == 2
        told = capsys.readouterr().err
        assert said in told and len(told) < 2200 and told.count("\n") == 1
    assert main(["cone", long, "lit-natural"]) == main(["cone", "flickr8k", long]) == 2
    assert all(len(line) < 2200 for line in capsys.readouterr().err.splitlines())


def test_too_many_classes_for_a_converged_probe_are_said_before_it_is_trained(monkeypatch):
    n = 600
    vectors, classes = np.random.default_rng(0).normal(size=(2, 3 * n, 4)), [f"c{i}" for i in range(n)] * 3
    made = EmbeddingSet.from_arrays(*vectors, classes, np.repeat(["train", "val", "test"], n))
    with pytest.raises(ValueError, match="'converged' takes at most 500 classes, and the set has 600; merge classes"):
        sweep(made, lambdas=[0], seeds=[1], progress=False)
