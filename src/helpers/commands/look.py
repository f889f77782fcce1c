"""``doctor``, ``datasets``, ``backbones``, ``check``, ``diversity``: what is there, and whether it can be used."""

from .arguments import write_table


def add_arguments(commands) -> None:
    commands.add_parser("doctor", help="what is ready, what is missing and how to get it").set_defaults(run=doctor)
    commands.add_parser("datasets", help="list the data sets, their variants and how to get them").set_defaults(run=datasets)
    commands.add_parser("backbones", help="list the encoders and how to get them").set_defaults(run=backbones)
    parser = commands.add_parser("check", help="check a copy of a data set; exit code 1 if unusable")
    _add_copy(parser)
    parser.add_argument("--no-images", action="store_true", help="do not open the images")
    parser.set_defaults(run=check)
    parser = commands.add_parser("diversity", help="pixel variance and share of distinct texts, before any encoder")
    _add_copy(parser)
    parser.add_argument("--out", help="write the table as .csv or .parquet")
    parser.set_defaults(run=diversity)


def _add_copy(parser) -> None:
    """Which copy of which data set."""
    parser.add_argument("dataset")
    parser.add_argument("--root", help="folder of the data set")
    parser.add_argument("--variant", default="authors", help="authors or clean")
    parser.add_argument("--split", help="one of the splits the variant offers")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or leave its row out")


def doctor(args) -> int:
    from ..doctor import report

    rows = report()
    width = max(len(str(row[0])) for row in rows)
    for what, status, how in rows:
        print(f"{what:<{width}}  {status:<8}  {how}")
    return 0


def datasets(args) -> int:
    from ..datasets import DATASETS

    for name, entry in DATASETS.items():
        card = entry.card
        access = " (credentialed)" if card.credentialed else ""
        print(f"{name:<11} {card.domain:<8} {', '.join(entry.variants):<15} {card.title}{access}\n{'':<12}{card.access}")
    return 0


def backbones(args) -> int:
    from ..backbones import REGISTRY

    for name, entry in REGISTRY.items():
        print(f"{name:<12} {entry.domain:<8} {entry.title}\n{'':<13}{entry.access}")
    print("any other: transformers:<id>, open_clip:<architecture>/<tag>, open_clip:hf-hub:<id>, <owner>/<name>, or a folder")
    return 0


def check(args) -> int:
    from ..datasets import check as check_copy

    options = {"missing_images": args.missing_images, "open_images": not args.no_images}
    report = check_copy(args.dataset, args.root, args.variant, args.split, **options)
    print(report)
    return 0 if report.usable else 1


def diversity(args) -> int:
    from ..datasets import load_dataset
    from ..datasets.audit import diversity_table

    table = diversity_table(load_dataset(args.dataset, args.root, args.variant, args.split, missing_images=args.missing_images))
    print(table.to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)
