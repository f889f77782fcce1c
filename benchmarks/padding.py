"""What padding does to a SigLIP text vector: the full 64 tokens without a mask (its documented use) against two other habits.

    python benchmarks/padding.py > benchmarks/results/padding.json

``batch-longest`` pads to the longest text of the batch, ``masked`` passes an attention mask; the tower pools its last position, so
both read something else there. The tower is SigLIP base with random weights, the texts are random ids; a trained tower may differ.
"""

import json

import numpy as np
import torch
from transformers import SiglipConfig, SiglipModel

from helpers import mean_resultant_length

CONTEXT, PAD, VOCABULARY = 64, 1, 32_000
TEXTS, BATCH, SEED = 64, 8, 0


def encode(model, rows: list[list[int]], padding: str, batch: int = BATCH) -> np.ndarray:
    """Return unit text vectors (n, d) under one of ``full``, ``batch-longest``, ``masked``."""
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


if __name__ == "__main__":
    torch.manual_seed(SEED)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 32}
    special = {"pad_token_id": PAD, "bos_token_id": PAD, "eos_token_id": PAD}
    model = SiglipModel(SiglipConfig(text_config=special, vision_config=small)).eval()
    rng = np.random.default_rng(SEED)
    rows = [[*rng.integers(2, VOCABULARY, rng.integers(4, 40)).tolist(), PAD] for _ in range(TEXTS)]
    full, at_once = encode(model, rows, "full"), encode(model, rows, "full", TEXTS)
    result = {"texts": TEXTS, "batch_size": BATCH, "seed": SEED, "weights": "random, SigLIP base text tower"}
    result["full"] = {"R": mean_resultant_length(full), "largest_drift_with_the_batch": float((1 - (full * at_once).sum(1)).max())}
    for padding in ("batch-longest", "masked"):
        other = encode(model, rows, padding)
        median, largest = np.quantile(1 - (full * other).sum(1), (0.5, 1)).tolist()
        result[padding] = {"R": mean_resultant_length(other), "cosine_distance": {"median": median, "largest": largest}}
    print(json.dumps(result, indent=2))
