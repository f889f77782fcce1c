"""How long a sweep takes beside its matrix products alone and three ways of training its probes one at a time, and its memory.

    python benchmarks/probing.py [--data FOLDER ...] [--synthetic 5000x256x7 10000x1152x5 ...] [--repeats 5] [--out FILE]

All arms run in one process on the same rows, interleaved; the table gives medians and ratios. The one-at-a-time arms train a few
probes per repeat and are scaled to the grid. ``sweep`` includes validation, scoring and tables, and so does the loop with a
DataLoader its validation; the tight loop has neither. Cases that are not measured again stay in FILE. Nothing here is a test.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from helpers import GapAlignment, sweep
from helpers.files import read_json
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.scoring import run_in_threads
from helpers.probing.sweep import alignment_grid
from helpers.store.embeddings import EmbeddingSet

LAMBDAS, SEEDS, EPOCHS = np.linspace(0, 1, 11), (42, 43, 44, 45, 46), 20


def synthetic(rows: int, dim: int, classes: int, seed: int = 0) -> EmbeddingSet:
    """Unit vectors in two cones whose classes depend on both; 150000x1152 has the size of MIMIC-CXR with MedSigLIP."""
    rng = np.random.default_rng(seed)
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
    modalities, splits = (embeddings.text_of, embeddings.image_of), ("train", "val", "test")
    parts = {name: [torch.from_numpy(vectors(embeddings.rows(name))) for vectors in modalities] for name in splits}
    weights = torch.randn(len(LAMBDAS) * embeddings.task.n_outputs, embeddings.dim)
    residuals = torch.randn(len(weights), protocol.batch_size)

    def logits(matrices):
        for x in matrices:
            weights @ x.T

    def epoch(_):
        for batch in zip(*(x.split(protocol.batch_size) for x in parts["train"]), strict=True):
            logits(batch)
            for x in batch:
                residuals[:, : len(x)] @ x
        logits(parts["val"])

    run_in_threads(epoch, range(len(SEEDS) * protocol.max_epochs), os.cpu_count() or 1)
    run_in_threads(lambda _: (logits(parts["val"]), logits(parts["test"])), SEEDS, os.cpu_count() or 1)


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


def one_at_a_time(embeddings, protocol, n_probes: int, batches, validate: bool) -> None:
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
            if validate:
                with torch.no_grad():
                    sum(loss(model(xb), yb) * len(xb) for xb, yb in next(validation))


def solve_paths(view, targets, objective, fit, strengths) -> np.ndarray:
    """Objective (n_strengths, n_alignments) of every distinct problem, on as many threads as a sweep would use."""
    from concurrent.futures import ThreadPoolExecutor

    from helpers.probing.solver import Problem
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
    whole_sweep(embeddings, protocol)
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
    protocol = PROTOCOLS["authors-code"].replace(name="benchmark", max_epochs=EPOCHS, patience=EPOCHS)
    grid = len(LAMBDAS) * len(SEEDS)
    arms = {
        "sweep": lambda: timed(whole_sweep, embeddings, protocol),
        "bare products": lambda: timed(bare_products, embeddings, protocol),
        "one lambda": lambda: timed(whole_sweep, embeddings, protocol, lambdas=[0.0]),
        "21 lambdas": lambda: timed(whole_sweep, embeddings, protocol, lambdas=np.linspace(0, 1, 21)),
        "one seed": lambda: timed(whole_sweep, embeddings, protocol, seeds=SEEDS[:1]),
        "tight loop": lambda: timed(one_at_a_time, embeddings, protocol, single_probes, indexed, False) * grid / single_probes,
        "DataLoader loop": lambda: timed(one_at_a_time, embeddings, protocol, loader_probes, loaded, True) * grid / loader_probes,
    }
    whole_sweep(embeddings, protocol.replace(max_epochs=1), lambdas=[0.0, 1.0], seeds=(0,))
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
        "bare_products_over_sweep": median["bare products"] / median["sweep"],
        "tight_loop_over_sweep": median["tight loop"] / median["sweep"],
        "dataloader_over_sweep": median["DataLoader loop"] / median["sweep"],
        "eleven_lambdas_over_one": median["sweep"] / median["one lambda"],
        "twentyone_lambdas_over_eleven": median["21 lambdas"] / median["sweep"],
        "five_seeds_over_one": median["sweep"] / median["one seed"],
        "peak_memory_over_embeddings": peak_memory(embeddings, protocol),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", nargs="*", default=["data/embeddings/ham10000/clean/lit-natural", "data/embeddings/ham10000/clean/lit-derm"]
    )
    parser.add_argument("--synthetic", nargs="*", default=["5000x256x7", "10000x1152x5"], metavar="ROWSxDIMxCLASSES")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/probing.json"))
    options = parser.parse_args()
    results = read_json(options.out)["results"] if options.out.is_file() else {}
    machine = {"torch": torch.__version__, "processor": platform.processor() or platform.machine(), "threads": os.cpu_count()}
    for name in options.data:
        embeddings = EmbeddingSet.load(name)
        result = machine | benchmark(embeddings, options.repeats, 11, 2)
        result["converged"] = converged_arms(embeddings, PROTOCOLS["converged"].strengths[4:19], options.repeats)
        results[name] = result
        _show(name, result)
    for size in options.synthetic:
        embeddings = synthetic(*(int(n) for n in size.split("x")))
        large = len(embeddings) > 20_000
        result = machine | benchmark(embeddings, 1 if large else options.repeats, *((2, 1) if large else (11, 2)))
        results[f"synthetic {size}"] = result
        _show(f"synthetic {size}", result)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"results": results}, indent=2) + "\n")


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
