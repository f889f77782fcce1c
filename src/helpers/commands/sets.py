"""Commands on stored embedding sets: geometry, sweeps, reports and recommendations."""

import ast
from typing import Annotated

import typer

from ..files import parse_json
from ..probing.protocol import Grid
from .options import Argument, File, Replicates, Table, command, listed, show_table

GRID = Grid()


@command
def cone(
    dataset: Argument, backbone: Argument, variant: str = "clean", store: str | None = None,
    n_boot: Annotated[int, typer.Option(min=0)] = 1000, out: Table = None,
) -> None:  # fmt: skip
    """Measure the cones and the gap of an embedding set, and say what makes its cosines alike or low."""
    from ..cones import cone_table, diagnose
    from ..extraction.find import embeddings_for

    embeddings = embeddings_for(dataset, backbone, variant, store)
    table = cone_table(embeddings, n_boot)
    print(embeddings)
    show_table(table, out, ["modality", "quantity", "value", "low", "high"])
    print("\n".join(diagnose(embeddings)))


def _of_grid(name: str) -> typer.models.OptionInfo:
    """Return an option of ``sweep`` that is not given by default; its help shows the default of :class:`Grid`."""
    return typer.Option(show_default=",".join(map(str, getattr(GRID, name))), metavar="VALUE,...")


@command
def sweep(
    context: typer.Context, dataset: Argument, backbone: Argument, variant: str = "clean", store: str | None = None,
    protocol: Annotated[str | None, _of_grid("protocol")] = None, lambdas: Annotated[str | None, _of_grid("lambdas")] = None,
    seeds: Annotated[str | None, _of_grid("seeds")] = None, features: Annotated[str | None, _of_grid("features")] = None,
    alignments: Annotated[str | None, _of_grid("alignments")] = None,
    alignment_lambdas: Annotated[str | None, _of_grid("alignment_lambdas")] = None, settings: str = "{}",
    sweeps: str | None = None, export: File = None, workers: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:  # fmt: skip
    """Train probes over lambda and seeds, and store the results."""
    import pandas as pd

    from ..extraction.find import embeddings_for
    from ..probing.cache import stored_or_run
    from ..probing.inference import SELECTED
    from ..probing.result import refuse_ending, refuse_private, score_table, write_scores

    grid = _grid(settings, {name: value for name, value in context.params.items() if name in GRID.as_dict() and value is not None})
    embeddings = embeddings_for(dataset, backbone, variant, store)
    if export:
        refuse_ending(export)
        refuse_private(embeddings.identity.dataset)
    chosen, exported = [], []
    for name in grid.protocol:
        for part in grid.parts:
            result, done = stored_or_run(embeddings, name, part, grid.arguments(part), sweeps, workers)
            print(done)
            if export:
                exported.append(score_table(result, part))
            if part == "lambda":
                chosen.append(result.best.assign(protocol=name))
    if exported:
        print(f"test scores: {write_scores(exported, export)}")
    table = pd.concat(chosen)  # of joint features alone where there are some
    table = table[table["features"] == "joint"] if (table["features"] == "joint").any() else table
    names = {"lambda_image": "lambda", "auc_at_zero": "AUC(0)", "auc": "AUC", "difference": "gain"}
    shown = table.set_index(["protocol", "features"])[["lambda_image", *SELECTED[:-1]]].rename(columns=names).round(4)
    print(f"lambda chosen on validation rows, judged on test rows (95 % bootstrap interval):\n{shown}")


def _grid(settings: str, given: dict[str, str]) -> Grid:
    """Return the settings of a sweep: JSON, and single options in place of what it holds."""
    try:
        found = dict(parse_json(settings))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"--settings {settings} is not valid JSON of an object, such as '{{\"seeds\": [1]}}' ({error})") from None
    return Grid.of(found | {name: [_value(word) for word in listed(text)] for name, text in given.items()})


def _value(word: str):
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word  # a name, or no number, which the grid refuses


@command
def report(
    dataset: Argument, backbone: Argument, by: Annotated[str, typer.Option(metavar="NAME")],
    how: Annotated[str, typer.Option(metavar="SENTENCE")], variant: str = "authors", store: str | None = None,
    sweeps: str | None = None, n_boot: Replicates = 1000, out: File = None,
) -> None:  # fmt: skip
    """Write the numbers of an embedding set as one small file, to contribute its cells to the book."""
    from ..contributed import REPORTED, make_report
    from ..extraction.find import embeddings_for
    from ..probing.cache import cached_sweeps
    from ..published import facts_of, which_cell

    embeddings = embeddings_for(dataset, backbone, variant, store)
    own = embeddings.identity
    cached = cached_sweeps(own, sweeps)
    found = [result for result in cached if result.provenance["protocol"] in REPORTED]
    written = make_report(embeddings, found, by, how, n_boot)
    path = written.save(out or f"{'--'.join(own.folder.parts)}.json")
    protocols = ", ".join(result.provenance["protocol"] for result in found) or "none stored"
    print(f"{embeddings}\nwritten: {path}, {path.stat().st_size:,} bytes of numbers; sweeps: {protocols}")
    if apart := [name for result in cached if (name := result.provenance["protocol"]) not in REPORTED]:
        print(f"not in the report, which compares the paper's protocols: {', '.join(apart)}")
    if not embeddings.labelled:
        print("the set has no labels, so its report holds geometry alone; a sweep needs labels")
    elif not found:
        print(f"it holds no sweep: run `python -m helpers sweep {own.dataset} {own.backbone} --variant {own.variant}` first")
    try:
        print(which_cell(facts_of(embeddings)))
    except FileNotFoundError as error:
        print(f"whether it fills a cell of the paper is not known here: {error}")


@command
def recommend(
    dataset: Argument, backbone: Argument, variant: str = "clean", store: str | None = None, alignments: str = "",
    protocol: str = "converged", n_boot: Replicates = 1000, save: File = None, out: Table = None,
) -> None:  # fmt: skip
    """Say which alignment, if any, is worth using, by a probe or, without labels, by retrieval; save it."""
    from ..alignment.registry import COMPARED
    from ..extraction.find import embeddings_for
    from ..files import project_root
    from ..recommend import recommend as choose_alignment
    from ..recommend import snippet

    embeddings = embeddings_for(dataset, backbone, variant, store)
    found = choose_alignment(embeddings, listed(alignments) or COMPARED, protocol=protocol, n_boot=n_boot)
    show_table(found.table, out, list(found.table))
    for name, reason in found.impossible.items():
        print(f"not tried: {name} ({reason})")
    print(found.sentences())
    name = "--".join([*embeddings.identity.folder.parts, found.recommended])
    path = found.save(save or project_root() / "runs/alignments" / f"{name}.safetensors")
    print(f"saved: {path}{', which only brings vectors to unit norm' if found.recommended == 'none' else ''}\n\n{snippet(path)}")
