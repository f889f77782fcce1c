"""How long a sweep takes beside three ways of training its probes one at a time, and how much memory it needs.

    python benchmarks/probing.py [--data FOLDER ...] [--rows 10000 ...] [--repeats 5] [--out benchmarks/results/probing.json]

All arms run in one process on the same rows, interleaved, with the same validation work; the table gives medians and ratios. The
one-at-a-time arms train a few probes per repeat and are scaled to the grid. Nothing here is a test.
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from helpers import GapAlignment
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.sweep import _Plan, alignment_grid
from helpers.probing.validation import split_rows
from helpers.store.embeddings import EmbeddingSet
from helpers.tasks import Task

LAMBDAS, SEEDS, EPOCHS = np.linspace(0, 1, 11), (42, 43, 44, 45, 46), 20


def synthetic(rows: int, dim: int = 1152, classes: int = 5, seed: int = 0) -> EmbeddingSet:
    """Unit vectors with two cones and multi-label signal, of the size of MIMIC-CXR with MedSigLIP at 150,000 rows."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    image, text = (rng.standard_normal((rows, dim), dtype=np.float32) for _ in range(2))
    labels = (image[:, :classes] + text[:, :classes] > 1).astype(np.int8)
    for matrix, centre in ((image, 0.1), (text, -0.1)):
        matrix += np.float32(centre)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    task = Task("multilabel", tuple(f"c{k}" for k in range(classes)))
    split = np.repeat(["train", "val", "test"], [int(0.7 * rows), int(0.1 * rows), rows - int(0.7 * rows) - int(0.1 * rows)])
    index = np.arange(rows)
    pairs = pd.DataFrame({"pair_id": index.astype(str), "image": index, "text": index, "split": split, "group": index.astype(str)})
    pairs[task.columns] = labels
    return EmbeddingSet(image, text, pairs, task, {"dataset": f"synthetic-{rows}", "variant": "-", "backbone": f"{dim}d"})


def fused(embeddings, protocol, lambdas=LAMBDAS, seeds=SEEDS) -> None:
    """The project's engine, from unshifted embeddings to scores of validation and test rows."""
    plan = _Plan(embeddings, alignment_grid(lambdas), protocol, {s: split_rows(embeddings, s) for s in seeds}, "float32", "cpu")
    plan.execute([("joint", s) for s in seeds], None, False)


def materialised(embeddings, lam: float, rows):
    """Aligned features of one lambda, as a loop over probes needs them."""
    fit = embeddings.rows("train")
    alignment = GapAlignment(lam).fit(embeddings.image_of(fit), embeddings.text_of(fit))
    image, text = alignment.transform(embeddings.image_of(rows), embeddings.text_of(rows))
    return torch.from_numpy(np.concatenate([text, image], axis=1))


def loss_for(embeddings, protocol):
    """The library's loss with class weights of the training rows."""
    targets = torch.from_numpy(embeddings.targets[embeddings.rows("train")]).float()
    weight = len(targets) / (targets.shape[1] * targets.sum(dim=0))
    if embeddings.task.kind == "multiclass":
        return torch.nn.CrossEntropyLoss(weight=weight)
    return torch.nn.BCEWithLogitsLoss(weight=weight)


class PairItems(torch.utils.data.Dataset):
    """Items as in the authors' code: one dictionary of text, image and label per pair, converted from arrays on access."""

    def __init__(self, features, targets):
        half = features.shape[1] // 2
        self.text, self.image, self.targets = features[:, :half].numpy(), features[:, half:].numpy(), targets.numpy()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i):
        arrays = {"text": self.text[i], "image": self.image[i], "labels": self.targets[i]}
        return {name: torch.tensor(values, dtype=torch.float32) for name, values in arrays.items()}


def loaded(features, targets, batch_size: int, shuffle: bool):
    """Batches through a DataLoader, text and image concatenated on the way, as often as one iterates."""
    loader = torch.utils.data.DataLoader(PairItems(features, targets), batch_size, shuffle=shuffle)
    while True:
        yield ((torch.cat([b["text"], b["image"]], dim=1), b["labels"]) for b in loader)


def indexed(features, targets, batch_size: int, shuffle: bool):
    """Batches by index from memory, as often as one iterates."""
    while True:
        order = torch.randperm(len(targets)) if shuffle else torch.arange(len(targets))
        yield ((features[rows], targets[rows]) for rows in order.split(batch_size))


def one_at_a_time(embeddings, protocol, n_probes: int, batches) -> None:
    """Probes trained in turn, with batches by index (tight) or through a DataLoader as in the authors' code."""
    fit, val = embeddings.rows("train"), embeddings.rows("val")
    y = torch.from_numpy(embeddings.targets).float()
    loss = loss_for(embeddings, protocol)
    for probe in range(n_probes):
        torch.manual_seed(probe)
        x_fit, x_val = (materialised(embeddings, LAMBDAS[probe % 11], rows) for rows in (fit, val))
        model = torch.nn.Linear(x_fit.shape[1], y.shape[1])
        optimizer = torch.optim.AdamW(model.parameters(), lr=protocol.lr, fused=True)
        epochs = batches(x_fit, y[fit], protocol.batch_size, True)
        validation = batches(x_val, y[val], 8192, False)
        for _ in range(protocol.max_epochs):
            for xb, yb in next(epochs):
                optimizer.zero_grad()
                loss(model(xb), yb).backward()
                optimizer.step()
            with torch.no_grad():
                sum(loss(model(xb), yb) * len(xb) for xb, yb in next(validation))


def solve_paths(view, targets, objective, fit, strengths) -> np.ndarray:
    """Objective (n_strengths, n_alignments) of every distinct problem, on as many threads as a sweep would use."""
    from concurrent.futures import ThreadPoolExecutor

    from helpers.probing.problem import Problem
    from helpers.probing.solver import minimise

    def path(which):
        problem = Problem(view.chunk(which.tolist()), targets, objective, fit)
        current, values = problem.zeros(), []
        for strength in strengths:
            solution = minimise(problem, current, strength, 1e-8)
            current = solution.parameters
            values.append(solution.objective.numpy())
        return np.stack(values)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
            return np.concatenate(list(pool.map(path, np.array_split(np.arange(view.n_alignments), threads))), axis=1)
    finally:
        torch.set_num_threads(threads)


def converged_arms(embeddings, strengths, repeats: int) -> dict:
    """Distinct problems (lambda x strength) solved side by side, against scikit-learn one by one, at equal or better objective."""
    from sklearn.linear_model import LogisticRegression

    from helpers.probing.objective import Objective
    from helpers.probing.views import build_view

    fit = embeddings.rows("train")
    objective = Objective.of(embeddings.task, "balanced", embeddings.targets[fit])
    targets = torch.from_numpy(embeddings.targets.T.copy()).double()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        view = build_view(embeddings, alignment_grid(LAMBDAS), fit, fit, torch.float64, "cpu")
        values = solve_paths(view, targets, objective, torch.from_numpy(fit), strengths)
        seconds.append(time.perf_counter() - start)
    ours = statistics.median(seconds)
    codes = embeddings.targets[fit].argmax(axis=1)
    weight = objective.positive[codes]
    sample, seconds, excess = list(range(0, 11, 5)), 0.0, []
    for a in sample:
        x = materialised(embeddings, LAMBDAS[a], fit).double().numpy()
        for strength, value in zip(strengths, values, strict=True):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = LogisticRegression(C=1 / (strength * weight.sum()), tol=1e-4, max_iter=10_000).fit(
                    x, codes, sample_weight=weight
                )
            seconds += time.perf_counter() - start
            z = model.decision_function(x)
            losses = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(codes)), codes]
            theirs = (weight * losses).sum() / weight.sum() + strength / 2 * (model.coef_**2).sum()
            excess.append((value[a] - theirs) / theirs)
    problems = len(LAMBDAS) * len(strengths)
    theirs = seconds / (len(sample) * len(strengths)) * problems
    return {
        "problems": problems,
        "ours_s": ours,
        "scikit_learn_s": theirs,
        "ratio": theirs / ours,
        "largest_excess_of_our_objective": max(excess),
    }


def peak_memory(embeddings, protocol) -> float:
    """Peak resident bytes during the sweep, the embeddings included, as a multiple of the embeddings' own float32 bytes."""
    own = embeddings.image.nbytes + embeddings.text.nbytes
    before = _status("VmRSS") - own
    Path("/proc/self/clear_refs").write_text("5")
    fused(embeddings, protocol)
    return (_status("VmHWM") - before) / own


def _status(key: str) -> int:
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith(key))
    return int(line.split()[1]) * 1024


def timed(function, *arguments, **options) -> float:
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def benchmark(embeddings, repeats: int, single_probes: int, loader_probes: int) -> dict:
    """Medians of the descent arms on one data set, and the cost of more lambdas and seeds."""
    protocol = PROTOCOLS["authors-code"].but(name="benchmark", max_epochs=EPOCHS, patience=EPOCHS)
    grid = len(LAMBDAS) * len(SEEDS)
    arms = {
        "fused": lambda: timed(fused, embeddings, protocol),
        "one lambda": lambda: timed(fused, embeddings, protocol, lambdas=[0.0]),
        "21 lambdas": lambda: timed(fused, embeddings, protocol, lambdas=np.linspace(0, 1, 21)),
        "one seed": lambda: timed(fused, embeddings, protocol, seeds=SEEDS[:1]),
        "tight loop": lambda: timed(one_at_a_time, embeddings, protocol, single_probes, indexed) * grid / single_probes,
        "DataLoader loop": lambda: timed(one_at_a_time, embeddings, protocol, loader_probes, loaded) * grid / loader_probes,
    }
    fused(embeddings, protocol.but(max_epochs=1), lambdas=[0.0, 1.0], seeds=(0,))
    seconds = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            seconds[name].append(arm())
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "rows": len(embeddings),
        "dimensions": 2 * embeddings.dim,
        "outputs": embeddings.task.n_outputs,
        "probes": grid,
        "epochs": EPOCHS,
        "median_s": median,
        "all_s": seconds,
        "fused_over_tight_loop": median["tight loop"] / median["fused"],
        "fused_over_dataloader": median["DataLoader loop"] / median["fused"],
        "eleven_lambdas_over_one": median["fused"] / median["one lambda"],
        "twentyone_lambdas_over_eleven": median["21 lambdas"] / median["fused"],
        "five_seeds_over_one": median["fused"] / median["one seed"],
        "peak_memory_over_embeddings": peak_memory(embeddings, protocol),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", nargs="*", default=["data/embeddings/ham10000/clean/lit-natural", "data/embeddings/ham10000/clean/lit-derm"]
    )
    parser.add_argument("--rows", nargs="*", type=int, default=[10_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/probing.json"))
    options = parser.parse_args()
    report = {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
    }
    report["results"] = {}
    for name in options.data:
        embeddings = EmbeddingSet.load(name)
        result = benchmark(embeddings, options.repeats, 11, 2)
        result["converged"] = converged_arms(embeddings, PROTOCOLS["converged"].strengths[4:19], options.repeats)
        report["results"][name] = result
        _show(name, result)
    for rows in options.rows:
        embeddings = synthetic(rows)
        repeats = options.repeats if rows <= 20_000 else 1
        report["results"][f"synthetic {rows}"] = result = benchmark(embeddings, repeats, 2, 1)
        _show(f"synthetic {rows}", result)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")


def _show(name: str, result: dict) -> None:
    size = f"{result['rows']} rows x {result['dimensions']}, {result['outputs']} outputs"
    print(f"\n{name}: {size}, {result['probes']} probes, {EPOCHS} epochs")
    for arm, seconds in result["median_s"].items():
        print(f"  {arm:<18}{seconds:10.2f} s")
    for key in [k for k in result if "over" in k]:
        print(f"  {key:<32}{result[key]:8.2f}")
    for key, value in result.get("converged", {}).items():
        print(f"  converged {key:<34}{value:12.4g}", flush=True)


if __name__ == "__main__":
    main()
