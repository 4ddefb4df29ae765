"""Picture of a study's report: the example of ``edgedyn select --init``.

    python -m papers.jiang2024.pictures.report

Runs the study (a minute or two on two cores), opens its report in a headless Chromium and writes
figures/report.png. Needs the extras tf and test, and a Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).resolve().parents[1] / "figures" / "report.png"


def main():
    """Run, open, photograph."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "edgedyn.cli", "select"]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*command, "--init"], cwd=scratch, check=True)
        subprocess.run([*command, "study.toml", "--workers", "2"], cwd=scratch, check=True)
        report = Path(scratch) / "digits-study" / "report.html"
        with sync_playwright() as play:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 800})
            page.goto(report.as_uri())
            page.wait_for_timeout(500)
            page.screenshot(path=str(PICTURE))
            browser.close()


if __name__ == "__main__":
    main()
