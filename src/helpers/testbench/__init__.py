"""The test bench: locked tower features of two data sets, projection heads trained on them, and two dials for the gap."""
