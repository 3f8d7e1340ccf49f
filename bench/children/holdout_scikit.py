"""The yardstick: every metric of two classes on all rows and on each slice, and bootstrap replicates of them.

    python holdout_scikit.py FILE REPLICATES

Two processes share the replicates. A replicate draws as many rows as there are, and weights each by how often it was
drawn, which is what scikit-learn's sample_weight is for. Prints what it took, as JSON; memory is that of the larger
process. The expected calibration error, which scikit-learn does not have, is NumPy.
"""

import json
import multiprocessing
import resource
import sys
import time
import warnings

import duckdb
import numpy
from sklearn import metrics

PROCESSES = 2


def calibration_error(labels, scores, weights):
    bins = numpy.minimum((scores * 10).astype(int), 9)
    return numpy.abs(numpy.bincount(bins, weights=weights * (labels - scores))).sum() / weights.sum()


def evaluate(labels, scores, weights):
    guess = (scores >= 0.5).astype(int)
    heavy = {"sample_weight": weights}
    return [
        metrics.accuracy_score(labels, guess, **heavy),
        metrics.balanced_accuracy_score(labels, guess, **heavy),
        metrics.precision_score(labels, guess, **heavy),
        metrics.recall_score(labels, guess, **heavy),
        metrics.f1_score(labels, guess, **heavy),
        metrics.recall_score(labels, guess, pos_label=0, **heavy),
        metrics.roc_auc_score(labels, scores, **heavy),
        metrics.average_precision_score(labels, scores, **heavy),
        metrics.log_loss(labels, scores, labels=[0, 1], **heavy),
        metrics.brier_score_loss(labels, scores, **heavy),
        calibration_error(labels, scores, weights),
        metrics.matthews_corrcoef(labels, guess, **heavy),
    ]


def evaluate_all(weights):
    results = [evaluate(labels, scores, weights)]
    for rows in slices:
        results.append(evaluate(labels[rows], scores[rows], weights[rows]))
    return results


def replicate(seed):
    draws = numpy.random.default_rng(seed).integers(0, len(labels), len(labels))
    return evaluate_all(numpy.bincount(draws, minlength=len(labels)).astype(float))


warnings.simplefilter("ignore")
table = duckdb.sql(f"SELECT label::INTEGER AS label, score, slice FROM '{sys.argv[1]}'").fetchnumpy()
labels, scores = numpy.asarray(table["label"]), numpy.asarray(table["score"])
order = numpy.argsort(table["slice"], kind="stable")
slices = numpy.split(order, numpy.flatnonzero(numpy.diff(numpy.asarray(table["slice"])[order])) + 1)

evaluate_all(numpy.ones(len(labels)))
started = time.perf_counter()
# Forked: the arrays are shared.
with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
    values = numpy.array(pool.map(replicate, range(int(sys.argv[2])), chunksize=1))
taken = time.perf_counter() - started
numpy.percentile(values, [2.5, 97.5], axis=0)

usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(
    json.dumps(
        {
            "cpuSeconds": sum(use.ru_utime + use.ru_stime for use in usage),
            "peakBytes": max(use.ru_maxrss for use in usage) * 1024,
            "replicateSeconds": taken,
        }
    )
)
