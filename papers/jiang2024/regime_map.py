"""The regime map: where the paper's line leads the last value, from thousands of perceptrons.

Trains what ``results/regime_runs.npz`` lacks, then writes ``results/regime_map.json``,
``regime_map.md`` and two figures. Run: ``EDGEDYN_DATA=... python papers/jiang2024/regime_map.py``
(about 45 minutes on one core; an interrupted call is taken up again).
"""

from pathlib import Path

from regime_runs import complete

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SEEDS = 20


def main():
    """Train, judge, write."""
    complete(RESULTS / "regime_runs.npz", range(SEEDS), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
