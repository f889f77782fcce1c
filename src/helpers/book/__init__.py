"""What the pages of the book are made with: parameters, tables, the slider, provenance and Sphinx hooks."""
