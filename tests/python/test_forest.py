"""The estimators: every kind of input, scikit-learn's rules, saving and loading."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.ensemble
import sklearn.inspection
import sklearn.metrics
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import datalake
from datalake import RandomForestClassifier, RandomForestRegressor

Foods = tuple[np.ndarray, np.ndarray]
NAMES = ["protein_g", "fat_g", "carbohydrate_g"]


def groups_of(energy: np.ndarray) -> np.ndarray:
    return np.where(energy > 300, "rich", np.where(energy > 200, "medium", "light"))


def test_every_kind_of_input_grows_the_same_forest(foods: Foods) -> None:
    X, y = foods
    frame = pd.DataFrame(X, columns=NAMES)
    inputs = [
        (frame, pd.Series(y)),
        (frame.set_index(np.arange(400)[::-1]), y),
        (pl.from_pandas(frame), pl.Series(y)),
        (pa.Table.from_pandas(frame), pa.array(y)),
        (datalake.Table.from_arrow(pa.Table.from_pandas(frame)), y.tolist()),
    ]
    digests = {RandomForestRegressor(n_estimators=5, random_state=1).fit(X, y).digest_ for X, y in inputs}
    assert len(digests) == 1
    by_position = RandomForestRegressor(n_estimators=5, random_state=1).fit(X, y)
    by_lists = RandomForestRegressor(n_estimators=5, random_state=1).fit(X.tolist(), y.tolist())
    by_name = RandomForestRegressor(n_estimators=5, random_state=1).fit(frame, y)
    assert by_position.digest_ == by_lists.digest_
    np.testing.assert_array_equal(by_position.predict(X), by_name.predict(frame))


def test_a_regressor_learns_and_says_how_well(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(random_state=0).fit(X[:300], y[:300])
    assert forest.score(X[300:], y[300:]) > 0.85
    assert forest.oob_score_ > 0.85
    assert forest.oob_prediction_.shape == (300,)
    assert forest.feature_importances_.sum() == pytest.approx(1)
    assert forest.feature_importances_.argmax() == 1
    assert forest.n_features_in_ == 3
    assert not hasattr(forest, "feature_names_in_")
    assert forest.predict(X[300:]).dtype == np.float64


def test_columns_are_found_by_name(foods: Foods) -> None:
    X, y = foods
    frame = pd.DataFrame(X, columns=NAMES)
    forest = RandomForestRegressor(n_estimators=5).fit(frame, y)
    assert forest.feature_names_in_.tolist() == NAMES
    shuffled = frame[NAMES[::-1]].assign(further="text")
    np.testing.assert_array_equal(forest.predict(frame), forest.predict(shuffled))
    np.testing.assert_array_equal(forest.predict(frame), forest.predict(X))
    with pytest.raises(datalake.InvalidError, match="fat_g"):
        forest.predict(frame.drop(columns="fat_g"))
    with pytest.raises(ValueError, match="2 features"):
        forest.predict(X[:, :2])


@pytest.mark.parametrize(
    "labels",
    [
        groups_of,
        lambda energy: groups_of(energy).astype(object),
        lambda energy: pd.Series(groups_of(energy)),
        lambda energy: pd.Series(groups_of(energy)).astype("category"),
        lambda energy: pl.Series("group", groups_of(energy)),
        lambda energy: pa.array(groups_of(energy)),
        lambda energy: groups_of(energy).tolist(),
        lambda energy: energy > 200,
        lambda energy: (energy // 100).astype(np.int32),
        lambda energy: energy // 100,
    ],
)
def test_a_classifier_keeps_the_kind_of_its_labels(foods: Foods, labels: object, tmp_path: Path) -> None:
    X, energy = foods
    y = labels(energy)
    forest = RandomForestClassifier(n_estimators=20).fit(X, y)
    truth = np.asarray(y)
    assert set(forest.classes_.tolist()) == set(truth.tolist())
    assert forest.classes_.tolist() == sorted(forest.classes_.tolist())
    assert np.mean(forest.predict(X) == truth) > 0.95
    shares = forest.predict_proba(X)
    assert shares.shape == (400, len(forest.classes_))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    forest.save(tmp_path / "a.model")
    again = datalake.load_model(tmp_path / "a.model")
    assert isinstance(again, RandomForestClassifier)
    np.testing.assert_array_equal(forest.predict(X), again.predict(X))
    assert again.classes_.tolist() == forest.classes_.tolist()


def test_text_columns_are_categories() -> None:
    kinds = ["oil", "fruit", "bread", None] * 50
    energy = [{"oil": 900.0, "fruit": 50.0, "bread": 250.0, None: 0.0}[kind] for kind in kinds]
    for frame in [
        pd.DataFrame({"kind": pd.Categorical(kinds)}),
        pd.DataFrame({"kind": kinds}),
        pl.DataFrame({"kind": kinds}),
        np.array([[kind] for kind in kinds], dtype=object),
    ]:
        forest = RandomForestRegressor(n_estimators=10).fit(frame, energy)
        assert forest.score(frame, energy) > 0.99


def test_the_same_seed_gives_the_same_forest(foods: Foods) -> None:
    X, y = foods
    fit = lambda seed: RandomForestRegressor(n_estimators=3, random_state=seed).fit(X, y).digest_  # noqa: E731
    assert fit(5) == fit(5) == fit(np.int64(5))
    assert fit(5) != fit(6)
    assert fit(None) == fit(0)
    assert fit(np.random.RandomState(1)) == fit(np.random.RandomState(1))


def test_scikit_learn_takes_them_for_its_own(foods: Foods) -> None:
    X, y = foods
    assert is_regressor(RandomForestRegressor())
    assert is_classifier(RandomForestClassifier())
    forest = clone(RandomForestRegressor(n_estimators=7, max_features="third"))
    assert (forest.get_params()["n_estimators"], forest.max_features) == (7, "third")
    assert forest.set_params(n_estimators=9).n_estimators == 9
    assert cross_val_score(forest, X, y, cv=3).mean() > 0.7
    assert cross_val_score(RandomForestClassifier(n_estimators=9), X, groups_of(y), cv=3).mean() > 0.7
    search = GridSearchCV(forest, {"min_samples_leaf": [1, 50]}, cv=2).fit(X, y)
    assert search.best_params_ == {"min_samples_leaf": 1}
    piped = make_pipeline(FunctionTransformer(), RandomForestRegressor(n_estimators=3)).fit(X, y)
    assert piped.predict(X).shape == y.shape


def test_cross_validation_in_other_processes(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=5)
    np.testing.assert_array_equal(cross_val_score(forest, X, y, cv=2, n_jobs=2), cross_val_score(forest, X, y, cv=2))


def test_an_estimator_that_is_not_fitted_says_so(foods: Foods) -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="RandomForestRegressor"):
        RandomForestRegressor().predict(foods[0])


def test_fitted_estimators_survive_pickling_and_copying(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=5).fit(X, y)
    for again in [pickle.loads(pickle.dumps(forest)), copy.deepcopy(forest)]:  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(again.predict(X), forest.predict(X))
        assert (again.digest_, again.oob_score_) == (forest.digest_, forest.oob_score_)


def test_a_saved_model_is_the_same_model(foods: Foods, lake: datalake.Lake) -> None:
    X, y = foods
    lake.create_bucket("models")
    forest = RandomForestRegressor(n_estimators=5, max_features="third", random_state=3)
    forest.fit(pd.DataFrame(X, columns=NAMES), pd.Series(y, name="energy_kcal"))
    forest.save("lake://models/mine.model", lake)
    again = datalake.load_model("lake://models/mine.model", lake)
    assert isinstance(again, RandomForestRegressor)
    np.testing.assert_array_equal(again.predict(X), forest.predict(X))
    assert again.digest_ == forest.digest_
    assert again.oob_score_ == forest.oob_score_
    assert "| out of bag |" in again.card()
    assert (again.max_features, again.random_state) == ("third", 3)
    assert clone(again).fit(pd.DataFrame(X, columns=NAMES), pd.Series(y, name="energy_kcal")).digest_ == forest.digest_


def test_a_compressed_model_is_the_same_model_and_smaller(foods: Foods, tmp_path: Path) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=20).fit(X, y)
    sizes = {}
    for compression in ("none", "zstd"):
        path = tmp_path / f"{compression}.model"
        forest.save(path, compression=compression)
        sizes[compression] = path.stat().st_size
        again = datalake.load_model(path)
        assert again.digest_ == forest.digest_
        # What is mapped stays what it is when another file takes its place.
        RandomForestRegressor(n_estimators=1).fit(X, y).save(path)
        np.testing.assert_array_equal(again.predict(X), forest.predict(X))
    assert sizes["zstd"] * 2 < sizes["none"]
    with pytest.raises(datalake.InvalidError, match="`none` or `zstd`, got `gzip`"):
        forest.save(tmp_path / "a.model", compression="gzip")  # type: ignore[arg-type]


def test_a_model_has_a_card(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=3).fit(pd.DataFrame(X, columns=NAMES), pd.Series(y, name="energy_kcal"))
    card = forest.card("calories")
    assert card.startswith("# calories\n")
    assert forest.digest_ in card
    assert "protein\\_g" in card
    assert "<h1>energy_kcal</h1>" in forest.card(format="html")


def test_rows_that_the_model_has_not_seen_the_like_of_are_warned_of(foods: Foods) -> None:
    X, y = foods
    frame = pd.DataFrame(X, columns=NAMES).assign(group=groups_of(y))
    forest = RandomForestRegressor(n_estimators=3).fit(frame, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest.predict(frame)
    with pytest.warns(datalake.InputWarning, match="column `group`: 400 of 400 rows .* `heavy` \\(400\\)"):
        forest.predict(frame.assign(group="heavy"))
    with pytest.warns(datalake.InputWarning, match=r"column `fat_g`: 400 of 400 rows \(100 %\) lie outside"):
        forest.predict(frame.assign(fat_g=-1.0))
    with pytest.raises(datalake.InvalidError, match="fat_g"):
        forest.predict(frame.drop(columns="fat_g"))


def test_a_damaged_model_is_refused(foods: Foods, tmp_path: Path) -> None:
    X, y = foods
    path = tmp_path / "a.model"
    RandomForestRegressor(n_estimators=2).fit(X, y).save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(datalake.InvalidError, match=r"open the model .*a\.model"):
        datalake.load_model(path)
    with pytest.raises(datalake.NotFoundError, match=r"none\.model") as caught:
        datalake.load_model(tmp_path / "none.model")
    assert "lake://models/" in str(caught.value.hint)
    with pytest.raises(datalake.Error, match="directory") as folder:
        datalake.load_model(tmp_path)
    assert not isinstance(folder.value, datalake.InternalError)


def test_a_path_beside_a_lake_is_one_in_it(foods: Foods, tmp_path: Path) -> None:
    X, y = foods
    lake = datalake.Lake(tmp_path / "lake")
    lake.create_bucket("models")
    forest = RandomForestRegressor(n_estimators=2).fit(X, y)
    forest.save("models/a.model", lake)
    forest.save("lake://models/b.model", lake)
    for path in ("models/b.model", "lake://models/a.model"):
        assert datalake.load_model(path, lake).digest_ == forest.digest_
    forest.save(tmp_path / "c.model", lake)
    assert datalake.load_model(tmp_path / "c.model", lake).digest_ == forest.digest_
    assert datalake.load_model(Path("lake://models/a.model"), lake).digest_ == forest.digest_
    with pytest.raises(datalake.NotFoundError, match=r"models/c\.model") as caught:
        datalake.load_model("models/c.model", lake)
    assert "`a.model`" in str(caught.value.hint)


def test_rows_in_another_order_are_not_those_that_it_was_grown_from(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=3, warm_start=True).fit(X, y)
    for ask in (
        lambda: forest.draws_of(0, X[::-1], y[::-1]),
        lambda: forest.leaf_statistics(0, X, y[::-1]),
        lambda: forest.out_of_bag_importances(X[::-1], y[::-1]),
        lambda: forest.set_params(n_estimators=4).fit(X[::-1], y[::-1]),
    ):
        with pytest.raises(datalake.InvalidError, match="order of the rows"):
            ask()
    with pytest.raises(datalake.InvalidError, match="other parameters: max_depth is null and 3"):
        forest.set_params(n_estimators=5, max_depth=3).fit(X, y)
    assert forest.draws_of(0, X, y).sum() == len(y)


def test_what_is_no_table_or_number_is_told_in_the_words_of_python(foods: Foods) -> None:
    X, y = foods
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0]})
    forest = RandomForestRegressor(n_estimators=2).fit(X, y)
    for rows, message in [
        (X[0], r"np\.reshape\(X, \(1, -1\)\)"),
        (pd.Series(y), r"a column \(Series\): X\.to_frame\(\)"),
        (csr_matrix(np.nan_to_num(X)), r"a sparse matrix .*X\.toarray\(\)"),
        (frame.lazy(), r"not read yet .*X\.collect\(\)"),
    ]:
        with pytest.raises(datalake.InvalidError, match=message):
            forest.predict(rows)
    with pytest.raises(datalake.InvalidError, match=r"`n_estimators`: .*`-5`, wanted is a whole number from 0"):
        RandomForestRegressor(n_estimators=-5).fit(X, y)
    for seed in (-1, 2**64, 1.9, "a"):
        with pytest.raises(datalake.InvalidError, match=f"random_state must be .*, got {seed!r}"):
            RandomForestRegressor(random_state=seed).fit(X, y)
    with pytest.raises(TypeError, match="float"):
        forest.tree(1.9)
    for params, message in [
        ({"oob_score": len}, "oob_score must be True or False, got <built-in"),
        ({"bootstrap": "yes"}, "bootstrap must be True or False, got 'yes'"),
        ({"monotonic_cst": {"x0": "up"}}, "monotonic_cst of `x0` must be -1, 0 or 1, got 'up'"),
    ]:
        with pytest.raises(datalake.InvalidError, match=message):
            RandomForestRegressor(**params).fit(X, y)
    mixed = pd.DataFrame(X, columns=[0, "a", 1])
    with pytest.raises(datalake.InvalidError, match="must all be text, or none"):
        RandomForestRegressor().fit(mixed, y)
    for ask in (datalake.cross_validate, datalake.permutation_importance):
        for model in (RandomForestRegressor, sklearn.ensemble.RandomForestRegressor()):
            with pytest.raises(datalake.InvalidError, match="got RandomForestRegressor"):
                ask(model, X, y)
    assert "RandomForestRegressor" in dir(datalake)
    with pytest.raises(datalake.InvalidError, match="counted from 0, got -1"):
        forest.tree(-1)
    with pytest.raises(datalake.InvalidError, match="2 trees, counted from 0"):
        forest.tree(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_estimators": 0}, "n_estimators must be at least 1, got 0"),
        ({"max_features": 1.5}, "got 1.5"),
        ({"max_features": "squirt"}, "squirt"),
        ({"max_samples": 4000}, "max_samples must be between 1 and 400"),
        ({"max_samples": 0}, "max_samples must be between 1 and 400, the number of rows, got 0"),
        ({"max_samples": 1.5}, "max_samples must be above 0 and at most 1, got 1.5"),
        ({"criterion": "gini"}, "gini"),
        ({"n_estimators": -1}, "`n_estimators`: invalid value: integer `-1`"),
        ({"n_estimators": 2**40}, "`n_estimators`: invalid value"),
        ({"n_estimators": "many"}, 'a number of trees, or "auto"'),
        ({"max_depth": 0}, "max_depth must be at least 1, got 0"),
        ({"max_depth": 2.5}, "`max_depth`: invalid type: floating point `2.5`"),
        ({"min_samples_split": 1}, "min_samples_split must be at least 2, got 1"),
        ({"min_samples_leaf": 0}, "min_samples_leaf must be at least 1, got 0"),
        ({"max_leaf_nodes": 1}, "max_leaf_nodes must be at least 2, got 1"),
        ({"min_weight_fraction_leaf": 0.6}, "min_weight_fraction_leaf must be from 0 to 0.5, got 0.6"),
        ({"ccp_alpha": -1.0}, "ccp_alpha must be zero or a positive number, got -1"),
        ({"ccp_alpha": np.nan}, "ccp_alpha must be a finite number, got nan"),
        ({"min_impurity_decrease": np.inf}, "min_impurity_decrease must be a finite number, got inf"),
        ({"max_features": np.nan}, "max_features must be a finite number, got nan"),
        ({"max_features": 0}, "max_features must be at least 1, got 0"),
        ({"monotonic_cst": [1, 0]}, "monotonic_cst has 2 directions for 3 features"),
        ({"monotonic_cst": {"x9": 1}}, "x9"),
        ({"monotonic_cst": [2, 0, 0]}, "must be -1, 0 or 1, got 2"),
        ({"splitter": "worst"}, "worst"),
        ({"random_state": -1}, r"random_state must be a whole number from 0 to 2\*\*64 - 1, got -1"),
        ({"max_time": 0}, "max_time `0`"),
        ({"max_model_size": "1 elephant"}, "1 elephant"),
    ],
)
def test_parameters_are_checked_by_fit(foods: Foods, change: dict[str, object], message: str) -> None:
    X, y = foods
    with pytest.raises(ValueError, match=message):
        RandomForestRegressor(**change).fit(X, y)


def test_data_that_cannot_be_learnt_from_is_refused(foods: Foods) -> None:
    X, y = foods
    with pytest.raises(ValueError, match="400 rows and 399 values"):
        RandomForestRegressor().fit(X, y[:-1])
    with pytest.raises(ValueError, match="constant"):
        RandomForestRegressor().fit(X, np.ones(400))
    with pytest.raises(ValueError, match="whole numbers"):
        RandomForestClassifier().fit(X, y)
    with pytest.raises(ValueError, match="missing"):
        RandomForestClassifier().fit(X[:3], ["a", None, "b"])
    with pytest.raises(ValueError, match="finite"):
        RandomForestRegressor().fit(np.where(np.isnan(X), np.inf, X), y)
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="row 3: the target must be known and finite"):
            RandomForestRegressor().fit(X, np.where(np.arange(400) == 2, value, y))
    with pytest.raises(ValueError, match="all 400 rows are `fruit`"):
        RandomForestClassifier().fit(X, ["fruit"] * 400)
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        RandomForestRegressor().fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="at least 2 rows, got 0"):
        RandomForestRegressor().fit(X[:0], y[:0])
    with pytest.raises(ValueError, match=r"at least one column, got an array of shape \(400, 0\)"):
        RandomForestRegressor().fit(X[:, :0], y)
    for weights, message in [
        (np.full(400, -1.0), "a weight must be zero or a positive number, got `-1`"),
        (np.full(400, np.nan), "got `NaN`"),
        (np.full(400, np.inf), "got `inf`"),
        (np.zeros(400), "all weights are zero"),
        (np.ones(399), "there are 399 weights"),
        (np.ones((200, 2)), r"sample_weight must be a column, got an array of shape \(200, 2\)"),
        (["heavy"] * 400, "sample_weight must be numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            RandomForestRegressor().fit(X, y, sample_weight=weights)
    for strange, message in [
        (X + 1j, "numbers, booleans or text, got complex128"),
        (np.array([[{}], [{}]], dtype=object), "numbers, booleans or text: float"),
        (np.array([["2026-01-01"], ["2026-01-02"]], dtype="datetime64[D]"), "got datetime64"),
    ]:
        with pytest.raises(datalake.InvalidError, match=message):
            RandomForestRegressor().fit(strange, y[: len(strange)])
    with pytest.raises(ValueError, match="class_weight of `light` must be a finite number, got nan"):
        RandomForestClassifier(class_weight={"light": np.nan}).fit(X, groups_of(y))
    with pytest.raises(ValueError, match=r'class_weight`: .*expected "balanced"'):
        RandomForestClassifier(class_weight="blanced").fit(X, groups_of(y))
    with pytest.raises(ValueError, match="groups must be known in every row"):
        datalake.cross_validate(RandomForestRegressor(), X, y, groups=np.where(y > 200, np.nan, y))


def test_rows_to_predict_for_are_checked(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=2).fit(X, y)
    assert forest.predict(X[:0]).shape == (0,)
    with pytest.raises(ValueError, match="finite"):
        forest.predict(np.where(np.isnan(X), np.inf, X))
    frame = pd.DataFrame(X, columns=NAMES)
    named = RandomForestRegressor(n_estimators=2).fit(frame, y)
    with pytest.raises(ValueError, match=r"`fat_g`.*numbers"):
        named.predict(frame.assign(fat_g="much"))
    with pytest.raises(ValueError, match="array of shape"):
        forest.predict(X[0])


def test_trees_are_added_to_a_warm_forest(foods: Foods, tmp_path: Path) -> None:
    X, y = foods
    for kind, target in [(RandomForestRegressor, y), (RandomForestClassifier, groups_of(y))]:
        forest = kind(n_estimators=3, warm_start=True, random_state=1).fit(X, target)
        first = forest.tree(0)
        forest.set_params(n_estimators=8).fit(X, target)
        whole = kind(n_estimators=8, random_state=1).fit(X, target)
        assert (forest.n_estimators_, forest.digest_, forest.oob_score_) == (8, whole.digest_, whole.oob_score_)
        np.testing.assert_array_equal(forest.tree(0).threshold, first.threshold)
        assert forest.fit(X, target).digest_ == whole.digest_
        with pytest.raises(ValueError, match="the forest has 8 trees, and 5 are asked for"):
            forest.set_params(n_estimators=5).fit(X, target)
        with pytest.raises(ValueError, match="parameters"):
            forest.set_params(n_estimators=9, max_depth=3).fit(X, target)
        with pytest.raises(ValueError, match="not the one that it was grown from"):
            forest.set_params(max_depth=None).fit(X[:300], target[:300])
        with pytest.raises(ValueError, match="n_estimators as a number"):
            forest.set_params(n_estimators="auto").fit(X, target)
        whole.save(tmp_path / "a.model")
        again = datalake.load_model(tmp_path / "a.model").set_params(warm_start=True, n_estimators=12)
        again.fit(X, target)
        assert again.digest_ == kind(n_estimators=12, random_state=1).fit(X, target).digest_


def test_max_samples_counts_rows_or_shares(foods: Foods) -> None:
    X, y = foods
    fit = lambda samples: RandomForestRegressor(n_estimators=3, max_samples=samples).fit(X, y).digest_  # noqa: E731
    assert fit(100) == fit(0.25)


WITHOUT_SKLEARN = """
import sys
sys.modules["sklearn"] = sys.modules["sklearn.base"] = None
import numpy as np, datalake
X = np.arange(40.0).reshape(20, 2)
forest = datalake.RandomForestRegressor(n_estimators=5).fit(X, X[:, 0])
assert forest.score(X, X[:, 0]) > 0.8, forest.score(X, X[:, 0])
assert forest.set_params(n_estimators=3).get_params()["n_estimators"] == 3
assert repr(forest) == "RandomForestRegressor(n_estimators=3)", repr(forest)
try:
    datalake.RandomForestClassifier().predict(X)
except ValueError as error:
    assert "not fitted" in str(error)
assert datalake.RandomForestClassifier(n_estimators=5).fit(X, X[:, 0] > 9).score(X, X[:, 0] > 9) > 0.8
"""


def test_they_work_without_scikit_learn() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_SKLEARN], check=True)


def test_the_package_imports_nothing_heavy() -> None:
    check = "import sys, datalake; print([n for n in ('sklearn', 'pandas', 'polars', 'pyarrow') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_leaves_and_paths_have_the_shapes_of_scikit_learn(foods: Foods) -> None:
    X, y = foods
    for forest in [
        RandomForestRegressor(n_estimators=4).fit(X, y),
        RandomForestClassifier(n_estimators=4).fit(X, groups_of(y)),
    ]:
        leaves = forest.apply(X)
        assert (leaves.shape, leaves.dtype) == ((400, 4), np.int64)
        path, offsets = forest.decision_path(X[:50])
        nodes = [forest.tree(number).node_count for number in range(4)]
        assert offsets.tolist() == [0, *np.cumsum(nodes)]
        assert path.shape == (50, sum(nodes))
        assert path.has_sorted_indices
        for row in range(50):
            passed = path.indices[path.indptr[row] : path.indptr[row + 1]]
            for number in range(4):
                own = passed[(passed >= offsets[number]) & (passed < offsets[number + 1])] - offsets[number]
                assert (own[0], own[-1]) == (0, leaves[row, number])
                tree = forest.tree(number)
                for parent, child in itertools.pairwise(own.tolist()):
                    assert child in (tree.children_left[parent], tree.children_right[parent])


def test_a_tree_in_arrays_predicts_what_the_forest_predicts(foods: Foods) -> None:
    X, y = foods
    kinds = np.array(["oil", "bread", "fruit", "fish"])[np.arange(400) % 4]
    frame = pd.DataFrame(X, columns=NAMES).assign(kind=kinds)
    forest = RandomForestRegressor(n_estimators=1, max_depth=6).fit(frame, y + 500 * np.isin(kinds, ["oil", "fish"]))
    tree = forest.tree(0)
    assert tree.n_leaves * 2 - 1 == tree.node_count
    assert tree.value.shape == (tree.node_count, 1, 1)
    assert tree.categories_left
    values = np.column_stack([X, np.zeros(400)]).astype(np.float32)
    found = []
    for row, kind in zip(values, kinds, strict=True):
        node = 0
        while tree.children_left[node] >= 0:
            value = row[tree.feature[node]]
            if node in tree.categories_left:
                left = kind in tree.categories_left[node]
            else:
                left = tree.missing_go_to_left[node] if np.isnan(value) else value <= tree.threshold[node]
            node = tree.children_left[node] if left else tree.children_right[node]
        found.append(tree.value[node, 0, 0])
    assert found == forest.predict(frame).tolist()
    with pytest.raises(datalake.InvalidError, match="has 1 trees"):
        forest.tree(1)


def test_leaves_tell_what_lies_in_them(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=2, min_samples_leaf=5).fit(X, y)
    leaves = forest.leaf_statistics(1, X, y)
    assert leaves.draws.sum() == 400
    assert leaves.rows.min() >= 5
    np.testing.assert_array_equal(leaves.mean, forest.tree(1).value[leaves.node, 0, 0])
    assert np.all(leaves.least <= leaves.mean)
    assert np.all(leaves.mean <= leaves.greatest)
    classes = RandomForestClassifier(n_estimators=2).fit(X, groups_of(y))
    shares = classes.leaf_statistics(0, X, groups_of(y))
    np.testing.assert_array_equal(shares.mean, classes.tree(0).value[shares.node, 0])
    assert shares.least is None
    with pytest.raises(datalake.InvalidError, match="not the one that it was grown from"):
        forest.leaf_statistics(0, X[:300], y[:300])


def test_shuffled_columns_tell_what_they_are_worth(foods: Foods) -> None:
    X, y = foods
    frame = pd.DataFrame(X, columns=NAMES)
    forest = RandomForestRegressor(n_estimators=20).fit(frame[:300], y[:300])
    found = datalake.permutation_importance(forest, frame[300:], y[300:], random_state=1)
    assert (found.metric, found.feature_names, found.importances.shape) == ("rmse", NAMES, (3, 5))
    assert found.score == pytest.approx(np.sqrt(np.mean((forest.predict(frame[300:]) - y[300:]) ** 2)))
    assert found.importances_mean.argmax() == 1
    np.testing.assert_allclose(found.importances.mean(axis=1), found.importances_mean)
    assert np.all(found.interval[:, 0] < found.importances_mean)
    again = datalake.permutation_importance(forest, X[300:], y[300:], random_state=1)
    np.testing.assert_array_equal(found.importances, again.importances)
    out_of_bag = forest.out_of_bag_importances(frame[:300], y[:300], n_repeats=2)
    assert (out_of_bag.metric, out_of_bag.importances.shape) == ("mse", (3, 2))
    assert out_of_bag.importances_mean.argmax() == 1
    classes = RandomForestClassifier(n_estimators=20).fit(X[:300], groups_of(y[:300]))
    found = datalake.permutation_importance(classes, X[300:], groups_of(y[300:]), metric="log_loss", n_repeats=1)
    assert (found.metric, np.isnan(found.standard_error).all()) == ("log_loss", True)
    assert found.importances_mean.argmax() == 1
    with pytest.raises(datalake.InvalidError, match="no metric `rmse`"):
        datalake.permutation_importance(classes, X[300:], groups_of(y[300:]), metric="rmse")
    with pytest.raises(datalake.InvalidError, match="not the one that it was grown from"):
        forest.out_of_bag_importances(frame, y)


def test_scikit_learns_permutation_importance_takes_them(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=20).fit(X[:300], y[:300])
    theirs = sklearn.inspection.permutation_importance(forest, X[300:], y[300:], n_repeats=30, random_state=0)
    ours = datalake.permutation_importance(forest, X[300:], y[300:], n_repeats=30, metric="r2")
    np.testing.assert_allclose(theirs.importances_mean, ours.importances_mean, atol=0.1)
    assert theirs.importances_mean.argsort().tolist() == ours.importances_mean.argsort().tolist()


def test_a_forest_grows_until_it_is_large_enough(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators="auto", random_state=3).fit(X, y)
    assert 30 <= forest.n_estimators_ < 1000
    same = RandomForestRegressor(n_estimators=forest.n_estimators_, random_state=3).fit(X, y)
    assert forest.digest_ == same.digest_
    assert forest.oob_score_ == same.oob_score_
    np.testing.assert_array_equal(forest.oob_prediction_, same.oob_prediction_)
    assert clone(forest).n_estimators == "auto"
    assert RandomForestRegressor(max_time=1e-6).fit(X, y).n_estimators_ == 1
    assert RandomForestRegressor(n_estimators=5, max_time="10min").fit(X, y).n_estimators_ == 5
    small = RandomForestClassifier(max_model_size="60kB").fit(X, groups_of(y))
    assert 1 <= small.n_estimators_ < 100
    with pytest.raises(ValueError, match="needs bootstrap = true"):
        RandomForestRegressor(n_estimators="auto", bootstrap=False).fit(X, y)
    with pytest.raises(ValueError, match="such as 30s"):
        RandomForestRegressor(max_time="soon").fit(X, y)


def test_out_of_bag_figures_are_those_of_scikit_learn(foods: Foods) -> None:
    X, y = foods
    known = ~np.isnan(X).any(axis=1)
    X, y = X[known], y[known]
    ours = RandomForestRegressor(n_estimators=200, random_state=0).fit(X, y)
    theirs = sklearn.ensemble.RandomForestRegressor(200, oob_score=True, random_state=0).fit(X, y)
    assert ours.oob_prediction_.shape == theirs.oob_prediction_.shape
    assert ours.oob_score_ == pytest.approx(sklearn.metrics.r2_score(y, ours.oob_prediction_))
    assert ours.oob_score_ == pytest.approx(theirs.oob_score_, abs=0.02)
    labels = groups_of(y)
    ours = RandomForestClassifier(n_estimators=200, random_state=0).fit(X, labels)
    theirs = sklearn.ensemble.RandomForestClassifier(200, oob_score=True, random_state=0).fit(X, labels)
    assert ours.oob_decision_function_.shape == theirs.oob_decision_function_.shape
    np.testing.assert_allclose(ours.oob_decision_function_.sum(axis=1), 1)
    chosen = ours.classes_[ours.oob_decision_function_.argmax(axis=1)]
    assert ours.oob_score_ == pytest.approx(np.mean(chosen == labels))
    assert ours.oob_score_ == pytest.approx(theirs.oob_score_, abs=0.04)
    assert np.abs(ours.oob_decision_function_ - theirs.oob_decision_function_).mean() < 0.05
    few = RandomForestRegressor(n_estimators=2).fit(X, y)
    leaves = few.apply(X)
    trees = [few.tree(0), few.tree(1)]
    unseen = ~np.isnan(few.oob_prediction_)
    assert unseen.any()
    assert not unseen.all()
    values = np.column_stack([tree.value[leaves[:, number], 0, 0] for number, tree in enumerate(trees)])
    candidates = np.column_stack([values, values.mean(axis=1)])
    gap = np.abs(candidates - few.oob_prediction_[:, None]).min(axis=1)
    assert gap[unseen].max() < 1e-9
    assert not hasattr(RandomForestRegressor(n_estimators=2, oob_score=False).fit(X, y), "oob_score_")
    assert not hasattr(RandomForestRegressor(n_estimators=2, bootstrap=False).fit(X, y), "oob_prediction_")


def test_cross_validation_stands_beside_the_baselines(foods: Foods) -> None:
    X, y = foods
    forest = RandomForestRegressor(n_estimators=20)
    found = datalake.cross_validate(forest, X, y, folds=4, repeats=2, random_state=1)
    assert set(found) == {"forest", "dummy", "linear"}
    assert found["forest"].folds["rmse"].shape == (8,)
    assert found["forest"].mean["rmse"] == pytest.approx(found["forest"].folds["rmse"].mean())
    assert found["forest"].std["rmse"] == pytest.approx(found["forest"].folds["rmse"].std())
    assert found["forest"].mean["rmse"] < found["dummy"].mean["rmse"]
    assert not hasattr(forest, "n_features_in_")
    theirs = cross_val_score(forest, X, y, cv=4, scoring="neg_root_mean_squared_error")
    assert found["forest"].mean["rmse"] == pytest.approx(-theirs.mean(), rel=0.15)
    labels, groups = groups_of(y), np.arange(400) // 10
    found = datalake.cross_validate(RandomForestClassifier(n_estimators=9), X, labels, groups=groups, folds=3)
    assert set(found) == {"forest", "dummy", "logistic"}
    assert found["forest"].mean["accuracy"] > found["dummy"].mean["accuracy"]
    with pytest.raises(datalake.InvalidError, match="k must be at least 2"):
        datalake.cross_validate(forest, X, y, folds=1)


def test_groups_never_leak_from_fold_to_fold() -> None:
    # What a group is like cannot be known from the others, but by heart from its own rows.
    draws = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    X = np.column_stack([groups, draws.normal(size=400)]).astype(float)
    y = draws.normal(size=40)[groups]
    forest = RandomForestRegressor(n_estimators=20)
    leaking = datalake.cross_validate(forest, X, y)["forest"].mean["r2"]
    honest = datalake.cross_validate(forest, X, y, groups=groups)["forest"].mean["r2"]
    assert leaking > 0.7
    assert honest < 0.3


def test_labels_of_64_bits_keep_their_places_and_larger_ones_are_refused() -> None:
    rows = [[0.0], [1.0]] * 5
    labels = np.array([-(2**63), 2**63 - 1] * 5)
    forest = datalake.RandomForestClassifier(n_estimators=3, bootstrap=False, random_state=0).fit(rows, labels)
    assert forest.predict(rows[:2]).tolist() == labels[:2].tolist()
    for beyond in (np.array([1, 2**63 + 1] * 5, dtype=np.uint64), np.array([1.0, 1e19] * 5)):
        with pytest.raises(datalake.InvalidError, match="beyond 64 bits"):
            datalake.RandomForestClassifier().fit(rows, beyond)


def test_columns_that_lose_values_by_rounding_are_named(foods: Foods) -> None:
    when = 1.7e9 + np.arange(200.0)
    X, y = np.column_stack([when, np.arange(200.0)]), foods[1][:200]
    message = r"lose distinct values, since a forest rounds numbers to 32 bits: `{}` \(19\d\)$"
    with pytest.warns(datalake.InputWarning, match=message.format("x0")):
        forest = RandomForestRegressor(3).fit(X, y)
    with pytest.warns(datalake.InputWarning, match=message.format("when")):
        RandomForestRegressor(3).fit(pd.DataFrame(X, columns=["when", "place"]), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest.predict(X)
        RandomForestRegressor(3).fit(X.astype(np.float32), y)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, object])
def test_what_a_mask_hides_is_missing(kind: type) -> None:
    rows = np.arange(60).reshape(30, 2).astype(kind)
    mask = np.zeros((30, 2), bool)
    mask[::3, 1] = True
    missing = np.where(mask, np.nan, rows.astype(float))
    y = np.arange(30.0)
    forest = RandomForestRegressor(5, random_state=0)
    masked = np.ma.MaskedArray(rows, mask)
    assert (forest.fit(masked, y).predict(masked) == forest.fit(missing, y).predict(missing)).all()
    with pytest.raises(datalake.InvalidError, match="target"):
        forest.fit(rows, np.ma.MaskedArray(y, mask[:, 1]))


def test_numpys_numbers_among_objects_are_numbers() -> None:
    x = np.random.default_rng(0).uniform(0, 1, 200)
    y = x * 10
    mixed = [[np.float64(value), "ab"[row % 2]] for row, value in enumerate(x)]
    forest = RandomForestRegressor(10).fit(mixed, y)
    assert forest.oob_score_ > 0.99
    low, high = forest.predict([[np.float64(0.1), "a"], [np.float64(0.9), "a"]])
    assert low < 3
    assert high > 7
    labels = np.array([np.int64(value > x.mean()) for value in x], dtype=object)
    assert RandomForestClassifier(10).fit(mixed, labels).oob_score_ > 0.9


def test_text_and_dates_are_no_numbers_to_predict(foods: Foods) -> None:
    X, _ = foods
    for y in (["1"] * 399 + ["2"], np.arange(400).astype("datetime64[D]")):
        with pytest.raises(datalake.InvalidError, match="must be numbers, got"):
            RandomForestRegressor(3).fit(X, y)


def test_columns_of_one_name_are_refused(foods: Foods) -> None:
    X, y = foods
    table = pa.table([X[:, 0], X[:, 1]], names=["a", "a"])
    with pytest.raises(datalake.InvalidError, match="`a` is there twice"):
        RandomForestRegressor(3).fit(table, y)
    forest = RandomForestRegressor(3).fit(table.select([0]), y)
    with pytest.raises(datalake.InvalidError, match="column `a`: the table has two columns of this name"):
        forest.predict(table)


def test_class_weights_name_labels_as_they_are_given(foods: Foods) -> None:
    X, y = foods
    labels = (y > 250).astype(float)
    forests = [
        RandomForestClassifier(3, class_weight=weight).fit(X, labels) for weight in ({0.0: 1, 1.0: 5}, {0: 1, 1: 5})
    ]
    assert forests[0].digest_ == forests[1].digest_


def test_what_is_asked_of_a_weighted_forest_needs_its_weights(foods: Foods, tmp_path: Path) -> None:
    X, y = foods
    weights = np.where(np.arange(400) % 2, 3.0, 0.0)
    forest = RandomForestRegressor(20).fit(X, y, sample_weight=weights)
    forest.save(tmp_path / "heavy.model")
    for model in (forest, datalake.load_model(tmp_path / "heavy.model")):
        drawn = model.draws_of(0, X, y, sample_weight=weights)
        assert drawn.sum() == 200
        assert drawn[weights == 0].sum() == 0
        assert model.leaf_statistics(0, X, y, sample_weight=weights).draws.sum() == 200
        found = model.out_of_bag_importances(X, y, sample_weight=weights, n_repeats=2)
        alone = RandomForestRegressor(20).fit(X[weights > 0], y[weights > 0])
        expected = alone.out_of_bag_importances(X[weights > 0], y[weights > 0], n_repeats=2)
        np.testing.assert_allclose(found.importances_mean, expected.importances_mean, rtol=0.5)
        with pytest.raises(datalake.InvalidError, match="sample_weight is needed"):
            model.draws_of(0, X, y)
