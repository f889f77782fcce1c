"""``doctor``, ``datasets``, ``backbones``, ``check``, ``diversity``, ``miniature``: what is there, and whether it can be used."""

from .arguments import add_options, dataset_options, write_table


def add_arguments(commands) -> None:
    commands.add_parser("doctor", help="what is ready, what is missing and how to get it").set_defaults(run=doctor)
    commands.add_parser("datasets", help="list the data sets, their variants and how to get them").set_defaults(run=datasets)
    commands.add_parser("backbones", help="list the encoders and how to get them").set_defaults(run=backbones)
    parser = commands.add_parser("check", help="check a copy of a data set; exit code 1 if unusable")
    _add_copy(parser)
    add_options(parser)
    parser.add_argument("--no-images", action="store_true", help="do not open the images")
    parser.set_defaults(run=check)
    parser = commands.add_parser("diversity", help="pixel variance and share of distinct texts, before any encoder")
    _add_copy(parser)
    parser.add_argument("--out", help="write the table as .csv or .parquet")
    parser.set_defaults(run=diversity)
    parser = commands.add_parser("lengths", help="how many texts are how long, in words and in tokens of the encoders at hand")
    _add_copy(parser)
    add_options(parser)
    parser.add_argument("--out", help="write the table as .csv or .parquet")
    parser.set_defaults(run=lengths)
    parser = commands.add_parser("miniature", help="write a small drawn copy of a data set, in the layout of its release")
    parser.add_argument("dataset")
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--n", type=int, help="number of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=miniature)


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
    from ..backbones import REGISTRY
    from ..datasets import check as check_copy

    how = {"missing_images": args.missing_images, "open_images": not args.no_images, "tokenizers": _trained(REGISTRY)}
    report = check_copy(args.dataset, args.root, args.variant, args.split, **how, **dataset_options(args.dataset, args.option))
    print(report)
    return 0 if report.usable else 1


def lengths(args) -> int:
    from ..backbones import REGISTRY
    from ..datasets import load_dataset
    from ..datasets.texts import text_lengths, texts_cut, tokenizers_at_hand

    options = dataset_options(args.dataset, args.option)
    dataset = load_dataset(args.dataset, args.root, args.variant, args.split, args.missing_images, **options)
    table = text_lengths(dataset, tokenizers_at_hand(_trained(REGISTRY))[0])
    print(texts_cut(table).to_string(index=False))
    return write_table(table, args.out)


def diversity(args) -> int:
    from ..datasets import load_dataset
    from ..datasets.audit import diversity_table

    table = diversity_table(load_dataset(args.dataset, args.root, args.variant, args.split, missing_images=args.missing_images))
    print(table.to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)


def _trained(registry) -> list[str]:
    """Encoders worth asking; one of random weights reads as the encoder it has the architecture of."""
    return [name for name, entry in registry.items() if entry.library != "random"]


def miniature(args) -> int:
    from ..datasets import miniature

    print(f"drawn, nothing in it is real: {miniature.write(args.dataset, args.out, args.n, args.seed)}")
    return 0
