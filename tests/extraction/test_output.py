"""An extraction names an output that it cannot write, and leaves no half-written file."""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from photographs import synthetic_photographs
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import extract
from helpers.datasets.base import PairedDataset


def with_little_room(root: Path, answer):
    dataset = synthetic_photographs(root)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    try:
        extract(dataset, linear_backbone(), root / "results" / "set", workers=0)
    except OSError as error:
        answer.send((str(error), sorted(path.name for path in (root / "results").iterdir())))


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path):
    """A limit on file size gives the same failing write as a full disk, without filling one."""
    dataset = synthetic_photographs(tmp_path)
    (tmp_path / "results").mkdir()
    here, there = multiprocessing.Pipe()
    run = multiprocessing.get_context("fork").Process(target=with_little_room, args=(tmp_path, there))
    run.start()
    run.join(60)
    assert here.poll()
    message, left = here.recv()
    assert "make room or give another output" in message
    assert left == ["set.work"] and not list((tmp_path / "results" / "set.work").glob("*safetensors*"))
    assert extract(dataset, linear_backbone(), tmp_path / "results" / "set", workers=0)


def test_a_set_to_refer_to_that_is_not_there_is_named_before_anything_is_encoded(tmp_path):
    backbone = linear_backbone()
    with pytest.raises(FileNotFoundError, match=r"image_from: no embeddings in .*nosuchset"):
        extract(synthetic_photographs(tmp_path), backbone, tmp_path / "set", workers=0, image_from=tmp_path / "nosuchset")
    assert not backbone.seen["images"] and not (tmp_path / "set.work").exists()


def test_an_error_that_is_not_of_the_output_keeps_its_file(tmp_path, monkeypatch):
    def lost(*_):
        raise FileNotFoundError(2, "No such file or directory", "elsewhere")

    monkeypatch.setattr(sys.modules["helpers.extraction.extract"], "encode_chunks", lost)
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'elsewhere'"):
        extract(synthetic_photographs(tmp_path), linear_backbone(), tmp_path / "set", workers=0)


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="another output"):
        extract(synthetic_photographs(tmp_path), linear_backbone(), tmp_path / "file" / "set", workers=0)


def as_nobody(dataset: PairedDataset, out: Path, answer):
    if os.geteuid() == 0:
        os.setuid(65534)  # the superuser may write anywhere
    tqdm.set_lock(threading.RLock())
    try:
        extract(dataset, linear_backbone(), out, workers=0)
    except OSError as error:
        answer.send(str(error))


def test_a_set_that_may_be_read_only_is_used():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        dataset = synthetic_photographs(root)
        extract(dataset, linear_backbone(), root / "results" / "set", workers=0)
        for path in (root / "results" / "set").iterdir():
            path.chmod(0o444)
        (root / "results").chmod(0o555)
        here, there = multiprocessing.Pipe()
        run = multiprocessing.get_context("fork").Process(target=as_nobody, args=(dataset, root / "results" / "set", there))
        run.start()
        run.join(60)
        assert run.exitcode == 0 and not here.poll(), here.recv()


def test_a_folder_that_may_not_be_written():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        dataset = synthetic_photographs(root)
        (root / "results").mkdir(mode=0o555)
        here, there = multiprocessing.Pipe()
        run = multiprocessing.get_context("fork").Process(target=as_nobody, args=(dataset, root / "results" / "set", there))
        run.start()
        run.join(60)
        assert here.poll(), "nothing was refused"
        assert "Permission denied; make room or give another output" in here.recv()
        assert not list((root / "results").iterdir())
