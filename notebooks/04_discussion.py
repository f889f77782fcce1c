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
# Each claim of the paper with the test that answers it. Verdicts rest on the published numbers. Where these cannot
# decide and the quantity is in our tables, runs of the paper's own encoders on at least two of its data sets do, and the verdict then says
# on how many it rests; what other encoders show, such as the test bench, stands apart and never decides.

# %% tags=["parameters"]
results = None  # folder with the tables of notebooks 01 and 03; None for runs/notebooks

# %% tags=["hide-input"]
from IPython.display import Markdown

from helpers.book.page import Page, neat
from helpers.book.parameters import optional, text
from helpers.paper.claims import CLEAR, as_markdown, counted, ledger
from helpers.paper.published import protocol_differences

page = Page("04_discussion", globals(), {"results": optional(text())})
geometry, sweep = page.kept("cone_effect", "01_cone_effect"), page.kept("lambda_sweep", "03_lambda_sweep")
page.scope(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
claims = page.keep(ledger(geometry, sweep), "claims")
page.glue(n_differences=len(protocol_differences()), n_claims=len(claims), verdict_counts=counted(claims))
page.say("Of {n} claims: {counts}.", n=len(claims), counts=counted(claims))
page.say(
    "One rule for all: a mean effect counts where its 95 % interval over data sets excludes zero, and *holds* where besides no single case is against "
    "it. One curve alone counts beyond {clear} standard errors over seeds, and then on these test rows only: seeds say how much the "
    "training varies, not how much another test set would.",
    clear=CLEAR,
)

# %% tags=["hide-input"]
neat(claims[["claim", "where", "verdict", "why"]])

# %% [markdown]
# ## The evidence

# %% tags=["hide-input"]
Markdown(as_markdown(claims))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.made()
