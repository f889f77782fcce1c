"""What padding does to a SigLIP text vector: the full 64 tokens without a mask (its documented use) against two other habits.

    python benchmarks/padding.py [--json benchmarks/results/padding.json]

``batch-longest`` pads to the longest text of the batch, ``masked`` pads to 64 and passes an attention mask. The text tower pools
its last position, so both read something else there. The tower has the architecture of SigLIP base and random weights; the texts
are token ids of random lengths. The figures show that a vector moves, and how far in this tower; a trained one may differ.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from helpers import mean_resultant_length

CONTEXT, PAD, VOCABULARY = 64, 1, 32_000


def texts(n: int, seed: int) -> list[list[int]]:
    """``n`` rows of 5 to 40 token ids, each ended by the token that also pads."""
    rng = np.random.default_rng(seed)
    return [[*rng.integers(2, VOCABULARY, rng.integers(4, 40)).tolist(), PAD] for _ in range(n)]


def encode(model, rows: list[list[int]], padding: str, batch: int) -> np.ndarray:
    """Unit text vectors (n, d) under one of ``full``, ``batch-longest``, ``masked``."""
    import torch

    vectors = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        length = max(map(len, part)) if padding == "batch-longest" else CONTEXT
        ids = torch.tensor([row + [PAD] * (length - len(row)) for row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in part]) if padding == "masked" else None
        with torch.inference_mode():
            output = model.get_text_features(input_ids=ids, attention_mask=mask)
        vectors.append(torch.nn.functional.normalize(getattr(output, "pooler_output", output), dim=1))
    return torch.cat(vectors).numpy().astype(np.float64)


def main() -> None:
    import torch
    from transformers import SiglipConfig, SiglipModel

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    smallest_eye = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    special = {"pad_token_id": PAD, "bos_token_id": PAD, "eos_token_id": PAD}
    model = SiglipModel(SiglipConfig(text_config=special, vision_config={**smallest_eye, "image_size": 32})).eval()
    rows = texts(args.texts, args.seed)
    full = encode(model, rows, "full", args.batch_size)
    again = encode(model, rows, "full", args.texts)
    result = {"texts": args.texts, "batch_size": args.batch_size, "seed": args.seed, "weights": "random, SigLIP base text tower"}
    result["full"] = {"R": mean_resultant_length(full), "largest_drift_with_the_batch": float((1 - (full * again).sum(1)).max())}
    for padding in ("batch-longest", "masked"):
        other = encode(model, rows, padding, args.batch_size)
        distance = 1 - (full * other).sum(1)
        found = {"median": float(np.median(distance)), "largest": float(distance.max())}
        result[padding] = {"R": mean_resultant_length(other), "cosine_distance": found}
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
