"""Writes scipy-values.json beside itself: what SciPy says of the functions and distances under test.

    python -m venv venv && venv/bin/pip install scipy==1.16.3
    venv/bin/python test/oracle/scipy_values.py && npx biome format --write test/oracle
"""

import itertools
import json
import pathlib

import numpy
import scipy
from scipy import special, stats
from scipy.spatial import distance


def normal():
    for z in [-37, -20, -8, -5, -3, -1.5, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 2.5, 5, 8]:
        yield [z, stats.norm.cdf(z)]


def normal_quantile():
    for p in [1e-300, 1e-16, 1e-9, 1e-5, 0.0005, 0.01, 0.1, 0.3, 0.4999, 0.5, 0.7, 0.975, 0.9999, 1 - 1e-9]:
        yield [p, stats.norm.ppf(p)]


def student():
    for p, degrees in itertools.product([0.5, 0.9, 0.99, 0.9999, 1 - 1e-7], [1, 2, 3, 5, 10, 30, 118, 2000, 1e6]):
        yield [p, degrees, stats.t.ppf(p, degrees)]


def log_gamma():
    for x in [1e-3, 0.1, 0.5, 1, 1.5, 2, 3.7, 10, 11.9, 12.1, 100, 12345.6, 1e9]:
        yield [x, special.gammaln(x)]


def gamma():
    for a, ratio in itertools.product([0.005, 0.5, 1, 4.5, 30, 500, 5000], [0.01, 0.5, 0.9, 1, 1.1, 2, 10]):
        yield [a, a * ratio, special.gammainc(a, a * ratio), special.gammaincc(a, a * ratio)]


def noncentral():
    for degrees, noncentrality in itertools.product([1, 3, 9, 40, 500], [0, 0.1, 2, 20, 300, 5000, 9999, 30000]):
        mean, deviation = degrees + noncentrality, (2 * degrees + 4 * noncentrality) ** 0.5
        for step in [-4, -2, -0.5, 0, 1, 3, 6]:
            x = mean + step * deviation
            if x > 0:
                yield [x, degrees, noncentrality, stats.ncx2.cdf(x, degrees, noncentrality)]


def noncentrality_bound():
    for degrees, x, p in itertools.product(
        [1, 4, 9, 40, 300], [0.5, 5, 20, 60, 400, 3000], [1e-7, 1e-4, 0.01, 0.5, 0.99, 0.9999, 1 - 1e-7]
    ):
        # Where even the central law is at most p, SciPy has no answer and the bound is 0.
        bound = special.chndtrinc(x, degrees, p) if stats.chi2.cdf(x, degrees) > p else 0
        yield [x, degrees, p, bound]


def distances():
    """Two discrete laws on the same numbers, as counts, and the distances between them."""
    random = numpy.random.default_rng(20011101)
    for size in [2, 3, 7, 20]:
        values = numpy.sort(random.choice(numpy.arange(-40, 60), size, replace=False)) / 4
        batch, baseline = (random.integers(1, 1000, size) * 100_000 for _ in range(2))
        p, q = batch / batch.sum(), baseline / baseline.sum()
        mean = numpy.average(values, weights=baseline)
        yield {
            "values": values.tolist(),
            "batch": batch.tolist(),
            "baseline": baseline.tolist(),
            "psi": stats.entropy(p, q) + stats.entropy(q, p),
            "js": distance.jensenshannon(p, q, base=2),
            "ks": numpy.abs(numpy.cumsum(p) - numpy.cumsum(q)).max(),
            "wasserstein": stats.wasserstein_distance(values, values, batch, baseline),
            "mean": [numpy.average(values, weights=batch), mean],
            "std": [
                numpy.average((values - numpy.average(values, weights=batch)) ** 2, weights=batch) ** 0.5,
                numpy.average((values - mean) ** 2, weights=baseline) ** 0.5,
            ],
        }


recorded = {
    "scipy": scipy.__version__,
    **{
        f.__name__: list(f())
        for f in [normal, normal_quantile, student, log_gamma, gamma, noncentral, noncentrality_bound, distances]
    },
}
target = pathlib.Path(__file__).with_name("scipy-values.json")
target.write_text(json.dumps(recorded, allow_nan=False) + "\n")
