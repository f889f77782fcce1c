"""What every notebook of the book opens and closes with: checked parameters, one look, numbers for the prose, how it was made."""

import time
from collections.abc import MutableMapping
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from ..datasets.registry import title
from ..datasets.splits import straddling
from ..files import project_root, replacing
from ..plotting.style import use_style
from ..store.catalogue import SHIPPED, shipped_but_not_stored
from .parameters import Reader, assigned_literals, check_parameters
from .provenance import commit, fingerprints, papermill_command, versions

RESULTS = Path("runs/notebooks")


def results_folder(results=None) -> Path:
    """Folder for result tables, made if absent; ``runs/notebooks`` of the project when None."""
    folder = project_root() / RESULTS if results is None else Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


HEADINGS = {
    "dataset": "data set", "backbone": "encoder", "auc": "AUC", "p_value": "p", "auc_at_zero": "AUC at λ = 0",
    "minimum_detectable": "smallest detectable", "lambda_image": "λ",
}  # fmt: skip


def neat(table: pd.DataFrame, precision: int = 3, **formats):
    """A table as the book prints it: headings in words, data sets by their printed names, missing values as a dash.

    ``formats`` gives a format by column.
    """
    table = table.assign(dataset=table["dataset"].map(title)) if "dataset" in table else table
    headings = {c: HEADINGS.get(c, str(c).replace("_", " ")) for c in table}
    own = {headings[column]: form for column, form in formats.items()}
    styled = table.rename(columns=headings).style.format(own, precision=precision, na_rep="–").hide(axis="index")
    names = [headings[c] for c in ("dataset", "backbone") if c in headings]
    return styled.set_properties(subset=names, **{"white-space": "nowrap"}) if names else styled


class Page:
    """One run of a notebook.

    Args:
        name: file name of the notebook without ending.
        namespace: the notebook's ``globals()``.
        spec: a reader for every parameter, see :mod:`helpers.book.parameters`.

    Raises:
        ValueError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, namespace: MutableMapping, spec: dict[str, Reader]):
        self.started = time.perf_counter()
        self.name = name
        self.parameters = check_parameters(namespace, spec)
        self.defaults = assigned_literals(namespace.get("In", ()))
        self.results = results_folder(self.parameters.get("results"))
        use_style()

    def keep(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a result table as ``<results>/<name>.parquet`` and return it."""
        with replacing(self.results / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
        return table

    def kept(self, name: str, maker: str) -> pd.DataFrame:
        """A result table that the notebook ``maker`` wrote.

        Raises:
            FileNotFoundError: it was not run yet; says how.
        """
        path = self.results / f"{name}.parquet"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; run notebooks/{maker}.ipynb with the same results folder first")
        return pd.read_parquet(path)

    def glue(self, **values) -> None:
        """Make numbers and words available to the prose of the book under their names, as plain Python values."""
        for name, value in values.items():
            glue(name, value.item() if hasattr(value, "item") else value, display=False)

    def say(self, sentence: str, **values) -> None:
        """Show a sentence with its numbers filled in, where the sentence itself depends on what there is."""
        display(Markdown(sentence.format(**values)))

    def scope(self, sets, variants=("clean",)) -> None:
        """Say which sets the page shows, whose groups are in more than one split, and how to get shipped ones not stored here.

        ``sets`` are embedding sets, or (dataset, backbone) pairs.
        """
        names = [s if isinstance(s, tuple) else (s.dataset, s.provenance.get("backbone", "own")) for s in sets]
        encoders: dict[str, dict] = {}
        for dataset, backbone in names:
            encoders.setdefault(title(dataset), {})[backbone] = None
        shown = "; ".join(f"{dataset} under {' and '.join(of)}" for dataset, of in encoders.items())
        self.say(f"Shown here: {shown}." if shown else "No embeddings are stored for this page.")
        split = {title(s.dataset): len(straddling(s.pairs)) for s in sets if not isinstance(s, tuple)}
        for dataset, groups in split.items():
            if groups:
                self.say(f"{dataset}: {groups} groups are in more than one split; test scores are too high for unseen groups.")
        given = self.parameters
        if given.get("datasets") or given.get("dataset") or given.get("backbones") or given.get("backbone"):
            return
        gone: dict[tuple, dict] = {}
        for dataset, variant, backbone in (s for v in variants for s in shipped_but_not_stored(v, given.get("store"))):
            gone.setdefault((dataset, variant), {})[backbone] = None
        for (dataset, variant), of in gone.items():
            command = f"python -m helpers extract {dataset} --variant {variant} --backbone {next(iter(of))} --root FOLDER"
            self.say(
                f"No embeddings of {title(dataset)} ({variant}) under {' and '.join(of)} are stored here, and what needs them is "
                f"not shown. The repository ships them in `{SHIPPED}/{dataset}/{variant}`; `{command}` makes them from raw data."
            )

    def made(self, sets=()):
        """Show how this page was made: the command to run it again, parameters, software, run time, and the embeddings it read."""
        command = papermill_command(self.name, self.parameters, self.defaults)
        given = "; ".join(f"`{k}` = `{v!r}`" for k, v in self.parameters.items())
        software = ", ".join(f"{name} {version}" for name, version in versions().items())
        lines = [
            f"Run this page again:\n\n```bash\n{command}\n```\n",
            f"- **Parameters**: {given}",
            f"- **Source**: commit `{commit()}`",
            f"- **Software**: {software}",
            f"- **Run time**: {time.perf_counter() - self.started:.0f} s",
        ]
        display(Markdown("\n".join(lines)))
        if len(sets):
            display(neat(fingerprints(sets)))
