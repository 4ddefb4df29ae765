"""The real networks behind the scripts of this folder, and the check against expected.json."""

import json
import os
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.reduction import read_network

HERE = Path(__file__).parent
RESULTS = HERE / "results"
MUTUALISTIC = {
    "Robertson 1929": "PLANT_POLLINATOR_Robertson_1929",
    "Clements 1923": "PLANT_POLLINATOR_BEES_WASPS_Clements_1923",
    "Elberling 1999": "PLANT_POLLINATOR_BEES_WASPS_Elberling_1999",
    "Santos 2010": "PLANT_POLLINATOR_BEES_WASPS_Santos_2010",
    "Schleuning 2010": "PLANT_SEED_DISPERSER_Schleuning_2010",
    "Bluthgen 2004": "PLANT_ANT_WEBS_Bluthgen_2004",
    "coral reefs 2007": "ANEMONE_FISH_WEBS_Coral_reefs2007",
}
REGULATION = {"E. coli (TECB)": "TECB", "yeast (TYB)": "TYB"}


def folder():
    """Return the folder of networks, or leave with one line."""
    root = os.environ.get("EDGEDYN_DATA")
    if root is None:
        sys.exit("set EDGEDYN_DATA to the folder of real data")
    return Path(root) / "networks"


def gao_networks():
    """Yield (kind, name, matrix): both stored projections, and the regulatory networks."""
    with tempfile.TemporaryDirectory() as place:
        with ZipFile(folder() / "NuRsE_gbb2016_real_networks.zip") as archive:
            archive.extractall(place)
        for name, stem in MUTUALISTIC.items():
            (path,) = Path(place).rglob(f"{stem}.mat")
            for side in "AB":
                yield "mutualistic", f"{name} {side}", read_network(path, variable=side)
        for name, stem in REGULATION.items():
            (path,) = Path(place).rglob(f"{stem}.mat")
            # Rows regulate: they have up to 424 links, columns at most 30 (regulators of a gene).
            yield "gene_regulation", name, read_network(path, rows="sources")


def ecological_networks():
    """Yield (name, matrix) of both projections of the 236 networks, who meets whom alone."""
    with tempfile.TemporaryDirectory() as place:
        with ZipFile(folder() / "weboflife_236_networks.zip") as archive:
            archive.extractall(place)
        for path in sorted(Path(place).rglob("[AM]_*.csv")):
            for side in ("columns", "rows"):
                yield f"{path.stem} {side}", read_network(path, project=side)


def finish(name, results):
    """Write a script's results and compare with expected.json; leave with 1 on a difference."""
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))[name]
    rows, failed = [], False
    for key, wanted in expected.items():
        value = results["numbers"][key]
        good = abs(value - wanted["value"]) <= wanted["tolerance"]
        failed |= not good
        rows.append({"what": key, "found": value, **wanted, "reproduced": good})
        print(f"  {key}: {value:.6g}, expected {wanted['value']:g} +- {wanted['tolerance']:g} "
              f"({'reproduced' if good else 'NOT reproduced'})")  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    content = {"environment": environment(), **results, "expected": rows}
    write_text(RESULTS / f"{name}.json", to_json(content))
    if failed:
        sys.exit(1)
