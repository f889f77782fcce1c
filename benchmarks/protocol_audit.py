"""The measurements behind notebook 12: what training and each protocol difference do to the gain of lambda = 1.

    python benchmarks/protocol_audit.py training          gain against updates on all shipped sets
    python benchmarks/protocol_audit.py longer            the same up to the updates of the authors' longer run (AdamW, one seed)
    python benchmarks/protocol_audit.py steps             every executable protocol difference, alone and cumulatively
    python benchmarks/protocol_audit.py equivalences      what a change of scale or a shift predicts, and what is seen

Writes ``data/measured/<name>.csv`` and ``<name>.json``, which says how, from which embeddings and in what time.
"""

import argparse
import os
import time
from dataclasses import replace
from importlib.metadata import version

import pandas as pd

from helpers.files import project_root, replacing, write_json
from helpers.probing.paths import log_checkpoints
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.protocol_steps import LEGS, Arms, change, drawn_validation, optimism, step_effects
from helpers.probing.training_gain import BUDGET, BUDGET_LONGER, converged_gain, training_gain
from helpers.store.catalogue import SHIPPED, SHIPPED_SETS
from helpers.store.embeddings import EmbeddingSet

OUT = project_root() / "data/measured"
STEP_SEEDS, N_BOOT = (42, 43), 500


def shipped() -> list[EmbeddingSet]:
    """Load the sets that the repository ships."""
    return [EmbeddingSet.load(project_root() / SHIPPED / "/".join(names)) for names in SHIPPED_SETS]


def store(tables: dict[str, pd.DataFrame], what: str, sets: list[EmbeddingSet], started: tuple[float, float]) -> None:
    """Write tables, and beside each a record of how it was made."""
    for name, table in tables.items():
        with replacing(OUT / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        record = {
            "command": f"python benchmarks/protocol_audit.py {what}",
            "embeddings": {"/".join((s.identity.dataset, s.identity.variant, s.identity.backbone)): s.fingerprint for s in sets},
            "software": {name: version(name) for name in ("torch", "numpy", "pandas", "scikit-learn")},
            "cores": os.cpu_count(),
            "processor_seconds": round(time.process_time() - started[0], 1),
            "seconds": round(time.perf_counter() - started[1], 1),
        }
        write_json(OUT / f"{name}.json", record)


def training(sets: list[EmbeddingSet], workers: int | None) -> dict[str, pd.DataFrame]:
    """Return the gain against updates and its limit."""
    paths = pd.concat([training_gain(s, workers=workers) for s in sets], ignore_index=True)
    return {"training_gain": paths, "training_gain_limit": pd.concat([converged_gain(s) for s in sets], ignore_index=True)}


def longer(sets: list[EmbeddingSet], workers: int | None) -> dict[str, pd.DataFrame]:
    """Return the gain beyond the published number of updates."""
    beyond = log_checkpoints(BUDGET_LONGER, first=BUDGET)[1:]
    options = {"rates": {"adamw": (3e-4, 1e-3)}, "checkpoints": beyond, "seeds": (42,), "channel_rate": None}
    return {"training_gain_longer": pd.concat([training_gain(s, workers=workers, **options) for s in sets], ignore_index=True)}


def steps(sets: list[EmbeddingSet], workers: int | None) -> dict[str, pd.DataFrame]:
    """Return what each executable difference changes: in the protocol, the text, the validation rows and the choice of lambda."""
    effects, data, choices = [], [], []
    arms = {s.identity: Arms(s, STEP_SEEDS, N_BOOT, workers) for s in sets}
    for identity, mine in arms.items():
        print(identity, flush=True)
        effects.append(step_effects(mine))
        names = {"dataset": identity.dataset, "variant": identity.variant, "backbone": identity.backbone}
        drawn = Arms(drawn_validation(mine.embeddings), STEP_SEEDS, N_BOOT, workers)
        for protocol in LEGS.values():
            found = change(mine.measured(PROTOCOLS[protocol]), drawn.measured(PROTOCOLS[protocol]))
            data.append({**names, "protocol": protocol, "difference": "validation rows drawn", "number": 13, **found})
        clean = arms.get(replace(identity, variant="clean")) if identity.variant == "authors" else None
        for protocol in PROTOCOLS.values() if clean else ():
            found = change(clean.measured(protocol), mine.measured(protocol))
            data.append({**names, "protocol": protocol.name, "difference": "the authors' text", "number": 17, **found})
        choices.append({**names, "protocol": "authors-code", **optimism(mine.embeddings, "authors-code", n_boot=N_BOOT)})
    tables = {"protocol_steps": pd.concat(effects, ignore_index=True), "protocol_data": pd.DataFrame(data)}
    return tables | {"protocol_choice": pd.DataFrame(choices)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--workers", type=int, default=None, help="threads; all cores when absent")
    args = parser.parse_args()
    started, sets = (time.process_time(), time.perf_counter()), shipped()
    store(MEASURES[args.what](sets, args.workers), args.what, sets, started)


MEASURES = {"training": training, "longer": longer, "steps": steps}

if __name__ == "__main__":
    main()
