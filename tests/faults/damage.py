"""What the attacks share: how many cases, damaged bytes, and the one sentence that must come of them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import EmbeddingSet
from helpers.probing.protocol import Grid

SWEEP = Grid(lambdas=[0, 1], seeds=[1], features=["joint"]).arguments("lambda")
CASES = int(os.environ.get("FUZZ_CASES", 200))
FEW = 15
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
few = settings(max_examples=FEW, **QUIET)
many = settings(max_examples=CASES, **QUIET)


def small(seed: int = 0, n: int = 9, **names) -> EmbeddingSet:
    """A set of three classes, one image of which has two texts."""
    rng = np.random.default_rng(seed)
    image, text = rng.normal(size=(2, n, 4)).astype(np.float32)
    image[3] = image[0]
    cycle = np.arange(n) % 3
    labels, split = np.array(["a", "b", "c"])[cycle], np.array(["train", "val", "test"])[cycle]
    return EmbeddingSet.from_arrays(image, text, labels, split, **({"dataset": "d", "variant": "v", "backbone": "b"} | names))


def for_sweep() -> EmbeddingSet:
    """Thirty rows with every class in every split."""
    made = small(n=30)
    return replace(made, pairs=made.pairs.assign(split=np.repeat(["train", "val", "test"], 10)))


def edits() -> st.SearchStrategy:
    """Up to four edits of bytes: (where as a share of the length, how many bytes go, None for all that follow, what comes)."""
    sizes = st.sampled_from((0, 1, 9, None))
    return st.lists(st.tuples(st.floats(0, 1), sizes, st.binary(max_size=9)), min_size=1, max_size=4)


def damaged(data: bytes, changes) -> bytes:
    """``data`` with the edits made."""
    for where, size, new in changes:
        at = int(where * len(data))
        data = data[:at] + new + (b"" if size is None else data[at + size :])
    return data


def flipped(data: bytes, bit: int) -> bytes:
    """``data`` with one bit flipped."""
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def peak_of_decoding(path: Path) -> float:
    """Return by how many megabytes decoding an image raises the peak memory of a fresh process."""
    # VmHWM begins anew with the process; getrusage would begin with the peak of the process that started it.
    code = (
        "import re, sys; from pathlib import Path; from helpers.images import decode; "
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]); "
        "before = peak(); decode(sys.argv[1]); print(peak() - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return int(run.stdout) / 1024


def deep_image(path: Path, side: int) -> Path:
    """Write a grey image of 16 bits that is far smaller on the disk than in memory."""
    Image.fromarray(np.full((side, side), 40000, dtype=np.uint16)).save(path)
    return path


def one_sentence(error: Exception, name: str) -> None:
    """The error is one line that names the file or folder."""
    told = str(error)
    assert name in told and len(told.splitlines()) == 1 and len(told) < 600, told
