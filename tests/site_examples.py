"""Run the examples of a page of the site, in order: ``python site_examples.py PAGE``.

Python with prompts is a doctest; all of a page share their names. Commands of `edgedyn` after a
dollar are run and must end with 0. Other Python, such as that of clusters, must at least compile.
"""

import doctest
import re
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run_commands(text):
    """Run the commands of a block."""
    for line in text.splitlines():
        if line.startswith("$ "):
            words = line[2:].split()
            assert words[0] == "edgedyn", line
            subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL)


def run_page(path):
    """Run all examples of a page; return how many failed."""
    page = path.read_text("utf-8")
    names, failed = {"__name__": "__main__"}, 0
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for match in FENCE.finditer(page):
        language, text = match.groups()
        line = page[: match.start(2)].count("\n")
        if language == "console":
            run_commands(text)
        elif ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, names, path.name, str(path), line)
            failed += runner.run(test, clear_globs=False).failed
            names = test.globs
        else:
            compile(text, str(path), "exec")
    return failed


if __name__ == "__main__":
    sys.exit(run_page(Path(sys.argv[1])) > 0)
