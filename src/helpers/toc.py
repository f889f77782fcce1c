"""Is every page of the table of contents in the built book? ``python -m helpers.toc _toc.yml _build/html`` exits 1 if not."""

import sys
from pathlib import Path


def pages(toc) -> list[str]:
    """Pages a jupyter-book ``_toc.yml`` lists, without ending, in order.

    Raises:
        FileNotFoundError: no such file.
    """
    import yaml

    return list(_files(yaml.safe_load(Path(toc).read_text(encoding="utf-8"))))


def _files(node):
    if isinstance(node, dict):
        yield from (str(node[key]).removesuffix(".md").removesuffix(".ipynb") for key in ("root", "file") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _files(child)


def missing_pages(toc, html) -> list[str]:
    """Listed pages that were not built."""
    return [page for page in pages(toc) if not (Path(html) / f"{page}.html").is_file()]


if __name__ == "__main__":
    absent = missing_pages(*sys.argv[1:3])
    for page in absent:
        print(f"error: {page} is in {sys.argv[1]} but was not built", file=sys.stderr)
    sys.exit(1 if absent else 0)
