"""Open and close a notebook of the book: check parameters, store result tables, provide numbers for the prose, show a footer."""

import json
import time
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from IPython.display import Markdown, display
from myst_nb import glue

from ..datasets.registry import title
from ..datasets.splits import straddling
from ..files import read_json, replacing
from ..plotting.style import use_style
from ..store.catalogue import SHIPPED, shipped_but_not_stored
from .formatting import code, fence, fill, format_table
from .parameters import ParameterType, assigned_literals, check_parameters
from .provenance import commit, fingerprints, papermill_command, parameters_fingerprint, versions
from .run_summary import NOT_SHOWN, reasons

RESULTS = Path("results")
"""Folder of result tables of a run by hand, in its working directory; the workflow's own is ``workflow.TABLES``."""
MADE_BY = b"modality-gap-book"


def results_folder(results=None) -> Path:
    """Return the folder for result tables and make it if absent; ``results`` in the working directory when None."""
    folder = Path(RESULTS if results is None else results)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Page:
    """One run of a notebook.

    Args:
        name: file name of the notebook without ending.
        namespace: the notebook's ``globals()``.
        spec: the type of every parameter, see :mod:`helpers.book.parameters`.

    Raises:
        ValueError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, namespace: MutableMapping, spec: dict[str, ParameterType]):
        self.started = time.perf_counter()
        self.name = name
        self.parameters = check_parameters(namespace, spec)
        self.defaults = assigned_literals(namespace.get("In", ()))
        self.fingerprint = parameters_fingerprint(assigned_literals(namespace.get("In", ()), last=True))
        self.results = results_folder(self.parameters.get("results"))
        use_style()

    def save_table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a result table as ``<results>/<name>.parquet``, with a fingerprint of this page's parameters, and return it."""
        content = pa.Table.from_pandas(table, preserve_index=False)
        made_by = json.dumps({"notebook": self.name, "parameters": self.fingerprint}).encode()
        with replacing(self.results / f"{name}.parquet") as temporary:
            pq.write_table(content.replace_schema_metadata({**(content.schema.metadata or {}), MADE_BY: made_by}), temporary)
        return table

    def read_table(self, name: str, maker: str) -> pd.DataFrame:
        """Return a result table that the notebook ``maker`` wrote.

        Raises:
            FileNotFoundError: the table is absent; says which notebook to run.
            ValueError: the table was made with other parameters than the workflow expects (parameter ``made_with``).
        """
        path = self.results / f"{name}.parquet"
        how = f"run notebooks/{maker}.ipynb with the same results folder first"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; {how}")
        try:
            content = pq.read_table(path)
        except (pa.ArrowInvalid, OSError):
            raise ValueError(f"{path} is damaged; {how}") from None
        wanted = json.loads(self.parameters.get("made_with") or "{}").get(maker)
        made_by = json.loads((content.schema.metadata or {}).get(MADE_BY, b"{}"))
        if wanted is not None and made_by.get("parameters") != wanted:
            raise ValueError(f"{path} was made with other parameters than the book's; remove it and build the book again")
        return content.to_pandas()

    def glue(self, **values) -> None:
        """Make numbers and words available to the prose of the book by name, as plain Python values."""
        for name, value in values.items():
            glue(name, value.item() if hasattr(value, "item") else value, display=False)

    def show_text(self, sentence: str, /, **values) -> None:
        """Show a sentence with its values filled in and escaped; names go into ``values``, never into ``sentence``."""
        display(Markdown(fill(sentence, **values)))

    def describe_sets(self, sets: Sequence, variants: Sequence[str] = ("clean",)) -> None:
        """Show which sets the page uses, which have groups in several splits, and how to get shipped sets not stored here.

        Args:
            sets: embedding sets, or (dataset, backbone) pairs.
            variants: the variants the page reads.
        """
        self._show_sets(sets)
        self._show_straddling(sets)
        self._show_excluded()
        if not any(self.parameters.get(name) for name in ("datasets", "dataset", "backbones", "backbone")):
            self._show_not_stored(variants)

    def _show_sets(self, sets: Sequence) -> None:
        encoders: dict[str, dict] = {}
        for s in sets:
            dataset, backbone = s if isinstance(s, tuple) else (s.dataset, s.provenance.get("backbone", "own"))
            encoders.setdefault(title(dataset), {})[backbone] = None
        shown = "; ".join(f"{dataset} under {' and '.join(of)}" for dataset, of in encoders.items())
        self.show_text("Shown here: {shown}." if shown else "No embeddings are stored for this page.", shown=shown)

    def _show_straddling(self, sets: Sequence) -> None:
        for dataset, groups in {title(s.dataset): len(straddling(s.pairs)) for s in sets if not isinstance(s, tuple)}.items():
            if groups:
                self.show_text(
                    "{dataset}: {groups} groups are in more than one split; test scores are too high for unseen groups.",
                    dataset=dataset, groups=groups,
                )  # fmt: skip

    def _show_excluded(self) -> None:
        """Say which sets the workflow excluded or skipped, and why."""
        path = Path(self.parameters.get("store") or "", NOT_SHOWN)
        for line in reasons(read_json(path)) if path.is_file() else ():
            self.show_text("Not part of this run: {line}", line=line)

    def _show_not_stored(self, variants: Sequence[str]) -> None:
        absent: dict[tuple, dict] = {}
        for dataset, variant, backbone in (s for v in variants for s in shipped_but_not_stored(v, self.parameters.get("store"))):
            absent.setdefault((dataset, variant), {})[backbone] = None
        for (dataset, variant), backbones in absent.items():
            self.show_text(
                "No embeddings of {title} ({variant}) under {encoders} are stored here, so what needs them is not shown. The "
                "repository ships them in `{shipped}/{dataset}/{variant}`; `python -m helpers extract {dataset} "
                "--variant {variant} --backbone {first} --root FOLDER` makes them from raw data.",
                title=title(dataset), variant=variant, dataset=dataset, encoders=" and ".join(backbones), shipped=SHIPPED,
                first=next(iter(backbones)),
            )  # fmt: skip

    def show_footer(self, sets: Iterable = ()) -> None:
        """Show how this page was made: the command that repeats it, parameters, software, run time, and the sets it read."""
        display(Markdown(self._footer()))
        sets = list(sets)
        if sets:
            display(format_table(fingerprints(sets)))

    def _footer(self) -> str:
        command = papermill_command(self.name, self.parameters, self.defaults)
        parameters = "; ".join(code(f"{name} = {value!r}") for name, value in self.parameters.items())
        software = ", ".join(f"{name} {version}" for name, version in versions().items())
        block = fence(command, least=3)
        return (
            f"Run this page again:\n\n{block}bash\n{command}\n{block}\n\n"
            f"- **Parameters**: {parameters}\n- **Source**: commit `{commit()}`\n"
            f"- **Software**: {software}\n- **Run time**: {time.perf_counter() - self.started:.0f} s"
        )
