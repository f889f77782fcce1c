"""Build the test bench: locked tower features of two data sets, projection heads trained on them, and dials for the gap."""
