"""Sentences that state what the metrics show, computed from metrics/ like the tables, for the page and the docs.

Names of experiments are in backticks, as in Markdown. Scores of a `Summary` are formatted strings.
"""

from collections.abc import Iterator, Sequence

from torchprimer.params.experiments import MLP
from torchprimer.report.summaries import Summary


def all_findings(summaries: Sequence[Summary]) -> list[str]:
    """All findings about experiments on the same raw data."""
    rules = (
        below_baseline, cross_validated, majority_class, explained_variance, pretrained, precomputed_features,
        linear_codes,
    )  # fmt: skip
    return [sentence for rule in rules for sentence in rule(summaries)]


def below_baseline(summaries: Sequence[Summary]) -> Iterator[str]:
    """Models that a classic model beats by more than chance explains."""
    groups: dict[tuple[str, str, str], list[Summary]] = {}
    for summary in summaries:
        if summary.below_baseline:
            groups.setdefault((summary.metric_label, *summary.best_baseline), []).append(summary)
    for (metric, name, score), group in groups.items():
        scores = ", ".join(f"`{summary.name}` {summary.score}" for summary in group)
        yield f"Below the baseline, {name} ({metric} {score}; 95% interval of the difference below zero): {scores}."


def cross_validated(summaries: Sequence[Summary]) -> Iterator[str]:
    """Model and baseline on the same folds."""
    for summary in summaries:
        if "baseline_accuracy_mean" in summary.folds and summary.difference:
            low, high = summary.difference
            folds = summary.folds
            verdict = "model below baseline" if high < 0 else "model above baseline" if low > 0 else "no clear winner"
            yield (
                f"Cross-validation of `{summary.name}`: accuracy {summary.cross_validation()}; its baseline on the "
                f"same folds {folds['baseline_accuracy_mean']:.4f} ± {folds['baseline_accuracy_std']:.4f}. "
                f"95% interval of the difference: {low:+.4f} to {high:+.4f}, {verdict}."
            )


def majority_class(summaries: Sequence[Summary]) -> Iterator[str]:
    """Classifiers that predict the majority class only, and why."""
    scored = [summary for summary in summaries if "accuracy" in summary.test]
    stuck = [summary for summary in scored if summary.score == summary.baselines.get("dummy")]
    if not stuck:
        return
    verb, losses_are = ("scores", "its loss is") if len(stuck) == 1 else ("score", "their losses are")
    names = " and ".join(f"`{summary.name}`" for summary in stuck)
    losses = " and ".join(f"{summary.test['loss']:.3f}" for summary in stuck)
    dummy_loss = stuck[0].baseline["dummy"].get("loss")
    yield (
        f"{names} {verb} no better than the dummy, which always predicts the majority class; {losses_are} {losses}"
        + (f", that of the dummy {dummy_loss:.3f}." if dummy_loss else ".")
    )
    experiment = stuck[0].params.experiments[stuck[0].name]
    if isinstance(experiment, MLP) and experiment.activation == "sigmoid" and experiment.optimizer == "SGD":
        layers = len(experiment.hidden)
        yield (
            f"The cause is the vanishing gradient: the derivative of a sigmoid is at most 1/4, so {layers} layers of "
            f"sigmoids pass on at most 1/{4**layers} of the gradient, and an SGD step is proportional to its gradient. "
            "Only the bias of the last layer gets the full gradient. It learns the class frequencies first, and the "
            "training ends before the other weights have moved far."
        )


def explained_variance(summaries: Sequence[Summary]) -> Iterator[str]:
    """How much of the variance the principal components explain."""
    for summary in summaries:
        if fraction := summary.test.get("explained_variance"):
            components = getattr(summary.params.datasets[summary.dataset], "pca", None)
            inputs = f"{components} principal components, which explain {fraction:.1%} of the variance"
            yield f"The input of `{summary.name}` is {inputs}."


def pretrained(summaries: Sequence[Summary]) -> Iterator[str]:
    """Transfer learning: a model with pretrained weights against the same model trained from scratch."""
    for summary in summaries:
        experiment = summary.params.experiments[summary.name]
        from_scratch = experiment.model_copy(update={"init_from": "scratch"})
        for scratch in summaries:
            comparable = experiment.init_from != "scratch" and scratch.params.experiments[scratch.name] == from_scratch
            if comparable and summary.score and "accuracy" in summary.test and "accuracy" in scratch.test:
                points = 100 * (float(summary.score) - float(scratch.score))
                yield (
                    f"`{summary.name}`, initialised with the weights of `{experiment.init_from}`, reaches "
                    f"{summary.score}; the same model trained from scratch, `{scratch.name}`, {scratch.score}: "
                    f"{points:+.1f} points."
                )


def precomputed_features(summaries: Sequence[Summary]) -> Iterator[str]:
    """Time of an epoch on precomputed features, against an epoch through the frozen layers."""
    for quick in summaries:
        features = quick.params.features.get(quick.dataset)
        for slow in summaries:
            is_source = features and slow.params.experiments[slow.name].init_from == features.experiment
            if is_source and quick.seconds and slow.seconds and quick.train and slow.train:
                short, long = (summary.seconds / summary.train["epochs"] for summary in (quick, slow))
                yield (
                    f"An epoch of `{quick.name}` on precomputed features takes {short:.2f} s on average; an epoch of "
                    f"`{slow.name}`, which runs the frozen layers each time, {long:.1f} s: {long / short:.0f} times as "
                    "long."
                )


def linear_codes(summaries: Sequence[Summary]) -> Iterator[str]:
    """Reconstruction error of an autoencoder, against principal components."""
    for summary in summaries:
        if "mse_pca" in summary.test:
            yield (
                f"`{summary.name}` reconstructs images with a mean squared error of {summary.test['mse']:.4f} per "
                f"pixel; as many principal components, the best linear code, with {summary.test['mse_pca']:.4f}."
            )


GENERATOR_SCORES = {  # key of test.json -> column heading, decimals
    "frechet_distance": ("Fréchet distance", 2),
    "confident_fraction": ("confident predictions (fraction)", 3),
    "class_entropy": ("entropy of predicted classes (bits)", 3),
}


def generator_scores(summaries: Sequence[Summary]) -> list[dict[str, str]]:
    """A row for each generator scored by a classifier, and one for real images; the column "" has its name."""
    rows = [(summary.name, summary.test, "") for summary in summaries if "frechet_distance" in summary.test]
    if rows:
        rows.append(("real images", rows[0][1], "_real"))  # equal for all generators with the same scorer
    return [
        {"": name}
        | {title: f"{test[key + suffix]:.{decimals}f}" for key, (title, decimals) in GENERATOR_SCORES.items()}
        for name, test, suffix in rows
    ]
