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
# Of {glue:text}`n_claims` claims, {glue:text}`verdict_counts`. Each claim is listed below with the test that answers it and the evidence.
#
# Verdicts rest on the published numbers. Where these cannot decide, runs of the paper's own encoders on at least two of its data sets do,
# and the verdict says how many. Other encoders, such as the two of the test bench, are shown apart and never decide.
#
# {doc}`03_lambda_sweep` draws its own conclusions from `converged` probes; the verdicts here rest on published curves of probes that had
# not converged. Both are right about their question: a verdict says whether the paper's numbers bear out the paper's sentence, and
# only the converged probe says whether $\lambda$ would help a probe trained to the end.

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
page.show_text(
    "One rule applies to all claims. A mean effect counts when its 95 % interval over data sets excludes zero. The claim *holds* when, in addition, no "
    "single case speaks against it. A single curve counts when it lies beyond {clear} standard errors over seeds, and then for these test rows only: "
    "seeds show how much the training varies, not how much another test set would.",
    clear=CLEAR,
)

# %% tags=["hide-input"]
format_table(claims[["claim", "where", "verdict", "why"]])

# %% [markdown]
# ## The evidence for each claim

# %% tags=["hide-input"]
Markdown(as_markdown(claims.assign(our_evidence=claims["our_evidence"].map(escape_markdown, na_action="ignore"))))

# %% [markdown]
# ## What was not tested
#
# Claims on the paper's downstream results rest on four medical data sets and on means and standard deviations over five seeds. The
# authors' row-level scores are not public, so no interval over test rows can be given for the published curves. A verdict on
# one data set says nothing about another.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
