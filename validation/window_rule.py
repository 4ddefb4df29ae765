"""How often the window rule keeps all observations of a simulated straight line.

Beside it the naive rule, BIC of each window on its own observations. Also the error of the value
read off at 0, with none, one and two early outliers. Run: ``python validation/window_rule.py``.
"""

from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.predict.window import bic_scores, residual_sum

DRAWS = 2000
SEED = 0


def naive_start(X, y):
    """t0 by the mean BIC of each window on its own observations, which three points win."""
    n = np.array([len(y) - start for start in range(len(y) - 2)])
    rss = np.array([residual_sum(X[start:], y[start:]) for start in range(len(y) - 2)])
    return int(np.argmin(np.log(rss / n) + 2 * np.log(n) / n)) + 1


def one_setting(rng, K, noise, outliers):
    """Rates and errors for one length, noise and number of early outliers."""
    starts = {"bic": [], "naive": [], "all": []}
    errors = {"bic": [], "naive": [], "all": []}
    for _ in range(DRAWS):
        x = np.sort(rng.uniform(0.1, 1.0, K))[::-1]
        y = 0.9 - 0.4 * x + noise * rng.standard_normal(K)
        y[:outliers] -= 10 * noise
        X = x[:, None]
        chosen = {
            "bic": int(np.argmin(bic_scores(X, y, None))) + 1,
            "naive": naive_start(X, y),
            "all": 1,
        }
        for rule, t0 in chosen.items():
            slope, value = np.polyfit(x[t0 - 1 :], y[t0 - 1 :], 1)
            starts[rule].append(t0)
            errors[rule].append(abs(value - 0.9))
    return {
        "observations": K,
        "noise": noise,
        "outliers": outliers,
        "right_window": {r: float(np.mean(np.array(v) == outliers + 1)) for r, v in starts.items()},
        "three_points": {r: float(np.mean(np.array(v) == K - 2)) for r, v in starts.items()},
        "median_error": {r: float(np.median(v)) for r, v in errors.items()},
    }


def main():
    """Run every setting and write the results."""
    rng = np.random.default_rng(SEED)
    rows = [one_setting(rng, K, 0.01, outliers) for K in (5, 8, 12) for outliers in (0, 1, 2)]
    path = Path(__file__).parent / "results" / "window_rule.json"
    write_text(
        path, to_json({"environment": environment(), "seed": SEED, "draws": DRAWS, "rows": rows})
    )
    for row in rows:
        print(row)
    print(f"edgedyn {ed.__version__}: written to {path.name}")


if __name__ == "__main__":
    main()
