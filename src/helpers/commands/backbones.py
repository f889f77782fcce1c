"""``backbones``: list the encoders by name."""

from ..backbones.registry import REGISTRY


def add_arguments(parser) -> None:
    """Add no arguments."""


def run(args) -> int:
    """Print the encoders with their titles and how to get them."""
    for name, entry in REGISTRY.items():
        print(f"{name:<12} {entry.domain:<8} {entry.title}\n{'':<13}{entry.access}")
    print("any other: transformers:<id>, open_clip:<architecture>/<tag>, open_clip:hf-hub:<id>, <owner>/<name>, or a folder")
    return 0
