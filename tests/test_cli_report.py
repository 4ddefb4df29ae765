"""``edgedyn report``, and the reports that ``demo`` and ``select`` leave."""

import pytest
from report_cases import record, three, write_study
from study_cases import TESTS, candidate

from edgedyn.cli import main
from edgedyn.studies import run_demo
from edgedyn.studies.study_file import study_toml


def test_the_page_lies_in_the_folder_or_where_it_is_wanted(tmp_path, capsys):
    folder = three(tmp_path / "study")
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"Written {folder / 'report.html'}\n"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "Which model for digits?" in page
    assert main(["report", str(folder), "--out", str(tmp_path / "other.html")]) == 0
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.html", "study"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there is no folder"),
        (["."], "there are no records"),
        (["study", "--out", "report.pdf"], "--out must end in .html; got 'report.pdf'"),
        (["study", "--out", "nowhere/report.html"], "there is no folder 'nowhere' for the report"),
    ],
)
def test_bad_input_is_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "study", [record("vgg", 0.9)])
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_the_demo_ends_with_a_report(tmp_path, monkeypatch, capsys):
    short = run_demo
    monkeypatch.setattr(
        "edgedyn.studies.run_demo", lambda **kinds: short(n_seeds=1, epochs=5, **kinds)
    )
    assert main(["demo", "--out", str(tmp_path)]) == 0
    page = tmp_path / "report.html"
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert "Which model for digits 5-9?" in text
    page.unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_study_ends_with_a_report(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    study = {
        "output": "study",
        "data": {"spec": "digits", "n_train": [130]},
        "candidates": [candidate("good"), candidate("raises")],
        "training": {"epochs": 4, "early_epochs": 3},
        "probe": {"units": [8, 6]},
    }
    (tmp_path / "study.toml").write_text(study_toml(study), encoding="utf-8")
    assert main(["select", str(tmp_path / "study.toml")]) == 3  # one failed
    page = tmp_path / "study" / "report.html"
    assert f"one page: {page}" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "good is the only candidate after 3 epochs" in text
    assert "RuntimeError: no such layer [bold]here[/bold]" in text
