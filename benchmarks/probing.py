"""How long a sweep takes beside its matrix products alone and two ways of training its probes one at a time, and its memory.

    python benchmarks/probing.py [--data FOLDER ...] [--synthetic 5000x256x7 ...] [--paths 697x256x40 ...] [--out FILE]

The arms run interleaved on the same rows. One-at-a-time arms train a few probes and are scaled to the grid; only that with a
DataLoader validates, as the sweep does. Cases that are not measured again stay in FILE.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from helpers import GapAlignment, sweep
from helpers.files import read_json, write_json
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.scoring import run_in_threads
from helpers.probing.strength import LOOK_AHEAD
from helpers.store.embeddings import EmbeddingSet

LAMBDAS, SEEDS, EPOCHS = np.linspace(0, 1, 11), (42, 43, 44, 45, 46), 20
PROBES = len(LAMBDAS) * len(SEEDS)


def synthetic(rows: int, dim: int, classes: int) -> EmbeddingSet:
    """Unit vectors in two cones whose classes depend on both; 150000x1152 has the size of MIMIC-CXR with MedSigLIP."""
    rng = np.random.default_rng(0)
    image, text = (rng.standard_normal((rows, dim), dtype=np.float32) for _ in range(2))
    labels = (image[:, :classes] + text[:, :classes] + rng.standard_normal((rows, classes), dtype=np.float32)).argmax(axis=1)
    for matrix, centre in ((image, 0.1), (text, -0.1)):
        matrix += np.float32(centre)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    split = np.repeat(["train", "val", "test"], [int(0.7 * rows), int(0.1 * rows), rows - int(0.7 * rows) - int(0.1 * rows)])
    return EmbeddingSet.from_arrays(image, text, np.array([f"c{k}" for k in range(classes)])[labels], split)


def whole_sweep(embeddings, protocol, lambdas=LAMBDAS, seeds=SEEDS) -> None:
    """The project's engine, from unshifted embeddings to tables of scores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sweep(embeddings, lambdas, seeds, protocol, device="cpu", progress=False)


def bare_products(embeddings, protocol) -> None:
    """The matrix products of the sweep and nothing else: rows already in order, weights that never change, equal shares."""
    both = embeddings.text_of, embeddings.image_of
    parts = {name: [torch.from_numpy(of(embeddings.rows(name))) for of in both] for name in ("train", "val", "test")}
    weights = torch.randn(len(LAMBDAS) * embeddings.task.n_outputs, embeddings.dim)
    residuals = torch.randn(len(weights), protocol.batch_size)

    def logits(matrices):
        for x in matrices:
            weights @ x.T

    def epoch(_):
        for x in (block for matrix in parts["train"] for block in matrix.split(protocol.batch_size)):
            weights @ x.T
            residuals[:, : len(x)] @ x
        logits(parts["val"])

    run_in_threads(epoch, range(len(SEEDS) * protocol.max_epochs), os.cpu_count() or 1)
    run_in_threads(lambda _: logits([*parts["val"], *parts["test"]]), SEEDS, os.cpu_count() or 1)


class PairItems(torch.utils.data.Dataset):
    """Items as in the authors' code: one dictionary of text, image and label per pair, converted from arrays on access."""

    def __init__(self, features, targets):
        half = features.shape[1] // 2
        self.arrays = {"text": features[:, :half].numpy(), "image": features[:, half:].numpy(), "labels": targets.numpy()}

    def __len__(self) -> int:
        return len(self.arrays["labels"])

    def __getitem__(self, i):
        return {name: torch.tensor(values[i], dtype=torch.float32) for name, values in self.arrays.items()}


def batches(features, targets, batch_size: int, through_loader: bool):
    """Shuffled batches from memory or through a DataLoader, as often as one iterates."""
    loader = torch.utils.data.DataLoader(PairItems(features, targets), batch_size, shuffle=True)
    while True:
        if through_loader:
            yield ((torch.cat([b["text"], b["image"]], dim=1), b["labels"]) for b in loader)
        else:
            yield ((features[rows], targets[rows]) for rows in torch.randperm(len(targets)).split(batch_size))


def one_at_a_time(embeddings, protocol, n_probes: int, through_loader: bool) -> None:
    """Probes trained in turn on materialised features; validated if they go through a DataLoader."""
    fit, val, y = embeddings.rows("train"), embeddings.rows("val"), torch.from_numpy(embeddings.targets).float()
    weight = len(fit) / (y.shape[1] * y[fit].sum(dim=0))
    loss = (torch.nn.CrossEntropyLoss if embeddings.task.kind == "multiclass" else torch.nn.BCEWithLogitsLoss)(weight=weight)
    for probe in range(n_probes):
        torch.manual_seed(probe)
        alignment = GapAlignment(LAMBDAS[probe % 11]).fit(embeddings.image_of(fit), embeddings.text_of(fit))
        image, text = alignment.transform(embeddings.image_of(), embeddings.text_of())
        x = torch.from_numpy(np.concatenate([text, image], axis=1))
        model = torch.nn.Linear(x.shape[1], y.shape[1])
        optimizer = torch.optim.AdamW(model.parameters(), lr=protocol.lr, fused=True)
        epochs, validation = (batches(x[r], y[r], n, through_loader) for r, n in ((fit, protocol.batch_size), (val, 8192)))
        for _ in range(protocol.max_epochs):
            for xb, yb in next(epochs):
                optimizer.zero_grad()
                loss(model(xb), yb).backward()
                optimizer.step()
            if through_loader:
                with torch.no_grad():
                    sum(loss(model(xb), yb) * len(xb) for xb, yb in next(validation))


def peak_memory(embeddings, protocol) -> float:
    """Peak resident bytes during the sweep, the embeddings included, as a multiple of the embeddings' own float32 bytes."""

    def kilobytes(key: str) -> int:
        return int(next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith(key)).split()[1])

    own, before = (embeddings.image.nbytes + embeddings.text.nbytes) / 1024, kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    whole_sweep(embeddings, protocol)
    return (kilobytes("VmHWM") - before) / own + 1


def benchmark(embeddings, repeats: int, single: int, through_loader: int) -> dict:
    """Medians of the arms on one data set, ratios to the sweep, and the cost of more lambdas and seeds."""
    protocol = PROTOCOLS["authors-code"].replace(name="benchmark", max_epochs=EPOCHS, patience=EPOCHS)
    swept, alone = partial(whole_sweep, embeddings, protocol), partial(one_at_a_time, embeddings, protocol)
    arms = {
        "sweep": (swept, 1), "bare products": (partial(bare_products, embeddings, protocol), 1),
        "one lambda": (partial(swept, lambdas=[0.0]), 1), "21 lambdas": (partial(swept, lambdas=np.linspace(0, 1, 21)), 1),
        "one seed": (partial(swept, seeds=SEEDS[:1]), 1), "tight loop": (partial(alone, single, False), PROBES / single),
        "DataLoader loop": (partial(alone, through_loader, True), PROBES / through_loader),
    }  # fmt: skip
    whole_sweep(embeddings, protocol.replace(max_epochs=1), lambdas=[0.0, 1.0], seeds=(0,))
    seconds = {name: [] for name in arms}
    for _ in range(repeats):
        for name, (arm, scale) in arms.items():
            start = time.perf_counter()
            arm()
            seconds[name].append((time.perf_counter() - start) * scale)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "torch": torch.__version__, "processor": platform.processor() or platform.machine(), "threads": os.cpu_count(),
        "rows": len(embeddings), "dimensions": 2 * embeddings.dim, "outputs": embeddings.task.n_outputs, "probes": PROBES,
        "epochs": EPOCHS, "median_s": median, "all_s": seconds, "peak_memory_over_embeddings": peak_memory(embeddings, protocol),
        "bare_products_over_sweep": median["bare products"] / median["sweep"],
        "tight_loop_over_sweep": median["tight loop"] / median["sweep"],
        "dataloader_over_sweep": median["DataLoader loop"] / median["sweep"],
        "eleven_lambdas_over_one": median["sweep"] / median["one lambda"],
        "twentyone_lambdas_over_eleven": median["21 lambdas"] / median["sweep"],
        "five_seeds_over_one": median["sweep"] / median["one seed"],
    }  # fmt: skip


def converged_path(embeddings) -> dict:
    """Processor seconds of a converged probe and of scikit-learn's newton-cg, warm-started along the same strengths."""
    start = time.process_time()
    found = sweep(embeddings, [0.0], protocol="converged", workers=1, device="cpu", progress=False).runs.iloc[0]
    ours, fit = time.process_time() - start, embeddings.rows("train")
    grid = PROTOCOLS["converged"].strengths
    tried = grid[: sum(strength >= found["strength"] for strength in grid) + LOOK_AHEAD + 1]
    x = np.concatenate([embeddings.text_of(fit), embeddings.image_of(fit)], axis=1).astype(np.float64)
    model = LogisticRegression(solver="newton-cg", warm_start=True, tol=1e-7, max_iter=1000)
    start = time.process_time()
    for strength in tried:
        model.set_params(C=1 / (strength * len(fit))).fit(x, embeddings.targets[fit].argmax(axis=1))
    theirs = time.process_time() - start
    return {"cpu_s": ours, "newton_cg_cpu_s": theirs, "newton_cg_over_converged": theirs / ours, "strengths": len(tried)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--synthetic", nargs="*", default=["5000x256x7"], metavar="ROWSxDIMxCLASSES")
    parser.add_argument("--paths", nargs="*", default=[], metavar="ROWSxDIMxCLASSES", help="converged probes, beside newton-cg")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/probing.json"))
    options = parser.parse_args()
    stored = read_json(options.out) if options.out.is_file() else {}
    results, paths = stored.get("results", {}), stored.get("paths", {})
    for size in options.paths:
        paths[f"synthetic {size}"] = converged_path(synthetic(*map(int, size.split("x"))))
        print(size, paths[f"synthetic {size}"], flush=True)
        write_json(options.out, {"results": results, "paths": paths})
    cases = {name: partial(EmbeddingSet.load, name) for name in options.data}
    cases |= {f"synthetic {size}": partial(synthetic, *map(int, size.split("x"))) for size in options.synthetic}
    for name, make in cases.items():
        embeddings = make()
        results[name] = benchmark(embeddings, *((1, 2, 1) if len(embeddings) > 20_000 else (options.repeats, 11, 2)))
        print(name, {key: value for key, value in results[name].items() if key != "all_s"}, flush=True)
        write_json(options.out, {"results": results, "paths": paths})
