"""Files and folders are replaced in one step or not at all, and a damaged record is found."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

from helpers import files
from helpers.store.disk import read_record


def write(folder, content):
    with files.replacing_folder(folder, "a.txt", (), "a test folder") as new:
        (new / "a.txt").write_text(f"{content} sha256")  # the mark of a record


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path):
    with files.replacing(tmp_path / "a.txt") as new:
        new.write_text("former")
    with pytest.raises(RuntimeError), files.replacing(tmp_path / "a.txt") as new:
        new.write_text("half")
        raise RuntimeError
    with pytest.raises(RuntimeError), files.replacing_folder(tmp_path / "b", "a.txt", (), "a test folder"):
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "former" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_moved_aside_comes_back_when_the_writer_fails_or_was_killed(tmp_path, monkeypatch):
    for content in ("first", "former"):
        write(tmp_path / "a", content)
    rename = Path.rename

    def full(path, target):
        if (path / "a.txt").read_text() == "new sha256" and not (tmp_path / "a").exists():
            raise OSError("disk full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a", "new")
    monkeypatch.undo()
    assert (tmp_path / "a" / "a.txt").read_text() == "former sha256" and os.listdir(tmp_path) == ["a"]
    killed = tmp_path / f".a.x{files.UNFINISHED}"
    killed.mkdir()
    (tmp_path / "a").rename(killed / f"{files.MOVED}a")
    files.remove_stale(tmp_path)
    assert (tmp_path / "a" / "a.txt").read_text() == "former sha256" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("damaged", ['{"a": 2, "record_sha256": "0"}', '{"a": 1}', "[]", '{"a": NaN, "record_sha256": "0"}', "{"])
def test_a_damaged_record_is_found(tmp_path, damaged):
    (tmp_path / "record.json").write_text(damaged)
    with pytest.raises(ValueError, match="record.json is damaged .*; make it again"):
        read_record(tmp_path / "record.json", dict, "make it again")


def test_results_lie_in_the_checkout_or_the_named_folder_and_never_in_that_of_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.delenv("HELPERS_ROOT", raising=False)
    checkout, elsewhere, others = (tmp_path / name for name in ("checkout", "elsewhere", "others"))
    for project in (checkout, elsewhere, others):
        (project / "src/helpers").mkdir(parents=True)
        (project / "src/helpers/__init__.py").touch()  # many projects have such a module
    shutil.copy(ROOT / "pyproject.toml", checkout)
    (others / "pyproject.toml").write_text('[project]\nname = "others"\ndescription = "uses modality-gap-book"\n')
    (checkout / "deep").mkdir()
    for kind, make in (("pipe", os.mkfifo), ("folder", Path.mkdir), ("bytes", lambda path: path.write_bytes(b"\xff"))):
        (checkout / kind / "src/helpers").mkdir(parents=True)
        make(checkout / kind / "pyproject.toml")  # no checkout, and never waited for
    monkeypatch.setattr(files, "__file__", str(tmp_path / "lib/python3/site-packages/helpers/files.py"))
    in_checkout = ((checkout / name, checkout) for name in ("deep", "pipe", "folder", "bytes"))
    for here, root in (*in_checkout, (others, others), (elsewhere, elsewhere)):
        monkeypatch.chdir(here)
        assert files.project_root() == root
    with pytest.raises(FileNotFoundError, match="no data/published/table1.csv in .*elsewhere.*set HELPERS_ROOT to one"):
        files.shipped_file("data/published/table1.csv")
    monkeypatch.setenv("HELPERS_ROOT", str(checkout))
    assert files.project_root() == checkout
    monkeypatch.setenv("HELPERS_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match="HELPERS_ROOT is .*nowhere, which is not a folder"):
        files.project_root()
