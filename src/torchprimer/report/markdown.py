"""The results table of README.md, docs/experiments.md and docs/figures, out of params.yaml and metrics/: `make docs`.

Texts are made of what git has (params.yaml, metrics/, docs/figures), so that a test can say whether they are up to
date; figures are taken from metrics/E/test, which DVC has, as far as that is there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from torchprimer import params, paths
from torchprimer.atomic import atomic_write
from torchprimer.errors import UserError
from torchprimer.report.charts import Curves, chart, colours, curves, held_out
from torchprimer.report.findings import generators, notes
from torchprimer.report.images import Picture, pictures, reduced
from torchprimer.report.summaries import Entry, entries

IN_THE_README = {  # experiment -> what it is, in Chinese; params.yaml has the English
    "line_gradient_descent": "梯度下降，梯度手工推导；全部样本取平均走一步。",
    "gaussians_logistic": "平面上的两团点，以及它们之间的直线。",
    "diabetes_tuned": "一个 ReLU 隐藏层，带 dropout 和权重衰减，用 AdamW 训练。",
    "bike_sharing_tuned": "两个 ReLU 隐藏层（128 和 64），带 dropout，用 AdamW 训练。",
    "reviews_bow": "一条评论里每个词所占的比例，经 32 个单元到 2 类。词序丢掉了，褒贬大多还在。",
    "mnist_mlp": "多层感知机：784-512-256-128-64-10。",
    "mnist_cnn": "两层 5 x 5 卷积（10 和 20 个通道），各带池化，再接一个线性层 320-10。",
    "mnist_lenet5": "32 x 32 上的 LeNet-5（LeCun、Bottou、Bengio、Haffner 1998），按现在的习惯用 ReLU 和最大池化。",
    "mnist_dcgan": "生成器和判别器都用卷积（DCGAN：Radford、Metz、Chintala 2015）。",
    "cifar10_cnn_tuned": "与 cifar10_cnn 同样的网络，加上批归一化、dropout 和数据增强，学习率是三倍。",
    "dogs_vs_cats_cnn": "三个卷积-ReLU-池化块（32、64、128 个通道），然后是 512、64、2。",
    "dogs_vs_cats_resnet18": "ResNet-18，从 cifar8_resnet18 的权重开始，所有层继续训练。",
    "dogs_vs_cats_efficientnet_lite0": "EfficientNet-Lite0（Tan、Le 2019），用 ImageNet 的权重，除分类器外全部冻结。",
    "hello_embedding": "字符是学出来的 10 维向量，状态更宽，由一个线性层读出。",
}
TITLES = {
    "en": ("experiment", "data", "what it is", "test score", "baselines"),
    "zh-CN": ("实验", "数据", "是什么", "测试集得分", "基线"),
}
IN_CHINESE = {  # what the cells of the table say
    "below its baseline": "低于基线", "mean squared error": "均方误差", "Fréchet distance": "Fréchet 距离",
    "accuracy": "准确率", "dummy": "盲猜基线", "linear regression": "线性回归", "logistic regression": "逻辑回归",
    "gradient boosting": "梯度提升", "naive bayes": "朴素贝叶斯", "nearest neighbours": "最近邻",
}  # fmt: skip
BEGIN, END = "<!-- results: made by `make docs`, not to be edited -->", "<!-- end of results -->"
TELLING = (  # figures that stand in the docs: the first group whose first is there
    ("search",), ("descent",), ("timeline",), ("probability",), ("boundary",), ("spelling",),
    ("reconstructions", "latents"), ("epochs", "training"), ("mistakes",), ("confusion",),
)  # fmt: skip
WORDS = 12  # of each class


def folder() -> Path:
    return paths.project() / "docs" / "figures"


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(rows: Iterable[Sequence[str]], titles: Sequence[str]) -> list[str]:
    """Lines of Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, *rows)]
    return [lines[0], "|---" * len(titles) + "|", *lines[1:]]


def score(entry: Entry) -> str:
    said = [entry.found, f"{entry.measured} {entry.score}", entry.cross_validated]
    return "; ".join(filter(None, [*said, "**below its baseline**" if entry.loses else ""]))


def baselines(entry: Entry) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.baselines.items())


def results(every: Sequence[Entry], language: str = "en") -> str:
    """The table of README.md and README.zh-CN.md: some experiments."""
    chosen = [entry for entry in every if entry.name in IN_THE_README and entry.score]
    rows = [
        [
            f"[`{entry.name}`](docs/experiments.md#{entry.name})",
            f"`{entry.raw_dataset}`",
            entry.shows if language == "en" else IN_THE_README[entry.name],
            score(entry),
            baselines(entry),
        ]
        for entry in chosen
    ]
    if language == "zh-CN":
        rows = [[*row[:3], *map(in_chinese, row[3:])] for row in rows]
    return "\n".join(table(rows, TITLES[language]))


def in_chinese(cell: str) -> str:
    """A cell with scores."""
    cell = re.sub(r"(\S+ ± \S+) in (\d+) folds", r"\2 折交叉验证 \1", cell).replace("; ", "；").replace(", ", "，")
    for english, chinese in IN_CHINESE.items():
        cell = cell.replace(english, chinese)
    return cell


def with_results(readme: str, every: Sequence[Entry], language: str = "en") -> str:
    """README.md with its table made anew.

    Raises:
        UserError: the comments around the table are missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"README: the table of results belongs between {BEGIN} and {END}; put them back")
    return f"{before}{BEGIN}\n\n{results(every, language)}\n\n{END}{after}"


# ---- docs/experiments.md ---------------------------------------------------------------------------------------------


def experiments_page(every: Sequence[Entry]) -> str:
    """docs/experiments.md: a part for each heading of params.yaml, with table, notes and figures."""
    lines = [
        "# The experiments",
        "",
        "Made by `make docs` out of params.yaml and metrics/; not to be edited. Beside each stands the command that",
        "trains and evaluates it; with another learning rate, say, of `mnist_mlp`:",
        "`dvc exp run -S experiments.mnist_mlp.lr=0.05 evaluate@mnist_mlp`.",
        "Scores are of the test split, which chose nothing; beside them what a model that ignores its input and a",
        "classic one of scikit-learn reach on the same rows. Seconds are those of all epochs.",
    ]
    for heading in dict.fromkeys(entry.heading for entry in every):
        of_it = [entry for entry in every if entry.heading == heading]
        done = [entry for entry in of_it if entry.score]
        lines += ["", f"## {heading[:1].upper()}{heading[1:]}", ""]
        rows = [
            (
                f"**`{entry.name}`**<br>{entry.shows}", f"`{entry.dataset}`", score(entry), baselines(entry),
                entry.seconds, entry.parameters,
            )
            for entry in done
        ]  # fmt: skip
        lines += table(rows, ("experiment", "data", "test score", "baselines", "seconds", "weights"))
        if missing := [f"`{entry.name}`" for entry in of_it if entry not in done]:
            lines += ["", f"Not trained yet: {', '.join(missing)}."]
        for origin in dict.fromkeys(entry.raw_dataset for entry in done):
            lines += about_dataset([entry for entry in done if entry.raw_dataset == origin])
        for entry in done:
            lines += figures(entry)
    return "\n".join(lines) + "\n"


def about_dataset(among: Sequence[Entry]) -> list[str]:
    """What is to be said of one dataset: its notes, its generators, its curves."""
    said = [f"- {note}" for note in notes(among)]
    lines = ["", *said] if said else []
    if judged := generators(among):
        lines += ["", *table((tuple(row.values()) for row in judged), tuple(judged[0]))]
    for name, drawn in compared(among).items():
        if (folder() / name).is_file():
            lines += ["", f"![{among[0].raw_dataset}: {drawn.title}](figures/{name})"]
    return lines


def figures(entry: Entry) -> list[str]:
    """The figures of one experiment that are in docs/figures, and the words of a text model."""
    found = [file for name in copies(entry) if (file := folder() / name).suffix != ".csv" and file.is_file()]
    lines = ["", f"### `{entry.name}`", "", f"`dvc repro evaluate@{entry.name}`"]
    lines += [line for file in found for line in ("", f"![{file.stem}](figures/{file.name})")]
    words = folder() / f"{entry.name}_words.csv"
    if words.is_file():
        lines += ["", "The words that pull most to each class, how much, and how many training texts have them:", ""]
        lines += word_table(pd.read_csv(words, keep_default_na=False))
    return lines


def word_table(words: pd.DataFrame) -> list[str]:
    """Classes side by side, a word and its pull in each row."""
    parts = {
        str(label): [f"{row.word} {row.logit_margin:.2f} ({row.documents:,})" for row in rows.itertuples()]
        for label, rows in words.groupby("class", sort=False)
    }
    return table(zip(*parts.values(), strict=True), tuple(parts))


# ---- docs/figures ----------------------------------------------------------------------------------------------------


def compared(among: Sequence[Entry]) -> dict[str, Curves]:
    """File -> the curves of a dataset that the docs show: the first two that compare anything.

    No scores on samples that were trained on.
    """
    drawn = [each for each in curves(among) if held_out(among) or each.title.startswith("Loss")]
    several = [each for each in drawn if len(each.entries) > 1][:2]
    return {f"{among[0].raw_dataset}_curves_{number}.png": each for number, each in enumerate(several, 1)}


def copies(entry: Entry) -> Iterator[str]:
    """Names in docs/figures that a figure of this experiment may have, in their order on the page."""
    yield f"{entry.name}.png"
    for group in TELLING:
        yield from (f"{entry.name}_{kind}.{suffix}" for kind in group[1:] for suffix in ("png", "gif"))


def draw(every: Sequence[Entry]) -> None:
    """Renews docs/figures from metrics/: what `evaluate` left, as far as it is there, and the curves."""
    import vl_convert

    folder().mkdir(parents=True, exist_ok=True)
    for entry in every:
        found = {picture.kind: picture for picture in pictures(entry.name)}
        group = next((group for group in TELLING if group[0] in found), ())
        for number, kind in enumerate(group):
            if kind in found:
                suffix = found[kind].file.suffix
                file = folder() / f"{entry.name}{f'_{kind}' if number else ''}{suffix}"
                file.write_bytes(reduced(found[kind]))
        words = paths.metrics(entry.name) / "test" / "words.csv"
        if words.is_file():
            rows = pd.read_csv(words, keep_default_na=False).groupby("class", sort=False).head(WORDS)
            rows.to_csv(folder() / f"{entry.name}_words.csv", index=False)
    trained = [entry for entry in every if entry.training]
    for origin in dict.fromkeys(entry.raw_dataset for entry in trained):
        for name, drawn in compared([entry for entry in trained if entry.raw_dataset == origin]).items():
            png = vl_convert.vegalite_to_png(chart(drawn, colours([drawn]), page=False), scale=1.5)
            with atomic_write(folder() / name) as file:
                file.write_bytes(png)
                file.write_bytes(reduced(Picture(file)))


def texts(every: Sequence[Entry]) -> dict[Path, str]:
    """File -> what it should hold: docs/experiments.md, and the READMEs that have a place for the table."""
    made = {paths.project() / "docs" / "experiments.md": experiments_page(every)}
    for name, language in (("README.md", "en"), ("README.zh-CN.md", "zh-CN")):
        file = paths.project() / name
        if file.is_file():
            made[file] = with_results(file.read_text("utf-8"), every, language)
    return made


def main() -> None:
    every = entries(params.load())
    draw(every)
    for file, text in texts(every).items():
        with atomic_write(file) as partial:
            partial.write_text(text, "utf-8")
        print(f"{file.relative_to(paths.project())}: made anew")


if __name__ == "__main__":
    main()
