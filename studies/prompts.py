"""Encode one prompt per class of each shipped data set under the encoders of the test bench.

python studies/prompts.py
"""

from helpers import load_backbone
from helpers.extraction.prompts import PROMPTS, encode_prompts

INPUTS = ["data/heads/*"]
OUT = [f"data/prompts/{dataset}/{encoder}.safetensors" for dataset in PROMPTS for encoder in ("lit-natural", "lit-derm")]

if __name__ == "__main__":
    for dataset in PROMPTS:
        for encoder in ("lit-natural", "lit-derm"):
            print(encode_prompts(dataset, load_backbone(encoder, device="cpu"), "python studies/prompts.py"))
