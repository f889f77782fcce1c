"""Encode the prompts of the shipped data sets under the encoders of the test bench: ``data/prompts``.

python benchmarks/prompts.py
"""

from helpers import load_backbone
from helpers.extraction.prompts import PROMPTS, encode_prompts

if __name__ == "__main__":
    for dataset in PROMPTS:
        for encoder in ("lit-natural", "lit-derm"):
            print(encode_prompts(dataset, load_backbone(encoder, device="cpu"), "python benchmarks/prompts.py"))
