"""Processor time of a sweep beside its matrix products alone and four plain ways of training its probes, and its memory.

    python benchmarks/probing.py [--data FOLDER ...] [--synthetic 5000x256x7 ...] [--paths 697x256x40 ...] [--out FILE]

The arms run interleaved on the same rows of several classes. Two train the whole grid on the sweep's own batches, validate, and
must give its test scores; the sweep also tabulates them. One-at-a-time arms train a few probes and are scaled to the grid; only
that with a DataLoader validates. Cases that are not measured again stay in FILE.
"""

import argparse
import os
import platform
import re
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from helpers import GapAlignment, gap_vector, sweep
from helpers.files import read_json, write_json
from helpers.probing.descent import initial_parameters
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.scoring import run_in_threads
from helpers.probing.strength import LOOK_AHEAD
from helpers.store.embeddings import EmbeddingSet

LAMBDAS, SEEDS, EPOCHS = np.linspace(0, 1, 11), (42, 43, 44, 45, 46), 20
PROBES = len(LAMBDAS) * len(SEEDS)
PEERS = ("bare products", "rank-one products", "fused bmm", "tight loop", "DataLoader loop")
SAME = 1e-4  # largest difference of a logit between two ways of computing one sweep in float32


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


def whole_sweep(embeddings, protocol, lambdas=LAMBDAS, seeds=SEEDS) -> np.ndarray:
    """The project's engine, from unshifted embeddings to tables of scores; test logits (probes, n, K), by seed, then lambda."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = sweep(embeddings, lambdas, seeds, protocol, device="cpu", progress=False)
    return found.scores[found.runs.sort_values(["seed", "lambda_image"]).index]


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


class PlainSweep:
    """The same sweep of a multi-class set by autograd, in two ways; a method returns test logits as :func:`whole_sweep` does."""

    def __init__(self, embeddings, protocol):
        self.protocol, self.lambdas = protocol, torch.tensor(LAMBDAS, dtype=torch.float32)
        self.fit, self.val, self.test = (torch.from_numpy(embeddings.rows(name)) for name in ("train", "val", "test"))
        text, image = torch.from_numpy(embeddings.text_of()), torch.from_numpy(embeddings.image_of())
        half_gap = torch.from_numpy(gap_vector(image, text)).float() / 2
        self.modalities = self.with_scale(text, half_gap), self.with_scale(image, -half_gap)
        targets = torch.from_numpy(embeddings.targets).float()
        self.labels, counts = targets.argmax(dim=1), targets[self.fit].sum(dim=0)
        self.weights = (len(self.fit) / (len(counts) * counts))[self.labels]

    def with_scale(self, x, step):
        """Return rows (n, d), a step (d,) and scales (lambdas, n), so that Eq. 5 is ``scale * (x + lambda * step)``."""
        lam = self.lambdas[:, None]
        return x, step, (1 + 2 * lam * (x @ step) + lam**2 * step.square().sum()).rsqrt()

    def start(self, seeds):
        """Return weights (lambdas * seeds, K, 2d) and biases, by lambda, then seed, and each seed's generator of batches."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        features, outputs = sum(x.shape[1] for x, *_ in self.modalities), int(self.labels.max()) + 1
        first = torch.stack([initial_parameters(features, outputs, g) for g in generators]).repeat(len(self.lambdas), 1, 1)
        return first[..., :-1], first[..., -1:], generators

    def loss(self, logits, rows):
        """Return the weighted loss of each probe from logits (probes, K, b) of rows (seeds, b)."""
        rows = rows.repeat(len(self.lambdas), 1)
        return (cross_entropy(logits, self.labels[rows], reduction="none") * self.weights[rows]).mean(dim=1)

    def descend(self, parameters, logits, generators) -> np.ndarray:
        """Train the parameters; return test logits (probes, n, K) at the lowest validation loss of each probe."""
        rate, (val, test) = self.protocol, (rows.expand(len(generators), -1) for rows in (self.val, self.test))
        optimizer = torch.optim.AdamW(parameters, lr=rate.lr, weight_decay=rate.weight_decay, fused=True)
        best, lowest = [p.detach().clone() for p in parameters], torch.full((len(parameters[0]),), torch.inf)
        for _ in range(rate.max_epochs):
            order = torch.stack([self.fit[torch.randperm(len(self.fit), generator=g)] for g in generators])
            for rows in order.split(rate.batch_size, dim=1):
                optimizer.zero_grad()
                self.loss(logits(rows), rows).sum().backward()
                optimizer.step()
            with torch.no_grad():
                loss = self.loss(logits(val), val)
                better = loss < lowest
                lowest[better] = loss[better]
                for kept, now in zip(best, parameters, strict=True):
                    kept[better] = now[better]
        with torch.no_grad():
            for kept, now in zip(best, parameters, strict=True):
                now.copy_(kept)
            return logits(test).transpose(1, 2).numpy()

    def rank_one(self) -> np.ndarray:
        """Give each seed a thread, where all lambdas share a product of unshifted rows, and each adds a rank-one term."""

        def train(seed):
            weights, bias, generators = self.start([seed])
            parameters = [w.contiguous().requires_grad_() for w in (*weights.chunk(2, dim=-1), bias)]

            def logits(rows):
                total = parameters[-1]
                for (x, step, scale), weight in zip(self.modalities, parameters, strict=False):
                    product = (weight.flatten(0, 1) @ x[rows[0]].T).view(*weight.shape[:2], -1)
                    shift = self.lambdas[:, None] * (weight @ step)
                    total = total + (product + shift[..., None]) * scale[:, None, rows[0]]
                return total

            return self.descend(parameters, logits, generators)

        return np.concatenate(run_in_threads(torch.inference_mode(False)(train), SEEDS, os.cpu_count() or 1))

    def fused(self) -> np.ndarray:
        """Train all probes in one ``torch.bmm`` over lambdas and seeds, of rows that are shifted beforehand."""
        lam = self.lambdas[:, None, None]
        shifted = torch.cat([(x + lam * step) * scale[..., None] for x, step, scale in self.modalities], dim=-1)
        weights, bias, generators = self.start(SEEDS)
        parameters = [w.contiguous().requires_grad_() for w in (weights, bias)]

        def logits(rows):
            return torch.bmm(parameters[0], shifted[:, rows].flatten(0, 1).transpose(1, 2)) + parameters[1]

        found = self.descend(parameters, logits, generators)
        return found.reshape(len(LAMBDAS), len(SEEDS), *found.shape[1:]).swapaxes(0, 1).reshape(found.shape)


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


def on_one_thread(arm):
    """Run an arm without torch's own threads, whose waiting would count as processor time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return arm()
    finally:
        torch.set_num_threads(threads)


def benchmark(embeddings, repeats: int, single: int, through_loader: int) -> dict:
    """Median processor seconds of the arms on one data set, ratios to the sweep, and the cost of more lambdas and seeds."""
    protocol = PROTOCOLS["authors-code"].replace(name="benchmark", max_epochs=EPOCHS, patience=EPOCHS)
    swept, alone = partial(whole_sweep, embeddings, protocol), partial(one_at_a_time, embeddings, protocol)
    plain, load = PlainSweep(embeddings, protocol), os.getloadavg()[0]
    arms = {
        "sweep": (swept, 1), "rank-one products": (plain.rank_one, 1), "fused bmm": (partial(on_one_thread, plain.fused), 1),
        "bare products": (partial(bare_products, embeddings, protocol), 1),
        "one lambda": (partial(swept, lambdas=[0.0]), 1), "21 lambdas": (partial(swept, lambdas=np.linspace(0, 1, 21)), 1),
        "one seed": (partial(swept, seeds=SEEDS[:1]), 1),
        "tight loop": (partial(on_one_thread, partial(alone, single, False)), PROBES / single),
        "DataLoader loop": (partial(on_one_thread, partial(alone, through_loader, True)), PROBES / through_loader),
    }  # fmt: skip
    short = protocol.replace(max_epochs=1)
    for first in (partial(whole_sweep, embeddings, short), PlainSweep(embeddings, short).rank_one):
        first()  # imports of the library
    seconds, elapsed, scores = {name: [] for name in arms}, {name: [] for name in arms}, {}
    for _ in range(repeats):
        for name, (arm, scale) in arms.items():
            start, clock = time.process_time(), time.perf_counter()
            scores[name] = arm()
            seconds[name].append((time.process_time() - start) * scale)
            elapsed[name].append((time.perf_counter() - clock) * scale)
    apart = {name: float(np.abs(scores[name] - scores["sweep"]).max()) for name in ("rank-one products", "fused bmm")}
    if max(apart.values()) > SAME:
        raise SystemExit(f"the arms compute different sweeps: logits differ by {apart}, {SAME:g} is rounding")
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {f"{re.sub('[ -]', '_', name.lower())}_over_sweep": median[name] / median["sweep"] for name in PEERS}
    return {
        "torch": torch.__version__, "processor": platform.processor() or platform.machine(), "threads": os.cpu_count(),
        "load_before": round(load, 2), "rows": len(embeddings), "dimensions": 2 * embeddings.dim,
        "outputs": embeddings.task.n_outputs, "probes": PROBES, "epochs": EPOCHS, "median_cpu_s": median, "all_cpu_s": seconds,
        "all_s": elapsed, "largest_difference_of_logits": apart,
        "peak_memory_over_embeddings": peak_memory(embeddings, protocol), **ratios,
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
        print(name, {key: value for key, value in results[name].items() if not key.startswith("all_")}, flush=True)
        write_json(options.out, {"results": results, "paths": paths})
