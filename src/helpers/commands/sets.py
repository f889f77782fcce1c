"""Commands on stored embedding sets: geometry, sweeps, reports and recommendations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..probing.protocol import PROTOCOLS, Grid
from .options import (
    Backbone,
    Dataset,
    Replicates,
    Store,
    Table,
    Variant,
    app,
    check_table,
    listed,
    numbers,
    parsed,
    write_table,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

GRID = Grid()


@app.command()
def cone(
    dataset: Dataset,
    backbone: Backbone,
    variant: Variant = "clean",
    store: Store = None,
    n_boot: Replicates = 1000,
    out: Table = None,
) -> None:
    """Measure the cones and the gap of an embedding set."""
    from ..cones import cone_table
    from ..extraction.find import embeddings_for

    check_table(out)
    embeddings = embeddings_for(dataset, backbone, variant, store)
    table = cone_table(embeddings, n_boot)
    print(embeddings)
    print(table[["modality", "quantity", "value", "low", "high"]].to_string(index=False, float_format="{:.4f}".format, na_rep=""))
    write_table(table, out)


def _of_grid(name: str, help_text: str) -> typer.models.OptionInfo:
    """Return an option of ``sweep`` that is not given by default; its help shows the default of :class:`Grid`."""
    return typer.Option(help=help_text, show_default=",".join(map(str, getattr(GRID, name))), metavar="VALUE,...")


@app.command()
def sweep(
    dataset: Dataset,
    backbone: Backbone,
    variant: Variant = "clean",
    store: Store = None,
    protocol: Annotated[str | None, _of_grid("protocol", f"How probes are trained: {', '.join(PROTOCOLS)}.")] = None,
    lambdas: Annotated[str | None, _of_grid("lambdas", "Alignment strengths of the shift along the gap.")] = None,
    seeds: Annotated[str | None, _of_grid("seeds", "One probe per seed, lambda and kind of features.")] = None,
    features: Annotated[str | None, _of_grid("features", "What a probe sees: joint, image, text.")] = None,
    alignments: Annotated[str | None, _of_grid("alignments", "Others, swept on joint features; none when empty.")] = None,
    alignment_lambdas: Annotated[str | None, _of_grid("alignment_lambdas", "Alignment strengths of these.")] = None,
    settings: Annotated[str, typer.Option(help="The same as JSON; single options go before it.")] = "{}",
    sweeps: Annotated[str | None, typer.Option(help="Folder for the results; runs/sweeps.")] = None,
    export: Annotated[str | None, typer.Option(help="Write the test scores row by row as .parquet, .csv or .csv.gz.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that train probes; one per core.")] = None,
) -> None:
    """Train probes over lambda and seeds, and store the results."""
    from ..extraction.find import embeddings_for
    from ..probing.cache import stored_or_run
    from ..probing.result import refuse_ending, refuse_private, score_table, write_scores

    names = {"protocol": protocol, "features": features, "alignments": alignments}
    values = {"lambdas": (lambdas, float), "alignment_lambdas": (alignment_lambdas, float), "seeds": (seeds, int)}
    single = {name: listed(text) for name, text in names.items() if text is not None}
    single |= {name: numbers(name, text, kind) for name, (text, kind) in values.items() if text is not None}
    grid = Grid.of(parsed(settings) | single)
    embeddings = embeddings_for(dataset, backbone, variant, store)
    if export:
        refuse_ending(export)
        refuse_private(embeddings.identity.dataset)
    lines, exported = [], []
    for name in grid.protocol:
        for part in grid.parts:
            result, done = stored_or_run(embeddings, name, part, grid.arguments(part), sweeps, workers)
            print(done)
            if export:
                exported.append(score_table(result, part))
            if part == "lambda":
                lines.append(_worth(result).assign(protocol=name))
    if exported:
        print(f"test scores: {write_scores(exported, export)}")
    print(_gains(lines))


def _worth(result) -> "pd.DataFrame":
    """Return the choice on validation by features, joint features alone where there are some."""
    best = result.best
    return best[best["features"] == "joint"] if (best["features"] == "joint").any() else best


def _gains(lines: list) -> str:
    import pandas as pd

    from ..probing.inference import SELECTED

    table = pd.concat(lines).set_index(["protocol", "features"])[["lambda_image", *SELECTED[:-1]]]
    names = {"lambda_image": "lambda", "auc_at_zero": "AUC(0)", "auc": "AUC", "difference": "gain"}
    shown = table.rename(columns=names).round(4)
    return f"lambda chosen on validation rows, judged on test rows (95 % bootstrap interval):\n{shown}"


@app.command()
def report(
    dataset: Dataset,
    backbone: Backbone,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who contributes the numbers, as the book will print it.")],
    how: Annotated[str, typer.Option(metavar="SENTENCE", help="One sentence on data, machine and anything unusual.")],
    variant: Variant = "authors",
    store: Store = None,
    sweeps: Annotated[str | None, typer.Option(help="Folder of stored sweeps; runs/sweeps.")] = None,
    n_boot: Replicates = 1000,
    out: Annotated[str | None, typer.Option(help="File to write; <dataset>--<variant>--<encoder>.json.")] = None,
) -> None:
    """Write the numbers of an embedding set as one small file, to contribute its cells to the book."""
    from ..contributed import make_report
    from ..extraction.find import embeddings_for
    from ..probing.cache import cached_sweeps
    from ..published import which_cell
    from ..store import folder_name

    embeddings = embeddings_for(dataset, backbone, variant, store)
    own = embeddings.identity
    found = cached_sweeps(own, sweeps)
    written = make_report(embeddings, found, by, how, n_boot)
    path = written.save(out or Path(f"{own.dataset}--{own.variant}--{folder_name(own.backbone)}.json"))
    protocols = ", ".join(result.provenance["protocol"] for result in found) or "none stored"
    print(f"{embeddings}\nwritten: {path}, {path.stat().st_size:,} bytes of numbers; sweeps: {protocols}")
    if not found:
        command = f"python -m helpers sweep {own.dataset} {own.backbone} --variant {own.variant}"
        print(f"the paper's Fig. 3 needs a sweep: run `{command}` first")
    print(which_cell(written.facts))


@app.command()
def recommend(
    dataset: Dataset,
    backbone: Backbone,
    variant: Variant = "clean",
    store: Store = None,
    alignments: Annotated[str, typer.Option(help="Alignments to try, divided by commas; all when empty.")] = "",
    protocol: Annotated[str, typer.Option(help=f"Of the probe: {', '.join(PROTOCOLS)}.")] = "converged",
    n_boot: Replicates = 1000,
    save: Annotated[str | None, typer.Option(help="File of the alignment; runs/alignments/<set>.safetensors.")] = None,
    out: Table = None,
) -> None:
    """Say which alignment, if any, is worth using on an embedding set, and save it."""
    from ..extraction.find import embeddings_for
    from ..files import project_root
    from ..recommend import recommend as choose_alignment
    from ..recommend import snippet
    from ..store import folder_name

    check_table(out)
    embeddings = embeddings_for(dataset, backbone, variant, store)
    tried: dict[str, Any] = {"alignments": listed(alignments)} if alignments else {}
    found = choose_alignment(embeddings, protocol=protocol, n_boot=n_boot, **tried)
    print(found.table.to_string(index=False, float_format="{:.4f}".format))
    for name, reason in found.impossible.items():
        print(f"not tried: {name} ({reason})")
    print(found.sentences())
    own = embeddings.identity
    name = "--".join(folder_name(part) for part in (own.dataset, own.variant, own.backbone))
    path = found.save(Path(save) if save else project_root() / "runs/alignments" / f"{name}.safetensors")
    print(f"saved: {path}\n\n{snippet(path)}")
    write_table(found.table, out)
