"""Draw every figure of the book in one style; functions take tidy tables or embedding sets and return a figure."""
