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
# Each claim of the paper with the test that answers it. Verdicts rest on the published numbers, or on the paper's own encoders
# where they were run; what the miniature shows stands apart and never decides.

# %% tags=["parameters"]
results = None  # folder with the tables of notebooks 01 and 03; None for runs/notebooks

# %% tags=["hide-input"]
from IPython.display import Markdown

from helpers.claims import as_markdown, ledger
from helpers.notebook import Page, neat
from helpers.parameters import optional, text
from helpers.published import protocol_differences

page = Page("04_discussion", globals(), {"results": optional(text())})
geometry, sweep = page.kept("cone_effect", "01_cone_effect"), page.kept("lambda_sweep", "03_lambda_sweep")
page.scope(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
claims = page.keep(ledger(geometry, sweep), "claims")
verdicts = claims["verdict"].value_counts()
page.glue(n_differences=len(protocol_differences()), n_claims=len(claims), verdict_counts=", ".join(f"{n} {verdict}" for verdict, n in verdicts.items()))

# %% [markdown]
# Of {glue:text}`n_claims` claims: {glue:text}`verdict_counts`.

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
