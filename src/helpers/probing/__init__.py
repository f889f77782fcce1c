"""Train linear probes over a whole grid of alignments and seeds, under several protocols."""
