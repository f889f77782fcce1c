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
# # Is λ worth it on my data?

# %% tags=["parameters"]
dataset = None  # a stored data set, or one of the registry with data_root; None for the last stored set (medical data follow natural data)
backbone = None  # an encoder; None for the last under which the data set is stored
variant = "clean"  # "clean" or "authors"; a set with one variant takes either
protocol = "converged"  # "converged", "authors-code" or "paper"
lambdas = [0.0, 0.25, 0.5, 0.75, 1.0]  # values of lambda to choose from
seeds = [42, 43, 44, 45, 46]  # one probe per seed and lambda
n_boot = 1000  # bootstrap replicates over test rows
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
alignments = ["lambda-1", "centring", "z-scores"]  # alignments to compare with none; an empty list means all
results = None  # folder for result tables and the alignment; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from IPython.display import Markdown, display

from helpers import PROTOCOLS, GapAlignment
from helpers.alignment.registry import ALIGNMENTS, COMPARED
from helpers.cones import diagnose
from helpers.datasets.registry import title
from helpers.extraction.find import select
from helpers.files import project_root
from helpers.page import SOURCE, Page, fill, format_table, integer, many, number, text
from helpers.plotting import effects
from helpers.probing.protocol import Grid
from helpers.store.catalogue import folder_name

source = {name: kind for name, kind in SOURCE.items() if name not in ("datasets", "backbones")}
spec = {"dataset": text() | None, "backbone": text() | None, "protocol": text(PROTOCOLS, "protocol"), "n_boot": integer(100, 100_000)}
kinds = {"lambdas": many(number(-2, 2), least=2), "seeds": many(integer(0, 2**32 - 1), least=1)}
kinds["alignments"] = many(text(ALIGNMENTS, "alignment"))
page = Page("05_is_lambda_worth_it", globals(), {**source, **spec, **kinds})
from helpers.probing.cache import run_once
from helpers.recommend import recommend, snippet

embeddings = select([dataset] if dataset else [], [backbone] if backbone else [], variant, store, data_root)[-1]
answer = display(Markdown(""), display_id=True)  # filled in below, once the probes are trained
page.describe_sets([embeddings], [variant])
grid = Grid(protocol=protocol, lambdas=lambdas, seeds=seeds, alignment_lambdas=(0.0, max(lambdas)))
embeddings

# %% tags=["remove-stderr"]
swept = run_once(embeddings, protocol, "lambda", grid.arguments("lambda"), page.sweeps)
worth = page.save_table(swept.selected(n_boot=n_boot), "worth_it")
best = swept.some_lambda_beats_zero(n_boot=n_boot)
joint, p_value = worth[worth["features"] == "joint"].iloc[0], best.loc[best["features"] == "joint", "p_value"].iloc[0]


def caveat(protocol):
    """What stands beside a number of probes that are not trained to convergence."""
    finished = PROTOCOLS[protocol].optimizer == "minimiser"
    return "" if finished else (
        f" Probes of `{protocol}` are not trained to convergence, so a gain may be one of faster training: this is no advice. Run the page with `converged` for one."
    )  # fmt: skip


# %% tags=["hide-input"]
name = f"{title(embeddings.dataset)} under {embeddings.provenance['backbone']}"
test = "The one-sided p that some λ of this page beats 0 is {p:.3f}, corrected for trying all {tried}." + caveat(protocol)
tried = len([lam for lam in lambdas if lam])
if joint["lambda_image"]:
    sentence = "For {name}, validation rows select λ = {lambda_image:g}, which changes test AUC by {difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}). "
else:
    sentence = "For {name}, validation rows select no alignment (λ = 0). "
gains = joint["lambda_image"] and joint["low"] > 0
undecided = gains and caveat(protocol) or not gains and p_value < 0.05  # some λ may gain, though the selected one does not clearly
verdict = "**Undecided.** " if undecided else "**Yes.** " if gains else "**No clear gain.** "
answer.update(Markdown(fill(
    verdict + sentence + test, name=name, p=p_value, tried=tried, **joint[["lambda_image", "difference", "low", "high"]]
)))  # fmt: skip
for caution in swept.cautions:
    page.show_text("**Caution:** {caution}.", caution=caution)

# %% [markdown]
# ## The numbers behind the answer
#
# Validation rows select the $\lambda$ with the highest mean AUC over seeds; test rows judge it once. {doc}`03_lambda_sweep` tries more values, so its
# p-value differs. A gain below the smallest detectable one would be missed in more than one test set of five.

# %% tags=["hide-input"]
shown = ["features", "lambda_image", "auc_at_zero", "auc", "difference", "low", "high", "minimum_detectable"]
format_table(worth[shown], precision=4, caption="Test AUC at the selected λ, by what the probe sees.", lambda_image="{:g}")

# %% [markdown]
# ## Where the change comes from
#
# If shift or scale alone gives the whole gain at the largest $\lambda$, tune the learning rate or the regularisation instead ({doc}`/book/theory`).

# %% tags=["remove-stderr"]
parts = run_once(embeddings, protocol, "alignments", grid.arguments("alignments"), page.sweeps).effects(n_boot=n_boot)
parts = page.save_table(parts[(parts["lambda_image"] != 0) | (parts["alignment"] == "centred")], "worth_it_channels")

# %% tags=["hide-input"] tables=["worth_it_channels"] mystnb={"figure": {"caption": "Change of test AUC from λ = 0 to the largest λ, with 95 % bootstrap intervals: by one part of the alignment alone, by all parts but one, and by centring each modality.", "name": "fig-worth-channels"}, "image": {"alt": "Interval plot of the change in test AUC by channel of the alignment."}}
effects(parts, "alignment");

# %% [markdown]
# ## What the cosines of this set consist of
#
# The cosine of a pair is a level common to all images and texts, plus what pairing adds (`python -m helpers cone` prints the same).

# %% tags=["hide-input"]
for sentence in diagnose(embeddings):
    page.show_text("{sentence}", sentence=sentence)

# %% [markdown]
# ## Which alignment to use instead
#
# Validation rows choose one alignment, fitted on the training rows; test rows judge it. It is recommended only if its test gain is clear of zero and
# its probe is trained to convergence.

# %% tags=["remove-stderr"]
advice = recommend(embeddings, alignments or COMPARED, protocol, seeds[:1], n_boot)

# %% tags=["hide-input"]
page.show_text("{sentences}", sentences=advice.sentences())
for alignment, reason in advice.impossible.items():
    page.show_text("Not tried: {alignment} ({reason}).", alignment=alignment, reason=reason)
tried = page.save_table(advice.table, "worth_it_alignments")
others = {c: "{:.3f}" for c in tried if "log_loss" in c or "recall" in c or "gap" in c}
format_table(tried, precision=4, caption="What each alignment changes on test rows.", **others)

# %% [markdown]
# ## What to take home

# %% tags=["hide-input"]
name = "--".join(folder_name(embeddings.provenance[key]) for key in ("dataset", "variant", "backbone"))


def from_project(path):
    """Path below the project where it lies there, so that the page shows no folder of this machine."""
    return path.relative_to(project_root()) if path.is_relative_to(project_root()) else path


if advice.recommended != "none":
    path = from_project(advice.save(page.results.resolve() / f"{name}--{advice.recommended}.safetensors"))
    page.show_text("The recommended alignment is saved:\n\n```python\n" + snippet("{path}") + "\n```", path=path)
else:
    page.show_text("No alignment is recommended." + (caveat(protocol) or " Use the embeddings as they are."))
if joint["lambda_image"] and advice.recommended != f"lambda-{joint['lambda_image']:g}":
    train = embeddings.rows("train")
    alignment = GapAlignment(lam=float(joint["lambda_image"])).fit(embeddings.image_of(train), embeddings.text_of(train))
    path = from_project(alignment.save(page.results.resolve() / f"{name}--lambda-{alignment.lam:g}.safetensors"))
    page.show_text(
        "The shift at λ = {lam:g}, which validation rows select, is saved for comparison, not as a recommendation.\n\n```python\n" + snippet("{path}") + "\n```",
        lam=joint["lambda_image"], path=path,
    )  # fmt: skip

# %% [markdown]
# ## How to report it
#
# A paper that shifts embeddings should state ten things, because each can change the result more than the shift does:
#
# - **Whether the probe was trained to convergence, and how you know**: an undertrained probe gains from anything that conditions its problem better
#   ({doc}`03_lambda_sweep`, {doc}`12_protocol_audit`).
# - **Which rows the gap was computed on**: with test rows included, the alignment has seen the test set ({doc}`12_protocol_audit`).
# - **The gain of shift, scale, ratio and spread alone**: a constant shift and a common scale act like a learning rate or a penalty
#   ({doc}`/book/theory`, {doc}`03_lambda_sweep`).
# - **The metric, from scores or from hard predictions, and per class**: AUC of hard predictions moves in steps of one test row
#   ({doc}`12_protocol_audit`).
# - **The unit of the split: image, lesion, patient**: siblings in train can raise AUC without a better encoder ({doc}`07_leakage_audit`).
# - **What the text was allowed to contain**: a text that names the label gives it to the probe ({doc}`07_leakage_audit`).
# - **Which rows $\lambda$ was selected on**: the best point of a test curve is not a gain (this page).
# - **What each interval is over: seeds, test rows, groups or data sets**: seeds do not show how another test set would differ
#   ({doc}`03_lambda_sweep`, {doc}`04_discussion`).
# - **The gap that remains after alignment**: renormalisation reopens it when the cones differ in width ({doc}`01_cone_effect`,
#   {doc}`11_what_lambda_closes`).
# - **Each text's length against the encoder's context, and its padding**: a text that is cut or padded otherwise is another text ({doc}`09_data`,
#   {doc}`/book/data_and_encoders`).
#
# If your application searches, report also recall in both directions and hubness, before and after. If it mixes modalities, report a held-out
# classifier of modality. A paragraph to start from:
#
# > The gap was computed on training rows (*n* = …). We selected λ on validation rows (grid …) and report its effect on *m* test rows, split by …,
# > with a paired 95 % interval that resamples … . The probe was trained to … (certificate or curve in …). The same probe gains … with the
# > shift alone and … with the scales alone.

# %% [markdown]
# ## What was not tested
#
# The answer holds for this set, this encoder, this task and a linear probe. Alignments are compared with the first seed only. The interval covers another
# test set of this size, not another hospital or camera. {doc}`08_adapt` makes a set from your images and texts.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([embeddings])
