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
# on how many it rests; what other encoders show, such as the miniature, stands apart and never decides.

# %% tags=["parameters"]
results = None  # folder with the tables of notebooks 01 and 03; None for ./results
made_with = None  # JSON of fingerprints of the parameters of 01 and 03, from the workflow; None takes any

# %% tags=["hide-input"]
from IPython.display import Markdown

from helpers.book.formatting import escape_markdown, format_table
from helpers.book.page import Page
from helpers.book.parameters import optional, text
from helpers.paper.claims import CLEAR, as_markdown, counted, ledger
from helpers.paper.published import protocol_differences

page = Page("04_discussion", globals(), {"results": optional(text()), "made_with": optional(text())})
geometry, sweep = page.read_table("cone_effect", "01_cone_effect"), page.read_table("lambda_sweep", "03_lambda_sweep")
page.describe_sets(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
claims = page.save_table(ledger(geometry, sweep), "claims")
page.glue(n_differences=len(protocol_differences()), n_claims=len(claims), verdict_counts=counted(claims))
page.show_text("Of {n} claims: {counts}.", n=len(claims), counts=counted(claims))
page.show_text(
    "One rule for all: a mean effect counts where its 95 % interval over data sets excludes zero, and *holds* where besides no single case is against "
    "it. One curve alone counts beyond {clear} standard errors over seeds, and then on these test rows only: seeds say how much the "
    "training varies, not how much another test set would.",
    clear=CLEAR,
)

# %% tags=["hide-input"]
format_table(claims[["claim", "where", "verdict", "why"]])

# %% [markdown]
# ## The evidence

# %% tags=["hide-input"]
Markdown(as_markdown(claims.assign(our_evidence=claims["our_evidence"].map(escape_markdown, na_action="ignore"))))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
