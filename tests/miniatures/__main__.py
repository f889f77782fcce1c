"""Write one miniature: ``python tests/miniatures NAME --out DIR``."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import miniatures  # noqa: E402

parser = argparse.ArgumentParser(description="Write a small synthetic copy of a data set in the layout of its release.")
parser.add_argument("name", choices=miniatures.WRITERS)
parser.add_argument("--out", required=True, help="a new folder")
args = parser.parse_args()
print(f"synthetic, nothing in it is real: {miniatures.write(args.name, args.out)}")
