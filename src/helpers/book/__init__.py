"""What the pages of the book are made with: parameters, tables, the slider, provenance and Sphinx hooks."""

from pathlib import Path

TABLES = Path("runs/book/tables")
"""Folder of the book's result tables, which the workflow alone writes."""
