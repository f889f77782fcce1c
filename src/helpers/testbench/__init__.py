"""Build the test bench: locked tower features of two data sets, projection heads trained on them, and dials for the gap."""

LEARNED = "learned"
"""A temperature that is trained with the heads, where a number is a fixed one."""
