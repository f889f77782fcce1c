"""Claims on what lambda does downstream, tested on the curves behind Fig. 3 and on the authors' longer-trained BRSET probe."""

import numpy as np
import pandas as pd

from ..published import MEDICAL_BACKBONES, SEEDS, authors_longer_sweep, authors_sweep, datasets
from . import our_runs as ours
from . import recomputed as decided
from .evidence import CLEAR, CONTRADICTED, NOISE, UNTESTABLE, Claim, Finding, difference_interval, mean_interval, sign_p, verdict_of
from .geometry import not_published

NEAR_ONE_SETS = ("BRSET", "mBRSET")


def closing_is_always_desirable() -> Finding:
    """AUC(1) - AUC(0) over the 16 curves and the four of the longer-trained probe."""
    return _gain_everywhere(1.0)


def moderate_closure_helps() -> Finding:
    """AUC(0.5) - AUC(0), the same way."""
    return _gain_everywhere(0.5)


def intermediate_is_best() -> Finding:
    """Best AUC strictly between lambda 0 and 1 minus AUC(1)."""
    curves = summary()
    at_one, clear = (curves["best"] == 1).sum(), (curves["drop"] > CLEAR * curves["se"]).sum()
    effect, low, high = mean_interval(curves.groupby("dataset")["interior"].mean())
    return Finding(
        f"{at_one} of {len(curves)} curves peak at lambda = 1; {clear} fall from their peak by more than {CLEAR} "
        "standard errors over seeds",
        NOISE if clear == 0 else verdict_of(curves["interior"], low, high),
        f"best interior AUC minus AUC(1) is {effect:+.5f} [{low:+.5f}, {high:+.5f}] over 4 data sets, although the best of nine "
        "test scores favours the claim; it also contradicts that closing the gap is always desirable",
        effect,
        low,
        high,
        4,
    )


def decline_near_one() -> Finding:
    """Drop from the peak to lambda = 1: medical backbones on BRSET and mBRSET against the other curves."""
    curves = summary()
    named = curves["medical"] & curves["dataset"].isin(NEAR_ONE_SETS)
    effect, low, high = difference_interval(curves.loc[named, "drop"], curves.loc[~named, "drop"])
    clear = (curves["drop"] > CLEAR * curves["se"]).sum()
    worst = curves.loc[curves["drop"].idxmax()]
    return Finding(
        f"drops of the {named.sum()} named curves {curves.loc[named, 'drop'].min():.5f} to "
        f"{curves.loc[named, 'drop'].max():.5f}; the largest is {worst['drop']:.5f} "
        f"({worst['dataset']}, {worst['backbone']}, {worst['drop'] / worst['se']:.1f} standard errors over seeds)",
        NOISE if clear == 0 else verdict_of(curves.loc[named, "drop"], low, high),
        f"{clear} of {len(curves)} drops exceed {CLEAR} standard errors over seeds; "
        f"named minus other curves {effect:+.5f} [{low:+.5f}, {high:+.5f}]",
        effect,
        low,
        high,
        len(curves),
    )


def generalists_gain_more() -> Finding:
    """Gain at lambda = 1 of generalist minus medical backbones, per data set."""
    gains = summary().groupby(["dataset", "medical"])["gain"].mean().unstack()
    excess = gains[False] - gains[True]
    effect, low, high = mean_interval(excess)
    return Finding(
        f"generalists gain more on {(excess > 0).sum()} of {len(excess)} data sets, by {excess.min():.4f} to {excess.max():.4f}",
        verdict_of(excess, low, high),
        f"mean excess {effect:+.4f} [{low:+.4f}, {high:+.4f}] over data sets; the probe is far from converged and "
        "the AUC scales differ",
        effect,
        low,
        high,
        len(excess),
    )


def medical_gain_little_but_steadily() -> Finding:
    """Gains at lambda = 1 of the medical backbones, those of the longer-trained probe included."""
    curves = summary()
    gains = curves[curves["medical"]]
    effect, low, high = mean_interval(gains.groupby("dataset")["gain"].mean())
    longer = summary(authors_longer_sweep())
    longer = longer[longer["medical"]]
    spread = {label: group.groupby("dataset")["gain"].mean() for label, group in curves.groupby("medical")}
    cv = {label: values.std() / values.mean() for label, values in spread.items()}
    again = ", ".join(f"{row.backbone} {row.gain:+.4f}" for row in longer.itertuples())
    return Finding(
        f"{(gains['gain'] > 0).sum()} of {len(gains)} gains positive ({gains['gain'].min():+.4f} to {gains['gain'].max():+.4f}); "
        f"longer-trained on BRSET: {again}",
        verdict_of([*gains["gain"], *longer["gain"]], low, high),
        f"mean {effect:+.4f} [{low:+.4f}, {high:+.4f}] over data sets; coefficient of variation over data sets {cv[True]:.2f}, "
        f"against {cv[False]:.2f} of the generalists",
        effect,
        low,
        high,
        4,
    )


def medical_data_more_sensitive() -> Finding:
    """Are there curves of natural data sets to compare with."""
    sets = datasets().set_index("dataset")["domain"]
    probed = authors_sweep()["dataset"].drop_duplicates().map(sets).value_counts()
    natural = int(probed.get("natural", 0))
    return Finding(
        f"curves exist for {probed.get('medical', 0)} medical and {natural} natural data sets",
        UNTESTABLE,
        "the natural data sets were embedded but no probing result of theirs is published",
        n=natural,
    )


def summary(curves: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a curve: dataset, backbone, medical, gain (at lambda = 1), best (lambda), drop (peak - AUC(1)), interior (best AUC
    strictly inside - AUC(1)), std (over seeds, at lambda = 1), se (of drop, over seeds as if unpaired); the curves behind Fig. 3
    when none are given."""
    curves = authors_sweep() if curves is None else curves
    rows = []
    for (dataset, backbone), curve in curves.groupby(["dataset", "backbone"]):
        auc, std = (curve.set_index("lambda")[column] for column in ("auc_mean", "auc_std"))
        last = curve.set_index("lambda").loc[1.0]
        se = np.hypot(std[auc.idxmax()], std[1.0]) / np.sqrt(SEEDS)
        inside = auc[(auc.index > 0) & (auc.index < 1)].max() - last["auc_mean"]
        rows.append((dataset, backbone, last["gain"], auc.idxmax(), auc.max() - last["auc_mean"], inside, std[1.0], se))
    table = pd.DataFrame(rows, columns=["dataset", "backbone", "gain", "best", "drop", "interior", "std", "se"])
    return table.assign(medical=table["backbone"].isin(MEDICAL_BACKBONES))


def _gain_everywhere(lam: float) -> Finding:
    first, longer = (_gains(curves, lam) for curves in (authors_sweep(), authors_longer_sweep()))
    effect, low, high = mean_interval(first.groupby("dataset")["gain"].mean())
    worst = longer.loc[longer["gain"].idxmin()]
    clear = worst["gain"] < -CLEAR * worst["se"]
    cases = [*first["gain"], *longer["gain"]]
    return Finding(
        f"{(first['gain'] > 0).sum()} of {len(first)} curves gain at lambda = {lam:g} ({first['gain'].min():+.4f} to "
        f"{first['gain'].max():+.4f}; one-sided sign test p = {sign_p(first['gain']):.1g}, curves not independent); "
        "longer-trained on BRSET: " + ", ".join(f"{row.backbone} {row.gain:+.4f}" for row in longer.itertuples()),
        CONTRADICTED if clear else verdict_of(cases, low, high),
        f"mean {effect:+.4f} [{low:+.4f}, {high:+.4f}] over 4 data sets; {worst['backbone']} on BRSET, trained longer, changes by "
        f"{worst['gain']:+.5f} ({abs(worst['gain'] / worst['se']):.1f} standard errors over seeds, on these test rows)",
        effect,
        low,
        high,
        4,
    )


def _gains(curves: pd.DataFrame, lam: float) -> pd.DataFrame:
    """Gain at ``lam`` and its standard error over seeds, as if unpaired (the pairing of seeds is not published)."""
    at, zero = (curves[curves["lambda"] == v].set_index(["dataset", "backbone"]) for v in (lam, 0.0))
    se = np.sqrt((at["auc_std"] ** 2 + zero["auc_std"].loc[at.index] ** 2) / SEEDS)
    return at[["gain"]].assign(se=se).reset_index()


CLAIMS = (
    Claim(
        "Medical data are more sensitive to the gap than natural data",
        "Abstract",
        "gain over lambda on medical against natural data sets",
        medical_data_more_sensitive,
        ours.gains_at(1.0),
        decided.medical_gains_exceed_natural,
    ),
    Claim(
        "Moderate reduction of the gap consistently improves AUC",
        "Section 3, Fig. 3",
        "AUC(0.5) - AUC(0) on every curve, Student interval over data sets",
        moderate_closure_helps,
        ours.gains_at(0.5),
    ),
    Claim(
        "Closing the gap is always desirable",
        "Conclusion",
        "AUC(1) - AUC(0) on every curve, Student interval over data sets; one clear exception contradicts",
        closing_is_always_desirable,
        ours.gains_at(1.0),
    ),
    Claim(
        "An intermediate, task-dependent separation is best",
        "Abstract and Section 3",
        "best AUC strictly inside (0, 1) minus AUC(1), Student interval over data sets",
        intermediate_is_best,
        ours.best_lambda,
    ),
    Claim(
        "AUC declines slightly near lambda = 1, in particular for medical backbones on BRSET and mBRSET",
        "Section 3, Fig. 3",
        "drop from the peak to lambda = 1 against the spread over seeds; named against other curves, Welch interval",
        decline_near_one,
        ours.best_lambda,
    ),
    Claim(
        "Generalist backbones gain more from alignment on medical data",
        "Section 3",
        "gain at lambda = 1, generalist minus medical backbones, Student interval over data sets",
        generalists_gain_more,
        ours.gains_at(1.0),
    ),
    Claim(
        "The gain grows with the initial gap",
        "Section 3 (consistent with larger initial misalignment)",
        "rank correlation of gain and norm of the gap",
        not_published("the norm of the gap"),
        ours.gains_at(1.0),
    ),
    Claim(
        "Medical backbones gain less, but steadily",
        "Section 3",
        "sign and size of the gains of medical backbones, Student interval over data sets",
        medical_gain_little_but_steadily,
        ours.gains_at(1.0),
    ),
    Claim(
        "Lambda is selected as a function of the downstream task",
        "Introduction, contribution (i)",
        "test AUC of a lambda chosen on validation rows",
        not_published("any validation score"),
        ours.best_lambda,
    ),
)
