"""Make the pages of the book: parameters, tables, the slider, provenance, Sphinx hooks and steps of the workflow."""
