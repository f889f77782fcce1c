# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Discussion: the claims, one by one
#
# This page lists each claim of the paper with the test that answers it. Verdicts rest on published numbers. Where these cannot decide,
# runs of the paper's own encoders on at least two of its data sets may, and the verdict then says on how many it rests. What other
# encoders show, such as the miniature, stands apart and never decides.

# %% tags=["parameters"]
results = None  # folder with the tables of notebooks 01 and 03; None for runs/notebooks

# %% tags=["hide-input"]
from IPython.display import Markdown

from helpers.book.page import Page, neat
from helpers.book.parameters import optional, text
from helpers.paper.claims import CLEAR, as_markdown, counted, decision_table, ledger
from helpers.paper.published import protocol_differences

page = Page("04_discussion", globals(), {"results": optional(text())})
geometry, sweep = page.kept("cone_effect", "01_cone_effect"), page.kept("lambda_sweep", "03_lambda_sweep")
selected = page.kept("lambda_selected", "03_lambda_sweep")
page.scope(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
claims = page.keep(ledger(geometry, sweep, selected), "claims")
page.glue(n_differences=len(protocol_differences()), n_claims=len(claims), verdict_counts=counted(claims))
page.say("Of {n} claims: {counts}.", n=len(claims), counts=counted(claims))

# %% tags=["hide-input"]
neat(claims[["claim", "where", "verdict", "scope", "why"]])

# %% [markdown]
# ## The rule behind the verdicts
#
# One table decides all claims; the first line that applies gives the verdict, and the code that judges is the code that prints it. The
# units are data sets, not curves or cells; only the drop near $\lambda = 1$ is compared between curves, which favours the claim. Where a claim can be analysed in several defensible ways (with and without the hard-label AUC of
# HAM10000, absolute or relative to the headroom $1 - \mathrm{AUC}(0)$), all are run and the largest p-value decides. Where a claim
# concerns two pairs of encoders, each pair is judged and the verdict says for which it stands.

# %% tags=["hide-input"]
page.say(
    "A single case counts against a claim where it lies below zero beyond its uncertainty: rounding for values of Table 1, {clear} standard errors "
    "over seeds for a curve. Such errors are unpaired, because published spreads are those of levels, and hold for the stored test "
    "rows only: seeds say how much the training varies, not how much another test set would.",
    clear=CLEAR,
)
page.say(
    "Holm's correction runs over all distinct tests of this page. It is strict: eight data sets cannot give an exact p-value small enough to pass it. "
    "Read *suggested* as: clear when tested alone, not among so many claims.",
)
neat(decision_table())

# %% [markdown]
# ## The evidence

# %% tags=["hide-input"]
Markdown(as_markdown(claims))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.made()
