"""The linear probe over a whole grid of alignments and seeds, under several protocols."""
