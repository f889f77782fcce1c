"""No result is written over a folder that holds something else, and a file without its checksum is no result."""

import ast
import os
import shutil
from dataclasses import replace
from functools import partial

import heads as study
import numpy as np
import pandas as pd
import pytest
from attacks import a_report, a_set, a_sweep, features, fresh, save_features
from conftest import ROOT
from damage import SWEEP, for_sweep, small
from head_training import Settings
from photographs import synthetic_photographs
from safetensors import safe_open
from safetensors.numpy import save_file
from tiny_encoders import linear_backbone

from helpers import EmbeddingSet, GapAlignment, extract, files
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.cli import main
from helpers.cones import cone_table
from helpers.contributed import load_report
from helpers.files import read_arrays, write_arrays
from helpers.page import write_result
from helpers.probing.cache import load_cached, run_sweep, sweep_folder
from helpers.store.catalogue import Identity
from helpers.store.disk import read_record, write_table
from helpers.tower_features import TowerFeatures


def files_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


SAVES = {
    a_set: lambda folder: small(1).save(folder),
    a_sweep: lambda folder: run_sweep(for_sweep(), "converged", SWEEP, folder, workers=1),
    features: lambda folder: save_features(TowerFeatures.load(fresh(features)), folder),
    None: lambda folder: load_cached(fresh(a_sweep)).save(folder),
}


@pytest.mark.parametrize("kind", SAVES)
def test_what_is_no_such_result_stays_and_an_empty_folder_and_a_damaged_result_are_replaced(kind, tmp_path):
    save = SAVES[kind]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.txt").write_text("irreplaceable")
    (tmp_path / "file").write_text("irreplaceable")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("data", "file", "link"):
        with pytest.raises(FileExistsError, match="give a new or empty folder"):
            save(tmp_path / name)
    assert (tmp_path / "data" / "report.txt").read_text() == (tmp_path / "file").read_text() == "irreplaceable"
    assert (tmp_path / "link").is_symlink()
    for other in {a_set, a_sweep, features} - {kind}:
        before = files_of(source := fresh(other))
        with pytest.raises(FileExistsError):
            save(source)
        assert files_of(source) == before
    (tmp_path / "new").mkdir()
    save(tmp_path / "new")
    whole = files_of(tmp_path / "new")
    (tmp_path / "new" / min(whole)).write_bytes(b"")
    save(tmp_path / "new")
    assert files_of(tmp_path / "new").keys() == whole.keys() and (tmp_path / "new" / min(whole)).read_bytes()


@pytest.mark.parametrize("fault", ["it has no checksum", "not finite"])
@pytest.mark.parametrize("name", ["lambda", "centring", "whitening"])
def test_an_alignment_without_its_checksum_or_with_a_number_that_is_not_finite_is_refused(name, fault, tmp_path):
    image, text = np.random.default_rng(0).normal(size=(2, 30, 4))
    alignment = GapAlignment(0.5) if name == "lambda" else make_alignment(name)
    path = alignment.fit(image, text).save(tmp_path / "a.safetensors")
    assert load_alignment(path).n_features_in_ == 4
    arrays, metadata = read_arrays(path)
    if fault == "not finite":
        next(iter(arrays.values())).flat[0] = np.nan
        write_arrays(path, arrays, metadata)
    else:
        save_file(arrays, path, metadata=metadata)
    with pytest.raises(ValueError, match="a.safetensors is not an intact alignment" + f" .{fault}" * (fault != "not finite")):
        load_alignment(path)


@pytest.mark.parametrize("constant", ["image", "text"])
def test_constant_vectors_leave_a_quantity_empty(constant):
    rows = np.random.default_rng(1).normal(size=(30, 4))
    vectors = {"image": rows, "text": rows + 1, constant: np.ones((30, 4))}
    geometry = cone_table(EmbeddingSet.from_arrays(**vectors, dataset="d", variant="v", backbone="b"), n_boot=20)
    empty = geometry[geometry["value"].isna()]
    assert empty[["modality", "quantity"]].to_numpy().tolist() == [[constant, "effective_rank"]]


REMOVING = {"rmtree", "unlink", "removedirs", "rename", "renames", "move", "copyfile", "copy2", "copytree"}


def may_end_a_file(call: ast.Call) -> bool:
    """Tell whether a call may remove or replace a file; ``replace`` and ``rename`` of strings, tables and dataclasses do not."""
    name, first = getattr(call.func, "attr", ""), call.args[0] if call.args else None
    if name == "replace":
        return len(call.args) == 1 and not call.keywords and not isinstance(first, ast.Dict)
    if name == "rename":
        return len(call.args) == 1 and not isinstance(first, ast.Constant)
    return name in REMOVING or ast.unparse(call.func) in ("os.remove", "os.replace")


def test_only_one_module_of_the_package_removes_or_replaces_anything():
    sources = {path.name: ast.walk(ast.parse(path.read_text("utf-8"))) for path in (ROOT / "src/helpers").rglob("*.py")}
    assert {n for n, nodes in sources.items() if any(isinstance(x, ast.Call) and may_end_a_file(x) for x in nodes)} == {"files.py"}


def problems_and_work(tmp_path) -> dict:
    (tmp_path / "set.problems.csv").write_text("my list of problems\n")
    (tmp_path / "other.work").mkdir()
    (tmp_path / "other.work/thesis.txt").write_text("irreplaceable")
    return {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


SIDE_FILES = [("set", "set.problems.csv is not the list of problems"), ("other", "other.work is needed for unfinished work")]


@pytest.mark.parametrize(("out", "what"), SIDE_FILES)
def test_an_extraction_whose_side_files_have_the_name_of_the_users_stops_and_leaves_them(out, what, tmp_path):
    dataset = synthetic_photographs(tmp_path / "data", n=4)
    before = problems_and_work(tmp_path)
    with pytest.raises(FileExistsError, match=what):
        extract(dataset, linear_backbone(), tmp_path / out, workers=0)
    assert {p: p.read_bytes() for p in before} == before and not (tmp_path / out).exists()


def test_a_data_root_or_an_encoder_named_like_a_work_folder_stays_whole(tmp_path):
    dataset = synthetic_photographs(tmp_path / "data", n=4)
    small(backbone="b.work").save(tmp_path / "b.work")
    shutil.move(dataset.root, tmp_path / "s.work")
    moved = replace(dataset, root=tmp_path / "s.work")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for out in ("b", "s"):
        with pytest.raises(FileExistsError, match=f"{out}.work is needed for unfinished work and holds something else"):
            extract(moved, linear_backbone(), tmp_path / out, workers=0)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_what_the_user_put_into_our_work_folder_stays_when_the_extraction_ends(tmp_path):
    files.claim_folder(tmp_path / "set.work")
    mine = ["notes.txt", "thesis-2-final.safetensors", "sub/image-000000-x.safetensors", f".sub{files.UNFINISHED}/notes.txt"]
    for name in mine:
        (tmp_path / "set.work" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set.work" / name).write_text("irreplaceable")
    extract(synthetic_photographs(tmp_path / "data", n=4), linear_backbone(), tmp_path / "set", workers=0)
    left = {str(p.relative_to(tmp_path / "set.work")) for p in (tmp_path / "set.work").rglob("*") if p.is_file()}
    assert left == {*mine, files.MARK}


def test_a_report_of_problems_is_replaced_by_an_empty_one_once_all_rows_are_good(tmp_path):
    dataset = synthetic_photographs(tmp_path / "data", n=4)
    good = (tmp_path / "data").rglob("*.jpg").__next__()
    content = good.read_bytes()
    good.write_bytes(b"")
    with pytest.raises(ValueError, match="1 of 4 rows cannot be encoded"):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert len(pd.read_csv(tmp_path / "set.problems.csv")) == 1
    good.write_bytes(content)
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert pd.read_csv(tmp_path / "set.problems.csv").empty


def test_a_set_saved_through_a_link_to_an_empty_folder_lies_in_that_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    small(1).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(EmbeddingSet.load(tmp_path / "real")) == len(small(1))


def test_a_folder_that_only_ends_like_a_temporary_one_stays(tmp_path):
    mine = tmp_path / f".notes{files.UNFINISHED}"
    mine.mkdir()
    (mine / "thesis.txt").write_text("irreplaceable")
    files.write_json(tmp_path / "a.json", {})
    assert files_of(mine) == {"thesis.txt": b"irreplaceable"}


def cli(*words) -> int:
    return main([str(word) for word in words])


def test_a_command_does_not_write_over_its_input_nor_over_another_table(tmp_path, capsys):
    store = ("d", "b", "--variant", "v", "--store", tmp_path / "store", "--n-boot", 2)
    folder = small(n=30).save(tmp_path / "store/d/v/b")
    before = files_of(folder)
    (tmp_path / "thesis.csv").write_text("a,b\n1,2\n")
    os.mkfifo(tmp_path / "fifo.csv")
    for out in (folder / "pairs.parquet", folder / "new.csv", tmp_path / "thesis.csv", tmp_path / "fifo.csv"):
        assert cli("cone", *store, "--out", out) == 2
    assert cli("report", *store, "--by", "x", "--how", "y", "--out", folder / "provenance.json") == 2
    assert cli("recommend", *store, "--save", folder / "image.safetensors") == 2
    assert cli("sweep", *store[:6], "--export", folder / "pairs.parquet") == 2
    said = capsys.readouterr().err
    assert said.count("a folder of stored results; give an output elsewhere") == 5 and "earlier version of this file" in said
    assert files_of(folder) == before and (tmp_path / "thesis.csv").read_text() == "a,b\n1,2\n"
    assert cli("cone", *store, "--out", tmp_path / "new.csv") == cli("cone", *store, "--out", tmp_path / "new.csv") == 0


def test_an_output_that_is_a_link_is_written_through_and_never_into_a_set(tmp_path):
    folder, table = small(n=30).save(tmp_path / "set"), pd.DataFrame({"x": [1]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "mine/table.csv")
    write_table(table, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink() and (tmp_path / "mine/table.csv").read_text() == "x\n1\n"
    before, pairs = files_of(folder), pd.read_parquet(folder / "pairs.parquet")
    (tmp_path / "link.parquet").symlink_to(folder / "pairs.parquet")
    (tmp_path / "folder").symlink_to(folder)
    for out in ("link.parquet", "folder/new.parquet", "mine/../set/pairs.parquet"):  # with the columns of an earlier version
        with pytest.raises(FileExistsError, match="set, a folder of stored results; give an output elsewhere"):
            write_table(pairs, tmp_path / out)
    assert files_of(folder) == before


@pytest.mark.parametrize("theirs", ['{"my": "notes"}', "not JSON", '{"format": 2, "files": {}}'])
@pytest.mark.parametrize("kind", SAVES)
def test_a_record_of_that_name_by_somebody_else_is_no_result(kind, theirs, tmp_path):
    (tmp_path / "provenance.json").write_text(theirs)
    with pytest.raises(FileExistsError, match="give a new or empty folder"):
        SAVES[kind](tmp_path)
    assert files_of(tmp_path) == {"provenance.json": theirs.encode()}


@pytest.mark.parametrize(
    "words",
    [["S/image.safetensors", "--text", "S/text.safetensors"], ["L/pairs.parquet"], ["e.npy", "--table", "x/../S/pairs.parquet"]],
)
def test_an_import_does_not_replace_the_set_that_it_reads(words, tmp_path, monkeypatch, capsys):
    before = files_of(small().save(tmp_path / "S"))
    (tmp_path / "L").symlink_to(tmp_path / "S")
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli("import", *words, "--dataset", "d", "--backbone", "b", "--out", "S", "--overwrite") == 2
    assert "the output S holds an input of the import" in capsys.readouterr().err and files_of(tmp_path / "S") == before


@pytest.mark.parametrize("linked", [False, True])
def test_a_set_saved_in_its_place_is_no_source_of_its_own_images(linked, tmp_path):
    folder = small().save(tmp_path / "d/v/b")
    (tmp_path / "d/v/link").symlink_to(folder)
    with pytest.raises(ValueError, match="is not another set of the same store"):
        small().save(folder, image_from=tmp_path / "d/v/link" if linked else folder)
    assert EmbeddingSet.load(folder).fingerprint == small().fingerprint


@pytest.mark.parametrize("out", ["", ".", "new/.."])
def test_an_extraction_into_a_folder_without_a_name_is_refused(out, tmp_path, monkeypatch):
    dataset = synthetic_photographs(tmp_path / "data", n=4)
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    with pytest.raises(ValueError, match="ends in no name; give the folder of the set by its name"):
        extract(dataset, linear_backbone(), out, workers=0)


@pytest.mark.parametrize("name", ["..", "x\u200b", "x" * 300, "a/b"])
def test_the_names_of_an_imported_set_are_checked_with_any_output(name, tmp_path, capsys):
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(2, 4, 4)))
    assert cli("import", tmp_path / "e.npy", "--dataset", name, "--backbone", "b", "--out", tmp_path / "o") == 2
    assert "cannot name a folder" in capsys.readouterr().err and not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["../esc", "a/b", "..", "a\\b", ""])
def test_a_name_that_leaves_its_folder_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="is no file name; give one without slashes"):
        files.below(tmp_path, name)
    with pytest.raises(ValueError, match="cannot name a folder"):
        sweep_folder(Identity("d", "v", "b"), "paper", f"../{name}")


READERS = {
    "a.json": files.read_json,
    "a.safetensors": load_alignment,
    "a.csv": EmbeddingSet.from_csv,
    "a.parquet": EmbeddingSet.from_csv,
    "a.npy": EmbeddingSet.from_npz,
    "provenance.json": lambda path: read_record(path, dict, "make it again"),
}


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_named_and_never_waited_for(name, kind, tmp_path):
    path = tmp_path / name
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    with pytest.raises(
        ValueError, match=f"{name}.* (is a folder, a pipe or a device|is damaged|is not a whole Parquet table|must hold img_emb)"
    ):
        READERS[name](path)


@pytest.mark.parametrize("name", ["image.safetensors", "pairs.parquet", "provenance.json"])
def test_a_pipe_in_a_set_is_one_sentence(name, tmp_path):
    folder = small().save(tmp_path / "set")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises((ValueError, OSError), match="a pipe or a device|is damaged"):
        EmbeddingSet.load(folder)


TWO = np.random.default_rng(0).normal(size=(2, 30, 4))
WRITES = {  # one file of ours at a path that the user names; and the same kind of file by somebody else
    "report.json": (lambda path: load_report(fresh(a_report)).save(path), lambda path: path.write_text('{"name": "thesis"}')),
    "alignment.safetensors": (
        lambda path: GapAlignment(0.5).fit(*TWO).save(path),
        lambda path: save_file({"weights": TWO}, path, metadata={"format": "pt"}),
    ),
    "other.safetensors": (
        lambda path: make_alignment("centring").fit(*TWO).save(path),
        lambda path: write_arrays(path, {"prompts": TWO[0]}, {"prompts": "{}"}),
    ),
    "result.parquet": (
        lambda path: write_result(path, pd.DataFrame({"x": [1.5]}), notebook="a"),
        lambda path: pd.DataFrame({"x": [1.5]}).to_parquet(path),
    ),
    "table.csv": (lambda path: write_table(pd.DataFrame({"x": [1]}), path), lambda path: path.write_text("x,y\n1,2\n")),
}


def content(path):
    """Return what a file holds; safetensors writes its metadata in any order."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "numpy") as file:
        return file.metadata(), {name: file.get_tensor(name).tobytes() for name in file.keys()}


@pytest.mark.parametrize("name", WRITES)
def test_a_result_of_ours_is_replaced_and_a_file_of_somebody_else_of_that_name_is_not(name, tmp_path):
    ours, theirs = WRITES[name]
    path = tmp_path / name
    path.touch()  # empty, as by mktemp
    ours(path)
    first = content(path)
    ours(path)
    assert content(path) == first
    for foreign in (theirs, lambda path: path.write_bytes(b"irreplaceable"), lambda path: path.write_text("[1, 2]")):
        path.unlink()
        foreign(path)
        before = path.read_bytes()
        with pytest.raises(
            FileExistsError, match=f"{name} is not an earlier version of this file; remove it, or give another name"
        ):
            ours(path)
        assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [name]


def test_every_write_of_the_package_says_what_it_may_replace():
    """A call of ``replacing`` names how an earlier version is known, or that the file is part of a result in a folder of ours."""
    calls = [
        call
        for path in (ROOT / "src/helpers").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "replacing"
    ]
    assert len(calls) >= 4
    assert all(len(call.args) > 1 or {key.arg for key in call.keywords} & {"is_ours", "part_of_result"} for call in calls)


def test_heads_stay_in_their_folder_and_replace_only_those_of_the_same_command(tmp_path):
    stored = replace(TowerFeatures.load(fresh(features)), provenance={"dataset": "d", "towers": {}})
    rows = pd.concat(
        [stored.captions, stored.captions.assign(split="test", pair_id=[f"t{i}" for i in range(6)])], ignore_index=True
    )
    train = partial(study.train, replace(stored, captions=rows), "common", out=tmp_path, settings=Settings(epochs=1))
    with pytest.raises(ValueError, match="is no file name"):
        train("../../esc")
    train("lit-small", command="one")
    train("lit-small", command="one")
    before = files_of(tmp_path)
    with pytest.raises(FileExistsError, match="lit-small.safetensors is not an earlier version of this file"):
        train("lit-small", command="two")
    assert files_of(tmp_path) == before
