"""Make the pages of the book: parameters, tables, the slider, provenance, Sphinx hooks and steps of the workflow."""

from pathlib import Path

TABLES = Path("runs/book/tables")
"""Folder of the book's result tables, which the workflow alone writes."""
