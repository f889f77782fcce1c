"""A process killed before its n-th change of the file system, for every n; also used by ``tests/verification/faults.py``."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from multiprocessing import forkserver
from pathlib import Path

from damage import SWEEP, for_sweep, small
from photographs import content, synthetic_photographs
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract
from helpers.files import UNFINISHED
from helpers.probing.cache import is_up_to_date, load_cached, run_sweep
from helpers.store.catalogue import stored

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "shutil.rmtree"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PROCESSES = multiprocessing.get_context("forkserver")  # which has no threads, whose locks a fork might wait for


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


def save(seed: int, _: Path, folder: Path) -> None:
    small(seed).save(folder)


def run_extraction(raw: Path, folder: Path) -> None:
    extract(synthetic_photographs(raw, n=4), linear_backbone(), folder, batch_size=2, workers=0)


def sweep_once(_: Path, folder: Path) -> None:
    run_sweep(for_sweep(), "converged", SWEEP, folder, workers=1)


def is_old_or_new(folder: Path) -> bool:
    """Tell whether the set of :func:`save` is there, and is found in its store."""
    known = small(0).fingerprint, small(1).fingerprint
    return stored(folder.parents[2])["backbone"].tolist() == ["b"] and EmbeddingSet.load(folder).fingerprint in known


def is_whole_or_absent(folder: Path) -> bool:
    """Tell whether every listed set can be read."""
    return not folder.parents[2].is_dir() or all(EmbeddingSet.load(path) for path in stored(folder.parents[2])["path"])


def is_sweep_or_absent(folder: Path) -> bool:
    return not folder.exists() or is_up_to_date(folder, for_sweep(), SWEEP) and bool(load_cached(folder))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def every_kill(first: Callable | None, work: Callable, check: Callable, place: str, content, tmp_path: Path, step: int = 1) -> int:
    """Kill ``work`` before every ``step``-th change, run it again and compare; return how many changes it makes."""
    work(tmp_path, tmp_path / "whole" / place)
    whole, call, dead = content(tmp_path / "whole" / place), 0, True
    while dead:
        folder = tmp_path / str(call) / place
        if first:
            first(tmp_path, folder)
        dead = died(call, work, tmp_path, folder)
        assert check(folder) and (dead or content(folder) == whole)
        work(tmp_path, folder)
        assert content(folder) == whole
        assert not [p for p in (tmp_path / str(call)).rglob("*") if UNFINISHED in p.name or ".work" in p.name]
        call += step
    return call - step


KILLED = {
    "a save": partial(every_kill, partial(save, 0), partial(save, 1), is_old_or_new, "d/v/b", files_of),
    "an extraction": partial(every_kill, None, run_extraction, is_whole_or_absent, "synthetic/common/linear", content),
    "a sweep": partial(every_kill, None, sweep_once, is_sweep_or_absent, "d/v/b/converged/lambda", files_of),
}
