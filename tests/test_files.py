"""Files and folders are replaced in one step or not at all, and a damaged record is found."""

import os
from unittest.mock import Mock

import numpy as np
import pytest

from helpers import files


def text_of(folder):
    return (folder / "a.txt").read_text()


def write(folder, content):
    with files.replacing_folder(folder) as new:
        (new / "a.txt").write_text(content)


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path):
    with files.replacing(tmp_path / "a.txt") as new:
        new.write_text("former")
    with pytest.raises(RuntimeError), files.replacing(tmp_path / "a.txt") as new:
        new.write_text("half")
        raise RuntimeError
    assert text_of(tmp_path) == "former" and os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(RuntimeError), files.replacing_folder(tmp_path / "b"):
        raise RuntimeError
    assert os.listdir(tmp_path) == ["a.txt"]
    (tmp_path / "b.txt").write_text("")  # permissions are those of the umask
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_is_replaced_where_the_system_can_exchange_two_and_elsewhere(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    for content in ("first", "second", "third"):
        write(tmp_path / "a", content)
        assert text_of(tmp_path / "a") == content and os.listdir(tmp_path) == ["a"]


def test_a_folder_moved_aside_comes_back_when_the_writer_fails_or_was_killed(tmp_path, monkeypatch):
    write(tmp_path / "a", "former")
    monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    monkeypatch.setattr(files, "_renamed", Mock(side_effect=[False, OSError("disk full")]))
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a", "new")
    assert text_of(tmp_path / "a") == "former" and os.listdir(tmp_path) == ["a"]
    killed = tmp_path / f".a.x{files.UNFINISHED}"
    killed.mkdir()
    (tmp_path / "a").rename(killed / f"{files.MOVED}a")
    files.remove_stale(tmp_path)
    assert text_of(tmp_path / "a") == "former" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("damaged", ['{"a": 2, "record_sha256": "0"}', '{"a": 1}', "[]", '{"a": NaN, "record_sha256": "0"}', "{"])
def test_a_damaged_record_is_found(tmp_path, damaged):
    path = tmp_path / "record.json"
    files.write_record(path, {"a": 1, "b": ["é"]})
    assert files.read_record(path) == {"a": 1, "b": ["é"]}
    path.write_text(damaged)
    with pytest.raises(ValueError, match="record.json"):
        files.read_record(path)


def test_arrays_come_back_with_their_metadata_and_a_change_is_found(tmp_path):
    path = files.write_arrays(tmp_path / "a.safetensors", {"x": np.arange(3.0)}, {"name": "n"})
    arrays, metadata = files.read_arrays(path)
    assert arrays["x"].tolist() == [0, 1, 2] and metadata == {"name": "n"}
    path.write_bytes(path.read_bytes()[:-1] + b"1")
    with pytest.raises(ValueError, match="checksum"):
        files.read_arrays(path)
