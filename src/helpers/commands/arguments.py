"""Arguments and output that several commands share."""

from pathlib import Path


def add_set(parser) -> None:
    """Which embedding set: data set, encoder, variant, store."""
    parser.add_argument("dataset")
    parser.add_argument("backbone")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--store", help="folder <dataset>/<variant>/<backbone>; data/embeddings, then runs/embeddings if not given")


def write_table(table, out: str | None) -> int:
    """Write a table as its file name says, if one is given.

    Raises:
        ValueError: an ending other than .csv or .parquet.
    """
    from ..files import replacing

    if out is None:
        return 0
    if Path(out).suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out} must end in .csv or .parquet")
    with replacing(Path(out)) as temporary:
        table.to_csv(temporary, index=False) if out.endswith(".csv") else table.to_parquet(temporary, index=False)
    print(f"written: {out}")
    return 0
