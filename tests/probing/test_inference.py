import numpy as np
import pandas as pd
import pytest
from samples import embedding_set
from sklearn.metrics import roc_auc_score

from helpers import PROTOCOLS, sweep
from helpers.probing.inference import SELECTED
from helpers.probing.result import SweepResult
from helpers.statistics import bootstrap_counts
from helpers.tasks import Task


def result_of(quality: dict[float, float], n=400, seeds=(1, 2), val_quality=None) -> SweepResult:
    """Return a binary result whose scores at each lambda are the label times a quality, plus noise shared by all lambdas."""
    rng = np.random.default_rng(0)
    targets = (rng.random((n, 1)) < 0.4).astype(np.int8)
    runs, scores, table = [], [], []
    for s, seed in enumerate(seeds):
        noise = rng.normal(size=(n, 1)) + 0.05 * rng.normal(size=(n, 1))
        for lam, q in quality.items():
            keys = {"dataset": "d", "variant": "v", "backbone": "b", "protocol": "p", "alignment": "lambda", "features": "joint"}
            runs.append({**keys, "lambda_image": lam, "lambda_text": lam, "seed": seed})
            scores.append(q * targets + noise)
            value = np.broadcast_to((val_quality or quality)[lam], len(seeds))[s]
            table.append({**runs[-1], "split": "val", "metric": "auc", "class": None, "value": value})
    about = np.arange(n), Task("binary", ("no", "yes")), {"headline_metric": "auc"}, pd.DataFrame(index=range(n))
    return SweepResult(pd.DataFrame(table), pd.DataFrame(runs), np.stack(scores).astype(np.float32), targets, *about)


def test_effects_against_a_bootstrap_written_out():
    slow = PROTOCOLS["paper"].replace(batch_size=32, max_epochs=4, lr=0.02)  # no AUC of a seed is 1
    result = sweep(embedding_set(n=240, groups=np.arange(240) // 3), [0, 1], seeds=(1, 2), protocol=slow, progress=False)
    table = result.effects(n_boot=40, random_state=5).set_index("lambda_image")
    scores, targets = result.headline_scores, result.targets
    at = {lam: result.runs.index[result.runs["lambda_image"] == lam] for lam in (0, 1)}

    def auc(runs, weight=None):
        return np.mean([[roc_auc_score(targets[:, k], scores[r][:, k], sample_weight=weight) for k in range(3)] for r in runs])

    weights = bootstrap_counts(len(targets), 40, 5, result.groups)
    draws = [auc(at[1], w) - auc(at[0], w) for w in weights if (w @ targets > 0).all()]
    row = table.loc[1]
    assert row["difference"] == pytest.approx(auc(at[1]) - auc(at[0]), abs=1e-12)
    assert len(draws) == 40 and row["classes_dropped"] == 0
    assert row[["low", "high"]].tolist() == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist(), abs=1e-12)
    assert row["minimum_detectable"] == pytest.approx((1.959964 + 0.841621) * np.std(draws, ddof=1), rel=1e-9)
    per_seed = [auc([one]) - auc([zero]) for one, zero in zip(at[1], at[0], strict=True)]
    assert row["seed_sd"] == pytest.approx(np.std(per_seed, ddof=1), abs=1e-12)
    assert table.loc[0, ["difference", "low", "high"]].tolist() == [0, 0, 0]


def test_effects_are_against_lambda_zero_wherever_its_run_stands_and_one_seed_has_no_spread():
    effects = result_of({1.0: 2.0, 0.0: 1.0}, seeds=(1,)).effects(n_boot=20).set_index("lambda_image")
    assert effects.loc[0.0, "difference"] == 0 and effects.loc[1.0, "difference"] > 0
    assert effects["seed_sd"].isna().all() and effects["n_seeds"].tolist() == [1, 1]
    assert np.isnan(effects.loc[0.0, "minimum_detectable"]) and effects.loc[1.0, "minimum_detectable"] > 0


def test_one_lambda_is_selected_on_validation_although_seeds_disagree_and_judged_on_test():
    each = {0.0: (0.80, 0.80, 0.50), 0.25: (0.79, 0.79, 0.79), 1.0: (0.60, 0.60, 0.90)}  # the seeds alone: 0, 0, 1
    result = result_of({0.0: 1.0, 0.25: 1.4, 1.0: 2.0}, seeds=(1, 2, 3), val_quality=each)
    row = result.selected(n_boot=100).iloc[0]
    assert row["lambda_image"] == row["lambda_text"] == 0.25
    effect = result.effects(n_boot=100).set_index("lambda_image").loc[0.25]
    assert row[SELECTED[1:]].tolist() == pytest.approx(effect[SELECTED[1:]].tolist())
    result = result_of({0.0: 1.0, 0.5: 2.0, 1.0: 1.5}, val_quality={0.0: 0.6, 0.5: 0.8, 1.0: 0.8})  # among equals, the smallest
    assert result.selected(n_boot=100).iloc[0]["lambda_image"] == 0.5


def test_some_lambda_beats_zero_counts_all_lambdas():
    qualities = ({0.0: 0.2, 0.5: 1.5, 1.0: 1.0}, {0.0: 1.5, 1.0: 1.0}, {0.0: 1.0, 1.0: 1.0})
    clear, worse, same = (result_of(q).some_lambda_beats_zero(n_boot=500).iloc[0] for q in qualities)
    assert clear["best_lambda"] == 0.5 and clear["p_value"] < 0.01 and clear["n_lambdas"] == 2
    assert worse["p_value"] > 0.9 and same["p_value"] == 1 and same["difference"] == 0
    assert result_of({0.0: 1.0}).some_lambda_beats_zero(n_boot=100).empty
