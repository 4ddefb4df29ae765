"""What is given away: one version everywhere, and archives that hold what they must."""

import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import edgedyn

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RECIPE = (ROOT / "conda" / "meta.yaml").read_text("utf-8")
MISSING = [m for m in ("build", "twine", "hatchling") if importlib.util.find_spec(m) is None]


def test_one_version_everywhere():
    version = edgedyn.__version__
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    (date,) = re.findall(r"^date-released: (\S+)$", citation, re.MULTILINE)
    assert f"\nversion: {version}\n" in citation
    assert f'{{% set version = "{version}" %}}' in RECIPE
    assert f"\n## {version} - {date}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_conda_recipe_has_the_dependencies():
    run = RECIPE.partition("  run:\n")[2].partition("  run_constrained:")[0]
    found = {line.strip(" -").replace("-base", "").replace(" ", "") for line in run.splitlines()}
    assert found == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}


def test_the_paper_has_its_sections_and_length():
    text = (ROOT / "papers" / "joss" / "paper.md").read_text("utf-8")
    body = text.split("---", 2)[2]
    assert 750 <= len(body.split()) <= 1750
    assert re.findall(r"^# (.+)$", body, re.MULTILINE) == [
        "Summary", "Statement of need", "State of the field", "Software design",
        "Research impact statement", "AI usage disclosure", "References",
    ]  # fmt: skip
    cited = set(re.findall(r"@(\w+)", body))
    keys = re.findall(r"^@\w+\{(\w+),", (ROOT / "papers/joss/paper.bib").read_text("utf-8"), re.M)
    assert cited == set(keys)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Return the wheel and the source archive."""
    if MISSING:
        pytest.skip(f"archives need the extra 'release'; missing: {MISSING}")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.mark.slow
def test_archives_are_what_an_index_accepts(archives):
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, archives)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_licences(archives):
    names = zipfile.ZipFile(archives[0]).namelist()
    kept = {Path(name).parts[0] for name in names}
    assert kept == {"edgedyn", f"edgedyn-{edgedyn.__version__}.dist-info"}
    licences = [name for name in names if ".dist-info/licenses/" in name]
    assert {Path(name).name for name in licences} == {"LICENSE", "d3.LICENSE.txt"}
    for name in ("py.typed", "report/vendor/d3.min.js", "report/vendor/d3.LICENSE.txt",
                 "studies/example.toml", "predict/forecast_prior.json"):  # fmt: skip
        assert f"edgedyn/{name}" in names


@pytest.mark.slow
def test_the_source_archive_holds_tests_and_site(archives):
    names = tarfile.open(archives[1]).getnames()
    for name in ("docs/conf.py", "docs/index.md", "tests/test_site.py", "CONTRIBUTING.md",
                 "conda/meta.yaml", "LICENSE"):  # fmt: skip
        assert f"edgedyn-{edgedyn.__version__}/{name}" in names
    assert not [name for name in names if "/_build/" in name or "/generated/" in name]
