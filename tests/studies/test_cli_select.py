"""``edgedyn select`` as a user meets it."""

import json

import pytest

import edgedyn as ed
from edgedyn.cli import main
from edgedyn.commands.select import _live, _plain
from edgedyn.studies import EpochRecord, TrialRecord, selection
from edgedyn.studies.progress import Progress


def refused(capsys, *arguments):
    """Run a command that must fail with exit code 2 and one sentence."""
    assert main(["select", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.strip().splitlines()) == 1
    return captured.err


def test_init_writes_an_example_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["select", "--init"]) == 0
    assert "edgedyn select study.toml" in capsys.readouterr().out
    assert "[[candidates]]" in (tmp_path / "study.toml").read_text()
    assert "is there already" in refused(capsys, "--init")
    assert "there is no folder 'absent' for 's.toml'" in refused(capsys, "--init", "absent/s.toml")


def test_bad_input_is_one_sentence(tmp_path, capsys):
    assert "give a study file" in refused(capsys)
    assert "cannot be read" in refused(capsys, tmp_path / "absent.toml")
    path = tmp_path / "study.toml"
    path.write_text('data = "digits"\ncandidates = ["MobileNet"]\n')
    assert "stage must be one of" in refused(capsys, path, "--stage", "last")
    assert "engine.workers" in refused(capsys, path, "--workers", "0")
    assert "finish.top" in refused(capsys, path, "--top", "-1")
    assert "engine.dask must be" in refused(capsys, path, "--dask", "here")
    (tmp_path / "file").write_text("")
    assert "cannot write to the output folder" in refused(capsys, path, "--out", tmp_path / "file")


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_study_prints_its_ranking_and_writes_its_files(fields, tmp_path, capsys):
    path = tmp_path / "study.toml"
    path.write_text(
        """
data = { spec = "digits", n_train = [130] }
stage = "early"
output = "out"
training = { epochs = 4, early_epochs = 3 }
probe = { units = [8, 6] }
candidates = [
    { name = "[b]x[/b]", factory = "study_models:good" },
    { name = "bad", factory = "study_models:raises" },
]
"""
    )
    assert main(["select", str(path), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "2 trials, early stage" in out and "bad fails: RuntimeError" in out and "MiB" in out
    assert not (tmp_path / "out").exists()
    assert main(["select", str(path)]) == 3  # for the one that failed
    out, err = capsys.readouterr()
    assert "[b]x[/b]" in out and "bad, seed 0: failed, RuntimeError" in out
    assert "2 of 2 trials done (1 failed)" in err
    assert (tmp_path / "out" / "ranking.csv").read_text().startswith("method,model")
    assert main(["select", str(path), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["failed"][0]["model"] == "bad" and found["best_model"] is None


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_dry_run_does_without_data_and_weights(fields, tmp_path, capsys, monkeypatch):
    """Nothing is here, nothing is downloaded; what is missing is named, and estimated."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    path = tmp_path / "study.toml"
    path.write_text(
        """
data = { spec = "svhn:absent", n_train = [1000, 2000] }
stage = "full"
output = "out"
training = { epochs = 10, seeds = [0, 1] }
candidates = [
    { name = "mlp", factory = "edgedyn.nn.models.small:mlp" },
    { backbone = "MobileNet", options = { alpha = 0.25 } },
]
"""
    )
    assert main(["select", str(path), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("0 s: looking at svhn:absent, nothing is downloaded\n")
    assert [line.split(": ")[1] for line in err.splitlines()[1:]] == [
        "a few steps of mlp, 1 of 2",
        "a few steps of MobileNet, 2 of 2",
    ]
    assert "8 trials, full stage: 10 epochs each" in out and "fails" not in out
    missing = [line for line in out.splitlines() if line.startswith("Not here: ")]
    assert len(missing) == 2
    assert missing[0].startswith("Not here: there is no file 'absent/train_32x32.mat'; download")
    assert "the ImageNet weights of MobileNet are not in Keras' cache" in missing[1]
    assert "GPU hours" in out and not (tmp_path / "out").exists()


def test_plain_lines_come_when_something_has_happened(capsys):
    show = _plain()
    for done in (0, 0, 1, 1):
        show(Progress("early", done, 0, 2, (), done / 2, 3.0, None))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "early: 0 of 2 trials done; 3 s left",
        "early: 1 of 2 trials done; 3 s left",
    ]


@pytest.fixture
def ranking():
    """Rank two candidates after three epochs."""

    def record(model, gain):
        epochs = [EpochRecord(k, 1.0, gain * k, 0.5, 1 / k, "ok") for k in (1, 2, 3)]
        return TrialRecord(model, "digits", 0, {}, tuple(epochs), "early", 1.0, 0.1)

    return ed.rank([record("[i]slow[/i]", 0.1), record("quick", 0.2)], ["capacitance"], observed=3)


def test_the_ranking_so_far_is_shown_with_intervals(ranking, capsys):
    """On plain lines once, when a trial has ended; in a terminal all the time."""
    status = Progress("early", 1, 0, 2, (("third", 0, 2, 5),), 0.5, 90.0, ranking)
    show = _plain()
    show(status)
    show(status)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("third seed 0 epoch 2/5; 1.5 min left")
    assert second.startswith("so far, by capacitance: quick 0.") and second.count("±") == 2
    with _live() as show:
        show(status)
    shown = capsys.readouterr().err
    assert "\nearly: 1 of 2 trials done; third seed 0 epoch 2/5; 1.5 min left" in shown
    assert shown.index("quick") < shown.index("[i]slow[/i]") and shown.count("±") == 2


@pytest.mark.slow
def test_a_dry_run_tells_of_both_stages(tmp_path, capsys, monkeypatch):
    row = {"trials": 2, "epochs": 5, "epoch_seconds": 2.0, "start_seconds": 10.0, "seconds": 40.0}
    row.update(memory_mib=500.0, parameters=1234, gpu_seconds=3600.0, missing=["no c.", "no d."])
    rows = [
        {"model": m, "finish_seconds": s, "gpu_finish_seconds": 9 * s, **row}
        for m, s in [("a", 200.0), ("b", 400.0)]
    ]
    asked = []

    def rehearse(study, *, progress, gpu_tflops):
        asked.append(gpu_tflops)
        if progress is not None:
            progress("looking at digits")
        return rows

    monkeypatch.setattr(selection, "rehearse", rehearse)
    path = tmp_path / "study.toml"
    text = 'data = "digits"\ncandidates = ["VGG16", "VGG19"]\ntraining.seeds = [0, 1]\n'
    path.write_text(f"{text}finish.top = 1\n")
    assert main(["select", str(path), "--dry-run", "--workers", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == "0 s: looking at digits\n"
    assert "4 trials, finish stage: 5 epochs each" in out and "1,234" in out
    assert out.count("Not here: no c.") == out.count("Not here: no d.") == 1
    assert "About 40 s with 2 at a time, and up to 1000 MiB" in out
    assert "Then up to 3.3 min to train the best to the end." in out
    # Two candidates for an hour each, and the longer one of two for an hour to the end.
    assert "About 3 GPU hours (one NVIDIA A100 that sustains 17 TFLOP/s" in out
    assert main(["select", str(path), "--dry-run", "--json", "--gpu-tflops", "5"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["candidates"] == rows and err == "" and asked == [17.0, 5.0]
    assert "--gpu-tflops must be" in refused(capsys, path, "--dry-run", "--gpu-tflops", "-1")
