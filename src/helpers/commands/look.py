"""``doctor``, ``datasets``, ``backbones``, ``check``, ``diversity``, ``lengths``, ``miniature``: what is there, is it usable."""

from .arguments import add_options, dataset_options, write_table


def add_arguments(commands) -> None:
    parser = commands.add_parser("doctor", help="what is ready, what is missing and how to get it")
    parser.add_argument("--root", help="folder that holds data sets under their names")
    parser.set_defaults(run=doctor)
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
    parser = commands.add_parser("lengths", help="how many texts are how long, in words and in tokens of the encoders at hand")
    _add_copy(parser)
    parser.add_argument("--out", help="write the table as .csv or .parquet")
    parser.set_defaults(run=lengths)
    parser = commands.add_parser("miniature", help="write a small drawn copy of a data set, in the layout of its release")
    parser.add_argument("dataset")
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--n", type=int, help="number of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=miniature)


def _add_copy(parser) -> None:
    """Which copy of which data set; see :func:`_copy`."""
    parser.add_argument("dataset")
    parser.add_argument("--root", help="folder of the data set, the folder that holds it under its name, or a table")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--split", help="one of the splits the variant offers")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or leave its row out")
    add_options(parser)


def _copy(args) -> dict:
    """The arguments of :func:`helpers.datasets.load_dataset` and :func:`helpers.datasets.check`."""
    from ..library import dataset_root

    about = {"name": args.dataset, "root": dataset_root(args.root, args.dataset), "variant": args.variant, "split": args.split}
    return about | {"missing_images": args.missing_images} | dataset_options(args.dataset, args.option)


def doctor(args) -> int:
    from ..doctor import report

    rows = report(args.root)
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
    from ..backbones import REGISTRY
    from ..datasets import check as check_copy

    report = check_copy(**_copy(args), open_images=not args.no_images, tokenizers=_trained(REGISTRY))
    print(report)
    return 0 if report.usable else 1


def lengths(args) -> int:
    from ..backbones import REGISTRY
    from ..datasets import load_dataset
    from ..datasets.texts import text_lengths, texts_cut, tokenizers_at_hand

    table = text_lengths(load_dataset(**_copy(args)), tokenizers_at_hand(_trained(REGISTRY))[0])
    print(texts_cut(table).to_string(index=False))
    return write_table(table, args.out)


def diversity(args) -> int:
    from ..datasets import load_dataset
    from ..datasets.audit import diversity_table

    table = diversity_table(load_dataset(**_copy(args)))
    print(table.to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)


def _trained(registry) -> list[str]:
    """Encoders worth asking; one of random weights reads as the encoder it has the architecture of."""
    return [name for name, entry in registry.items() if entry.library != "random"]


def miniature(args) -> int:
    from ..datasets import miniature

    print(f"drawn, nothing in it is real: {miniature.write(args.dataset, args.out, args.n, args.seed)}")
    return 0
