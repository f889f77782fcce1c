"""Attack the stored files at full size: damaged files, single flipped bits, and a kill before every change of the file system.

    python tests/verification/faults.py [--cases 10000] [--flips 1000] [--json tests/verification/results/faults.json]

The attacks are those of ``tests/faults``. An uncaught error is all but a possible result or one sentence that names the file; a
flipped bit is missed where the changed file is read as if it were whole.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS), str(TESTS / "faults")]
if __name__ == "__main__":  # each process that is killed imports this file too, and needs none of them
    from attacks import STORED, TARGETS, flip_is_found, is_read_whole
    from damage import QUIET, deep_image, peak_of_decoding
    from kills import KILLED

SIDES = {"16-bit PNG of 25 megapixels": 5000, "16-bit PNG at the limit": 10_000}


def fuzz(target: str, cases: int) -> dict:
    """Run one attack with ``cases`` random inputs, and count the errors that are no sentence."""
    attack, *arguments = TARGETS[target]
    counts: Counter = Counter()

    @settings(max_examples=cases, derandomize=True, **{name: value for name, value in QUIET.items() if name != "database"})
    @given(st.tuples(*arguments))
    def counted(values):
        counts["cases"] += 1
        try:
            attack(*values)
        except Exception as error:  # what is counted here
            counts[f"{type(error).__name__}: {str(error)[:200]}"] += 1

    counted()
    ran = counts.pop("cases")
    return {"cases": ran, "uncaught errors": counts.total(), "errors": dict(counts)}


def flips(what: str, n: int) -> dict:
    """Flip ``n`` random bits, one at a time, in random files of a stored thing, and count those that reading misses."""
    assert is_read_whole(what)
    places = np.random.default_rng(0).integers(0, 2**31, size=(n, 2)).tolist()
    missed = [place for place in places if not flip_is_found(what, *place)]
    return {"flipped bits": n, "missed": len(missed), "which": missed[:20]}


def kills(work: str, folder: Path) -> dict:
    """Kill one kind of work before every change of the file system; the attack itself fails where anything is lost."""
    return {"kill points": KILLED[work](folder), "lost or left over": 0}


def memory(name: str, folder: Path) -> dict:
    """Decode a grey image of 16 bits in a fresh process, and measure by how much its peak memory rises."""
    path = deep_image(folder / "deep.png", SIDES[name])
    found = {"file, kB": path.stat().st_size / 1000, "megapixels": SIDES[name] ** 2 // 10**6, "peak, MB": peak_of_decoding(path)}
    return {what: round(number) for what, number in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="part of a name: run only what it fits, and keep the other stored results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    attacks = {"fuzzing": (TARGETS, fuzz, options.cases), "flipped bits": (STORED, flips, options.flips)}
    attacks |= {"kills": (KILLED, kills, None), "memory": (SIDES, memory, None)}
    found = json.loads(options.json.read_text("utf-8")) if options.only and options.json and options.json.is_file() else {}
    for kind, (names, run, number) in attacks.items():
        for name in (name for name in names if options.only in f"{kind}: {name}"):
            with tempfile.TemporaryDirectory() as folder:
                found.setdefault(kind, {})[name] = run(name, Path(folder) if number is None else number)
            print(f"{kind}: {name}: {found[kind][name]}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
