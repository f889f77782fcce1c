"""The measurements behind notebook 12: what training and each protocol difference do to the gain of lambda = 1.

    python benchmarks/protocol_audit.py training          gain against updates, and the gain of the converged probe
    python benchmarks/protocol_audit.py longer            the same up to the updates of the authors' longer run (AdamW, one seed)
    python benchmarks/protocol_audit.py steps             every executable protocol difference, alone and cumulatively

All shipped sets, or those that ``--only`` names. Writes ``data/measured/<name>.csv``, where rows of other sets stay, and
``<name>.json``, which says for each set by which command, from which embeddings and in what time its rows were made.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from importlib.metadata import version

import pandas as pd

from helpers.arrays import choose
from helpers.files import project_root, read_json, replacing, write_json
from helpers.probing.paths import log_checkpoints
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.protocol_steps import Arms, audit_set, change
from helpers.probing.training_gain import BUDGET, BUDGET_LONGER, SEEDS, converged_gain, training_gain
from helpers.store.catalogue import SHIPPED, SHIPPED_SETS
from helpers.store.embeddings import EmbeddingSet

OUT = project_root() / "data/measured"
SETS = ["dataset", "variant", "backbone"]


def shipped(only: list[str]) -> list[EmbeddingSet]:
    """Load the sets that the repository ships, or those of them that are named ``dataset/variant/backbone``."""
    names = ["/".join(names) for names in SHIPPED_SETS]
    return [EmbeddingSet.load(project_root() / SHIPPED / choose(name, names, "shipped set")) for name in only or names]


def store(tables: dict[str, pd.DataFrame], command: str, sets: list[EmbeddingSet], started: tuple[float, float]) -> None:
    """Write tables in place of the rows of these sets, and beside each a record of how the rows of each set were made."""
    made = {
        "command": f"python benchmarks/protocol_audit.py {command}", "cores": os.cpu_count(),
        "software": {name: version(name) for name in ("torch", "numpy", "pandas", "scikit-learn")},
        "processor_seconds": round(time.process_time() - started[0], 1), "seconds": round(time.perf_counter() - started[1], 1),
    }  # fmt: skip
    records = {
        "/".join((s.identity.dataset, s.identity.variant, s.identity.backbone)): {**made, "embeddings": s.fingerprint} for s in sets
    }
    for name, table in tables.items():
        path, record = OUT / f"{name}.csv", OUT / f"{name}.json"
        old = pd.read_csv(path) if path.is_file() else table.iloc[:0]
        others = ~(old[SETS].agg("/".join, axis=1)).isin(records) if len(old) else []
        with replacing(path) as temporary:
            pd.concat([old[others], table], ignore_index=True).to_csv(temporary, index=False, float_format="%.6g")
        write_json(record, {"sets": (read_json(record)["sets"] if record.is_file() else {}) | records})


def training(sets: list[EmbeddingSet], args) -> dict[str, pd.DataFrame]:
    """Return the gain against updates and its limit."""
    paths = pd.concat([training_gain(s, seeds=args.seeds, workers=args.workers) for s in sets], ignore_index=True)
    return {"training_gain": paths, "training_gain_limit": pd.concat([converged_gain(s) for s in sets], ignore_index=True)}


def longer(sets: list[EmbeddingSet], args) -> dict[str, pd.DataFrame]:
    """Return the gain beyond the published number of updates."""
    beyond = log_checkpoints(BUDGET_LONGER, first=BUDGET)[1:]
    options = {"rates": {"adamw": (3e-4, 1e-3)}, "checkpoints": beyond, "seeds": args.seeds[:1], "channel_rate": None}
    return {"training_gain_longer": pd.concat([training_gain(s, workers=args.workers, **options) for s in sets], ignore_index=True)}


def steps(sets: list[EmbeddingSet], args) -> dict[str, pd.DataFrame]:
    """Return what each executable difference changes, set by set: protocol, validation rows, choice of lambda, and the text."""
    by_set = [audit_set(s, args.seeds, args.n_boot, args.workers) for s in sets]
    tables = {name: pd.concat([tables[name] for tables in by_set], ignore_index=True) for name in by_set[0]}
    stored = {s.identity: s for s in sets}
    text = []
    for identity, authors in stored.items():
        clean = stored.get(replace(identity, variant="clean"))
        for protocol in PROTOCOLS.values() if identity.variant == "authors" and clean else ():
            arms = [Arms(s, args.seeds, args.n_boot, args.workers).measured(protocol) for s in (clean, authors)]
            names = {"dataset": identity.dataset, "variant": identity.variant, "backbone": identity.backbone}
            text.append({**names, "protocol": protocol.name, "difference": "the authors' text", "number": 17, **change(*arms)})
    return tables | {"protocol_data": pd.concat([tables["protocol_data"], pd.DataFrame(text)], ignore_index=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--only", nargs="+", default=[], metavar="DATASET/VARIANT/ENCODER", help="some of the shipped sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--n-boot", type=int, default=500, help="steps: replicates over test rows")
    parser.add_argument("--workers", type=int, default=None, help="threads; all cores when absent")
    args = parser.parse_args()
    started, sets = (time.process_time(), time.perf_counter()), shipped(args.only)
    store(MEASURES[args.what](sets, args), " ".join(sys.argv[1:]), sets, started)


MEASURES = {"training": training, "longer": longer, "steps": steps}

if __name__ == "__main__":
    main()
