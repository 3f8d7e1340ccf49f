"""Writes quantile-values.json beside itself: what NumPy says of quantiles of weighted samples.

    python -m venv venv && venv/bin/pip install numpy==2.3.5
    venv/bin/python test/oracle/quantile_values.py && npx biome format --write test/oracle
"""

import json
import pathlib

import numpy

PERCENTILES = [0, 0.5, 1, 10, 25, 33.3, 50, 66.67, 75, 90, 95, 99, 99.9, 100]


def quantiles():
    random = numpy.random.default_rng(20010601)
    for size in [1, 2, 3, 10, 57]:
        for counts in [numpy.ones(size), random.integers(1, 40, size), random.integers(1, 8, size) / 4]:
            values = numpy.round(random.lognormal(0, 1, size), 2)
            yield {
                "values": values.tolist(),
                "counts": counts.tolist(),
                "quantiles": [
                    [p, float(numpy.quantile(values, p / 100, weights=counts, method="inverted_cdf"))]
                    for p in PERCENTILES
                ],
            }


recorded = {"numpy": numpy.__version__, "quantiles": list(quantiles())}
target = pathlib.Path(__file__).with_name("quantile-values.json")
target.write_text(json.dumps(recorded, allow_nan=False) + "\n")
