"""Measure what every alignment does to the tasks of each shipped set's labels: ``python studies/alignments_tasks.py``.

Alignments and probes learn from the training rows and the test rows judge, under two protocols.
"""

import pandas as pd
from prompts import prompts_of

from helpers import EmbeddingSet
from helpers.comparison import compare_tasks
from helpers.files import project_root, replacing
from helpers.store.catalogue import SHIPPED, stored

INPUTS = ["data/embeddings", "data/prompts"]
OUT = "data/measured/alignments_tasks.csv"
LABELS = (20, 100, 500)  # labelled rows, of sets that have more


def tasks(embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return the rows of ``compare_tasks`` of one set under both protocols, with the names of the set."""
    name, n_train = embeddings.identity, len(embeddings.rows("train"))
    converged = compare_tasks(embeddings, prompts=prompts_of(embeddings), sizes=[size for size in LABELS if size < n_train])
    of_code = compare_tasks(embeddings, protocol="authors-code")
    table = pd.concat([converged.assign(protocol="converged"), of_code.assign(protocol="authors-code")])
    about = {"dataset": name.dataset, "variant": name.variant, "backbone": name.backbone}
    about |= {"rows": "test", "pairs": len(embeddings.rows("test"))}
    return table.assign(**about)[[*about, *table.columns]]


if __name__ == "__main__":
    tables = []
    for row in stored(project_root() / SHIPPED).itertuples():
        tables.append(tasks(EmbeddingSet.load(row.path)))
        print(f"measured: {row.dataset} {row.variant} {row.backbone}", flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.5f")
