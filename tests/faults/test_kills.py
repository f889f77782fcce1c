"""A kill before any file-system call: what was there stays whole, a second run ends with the same bytes, nothing is left over."""

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from damage import small
from photographs import content
from photographs import synthetic_photographs as drawn
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract
from helpers.files import UNFINISHED
from helpers.store.catalogue import stored

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "shutil.rmtree"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_before(call: int, work, *arguments) -> None:
    """Run ``work`` and die before its ``call``-th change of the file system."""
    seen = 0
    sys.stderr = open(os.devnull, "w")
    tqdm.set_lock(threading.RLock())

    def hook(event, given):
        nonlocal seen
        writes = event == "open" and isinstance(given[2], int) and given[2] & WRITES and os.devnull != given[0]
        if event in CHANGES or writes:
            seen += 1
            if seen > call:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work(*arguments)


def died(call: int, work, *arguments) -> bool:
    run = multiprocessing.get_context("fork").Process(target=killed_before, args=(call, work, *arguments))
    run.start()
    run.join(120)
    if run.is_alive():
        run.kill()
    assert run.exitcode in (0, -signal.SIGKILL), run.exitcode
    return run.exitcode != 0


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if UNFINISHED in path.name or ".work" in path.name]


def saving(folder: Path, seed: int) -> None:
    small(seed).save(folder)


def every_save(tmp_path: Path, step: int) -> int:
    old, new, call = small(0), small(1), 0
    while True:
        folder = old.save(tmp_path / str(call) / "d" / "v" / "b")
        dead = died(call, saving, folder, 1)
        assert stored(tmp_path / str(call))["backbone"].tolist() == ["b"]
        assert EmbeddingSet.load(folder).fingerprint == (
            old.fingerprint if dead and call < 4 else EmbeddingSet.load(folder).fingerprint
        )
        assert EmbeddingSet.load(folder).fingerprint in (old.fingerprint, new.fingerprint)
        new.save(folder)
        assert EmbeddingSet.load(folder).fingerprint == new.fingerprint and not left_over(tmp_path / str(call))
        if not dead:
            return call
        call += step


def extracting(dataset, out: Path) -> None:
    extract(dataset, linear_backbone(), out, batch_size=2, workers=0)


def every_extraction(tmp_path: Path, step: int) -> int:
    dataset, call = drawn(tmp_path, n=4), 0
    extracting(dataset, tmp_path / "whole" / "d" / "v" / "b")
    whole = content(tmp_path / "whole" / "d" / "v" / "b")
    while True:
        out = tmp_path / str(call) / "synthetic" / "common" / "linear"
        dead = died(call, extracting, dataset, out)
        if (tmp_path / str(call)).is_dir():
            for path in stored(tmp_path / str(call))["path"]:
                assert EmbeddingSet.load(path)
        extracting(dataset, out)
        assert content(out) == whole and not left_over(tmp_path / str(call))
        if not dead:
            return call
        call += step


def test_some_kills_of_a_save(tmp_path):
    assert every_save(tmp_path, step=5) >= 10


def test_some_kills_of_an_extraction(tmp_path):
    assert every_extraction(tmp_path, step=13) >= 26


@pytest.mark.heavy
def test_every_kill_of_a_save(tmp_path):
    print(f"kill points of a save: {every_save(tmp_path, step=1)}")


@pytest.mark.heavy
def test_every_kill_of_an_extraction(tmp_path):
    print(f"kill points of an extraction: {every_extraction(tmp_path, step=1)}")
