"""Tables: the published ones with their numbers, a user's own, and scikit-learn as the judge of what was fitted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from torchprimer import params
from torchprimer.datasets.meta import TabularMeta
from torchprimer.datasets.tabular import KIND, read_table
from torchprimer.datasets.tabular_preprocessing import fit, transform, transform_target
from torchprimer.errors import UserError
from torchprimer.params import Tabular

Raw = Callable[[str], Path]
OWN = """\
name;size;colour;weight;price
a;1.5;red;10;100
b;2.5;blue;;200
c;;red;30;300
d;4.5;green;0;400
e;5.5;blue;50;500
f;6.5;red;NA;600
g;7.5;blue;70;700
h;8.5;red;80;800
"""


def dataset(name: str, **changed: Any) -> Tabular:
    """One of params.yaml, with other values."""
    found = params.load().datasets[name]
    assert isinstance(found, Tabular)
    return Tabular.model_validate(found.model_dump() | changed)


def own(**changed: Any) -> Tabular:
    """How a user might describe `OWN`."""
    given: dict[str, Any] = {
        "kind": "tabular", "raw": "own", "task": "regression", "target": "price", "numeric": ["size", "weight"],
        "categorical": ["colour"], "zero_as_missing": ["weight"], "standardize": True, "pca": None, "split": "random",
        "time": None, "validation": 2, "test": 2, "baseline": "gradient_boosting",
    }  # fmt: skip
    return Tabular.model_validate(given | changed)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Makes a user's folder data/raw/own of these files."""

    def folder(**files: str | bytes) -> Path:
        raw = tmp_path / "own"
        raw.mkdir(exist_ok=True)
        for name, content in files.items():
            (raw / name.replace("_", ".")).write_bytes(content.encode() if isinstance(content, str) else content)
        return raw

    return folder


def split(raw: Path, described: Tabular, **changed: Any) -> pd.DataFrame:
    return KIND.split_rows(raw, described, **{"name": "own", "seed": 0, "limit": None} | changed)[0]


def prepared(raw: Path, described: Tabular, rows: pd.DataFrame, folder: Path) -> tuple[TabularMeta, dict[str, Any]]:
    """The meta as JSON gives it back, and the arrays."""
    folder.mkdir(exist_ok=True)
    meta = TabularMeta.model_validate_json(KIND.prepare(raw, described, rows, folder).model_dump_json())
    return meta, {file.stem: np.load(file) for file in folder.glob("*.npy")}


def counts(rows: pd.DataFrame) -> dict[str, int]:
    return {str(part): int(count) for part, count in rows["split"].value_counts().items()}


# ---- the published tables ------------------------------------------------------------------------------------------


def test_diabetes(real_raw: Raw, tmp_path: Path) -> None:
    """768 women, 500 and 268; so many zeros stand for missing values as the literature counts."""
    described = dataset("diabetes")
    table = read_table(real_raw("diabetes"))
    assert table.shape == (768, 9)
    assert table["diabetes"].value_counts().to_dict() == {"tested_negative": 500, "tested_positive": 268}
    zeros = {name: int((table[name].astype(float) == 0).sum()) for name in described.zero_as_missing}
    assert zeros == {"glucose": 5, "blood_pressure": 35, "skin_thickness": 227, "insulin": 374, "bmi": 11}
    rows = split(real_raw("diabetes"), described)
    assert counts(rows) == {"train": 538, "validation": 115, "test": 115}
    for _, members in rows.groupby("split"):
        assert (members["label"] == "tested_positive").mean() == pytest.approx(268 / 768, abs=0.01)
    meta, arrays = prepared(real_raw("diabetes"), described, rows, tmp_path / "out")
    assert meta.classes == ["tested_negative", "tested_positive"]
    assert (meta.shape, meta.held_out) == ([8], True)
    assert (arrays["train_inputs"].dtype, arrays["train_inputs"].shape) == (np.float32, (538, 8))
    assert (arrays["test_targets"].dtype, arrays["test_targets"].shape) == (np.int64, (115,))


def test_bike_sharing_is_split_by_time(real_raw: Raw, tmp_path: Path) -> None:
    described = dataset("bike_sharing")
    table = read_table(real_raw("bike_sharing"))
    assert len(table) == 8645
    assert (table["casual"].astype(int) + table["registered"].astype(int) == table["bikers"].astype(int)).all()
    assert not {"casual", "registered"} & {*described.numeric, *described.categorical}
    rows = split(real_raw("bike_sharing"), described)
    days = table.loc[rows["id"], "day"].astype(int).groupby(rows["split"].to_numpy())
    assert {part: (of.min(), of.max(), of.nunique()) for part, of in days} == {
        "train": (1, 284, 284),
        "validation": (285, 344, 60),
        "test": (345, 365, 21),
    }
    assert len(rows) == 8645
    meta, arrays = prepared(real_raw("bike_sharing"), described, rows, tmp_path / "out")
    riders = rows.loc[rows["split"] == "train", "label"].astype(float)
    assert meta.target_mean == pytest.approx(riders.mean())
    assert meta.target_std == pytest.approx(riders.std(ddof=0))
    test = rows.loc[rows["split"] == "test", "label"].astype(float).to_numpy()[:, None]
    assert arrays["test_targets"].dtype == np.float32
    assert np.allclose(arrays["test_targets"] * meta.target_std + meta.target_mean, test, atol=1e-3)


def test_iris_keeps_the_flower_that_is_in_it_twice_in_one_split(real_raw: Raw) -> None:
    table = read_table(real_raw("iris"))
    twice = table[table.duplicated(keep=False)].index.tolist()
    assert twice == ["102", "143"]
    homes = set()
    for seed in range(12):
        rows = split(real_raw("iris"), dataset("iris"), seed=seed)
        assert len(rows) == 150
        homes.add(tuple(rows.loc[rows["id"].isin(twice), "split"]))
    assert all(first == second for first, second in homes)
    assert len(homes) > 1
    limited = split(real_raw("iris"), dataset("iris"), limit=1000)
    assert len(limited) == 149, "a repeat could exceed the limit"


def test_hours_and_lines_hold_nothing_back(real_raw: Raw, tmp_path: Path) -> None:
    rows = split(real_raw("hours"), dataset("hours"))
    assert rows.to_dict("list") == {"id": ["1", "2", "3"], "label": ["0", "0", "1"], "split": ["all"] * 3}
    meta, arrays = prepared(real_raw("hours"), dataset("hours"), rows, tmp_path / "hours")
    assert (meta.held_out, meta.classes) == (False, ["0", "1"])
    rows = split(real_raw("line_bias"), dataset("line_bias"))
    meta, lines = prepared(real_raw("line_bias"), dataset("line_bias"), rows, tmp_path / "line_bias")
    assert (meta.target_mean, meta.target_std) == (0, 1)
    for part in ("train", "validation", "test"):
        assert arrays[f"{part}_inputs"].tolist() == lines[f"{part}_inputs"].tolist() == [[1], [2], [3]]
        assert arrays[f"{part}_targets"].tolist() == [0, 0, 1]
        assert lines[f"{part}_targets"].tolist() == [[3], [5], [7]]
    assert counts(split(real_raw("line"), dataset("line"), limit=2)) == {"all": 2}


@pytest.mark.parametrize("name", ["line", "line_bias", "hours", "gaussians", "iris", "diabetes", "bike_sharing"])
def test_same_seed_same_split(real_raw: Raw, name: str) -> None:
    """Sorted by id, the same again, another with another seed only where chance decides; `limit` takes from each."""
    described = dataset(name)
    raw = real_raw(described.raw)
    rows = split(raw, described)
    assert rows["id"].is_monotonic_increasing
    assert rows.equals(split(raw, described))
    assert rows.equals(split(raw, described, seed=1)) == (described.split != "random")
    limited = split(raw, described, limit=30)
    assert all(count <= 30 for count in counts(limited).values())
    assert rows.merge(limited, how="inner").equals(limited), "limit leaves rows out and moves none"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"samples": 767}, "raw data diabetes: 768 rows, published: 767 (downloads.diabetes.expected)"),
        ({"distinct": {"tested_negative": 501, "tested_positive": 268}}, "raw data diabetes: {'tested_negative': 500, "
         "'tested_positive': 268} different rows of each diabetes, published: {'tested_negative': 501, "
         "'tested_positive': 268} (downloads.diabetes.expected)"),
    ],
)  # fmt: skip
def test_numbers_that_were_published(real_raw: Raw, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    raw = tmp_path / "diabetes"
    raw.mkdir()
    (raw / "pima.dat").symlink_to(real_raw("diabetes") / "pima.dat")
    description = json.loads((real_raw("diabetes") / "source.json").read_text("utf-8"))
    (raw / "source.json").write_text(json.dumps(description | {"expected": description["expected"] | changed}))
    with pytest.raises(UserError) as caught:
        split(raw, dataset("diabetes"))
    assert str(caught.value) == message


def test_another_column_may_be_the_target(real_raw: Raw) -> None:
    """The published classes are those of `target`; they say nothing of another column."""
    described = dataset(
        "iris",
        target="petal width (cm)",
        numeric=["sepal length (cm)"],
        pca=None,
        split="none",
        validation=None,
        test=None,
    )
    assert len(split(real_raw("iris"), described)) == 150


# ---- what is fitted, against scikit-learn --------------------------------------------------------------------------


def pipeline(described: Tabular) -> Any:
    """The same, made of scikit-learn's own parts, for columns of float64 and text."""
    zero = [name for name in described.numeric if name in described.zero_as_missing]
    rest = [name for name in described.numeric if name not in zero]
    scale = StandardScaler() if described.standardize else "passthrough"
    blank = FunctionTransformer(lambda frame: frame.replace(0, np.nan))
    columns = ColumnTransformer(
        [
            ("zero", make_pipeline(blank, SimpleImputer(strategy="median"), scale), zero),
            ("numeric", make_pipeline(SimpleImputer(strategy="median"), scale), rest),
            ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), described.categorical),
        ]
    )
    return make_pipeline(columns, PCA(described.pca) if described.pca else "passthrough")


@pytest.mark.parametrize("name", ["hours", "gaussians", "iris", "diabetes", "bike_sharing"])
@pytest.mark.parametrize("pca", [False, True])
def test_agrees_with_scikit_learn(real_raw: Raw, tmp_path: Path, name: str, pca: bool) -> None:
    described = dataset(name, pca=min(2, len(dataset(name).numeric)) if pca else None)
    described = described.model_copy(
        update={"numeric": sorted(described.numeric, key=lambda column: column not in described.zero_as_missing)}
    )
    raw = real_raw(described.raw)
    rows = split(raw, described)
    meta, arrays = prepared(raw, described, rows, tmp_path / "out")
    table = read_table(raw).astype(dict.fromkeys(described.numeric, float))
    first, last = ("train", "test") if meta.held_out else ("all", "all")
    parts = {part: table.loc[rows.loc[rows["split"] == part, "id"]] for part in (first, last)}
    theirs = pipeline(described).fit(parts[first])
    for part in (first, last):
        expected = theirs.transform(parts[part])
        found = arrays[f"{'train' if part == first else part}_inputs"]
        assert found.shape == (len(parts[part]), len(meta.features))
        assert np.allclose(found, expected, atol=1e-5), part
    if described.pca:
        assert np.allclose(meta.explained_variance, theirs[-1].explained_variance_ratio_)


def test_pca_is_the_svd(real_raw: Raw, tmp_path: Path) -> None:
    """Standardised training rows X = U S V': the inputs are U S, up to the sign of each direction."""
    rows = split(real_raw("iris"), dataset("iris"))
    meta, arrays = prepared(real_raw("iris"), dataset("iris"), rows, tmp_path / "out")
    table = read_table(real_raw("iris"))
    train = table.loc[rows.loc[rows["split"] == "train", "id"], dataset("iris").numeric].to_numpy(float)
    u, s, vt = np.linalg.svd((train - train.mean(0)) / train.std(0), full_matrices=False)
    found = arrays["train_inputs"]
    signs = np.sign((found * u[:, :2]).sum(0))
    assert np.allclose(found, u[:, :2] * s[:2] * signs, atol=1e-5)
    assert meta.pca is not None
    assert np.allclose(meta.pca.components, vt[:2] * signs[:, None])
    assert np.allclose(meta.explained_variance, s[:2] ** 2 / (s**2).sum())
    assert (meta.features, meta.shape) == (["pc1", "pc2"], [2])
    assert sum(meta.explained_variance) > 0.95


def test_only_training_rows_are_fitted(write: Callable[..., Path], tmp_path: Path) -> None:
    """Other values in validation and test leave every fitted number as it is; in training they do not."""
    described = own(pca=2)
    rows = split(write(own_csv=OWN), described)
    before, _ = prepared(write(), described, rows, tmp_path / "before")

    def with_another(part: str) -> TabularMeta:
        table = pd.read_csv(tmp_path / "own" / "own.csv", sep=";", dtype=str, keep_default_na=False)
        members = rows.loc[rows["split"] == part, "id"].astype(int) - 1
        table.loc[members, ["size", "weight", "price"]] = [[f"{9 + i}99", f"-{i}99", f"9{i}99"] for i in members]
        table.loc[members, "colour"] = "pink"
        raw = tmp_path / part
        raw.mkdir()
        table.to_csv(raw / "own.csv", index=False)
        return prepared(raw, described, rows, tmp_path / f"{part}_out")[0]

    assert with_another("test") == before
    assert with_another("validation") == before
    assert with_another("train") != before


def test_by_hand(write: Callable[..., Path]) -> None:
    """Medians of what is there: sizes 1.5, 2.5, 4.5; weights 10, 30, for an empty one and a 0 are missing."""
    table = read_table(write(own_csv=OWN))
    meta = fit(table[:4], own())
    size = meta.numeric["size"]
    assert (size.median, size.mean, size.std) == (2.5, 2.75, pytest.approx(np.std([1.5, 2.5, 2.5, 4.5])))
    assert meta.numeric["weight"].median == 20
    assert meta.categorical == {"colour": ["blue", "green", "red"]}
    assert meta.features == ["size", "weight", "colour=blue", "colour=green", "colour=red"]
    assert (meta.target_mean, meta.target_std) == (250, pytest.approx(np.std([100, 200, 300, 400])))
    plain = fit(table[:4], own(standardize=False))
    assert transform(plain, table[:4]).tolist() == [
        [1.5, 10, 0, 0, 1],
        [2.5, 20, 1, 0, 0],
        [2.5, 30, 0, 0, 1],
        [4.5, 20, 0, 1, 0],
    ]
    assert transform_target(plain, table[:4]).tolist() == [[100], [200], [300], [400]]


def test_category_that_training_did_not_have(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv=OWN))
    meta = fit(table[:3], own(standardize=False))
    assert meta.features[2:] == ["colour=blue", "colour=red"]
    assert transform(meta, table[3:5])[:, 2:].tolist() == [[0, 0], [1, 0]]


def test_rows_from_elsewhere(write: Callable[..., Path]) -> None:
    """Numbers instead of text, nothing instead of empty, columns in another order and without the target."""
    table = read_table(write(own_csv=OWN))
    meta = fit(table, own(categorical=["colour", "name"]))
    given = pd.DataFrame({"weight": [10, None], "size": [1.5, np.nan], "name": ["a", 3.0], "colour": ["red", None]})
    text = pd.DataFrame({"weight": ["10", ""], "size": ["1.5", "NaN"], "name": ["a", "3"], "colour": ["red", ""]})
    assert np.array_equal(transform(meta, given), transform(meta, text))
    assert np.array_equal(transform(meta, given)[0], transform(meta, table)[0])


def test_classes_in_order(write: Callable[..., Path]) -> None:
    """Ten comes after nine; and what is no number is sorted as text."""
    described = own(
        task="classification",
        target="y",
        numeric=["x"],
        categorical=[],
        zero_as_missing=[],
        split="none",
        validation=None,
        test=None,
    )
    table = read_table(write(own_csv="x,y\n1,10\n2,9\n3,9\n"))
    meta = fit(table, described)
    assert meta.classes == ["9", "10"]
    assert transform_target(meta, table).tolist() == [1, 0, 0]
    assert fit(read_table(write(own_csv="x,y\n1,b\n2,10\n3,a\n")), described).classes == ["10", "a", "b"]
    with pytest.raises(UserError, match=r"^row 2: no training row is of class 'c'$"):
        transform_target(meta, read_table(write(own_csv="x,y\n1,10\n2,c\n")))


# ---- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv_of_any_dialect(write: Callable[..., Path], separator: str, ending: str) -> None:
    """With a byte order mark, quotes, blanks and empty lines, as spreadsheets write them."""
    lines = ['"a, b";c;d', ' 1 ;"x""y; z";', "", '2;"two\nlines";é', ""]
    text = ending.join(lines).replace(";", separator)
    table = read_table(write(own_csv="\ufeff" + text))
    assert table.columns.tolist() == ["a, b", "c", "d"]
    assert table.to_numpy().tolist() == [["1", f'x"y{separator} z', ""], ["2", "two\nlines", "é"]]
    assert table.index.tolist() == ["1", "2"]


def test_ids_are_numbers_of_rows_and_sort_as_such(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv="x\n" + "".join(f"{number}\n" for number in range(100, 223))))
    assert table.index.tolist()[:2] == ["001", "002"]
    assert table.loc["123", "x"] == "222"


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("@relation iris\n@attribute Length real [4.3, 7.9]\n@attribute 'Petal width' real[0.1,2.5]\n@ATTRIBUTE "
         "Class{a, b}\n@inputs Length\n@outputs Class\n@data\n", ["Length", "Petal width", "Class"]),
        ("", ["x", "y", "z"]),
    ],
    ids=["with header", "without"],
)  # fmt: skip
def test_keel(write: Callable[..., Path], header: str, columns: list[str]) -> None:
    raw = write(own_dat=header + "5.1, 0.2, a\n4.9, <null>, b\n")
    if not header:
        with pytest.raises(
            UserError, match=r"^own.dat does not name its columns: it has no lines like `@attribute age real`$"
        ):
            read_table(raw)
        (raw / "source.json").write_text(json.dumps({"format": "keel", "columns": columns}))
    table = read_table(raw)
    assert table.columns.tolist() == columns
    assert table.to_numpy().tolist() == [["5.1", "0.2", "a"], ["4.9", "<null>", "b"]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"own_csv": "a,b\n1,2\n3\n"}, "own.csv, line 3: 1 values for 2 columns"),
        ({"own_csv": "a,b\n1,2,3\n"}, "own.csv, line 2: 3 values for 2 columns; a value with ',' in it needs quotes"),
        ({"own_csv": "a,b,a\n1,2,3\n"}, "own.csv: two columns have the name 'a'"),
        ({"own_csv": "a,b\n"}, "own.csv has no rows below the column names"),
        ({"own_csv": "\n \n"}, "own.csv is empty: a CSV with column names in its first line is needed"),
        ({"own_csv": b"a,b\n1,caf\xe9\n"}, "own.csv is not UTF-8 (line 2): save it as UTF-8"),
        ({"own_csv": "a\n1\n", "more_tsv": "a\n1\n"}, "raw data own: one CSV is needed (.csv, .tsv, .dat), and there "
         "is: more.tsv, own.csv"),
        ({"photo_jpg": "", "_hidden": ""}, "raw data own: one CSV is needed (.csv, .tsv, .dat), and there is: "
         "photo.jpg"),
        ({}, "raw data own: one CSV is needed (.csv, .tsv, .dat), and there is: nothing"),
        ({"source_json": '{"format": "idx"}', "own_csv": "a\n1\n"}, "raw data own is of format idx, which is not a "
         "table"),
    ],
)  # fmt: skip
def test_files_that_are_no_table(write: Callable[..., Path], files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_table(write(**files))
    assert str(caught.value) == message


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no raw data in .*own: define it under downloads:, or put a CSV there$"):
        read_table(tmp_path / "own")


# ---- a user's own table --------------------------------------------------------------------------------------------


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(write: Callable[..., Path]) -> None:
    raw = write(own_csv=OWN.replace("\nb;", '\n"b;', 1))
    with pytest.raises(UserError, match=r"own\.csv: a quote is opened and never closed"):
        read_table(raw)


def test_columns_may_be_called_anything(write: Callable[..., Path]) -> None:
    """Also like what pandas calls its own arguments, or the index."""
    table = "id,self,y\n" + "".join(f"{i % 3},{i},{2 * i}\n" for i in range(30))
    described = own(target="y", numeric=["self"], categorical=["id"], zero_as_missing=[], validation=4, test=4)
    rows = split(write(own_csv=table), described)
    assert counts(rows) == {"train": 22, "validation": 4, "test": 4}


def test_numbers_too_large_to_compute_with(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv=OWN.replace("7.5", "1e300")))
    with pytest.raises(UserError, match="column size has values that are too large to compute with"):
        fit(table, own())
    with pytest.raises(UserError, match="row 7: a number in this row is too large for float32; correct it"):
        transform(fit(table.drop("7"), own()), table)


def test_separators_inside_quotes_do_not_count(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv='\n"height, cm";"weight, kg"\n1,5;2\n'))
    assert list(table) == ["height, cm", "weight, kg"]
    assert table.iloc[0].tolist() == ["1,5", "2"]


def test_own_table(write: Callable[..., Path], tmp_path: Path) -> None:
    rows = split(write(own_csv=OWN), own())
    assert counts(rows) == {"train": 4, "validation": 2, "test": 2}
    assert rows["label"].tolist() == [str(100 * number) for number in range(1, 9)]
    meta, arrays = prepared(write(), own(), rows, tmp_path / "out")
    assert arrays["train_inputs"].shape == (4, len(meta.features))
    assert arrays["test_targets"].shape == (2, 1)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_rows_without_a_target_are_left_out(write: Callable[..., Path]) -> None:
    """For numbers NA is none; for classes it may be one."""
    raw = write(own_csv=OWN.replace(";600\n", ";NA\n").replace(";700\n", "; \n"))
    rows, rejected = KIND.split_rows(raw, own(), name="own", seed=0, limit=None)
    assert rejected.to_dict("list") == {"id": ["6", "7"], "reason": ["no price", "no price"]}
    assert len(rows) == 6
    classes = own(
        task="classification",
        validation=2,
        test=2,
        baseline="logistic_regression",
        target="c",
        numeric=["x"],
        categorical=[],
        zero_as_missing=[],
    )
    raw = write(own_csv="x,c\n" + "1,NA\n2,none\n" * 4 + "3,\n")
    rows, rejected = KIND.split_rows(raw, classes.model_copy(update={"split": "none"}), name="own", seed=0, limit=None)
    assert (set(rows["label"]), rejected["id"].tolist()) == ({"NA", "none"}, ["9"])


@pytest.mark.parametrize(
    ("written", "when"),
    [
        (["3", "1", "2", "10"], "numbers"),
        (["2024-01-03", "2023-12-31", "2024-01-01 23:00", "2024-10-01"], "dates"),
    ],
    ids=["numbers", "dates"],
)
def test_by_time_with_a_column_of(write: Callable[..., Path], written: list[str], when: str) -> None:
    """Later rows are not in training, in whatever order they come: 10 is after 3, and October after January."""
    raw = write(own_csv="when,x,price\n" + "".join(f"{value},1,1\n{value},2,2\n" for value in written))
    described = own(numeric=["x"], categorical=[], zero_as_missing=[], split="time", time="when", validation=1, test=1)
    assert split(raw, described)["split"].tolist()[::2] == ["validation", "train", "train", "test"]
    rows = split(raw, described, limit=1)
    assert rows.set_index("id")["split"].to_dict() == {"1": "validation", "3": "train", "7": "test"}


@pytest.mark.parametrize(
    ("old", "new", "changed", "message"),
    [
        ("", "", {"numeric": ["size", "wieght"], "zero_as_missing": []}, "datasets.own.numeric: no column 'wieght'; "
         "there are: name, size, colour, weight, price. Did you mean 'weight'?"),
        ("", "", {"categorical": ["taste"]}, "datasets.own.categorical: no column 'taste'; there are: name, size, "
         "colour, weight, price."),
        ("", "", {"target": "Price"}, "datasets.own.target: no column 'Price'; there are: name, size, colour, "
         "weight, price. Did you mean 'price'?"),
        ("", "", {"split": "time", "time": "day"}, "datasets.own.time: no column 'day'; there are: name, size, "
         "colour, weight, price."),
        ("7.5", "7,5", {}, "row 7: size is '7,5', which is not a number; correct it, or name the column under "
         "categorical"),
        ("7.5", "inf", {}, "row 7: size is 'inf', which is not a number; correct it, or name the column under "
         "categorical"),
        ("", "", {"numeric": ["name"], "zero_as_missing": []}, "row 1: name is 'a', which is not a number; correct "
         "it, or name the column under categorical"),
        ("800", "dear", {}, "row 8: price is 'dear', which is not a number; correct it, or set the dataset's task to "
         "classification, if these are classes"),
        ("", "", {"validation": 6}, "dataset own: 8 samples are fewer than the split asks for: 6 for validation and "
         "2 for test, and some left to train on; add samples, or lower datasets.own.validation"),
        ("", "", {"split": "time", "time": "name"}, "row 1: name is 'a'; rows are sorted by numbers, or by dates "
         "like 2011-12-31 or 2011-12-31 23:00"),
        ("", "", {"split": "time", "time": "size"}, "row 3: no size, which the rows are sorted by"),
        ("", "", {"task": "classification", "target": "name", "baseline": "logistic_regression", "validation": 2},
         "dataset own: validation gets 2 of 8 samples, too few for 8 classes: add samples, or raise "
         "datasets.own.validation"),
        ("", "", {"pca": 3, "categorical": []}, "pca: 3 is more than there are features (2) or training rows"),
    ],
)  # fmt: skip
def test_mistakes(
    write: Callable[..., Path], tmp_path: Path, old: str, new: str, changed: dict[str, Any], message: str
) -> None:
    raw = write(own_csv=OWN.replace(old, new) if old else OWN)
    with pytest.raises(UserError) as caught:
        prepared(raw, own(**changed), split(raw, own(**changed)), tmp_path / "out")
    assert str(caught.value) == message


def test_pca_of_rows_that_are_all_equal(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv="size,weight,colour,price\n1,2,a,1\n1,2,a,2\n"))
    with pytest.raises(UserError, match=r"^pca: all training rows are equal: there is nothing to learn from$"):
        fit(table, own(pca=1))


def test_column_that_is_empty_in_training(write: Callable[..., Path]) -> None:
    table = read_table(write(own_csv="size,weight,colour,price\n1,0,a,1\n2,,b,2\n3,4,c,3\n"))
    with pytest.raises(
        UserError, match=r"^column weight is empty in every training row: leave it out of the dataset's"
    ):
        fit(table[:2], own())


@pytest.mark.parametrize(
    ("classes", "changed", "message"),
    [
        ("aaaaaa", {}, "dataset own: a classifier needs samples of two classes or more, and there is only 'a'"),
        ("aabbaa", {"split": "time", "time": "x", "validation": 2}, "dataset own: no row of class 'b' is left to "
         "train on: raise limit, or split otherwise"),
        ("aaabbb", {"split": "none", "limit": 2}, "dataset own: no row of class 'b' is left to train on: raise "
         "limit, or split otherwise"),
        ("aaaabb", {}, "dataset own: 6 samples (2 of 'b') are fewer than the split asks for: 2 for validation and 2 "
         "for test, and some of each class left to train on; add samples, or lower datasets.own.validation"),
    ],
)  # fmt: skip
def test_classes_that_are_too_few(
    write: Callable[..., Path], classes: str, changed: dict[str, Any], message: str
) -> None:
    limit = changed.pop("limit", None)
    changed |= {"validation": None, "test": None} if changed.get("split") == "none" else {}
    described = own(
        **{
            "task": "classification",
            "target": "y",
            "numeric": ["x"],
            "categorical": [],
            "zero_as_missing": [],
            "baseline": "logistic_regression",
        }
        | changed
    )
    raw = write(own_csv="x,y\n" + "".join(f"{number},{label}\n" for number, label in enumerate(classes)))
    with pytest.raises(UserError) as caught:
        split(raw, described, limit=limit)
    assert str(caught.value) == message


def test_split_of_other_rows(write: Callable[..., Path], tmp_path: Path) -> None:
    rows = split(write(own_csv=OWN), own())
    raw = write(own_csv=OWN.rsplit("h;", 1)[0])
    with pytest.raises(
        UserError, match=r"^raw data own no longer has '8', which the split names: run `dvc repro split`$"
    ):
        prepared(raw, own(), rows, tmp_path / "out")
