"""What the numbers say, in sentences: made from metrics/ like the tables, for the page and for the docs.

A sentence has `names` between backticks, as Markdown has them.
"""

from collections.abc import Iterator, Sequence

from torchprimer.params.experiments import MLP
from torchprimer.report.charts import history
from torchprimer.report.summaries import Entry


def notes(entries: Sequence[Entry]) -> list[str]:
    """All that is to be said of experiments that stand together somewhere."""
    return [sentence for say in (lost, majority, kept, start, faster, codes) for sentence in say(entries)]


def lost(entries: Sequence[Entry]) -> Iterator[str]:
    """Of nets that a classic model beats."""
    losers: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        if entry.loses:
            losers.setdefault((entry.measured, *entry.best_baseline), []).append(entry)
    for (measured, name, best), among in losers.items():
        scores = ", ".join(
            f"`{entry.name}` {entry.score}" + (f" ({entry.cross_validated})" if entry.cross_validated else "")
            for entry in among
        )
        lose = "Loses to its" if len(among) == 1 else "Lose to their"
        yield f"{lose} baseline, {name} ({measured} {best}): {scores}."


def majority(entries: Sequence[Entry]) -> Iterator[str]:
    """Of nets that say the same to everybody, and why."""
    stuck = [entry for entry in entries if entry.measure == "accuracy" and entry.score == entry.baselines.get("dummy")]
    if not stuck:
        return
    reach, its = ("reaches", "its loss is") if len(stuck) == 1 else ("reach", "their losses are")
    names = " and ".join(f"`{entry.name}`" for entry in stuck)
    losses = " and ".join(f"{entry.test['loss']:.3f}" for entry in stuck)
    of_the_dummy = stuck[0].baseline["dummy"].get("loss")
    yield (
        f"{names} {reach} what the dummy does, which says the most frequent class to everybody; {its} {losses}"
        + (f", the dummy's {of_the_dummy:.3f}." if of_the_dummy else ".")
    )
    own = stuck[0].params.experiments[stuck[0].name]
    if isinstance(own, MLP) and own.activation == "sigmoid" and own.optimizer == "SGD":
        layers = len(own.hidden)
        yield (
            f"Why: the slope of a sigmoid is at most 1/4, so that {layers} layers of them leave at most 1/{4**layers} "
            "of the gradient to the weights before them, and a step of SGD is in proportion to its gradient. The last "
            "bias has the whole of it and is learnt first: how frequent the classes are. When the epochs are over, the "
            "rest has hardly begun."
        )


def kept(entries: Sequence[Entry]) -> Iterator[str]:
    """How much of the variance principal components keep."""
    for entry in entries:
        if "explained_variance" in entry.test:
            count = getattr(entry.params.datasets.get(entry.dataset), "pca", None)
            share = entry.test["explained_variance"]
            yield f"`{entry.name}` sees {count} principal components, which keep {share:.1%} of the variance."


def start(entries: Sequence[Entry]) -> Iterator[str]:
    """What a net owes to the weights it starts from: itself against its twin from scratch."""
    for entry in entries:
        own = entry.params.experiments[entry.name]
        for twin in entries:
            other = twin.params.experiments[twin.name]
            twins = (
                own.init_from != "scratch" == other.init_from
                and own.model_copy(update={"init_from": "scratch"}) == other
            )
            if twins and entry.score and entry.measure == twin.measure == "accuracy":
                points = 100 * (float(entry.score) - float(twin.score))
                yield (
                    f"`{entry.name}`, which starts from the weights of `{own.init_from}`, reaches {entry.score}; the same "
                    f"from scratch, `{twin.name}`, {twin.score}: {points:+.1f} points."
                )


def faster(entries: Sequence[Entry]) -> Iterator[str]:
    """How much longer an epoch through frozen layers lasts than one on the features that they make."""
    for entry in entries:
        made = entry.params.features.get(entry.dataset)
        for slow in entries:
            if made is None or slow.params.experiments[slow.name].init_from != made.experiment:
                continue
            quick_epochs, slow_epochs = history(entry), history(slow)
            if len(quick_epochs) and len(slow_epochs):
                one, other = (epochs["epoch_seconds"].median() for epochs in (quick_epochs, slow_epochs))
                yield (
                    f"An epoch of `{entry.name}`, on features that were taken out once, lasts {one:.2f} s; one of "
                    f"`{slow.name}`, through the frozen layers each time, {other:.1f} s: {other / one:.0f} times as "
                    "long."
                )


def codes(entries: Sequence[Entry]) -> Iterator[str]:
    """What an autoencoder's codes are worth beside linear ones."""
    for entry in entries:
        if "mse_pca" in entry.test:
            yield (
                f"`{entry.name}` gives digits back with a mean squared error of {entry.test['mse']:.4f} in each pixel; "
                f"as many principal components, the best that a linear code can do, with {entry.test['mse_pca']:.4f}."
            )


GAME = {  # of test.json -> heading of a column, digits behind the point
    "frechet_distance": ("Fréchet distance", 2),
    "confident_fraction": ("share the judge is sure of", 3),
    "class_entropy": ("entropy of the classes (bits)", 3),
}


def generators(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """A row for each judged generator, and one of real images: "", then the columns of GAME."""
    judged = [(entry.name, entry.test, "") for entry in entries if "frechet_distance" in entry.test]
    if judged:
        judged.append(("real images", judged[0][1], "_real"))  # the same for all under one judge
    return [
        {"": name} | {title: f"{test[key + real]:.{digits}f}" for key, (title, digits) in GAME.items()}
        for name, test, real in judged
    ]
