"""The encoders this project knows by name: where they come from, under which terms, and what they were trained on."""

from dataclasses import dataclass

GATED = "gated: accept the terms at https://huggingface.co/{0}, then `hf auth login` and `hf download {0}`"
OPEN = "downloaded on first use; to work offline, `hf download {0}` beforehand, or give a local folder as weights"
SHIPPED = "shipped in data/heads; its towers come with the package's dependencies"


@dataclass(frozen=True)
class Entry:
    """One named encoder.

    ``library`` says who loads it: ``transformers``, ``open_clip``, ``lit`` or ``random``; ``source`` is that library's own id.
    """

    title: str
    library: str
    source: str
    domain: str  # what it was trained on: "natural", "medical" or "none"
    access: str  # how to get the weights, in one sentence
    citation: str  # key in book/references.bib
    gated: bool = False
    text_tower: str = ""  # repository of the text tower's configuration, where that is another one


def _hub(title: str, repository: str, domain: str, citation: str, gated: bool = False) -> Entry:
    return Entry(title, "transformers", repository, domain, (GATED if gated else OPEN).format(repository), citation, gated)


BIOMEDCLIP = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
PUBMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
TWO_REPOSITORIES = (
    f"downloaded on first use; to work offline, `hf download {BIOMEDCLIP} --local-dir FOLDER`, then "
    f"`hf download {PUBMEDBERT} config.json --local-dir FOLDER/text`, and give FOLDER as weights"
)
REGISTRY = {
    "clip": _hub("CLIP ViT-B/32", "openai/clip-vit-base-patch32", "natural", "radford2021clip"),
    "siglip": _hub("SigLIP ViT-B/16, 384 px", "google/siglip-base-patch16-384", "natural", "zhai2023siglip"),
    "siglip-224": _hub("SigLIP ViT-B/16, 224 px", "google/siglip-base-patch16-224", "natural", "zhai2023siglip"),
    "biomedclip": Entry(
        "BioMedCLIP: PubMedBERT, ViT-B/16",
        "open_clip",
        f"hf-hub:{BIOMEDCLIP}",
        "medical",
        TWO_REPOSITORIES,
        "zhang2023biomedclip",
        text_tower=PUBMEDBERT,
    ),
    "medsiglip": _hub("MedSigLIP, 448 px", "google/medsiglip-448", "medical", "sellergren2025medgemma", gated=True),
    "lit-natural": Entry("Test bench, heads trained on Flickr8k", "lit", "lit-natural", "natural", SHIPPED, "zhai2022lit"),
    "lit-derm": Entry("Test bench, heads trained on HAM10000", "lit", "lit-derm", "medical", SHIPPED, "zhai2022lit"),
    "random-clip": Entry(
        "CLIP ViT-B/32 at initialisation",
        "random",
        "ViT-B-32",
        "none",
        "nothing to get; `random-clip:7` has seed 7",
        "liang2022mind",
    ),
}


def trained() -> list[str]:
    """Return the names of encoders with trained weights; one with random weights shares the tokenizer of its architecture."""
    return [name for name, entry in REGISTRY.items() if entry.library != "random"]
