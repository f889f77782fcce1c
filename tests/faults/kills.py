"""A process killed before its n-th change of the file system, for every n; also used by ``tests/verification/faults.py``.

The processes come from a fork server, which has no threads: a fork of the test process itself could wait for ever for a lock that
one of its threads held.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

from damage import SWEEP, for_sweep, small
from photographs import content, synthetic_photographs
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract
from helpers.files import UNFINISHED
from helpers.probing.cache import is_up_to_date, load_cached, run_sweep, sweep_folder
from helpers.store.catalogue import stored

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "shutil.rmtree"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PROCESSES = multiprocessing.get_context("forkserver")


@cache
def start_server() -> None:
    """Start the fork server with this module loaded, so that each process starts at once."""
    vars(sys.modules["__main__"]).setdefault("__spec__", None)  # absent in a worker of pytest-xdist
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        PROCESSES.set_forkserver_preload([__name__])
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def killed_before(call: int, work: Callable, *arguments) -> None:
    """Run ``work`` and die before its ``call``-th change of the file system."""
    seen = 0
    sys.stderr, sys.dont_write_bytecode = open(os.devnull, "w"), True
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


def died(call: int, work: Callable, *arguments) -> bool:
    start_server()
    run = PROCESSES.Process(target=killed_before, args=(call, work, *arguments))
    run.start()
    run.join()
    assert run.exitcode in (0, -signal.SIGKILL), run.exitcode
    return run.exitcode != 0


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if UNFINISHED in path.name or ".work" in path.name]


def saving(folder: Path, seed: int) -> None:
    small(seed).save(folder)


def every_save(tmp_path: Path, step: int = 1) -> int:
    """Kill a save that replaces a set before every ``step``-th change; return how many changes a save makes."""
    old, new, call = small(0), small(1), 0
    while True:
        folder = old.save(tmp_path / str(call) / "d" / "v" / "b")
        dead = died(call, saving, folder, 1)
        assert stored(tmp_path / str(call))["backbone"].tolist() == ["b"]
        assert EmbeddingSet.load(folder).fingerprint in (old.fingerprint, new.fingerprint)
        assert dead or EmbeddingSet.load(folder).fingerprint == new.fingerprint
        new.save(folder)
        assert EmbeddingSet.load(folder).fingerprint == new.fingerprint and not left_over(tmp_path / str(call))
        if not dead:
            return call
        call += step


def extracting(folder: Path, out: Path) -> None:
    extract(synthetic_photographs(folder, n=4), linear_backbone(), out, batch_size=2, workers=0)


def every_extraction(tmp_path: Path, step: int = 1) -> int:
    """Kill an extraction before every ``step``-th change and resume it; return how many changes an extraction makes."""
    call = 0
    extracting(tmp_path, tmp_path / "whole" / "d" / "v" / "b")
    whole = content(tmp_path / "whole" / "d" / "v" / "b")
    while True:
        out = tmp_path / str(call) / "synthetic" / "common" / "linear"
        dead = died(call, extracting, tmp_path, out)
        if (tmp_path / str(call)).is_dir():
            for path in stored(tmp_path / str(call))["path"]:
                assert EmbeddingSet.load(path)
        extracting(tmp_path, out)
        assert content(out) == whole and not left_over(tmp_path / str(call))
        if not dead:
            return call
        call += step


def sweeping(folder: Path) -> None:
    run_sweep(for_sweep(), "converged", SWEEP, folder, workers=1)


def every_sweep(tmp_path: Path, step: int = 1) -> int:
    """Kill a sweep before every ``step``-th change and run it again; return how many changes a sweep makes."""
    whole = sweep_folder("d", "v", "b", "converged", "lambda", tmp_path / "whole")
    sweeping(whole)
    expected, call = {path.name: path.read_bytes() for path in whole.iterdir()}, 0
    while True:
        folder = sweep_folder("d", "v", "b", "converged", "lambda", tmp_path / str(call))
        dead = died(call, sweeping, folder)
        assert not folder.exists() or is_up_to_date(folder, for_sweep(), SWEEP) and load_cached(folder)
        sweeping(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == expected
        assert not left_over(tmp_path / str(call))
        if not dead:
            return call
        call += step


KILLED = {"a save": every_save, "an extraction": every_extraction, "a sweep": every_sweep}
