"""``datasets``: list the data sets by name."""

from ..datasets import DATASETS


def add_arguments(parser) -> None:
    """Add no arguments."""


def run(args) -> int:
    """Print the data sets with their variants, titles and how to get them."""
    for name, entry in DATASETS.items():
        card = entry.card
        access = " (credentialed)" if card.credentialed else ""
        print(f"{name:<11} {card.domain:<8} {', '.join(entry.variants):<15} {card.title}{access}\n{'':<12}{card.access}")
    return 0
