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
# and the verdict says how many, and how many of them were contributed ({doc}`/book/contribute`). Other encoders, such as the two of the test bench, are shown apart and never decide.
#
# {doc}`03_lambda_sweep` draws its own conclusions from `converged` probes; the verdicts here rest on published curves of probes that had
# not converged. Both are right about their question: a verdict says whether the paper's numbers bear out the paper's sentence, and
# only the converged probe says whether $\lambda$ would help a probe trained to the end.

# %% tags=["parameters"]
contributed = None  # folder of contributed reports; None for data/contributed
results = None  # folder with the tables of notebooks 01 and 03; None for ./results
made_with = None  # JSON of fingerprints of the parameters of 01 and 03, from the workflow; None takes any

# %% tags=["hide-input", "remove-stderr"]
from IPython.display import Markdown

from helpers.contributed import read_contributed
from helpers.page import Page, escape_markdown, format_table, optional, text
from helpers.paper.claims import CLEAR, as_markdown, counted, decision_table, ledger
from helpers.published import join_contributed, protocol_differences

page = Page("04_discussion", globals(), {name: optional(text()) for name in ("contributed", "results", "made_with")})
geometry, sweep = page.read_table("cone_effect", "01_cone_effect"), page.read_table("lambda_sweep", "03_lambda_sweep")
selected = page.read_table("lambda_selected", "03_lambda_sweep")
page.describe_sets(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
reports = read_contributed(contributed)
geometry = join_contributed(geometry, reports.table("geometry"))
sweep = join_contributed(sweep, reports.table("sweep"), ("dataset", "backbone", "protocol"))
selected = join_contributed(selected, reports.table("selected"), ("dataset", "backbone", "protocol"))
claims = page.save_table(ledger(geometry, sweep, selected), "claims")
page.glue(n_differences=len(protocol_differences()), n_claims=len(claims), verdict_counts=counted(claims))

# %% tags=["hide-input"]
format_table(claims[["claim", "where", "verdict", "scope", "why"]].rename(columns={"where": "where in the paper"}), stacked=True)

# %% [markdown]
# ## The rule behind the verdicts
#
# One table decides all claims; the first line that applies gives the verdict, and the code that judges is the code that prints it. The
# units are data sets, not curves or cells; only the drop near $\lambda = 1$ is compared between curves, which favours the claim. Where a claim can be analysed in several defensible ways (with and without the hard-label AUC of
# HAM10000, absolute or relative to the headroom $1 - \mathrm{AUC}(0)$), all are run and the largest p-value decides. Where a claim
# concerns two pairs of encoders, each pair is judged and the verdict says for which it stands.

# %% tags=["hide-input"]
page.show_text(
    "A single case counts against a claim where it lies below zero beyond its uncertainty: rounding for values of Table 1, {clear} standard errors "
    "over seeds for a curve. Such errors are unpaired, because published spreads are those of levels, and hold for the stored test "
    "rows only: seeds say how much the training varies, not how much another test set would.",
    clear=CLEAR,
)
page.show_text(
    "Holm's correction runs over all distinct tests of this page. It is strict: eight data sets cannot give an exact p-value small enough to pass it. "
    "Read *suggested* as: clear when tested alone, not among so many claims.",
)
format_table(decision_table(), stacked=True)

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
