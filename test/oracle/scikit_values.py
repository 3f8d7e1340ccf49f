"""Writes scikit-values.json beside itself: what scikit-learn says of the metrics under test, with their inputs.

    python -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6
    venv/bin/python test/oracle/scikit_values.py && npx biome format --write test/oracle

A value is null where scikit-learn gives none: NaN, or an error. Two metrics are not scikit-learn's: the expected
calibration error, which it does not have, and specificity averaged over classes; both are NumPy here.
"""

import json
import pathlib
import warnings

import numpy
import sklearn
from sklearn import datasets, linear_model, metrics, model_selection, naive_bayes, pipeline, preprocessing

random = numpy.random.default_rng(20010501)
warnings.simplefilter("ignore")


def recorded(compute):
    try:
        value = float(compute())
    except (ValueError, ZeroDivisionError, FloatingPointError):
        return None
    return value if numpy.isfinite(value) else None


def calibration_error(sure, right, weights):
    """Ten bins of equal width, the last with its upper edge."""
    bins = numpy.minimum((sure * 10).astype(int), 9)
    total = 0.0
    for index in range(10):
        inside = bins == index
        if weights[inside].sum() > 0:
            gap = numpy.average(sure[inside], weights=weights[inside]) - numpy.average(
                right[inside], weights=weights[inside]
            )
            total += weights[inside].sum() / weights.sum() * abs(gap)
    return total


def binary(labels, scores, weights, thresholds, probability=True):
    heavy = {"sample_weight": weights}
    ones = numpy.ones(len(labels)) if weights is None else weights
    for threshold in thresholds:
        guess = (scores >= threshold).astype(int)
        at = {"threshold": threshold}
        yield {"metric": "accuracy", **at}, lambda: metrics.accuracy_score(labels, guess, **heavy)
        yield {"metric": "balancedAccuracy", **at}, lambda: metrics.balanced_accuracy_score(labels, guess, **heavy)
        yield {"metric": "precision", **at}, lambda: metrics.precision_score(labels, guess, **heavy)
        yield {"metric": "recall", **at}, lambda: metrics.recall_score(labels, guess, **heavy)
        yield {"metric": "f1", **at}, lambda: metrics.f1_score(labels, guess, **heavy)
        yield {"metric": "specificity", **at}, lambda: metrics.recall_score(labels, guess, pos_label=0, **heavy)
        yield {"metric": "mcc", **at}, lambda: metrics.matthews_corrcoef(labels, guess, **heavy)
    yield {"metric": "auc"}, lambda: metrics.roc_auc_score(labels, scores, **heavy)
    yield {"metric": "averagePrecision"}, lambda: metrics.average_precision_score(labels, scores, **heavy)
    if probability:
        yield {"metric": "logLoss"}, lambda: metrics.log_loss(labels, scores, labels=[0, 1], **heavy)
        yield {"metric": "brier"}, lambda: metrics.brier_score_loss(labels, scores, pos_label=1, **heavy)
        yield {"metric": "calibrationError"}, lambda: calibration_error(scores, labels, ones)


def multiclass(labels, scores, weights, names):
    heavy = {"sample_weight": weights}
    ones = numpy.ones(len(labels)) if weights is None else weights
    every = list(range(len(names)))
    guess = scores.argmax(axis=1)
    yield {"metric": "accuracy"}, lambda: metrics.accuracy_score(labels, guess, **heavy)
    yield {"metric": "balancedAccuracy"}, lambda: metrics.balanced_accuracy_score(labels, guess, **heavy)
    yield {"metric": "mcc"}, lambda: metrics.matthews_corrcoef(labels, guess, **heavy)
    yield {"metric": "logLoss"}, lambda: metrics.log_loss(labels, scores, labels=every, **heavy)
    yield {"metric": "brier"}, lambda: metrics.brier_score_loss(
        labels, scores, labels=every, scale_by_half=False, **heavy
    )
    yield {"metric": "calibrationError"}, lambda: calibration_error(
        scores.max(axis=1), (guess == labels).astype(float), ones
    )
    functions = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score}
    for name, function in functions.items():
        for average in ["macro", "micro"]:
            yield {"metric": name, "average": average}, lambda: function(labels, guess, average=average, **heavy)
        for index, of in enumerate(names):
            yield {"metric": name, "class": of}, lambda: function(
                labels, guess, labels=[index], average="macro", **heavy
            )
    with numpy.errstate(invalid="ignore"):
        tables = metrics.multilabel_confusion_matrix(labels, guess, **heavy)
        yield {"metric": "specificity", "average": "macro"}, lambda: numpy.mean(
            tables[:, 0, 0] / tables[:, 0, :].sum(axis=1)
        )
        yield {"metric": "specificity", "average": "micro"}, lambda: tables[:, 0, 0].sum() / tables[:, 0, :].sum()
    for index, of in enumerate(names):
        yield {"metric": "specificity", "class": of}, lambda: metrics.recall_score(
            labels == index, guess == index, pos_label=False, **heavy
        )
        yield {"metric": "auc", "class": of}, lambda: metrics.roc_auc_score(
            labels == index, scores[:, index], **heavy
        )
        yield {"metric": "averagePrecision", "class": of}, lambda: metrics.average_precision_score(
            labels == index, scores[:, index], **heavy
        )
    yield {"metric": "auc", "average": "macro"}, lambda: metrics.roc_auc_score(
        preprocessing.label_binarize(labels, classes=every + [-1])[:, :-1], scores, average="macro", **heavy
    )
    yield {"metric": "averagePrecision", "average": "macro"}, lambda: metrics.average_precision_score(
        preprocessing.label_binarize(labels, classes=every + [-1])[:, :-1], scores, average="macro", **heavy
    )


def regression(labels, values, weights):
    heavy = {"sample_weight": weights}
    yield {"metric": "mae"}, lambda: metrics.mean_absolute_error(labels, values, **heavy)
    yield {"metric": "rmse"}, lambda: metrics.root_mean_squared_error(labels, values, **heavy)
    yield {"metric": "r2"}, lambda: metrics.r2_score(labels, values, **heavy)
    yield {"metric": "mape"}, lambda: metrics.mean_absolute_percentage_error(labels, values, **heavy)
    yield {"metric": "medianAbsoluteError"}, lambda: metrics.median_absolute_error(labels, values, **heavy)
    for quantile in [0.1, 0.5, 0.95]:
        yield {"metric": "pinballLoss", "quantile": quantile}, lambda: metrics.mean_pinball_loss(
            labels, values, alpha=quantile, **heavy
        )


def entry(name, task, labels, predictions, weights, values, **more):
    """Values with weights of one and with the weights; `values` takes weights."""
    labels, predictions = numpy.asarray(labels), numpy.asarray(predictions, dtype=float)
    assert numpy.array_equal(labels, numpy.round(labels, 6)), name
    plain, weighted = ([(query, recorded(of)) for query, of in values(w)] for w in [None, weights])
    return {
        "name": name,
        "task": task,
        **more,
        "labels": labels.tolist(),
        "predictions": predictions.ravel().tolist(),
        "weights": weights.tolist(),
        "values": [[query, value, heavy] for (query, value), (_, heavy) in zip(plain, weighted)],
    }


def some_weights(size):
    return numpy.round(random.gamma(2, 1, size) + 0.01, 3)


def of_binary(name, labels, scores, weights=None, thresholds=(0.5,), probability=True):
    labels, scores = numpy.asarray(labels), numpy.round(numpy.asarray(scores, dtype=float), 6)
    weights = some_weights(len(labels)) if weights is None else weights
    return entry(
        name, "binary", labels, scores, weights, lambda w: binary(labels, scores, w, thresholds, probability)
    )


def of_multiclass(name, labels, scores, names, weights=None):
    labels, scores = numpy.asarray(labels), numpy.round(numpy.asarray(scores, dtype=float), 6)
    # What is left of one after rounding goes to the last class.
    scores[:, -1] = numpy.round(1 - scores[:, :-1].sum(axis=1), 6)
    weights = some_weights(len(labels)) if weights is None else weights
    return entry(
        name,
        "multiclass",
        labels,
        scores,
        weights,
        lambda w: multiclass(labels, scores, w, names),
        classes=names,
    )


def of_regression(name, labels, values, weights=None):
    labels, values = numpy.asarray(labels), numpy.round(numpy.asarray(values, dtype=float), 6)
    weights = some_weights(len(labels)) if weights is None else weights
    return entry(name, "regression", labels, values, weights, lambda w: regression(labels, values, w))


def fitted(load, model):
    """Labels of one half of a real dataset, and what a model that was fitted on the other half says of it."""
    data = load()
    train, test, known, unknown = model_selection.train_test_split(
        data.data, data.target, test_size=0.5, random_state=7
    )
    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), model).fit(train, known)
    predict = scaled.predict_proba if hasattr(model, "predict_proba") else scaled.predict
    return unknown, predict(test), list(map(str, getattr(data, "target_names", [])))


def all_binary():
    labels, scores, _ = fitted(datasets.load_breast_cancer, linear_model.LogisticRegression(C=0.01))
    yield of_binary("breast cancer", labels, scores[:, 1], thresholds=(0.5, 0.3, 0.9))
    truth = random.random(800)
    labels = (random.random(800) < truth).astype(int)
    yield of_binary("many ties", labels, numpy.round(truth * 0.8 + 0.1, 1), thresholds=(0.5, 0.2))
    yield of_binary("whole weights", labels[:300], numpy.round(truth[:300], 2), random.integers(1, 4, 300).astype(float))
    rare = (random.random(1200) < 0.01).astype(int)
    yield of_binary("imbalance", rare, numpy.clip(random.beta(1, 30, 1200) + 0.1 * rare, 0, 1), thresholds=(0.5, 0.1))
    extreme = random.integers(0, 2, 200)
    yield of_binary("zeros and ones", extreme, numpy.where(random.random(200) < 0.9, extreme, 1 - extreme))
    yield of_binary("no probabilities", extreme, random.normal(3 * extreme - 2, 2), thresholds=(0.0,), probability=False)
    yield of_binary("all the same score", extreme, numpy.full(200, 0.4), thresholds=(0.5, 0.3))
    yield of_binary("no positive example", numpy.zeros(30, int), random.random(30))
    yield of_binary("no negative example", numpy.ones(30, int), random.random(30))
    yield of_binary("two examples", [0, 1], [0.2, 0.7])
    yield of_binary("two wrong examples", [1, 0], [0.2, 0.7])
    yield of_binary("one example", [1], [0.7])


def all_multiclass():
    labels, scores, names = fitted(datasets.load_iris, linear_model.LogisticRegression(C=0.1))
    yield of_multiclass("iris", labels, scores, names)
    labels, scores, names = fitted(datasets.load_wine, naive_bayes.GaussianNB(var_smoothing=0.3))
    yield of_multiclass("wine", labels, scores, names)
    five = ["a", "b", "c", "d", "e"]
    labels = random.choice([0, 1, 3, 4], 300, p=[0.6, 0.25, 0.1, 0.05])
    scores = random.dirichlet([0.6] * 5, 300) * 0.6
    scores[numpy.arange(300), labels] += 0.4
    yield of_multiclass("a class that does not occur", labels, scores, five)
    labels = random.integers(0, 5, 300)
    scores = random.dirichlet([0.6] * 5, 300)
    scores[:, 2] *= 0.01
    yield of_multiclass("a class that is never predicted", labels, scores / scores.sum(axis=1, keepdims=True), five)
    labels = random.integers(0, 3, 300)
    yield of_multiclass("many ties", labels, random.multinomial(4, [0.3, 0.3, 0.4], 300) / 4, ["x", "y", "z"])
    sure = numpy.eye(3)[numpy.where(random.random(100) < 0.8, labels[:100], random.integers(0, 3, 100))]
    yield of_multiclass("zeros and ones", labels[:100], sure, ["x", "y", "z"])
    two = random.random(200)
    yield of_multiclass("two classes", (random.random(200) < two).astype(int), numpy.c_[1 - two, two], ["no", "yes"])
    yield of_multiclass("one class", numpy.ones(20, int), random.dirichlet([1, 2, 1], 20), ["x", "y", "z"])
    yield of_multiclass("two examples", [0, 2], [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]], ["x", "y", "z"])


def all_regression():
    labels, values, _ = fitted(datasets.load_diabetes, linear_model.Ridge(10))
    yield of_regression("diabetes", labels, values)
    labels = numpy.round(random.normal(0, 10, 400))
    yield of_regression("many ties, labels of zero", labels, numpy.round(labels + random.normal(1, 4, 400)))
    yield of_regression("whole weights", labels[:150], labels[:150] * 0.9, random.integers(1, 4, 150).astype(float))
    yield of_regression("skewed", numpy.round(random.lognormal(5, 2, 301), 2), random.lognormal(5, 2, 301))
    yield of_regression("far from zero", 1e7 + labels[:99], 1e7 + labels[:99] + random.normal(0, 1, 99))
    yield of_regression("labels all the same", numpy.full(20, 0.1), random.random(20))
    yield of_regression("all right", labels[:30], labels[:30])
    yield of_regression("two examples", [1, 3], [2.5, 2.75])
    yield of_regression("one example", [2], [2.5])


written = {
    "scikit-learn": sklearn.__version__,
    "numpy": numpy.__version__,
    "datasets": [*all_binary(), *all_multiclass(), *all_regression()],
}
target = pathlib.Path(__file__).with_name("scikit-values.json")
target.write_text(json.dumps(written, allow_nan=False) + "\n")
