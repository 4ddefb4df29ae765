"""Whole studies with real, tiny Keras trainings in processes of their own."""

import json
import shutil
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from math import isfinite, isnan
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from study_cases import (
    TESTS,
    candidate,
    kill,
    numbers,
    study_fields,
    trial_processes,
    wait_for,
)

import edgedyn as ed
from edgedyn._bits import unpack_bits
from edgedyn._environment import command
from edgedyn.predict.methods import METHODS
from edgedyn.predict.zero_cost import PROXIES
from edgedyn.studies import selection, worker
from edgedyn.studies.journal import Journal
from edgedyn.studies.selection import rehearse

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the study once, for all tests that disturb a copy of it: its folder and its record."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    folder = tmp_path_factory.mktemp("finished") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        (record,) = ed.select(**study_fields(folder)).records
    return folder, record


@pytest.fixture
def whole(fields, finished):
    """Put a finished study where `fields` has its own; return its only record."""
    folder, record = finished
    shutil.copytree(folder, fields["output"], symlinks=True)
    return record


@pytest.mark.slow
def test_a_study_without_interruption_matches_one_by_hand(fields):
    """The same task written with Keras and the callback alone."""
    import keras
    import study_models

    from edgedyn import nn

    fields["training"] = {"epochs": 3, "early_epochs": 3, "batch_size": 200}
    fields["probe"] = {"units": [8, 6], "dropout": 0.0}
    record = ed.select(**fields).records[0]
    data = nn.load_dataset("digits", validation_size=0.3, n_train=130, seed=0)
    keras.utils.set_random_seed(0)
    model = nn.attach_probe(nn.backbone(study_models.good()), 10, units=(8, 6), dropout=0.0, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    watch = nn.CapacitanceCallback(data.train.x, data.train.y)
    history = model.fit(  # one batch an epoch, so that the order does not matter
        data.train.x.astype("float32"),
        data.train.y,
        batch_size=200,
        epochs=3,
        verbose=0,
        validation_data=(data.validation.x.astype("float32"), data.validation.y),
        callbacks=[watch],
    )
    assert [e.beta_eff for e in record.epochs] == pytest.approx(watch.beta_eff, rel=1e-4)
    found = [e.train_loss for e in record.epochs]
    assert found == pytest.approx(history.history["loss"], rel=1e-4)
    found = [e.val_accuracy for e in record.epochs]
    assert found == pytest.approx(history.history["val_accuracy"], abs=0.01)
    right = model.predict(data.validation.x.astype("float32"), verbose=0).argmax(1)
    bits = unpack_bits(record.epochs[-1].val_correct)
    assert bits.mean() == record.epochs[-1].val_accuracy
    assert np.mean(bits != (right == data.validation.y)) <= 0.01
    assert record.epochs[-1].measures["val_loss"] == pytest.approx(
        history.history["val_loss"][-1], rel=1e-3
    )
    accuracy = model.evaluate(data.test.x.astype("float32"), data.test.y, verbose=0)[1]
    assert record.final_test_accuracy == pytest.approx(accuracy, abs=0.01)
    assert record.provenance["data_fingerprint"] == data.fingerprint
    assert record.provenance["peak_memory_mib"] > 100
    assert record.provenance["data"]["validation"] == len(data.validation)


@pytest.mark.slow
def test_a_killed_worker_goes_on_at_its_epoch_with_the_same_numbers(fields):
    fields["candidates"] = [candidate("slow", seconds=0.05)]
    expected = ed.select(**fields).records[0]
    fields["output"] += "-killed"
    kills = []

    def disturb():
        for n in (1, 2):
            wait_for(lambda n=n: epochs(fields) >= n and trial_processes())
            kills.append(epochs(fields))
            kill(trial_processes()[0][0])

    thread = threading.Thread(target=disturb)
    thread.start()
    found = ed.select(**fields)
    thread.join()
    assert len(kills) == 2 and kills[1] < 4
    assert numbers(found.records[0]) == numbers(expected)
    assert found.records[0].status == "completed" and isfinite(found.records[0].final_test_accuracy)


def epochs(fields):
    return sum(len(Journal(p).epochs) for p in Path(fields["output"]).glob("trials/*"))


@pytest.mark.slow
def test_finish_trains_the_best_only_and_saves_it(fields):
    import keras

    fields["candidates"] = [candidate("good"), candidate("good", "wider", units=16)]
    fields["stage"], fields["finish"] = "finish", {"top": 1, "probe": "keep"}
    found = ed.select(**fields)
    by_name = {r.model: r for r in found.records}
    best = found.ranking.best()[0]
    assert found.chosen[0] == best
    assert {name: len(r.epochs) for name, r in by_name.items()} == {
        name: 4 if name == best else 3 for name in by_name
    }
    other = next(r for r in found.records if r.model != best)
    assert other.status == "early" and isnan(other.final_test_accuracy)
    model = keras.models.load_model(found.best_model)
    data = ed.nn.load_dataset("digits", validation_size=0.3, n_train=130, seed=0)
    right = model.predict(data.test.x.astype("float32"), verbose=0).argmax(axis=1) == data.test.y
    assert by_name[best].final_test_accuracy == pytest.approx(right.mean(), abs=1e-6)
    # Everything is there: the second call starts no process and gives the same.
    before = {p: p.stat().st_mtime_ns for p in Path(fields["output"]).glob("records/*")}
    again = ed.select(**fields)
    assert before == {p: p.stat().st_mtime_ns for p in Path(fields["output"]).glob("records/*")}
    assert again.to_frame().equals(found.to_frame())
    # The stage before is no step back, the one behind goes on from the early epochs.
    fields["stage"] = "full"
    full = ed.select(**fields)
    assert [r.status for r in full.records] == ["completed", "completed"]
    for record in full.records:
        assert numbers(record)[:2] == numbers(by_name[record.model])[:2]


@pytest.mark.slow
def test_finish_with_an_ordinary_head(fields):
    import keras

    fields["stage"], fields["finish"] = "finish", {"probe": "remove"}
    found = ed.select(**fields)
    (record,) = found.records
    assert [e.beta_status for e in record.epochs] == ["ok", "ok", "ok", "no_probe"]
    assert isnan(record.epochs[-1].beta_eff) and record.settings["finish_probe"] == "remove"
    names = [layer.name for layer in keras.models.load_model(found.best_model).layers]
    assert names[-1] == "head" and not any(name.startswith("probe") for name in names)
    fields["finish"] = {"probe": "keep"}
    with pytest.raises(ValueError, match='finish_probe: "remove" there, "keep" now'):
        ed.select(**fields)
    fields["finish"] = {"probe": "remove"}
    fields["training"]["early_epochs"] = 4  # but the head is there since the third
    with pytest.raises(ValueError, match="early_epochs: 3 there, 4 now"):
        ed.select(**fields)


@pytest.mark.slow
def test_a_race_gives_the_last_a_head_after_the_last_rung(fields):
    import keras

    fields["candidates"] = [candidate("good"), candidate("good", "wider", units=16)]
    fields["stage"], fields["race"] = "race", {"rungs": [1, 2], "budget": 6}
    found = ed.select(**fields)  # 2 to epoch 1, 1 to 2 and to 4; both to 2 if nearly equal
    by_name = {r.model: r for r in found.records}
    best = by_name[found.chosen[0]]
    assert best.status == "completed" and best.settings["early_epochs"] == 2
    assert [e.beta_status for e in best.epochs] == ["ok", "ok", "no_probe", "no_probe"]
    assert keras.models.load_model(found.best_model).layers[-1].name == "head"
    (other,) = (r for r in found.records if r.model != best.model)
    assert other.status == "early" and len(other.epochs) <= 2
    with pytest.raises(ValueError, match="early_epochs: 2 there, 1 now"):
        ed.select(**{**fields, "race": {"rungs": [1]}})


@pytest.mark.slow
def test_a_practitioner_s_settings_and_a_finish_that_ends_when_nothing_gets_better(fields):
    fields["training"] |= {
        "epochs": 30, "learning_rate": 1e-9, "schedule": "cosine", "weight_decay": 1e-4,
        "class_weights": "balanced", "augmentation": ["flip", "contrast"],
        "precision": "mixed_bfloat16",
    }  # fmt: skip
    fields["stage"], fields["finish"] = "finish", {"patience": 2}
    found = ed.select(**fields)
    (record,) = found.records
    assert record.status == "completed" and len(record.epochs) == 3 + 1 + 2  # nothing is learnt
    assert isfinite(record.final_test_accuracy) and found.best_model.is_file()
    assert record.settings["patience"] == 2
    kept = record.settings["training"]
    assert kept["augmentation"] == ["flip", "contrast"] and kept["schedule"] == "cosine"
    assert all(e.beta_status == "ok" for e in record.epochs[:3])
    before = found.best_model.stat().st_mtime_ns
    assert numbers(ed.select(**fields).records[0]) == numbers(record)
    assert found.best_model.stat().st_mtime_ns >= before
    with pytest.raises(ValueError, match="patience: 2 there, 3 now"):
        ed.select(**{**fields, "finish": {"patience": 3}})
    # Where all is lost between the last epoch and the test, no epoch more is trained.
    fields["output"] += "-lost"
    models = Path(fields["output"], "models")
    models.parent.mkdir()
    models.write_text("no folder, so that nothing can be saved")
    (lost,) = ed.select(**fields).records
    assert lost.status == "failed" and len(lost.epochs) == 6
    models.unlink()
    assert numbers(ed.select(**fields).records[0]) == numbers(record)


@pytest.mark.slow
def test_bad_candidates_fail_with_their_reason_and_the_others_go_on(fields):
    names = ("raises", "good", "diverges", "too_large", "killed")
    fields["candidates"] = [candidate(name) for name in names]
    fields["engine"] = {"workers": 2, "retries": 1}
    found = ed.select(**fields)
    status = {r.model: (r.status, r.reason) for r in found.records}
    assert status["good"] == ("completed", "")
    assert status["raises"] == ("failed", "RuntimeError: no such layer [bold]here[/bold]")
    assert status["diverges"] == ("diverged", "the loss was not finite in epoch 1")
    assert status["too_large"][0] == "failed"
    assert status["too_large"][1].startswith("ran out of memory: Unable to allocate")
    assert status["killed"][1] == (
        "its process was killed by SIGKILL, perhaps for want of memory (in epoch 1, 2 times "
        "without getting further)"
    )
    ranked = {row.model for row in found.ranking.rows if isfinite(row.rank)}
    assert ranked == {"good"}
    assert len(found.failed) == 4 and "no such layer" in str(found)
    for record in found.records:
        made_by = record.provenance["environment"]
        assert made_by["command"] == command() and made_by["edgedyn"] == ed.__version__
    frame = found.records.to_frame()
    assert set(frame.model) == set(names) and len(frame[frame.model == "good"]) == 4
    # Failed ones are tried again, finished and diverged ones are not.
    good = Path(fields["output"], "records", "good-n130-s0.json")
    raises = Path(fields["output"], "records", "raises-n130-s0.json")
    before = good.stat().st_mtime_ns, raises.stat().st_mtime_ns
    fields["candidates"] = [candidate(name) for name in ("raises", "good", "diverges")]
    ed.select(**fields)
    assert good.stat().st_mtime_ns == before[0] and raises.stat().st_mtime_ns > before[1]


@pytest.mark.slow
def test_a_study_of_failures_says_so(fields):
    fields["candidates"] = [candidate("raises")]
    found = ed.select(**fields)
    assert found.ranking is None and found.best_model is None and found.to_frame().empty


@pytest.mark.slow
def test_a_record_cut_in_half_is_set_aside_and_made_again(fields, whole):
    path = Path(fields["output"], "records", "good-n130-s0.json")
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="good-n130-s0.json' cannot be read"):
        ed.load_records(fields["output"])
    again = ed.select(**fields)
    assert numbers(again.records[0]) == numbers(whole)
    (aside,) = Path(fields["output"], "set-aside").iterdir()
    assert aside.read_text() == text[: len(text) // 2]
    assert numbers(ed.load_records(fields["output"])[0]) == numbers(whole)


@pytest.mark.slow
def test_a_journal_cut_in_a_line_and_a_lost_backup_cost_time_only(fields, whole):
    """Without record, model and backups, and with half a line, the trial starts over."""
    folder = Path(fields["output"])
    (folder / "records" / "good-n130-s0.json").unlink()
    (folder / "models" / "good-n130-s0.keras").unlink()
    lines = folder / "trials" / "good-n130-s0" / "epochs.jsonl"
    lines.write_bytes(lines.read_bytes()[:-40])
    assert numbers(ed.select(**fields).records[0]) == numbers(whole)


@pytest.mark.slow
def test_a_journal_that_lost_epochs_of_which_there_is_a_backup(fields, whole):
    """What cannot be told of is trained again."""
    fields["output"] += "-early"
    fields["stage"] = "early"
    ed.select(**fields)
    folder = Path(fields["output"])
    trial = folder / "trials" / "good-n130-s0"
    assert (trial / "checkpoint" / "epoch-0003").is_dir()
    (folder / "records" / "good-n130-s0.json").unlink()
    lines = (trial / "epochs.jsonl").read_text().splitlines(keepends=True)
    (trial / "epochs.jsonl").write_text(lines[0])
    fields["stage"] = "full"
    assert numbers(ed.select(**fields).records[0]) == numbers(whole)


@pytest.mark.slow
def test_damaged_backups_are_not_used_and_the_record_says_so(fields, whole):
    """The newest is cut, then the one before, too; a stray copy is no backup."""
    fields["output"] += "-early"
    ed.select(**{**fields, "stage": "early"})
    trial = Path(fields["output"], "trials", "good-n130-s0")
    shutil.copytree(trial / "checkpoint" / "epoch-0003", trial / "checkpoint" / "epoch-0003 (copy)")
    shutil.copytree(fields["output"], fields["output"] + "-worse")
    kept = [p.name for p in (trial / "checkpoint").glob("epoch-????")]
    older, newest = sorted(int(name.removeprefix("epoch-")) for name in kept)
    assert older < newest == 3
    notes = {}
    for folder, cut in (("", (newest,)), ("-worse", (older, newest))):
        for epoch in cut:
            backup = f"trials/good-n130-s0/checkpoint/epoch-{epoch:04d}"
            (Path(fields["output"] + folder) / backup / "latest.weights.h5").unlink()
        record = ed.select(**{**fields, "output": fields["output"] + folder}).records[0]
        assert numbers(record) == numbers(whole)
        notes[folder] = record.provenance["notes"]
    said = "the backup of epoch {} was not used: its latest.weights.h5 is missing; went on from {}"
    assert notes[""] == [said.format(newest, f"epoch {older}")]
    assert notes["-worse"] == [said.format(k, "epoch 0") for k in (older, newest)]


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended(fields):
    fields["candidates"] = [candidate("good"), candidate("slow", seconds=100)]
    found = ed.select(**fields, engine={"timeout": 20, "retries": 0, "workers": 2})
    by_name = {r.model: r for r in found.records}
    assert by_name["good"].status == "completed" and by_name["slow"].status == "failed"
    assert "no epoch ended within 20 seconds (engine.timeout)" in by_name["slow"].reason


@pytest.mark.slow
def test_a_candidate_s_file_that_changes_is_refused(fields, tmp_path, monkeypatch):
    """Between the study's beginning and the moment when it is loaded."""
    import study_models

    path = tmp_path / "own.keras"
    study_models.good().save(path)
    fields["candidates"] = [{"name": "own", "file": str(path)}]
    original = selection._checked

    def changed_meanwhile(*given, **more):
        study_models.good(units=9).save(path)
        return original(*given, **more)

    monkeypatch.setattr(selection, "_checked", changed_meanwhile)
    (record,) = ed.select(**fields).records
    assert record.status == "failed"
    assert "own.keras has changed since the study began" in record.reason


@pytest.mark.slow
def test_damaged_images_are_all_named_before_any_trial(fields, tmp_path):
    from PIL import Image

    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(20):
            pixels = np.random.default_rng([k, ord(name)]).integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{k:02d}.jpg")
    bad = [tmp_path / "images" / "a" / "03.jpg", tmp_path / "images" / "b" / "07.jpg"]
    whole = [path.read_bytes() for path in bad]
    for path, text in zip(bad, whole, strict=True):
        path.write_bytes(text[: len(text) // 2])
    fields["data"] = {"spec": f"folder:{tmp_path / 'images'}", "image_size": 8}
    with pytest.raises(ValueError, match=r"03\.jpg, .*07\.jpg could not be read as images"):
        ed.select(**fields)
    assert not list(Path(fields["output"]).glob("trials/*"))
    for path, text in zip(bad, whole, strict=True):
        path.write_bytes(text)
    fields["stage"] = "early"
    (record,) = ed.select(**fields).records  # repaired, it goes on
    assert record.status == "early" and record.data == "folder:images"
    text = Path(fields["output"], "records", "good-s0.json").read_text()
    assert str(tmp_path) not in text
    # As large as before, and other contents.
    bad[0].write_bytes(whole[0][:-40] + bytes(38) + whole[0][-2:])
    fields["stage"] = "full"
    with pytest.raises(ValueError, match="the data have changed since trial"):
        ed.select(**fields)


@pytest.mark.slow
def test_a_full_study_is_done_with_its_records(fields, whole, monkeypatch):
    """Without the models nothing is run again, and there is no best one to give."""
    assert whole.provenance["environment"]["command"] == command()  # ours, not that of its process
    folder = Path(fields["output"])
    assert (folder / "best.keras").is_file()
    shutil.rmtree(folder / "models")
    with monkeypatch.context() as patch:
        for name in ("run_jobs", "run_fresh"):
            patch.setattr(selection, name, lambda *given, **more: pytest.fail("something is run"))
        again = ed.select(**fields)
    assert again.best_model is None and again.to_dict()["best_model"] is None
    assert repr(again.records[0]) == repr(ed.load_records(folder)[0])
    assert numbers(again.records[0]) == numbers(whole) and not (folder / "models").exists()
    # To finish is to have the model: it is trained again, to the same numbers.
    found = ed.select(**{**fields, "stage": "finish", "finish": {"probe": "keep"}})
    assert found.best_model is not None and found.best_model.is_file()
    assert numbers(found.records[0]) == numbers(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ["capacitance", "logme"]}, "methods: no logme there"),
        ({"training": {"learning_rate": 0.1}}, "training.learning_rate: 0.001 there, 0.1 now"),
        ({"training": {"epochs": 3}}, "training.epochs: 4 there, 3 now"),
        ({"probe": {"units": [8, 7]}}, r"probe.units: \[8, 6\] there, \[8, 7\] now"),
        ({"candidates": [candidate("slow", "good")]}, "candidate.factory: .*study_models:good"),
    ],
)
def test_a_changed_study_is_refused_with_the_difference(fields, whole, change, words):
    for name, value in change.items():
        fields[name] = {**fields[name], **value} if isinstance(value, dict) else value
    with pytest.raises(ValueError, match=words):
        ed.select(**fields)


@pytest.mark.slow
def test_changed_data_are_refused(fields, tmp_path):
    """The study file is the same, the images are not."""
    images = tmp_path / "images.npz"
    rng = np.random.default_rng(0)

    def write():
        x = rng.integers(0, 255, (80, 8, 8, 3), dtype=np.uint8)
        np.savez(images, x=x, y=np.arange(80) % 2)

    write()
    fields["data"] = {"spec": "npz:images.npz"}  # relative paths start at the study file
    fields["stage"] = "early"
    path = tmp_path / "study.toml"
    path.write_text("")
    assert ed.select(path, **fields).records[0].status == "early"
    write()
    fields["stage"] = "full"
    with pytest.raises(ValueError, match="the data have changed since trial 'good-s0' was run"):
        ed.select(path, **fields)
    (tmp_path / "study" / "records" / "good-s0.json").unlink()  # as one that was interrupted
    record = ed.select(path, **fields).records[0]
    assert record.status == "failed" and "the data have changed" in record.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "digits3"}, "the study cannot be run: ValueError: data must be"),
        ({"data": {"spec": "npz:/absent.npz"}}, "the study cannot be run: .*absent.npz"),
        ({"data": {"spec": "digits", "n_train": [7]}}, "n_train must be in 10"),
        ({"candidates": [candidate("absent")]}, "has no function 'absent'"),
        ({"candidates": [{"factory": "absent:f"}]}, "'absent:f' cannot be imported"),
        (
            {"candidates": [{"factory": "sklearn.datasets._california_housing:remove"}]},
            "california_housing:remove' is no function of yours: posix belongs to Python",
        ),
        (
            {"candidates": [{"factory": "__main__:main"}]},
            "'__main__:main' is no function of yours",
        ),
        ({"candidates": [{"factory": "..:f"}]}, "'..:f' cannot be imported"),
        (
            {"candidates": [{"factory": "os:system", "options": {"command": "false"}}]},
            "'os:system' is no function of yours: os belongs to Python",
        ),
        ({"capacitance": {"measures": "study_models:absent"}}, "has no function 'absent'"),
        ({"candidates": ["MobileNot"]}, "there is no backbone 'MobileNot'; did you mean"),
        ({"training": {"optimizer": {"name": "sgd", "momentun": 1}}}, "momentun"),
        ({"probe": {"initializer": "he_norm"}}, "the study cannot be run: .*he_norm"),
    ],
)
def test_bad_input_is_found_before_any_trial(fields, change, words, monkeypatch):
    # In this process, which has TensorFlow; that it is found in one of its own, too, is tested
    # with the rehearsal.
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(selection, "run_fresh", worker.run)
    with pytest.raises(ValueError, match=words):
        ed.select(**{**fields, **change})
    assert not list(Path(fields["output"]).glob("trials/*"))


@pytest.mark.slow
def test_candidates_that_take_grey_images_or_cannot_be_read(fields):
    fields["candidates"] = [
        candidate("grey"),
        candidate("subclassed"),
        {**candidate("grey"), "name": "four", "options": {"channels": 4}},
    ]
    found = {r.model: r for r in ed.select(**fields).records}
    assert found["grey"].status in ("early", "completed")
    assert "call() of its own has no layers to read" in found["subclassed"].reason
    assert "takes images of 4 channels; 1 and 3 are known" in found["four"].reason


@pytest.mark.slow
def test_scores_seeds_sizes_and_any_executor(fields):
    """Training-free scores beside the curves; two seeds, two sizes, a pool of one's own."""
    from edgedyn import nn
    from edgedyn.nn.scores.transferability import MEASURES

    assert {*MEASURES, *PROXIES} == {m.name for m in METHODS.values() if m.kind == "score"}
    fields.update(
        data={"spec": "digits", "n_train": [60, 130]},
        candidates=[candidate("classifier"), candidate("good")],
        methods=["pooled", "logme", "leep", "synflow", "te_nas_condition"],
        stage="early",
    )
    fields["training"]["seeds"] = [1, 2]
    fields["capacitance"] = {"measures": "study_models:measured", "n_samples": 50}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = ed.select(**fields, executor=pool, engine={"workers": 2})
    assert list(found.rankings) == [60, 130] and len(found.records) == 8
    by_key = {(r.model, r.seed, r.n_train): r for r in found.records}
    record = by_key["classifier", 2, 130]
    assert set(record.scores) == {"logme", "leep", "synflow", "te_nas_condition"}
    assert isfinite(record.scores["leep"]) and isnan(by_key["good", 2, 130].scores["leep"])
    assert [e.measures["seen"] for e in record.epochs] == [50.0] * 3
    assert record.scores["te_nas_condition"] < 0  # the other way round, so that higher is better
    data = nn.load_dataset("digits", validation_size=0.3, n_train=130, seed=2)
    assert record.provenance["data_fingerprint"] == data.fingerprint
    assert found.ranking is found.rankings[130]
    frame = found.to_frame()
    assert set(frame.n_train) == {60, 130} and set(frame.method) == set(fields["methods"])
    json.dumps(found.to_dict())


@pytest.mark.slow
def test_a_rehearsal_estimates_and_touches_nothing(fields):
    fields["candidates"] = [candidate("good"), candidate("raises")]
    fields["training"]["seeds"] = [0, 1]
    fields["stage"] = "finish"
    rows = rehearse(**fields)
    start, epoch = rows[0]["start_seconds"], rows[0]["epoch_seconds"]
    assert rows[0]["trials"] == 2 and rows[0]["epochs"] == 3
    assert start > 0 and epoch > 0 and rows[0]["memory_mib"] > 100
    assert rows[0]["seconds"] == pytest.approx(2 * (start + 3 * epoch))
    assert rows[0]["finish_seconds"] == pytest.approx(2 * (start + epoch))
    assert rows[0]["missing"] == [] and rows[0]["flops"] > 0
    assert rows[0]["gpu_seconds"] > 2 * start and rows[0]["gpu_finish_seconds"] > 2 * start
    assert rows[1] == {"model": "raises", "reason": "RuntimeError: no such layer [bold]here[/bold]"}
    with pytest.raises(ValueError, match="the study cannot be run: .*has no function 'absent'"):
        rehearse(**{**fields, "candidates": [candidate("absent")]})
    assert not Path(fields["output"]).exists()


def test_the_check_before_the_trials_is_tried_again_when_it_is_killed(fields, monkeypatch):
    tries = []

    def killed(job):
        tries.append(job.task)
        return {"kind": "killed", "reason": "its process was killed by SIGKILL"}

    monkeypatch.setattr(selection, "run_fresh", killed)
    with pytest.raises(ValueError, match="cannot be run: its process was killed by SIGKILL"):
        ed.select(**fields, engine={"retries": 3})
    assert tries == ["check"] * 4


@pytest.mark.slow
def test_data_that_change_while_they_are_trained_on_or_afterwards(fields, tmp_path):
    from PIL import Image

    def drawn(folder, seed):
        for k in range(20):
            pixels = np.random.default_rng([k, seed]).integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:02d}.bmp")

    for seed, name in enumerate("ab"):
        (tmp_path / "images" / name).mkdir(parents=True)
        drawn(tmp_path / "images" / name, seed)
    fields["data"] = {"spec": f"folder:{tmp_path / 'images'}", "image_size": 8}
    fields["stage"] = "early"
    assert ed.select(**fields).records[0].status == "early"
    drawn(tmp_path / "images" / "a", 7)  # of the same size
    with pytest.raises(ValueError, match="the data have changed since trial 'good-s0' was run"):
        ed.select(**fields)
    shutil.rmtree(tmp_path / "images")
    assert ed.select(**fields).records[0].status == "early"  # there are none to look at


def test_data_that_changed_fail_the_trial(monkeypatch):
    from types import SimpleNamespace

    from edgedyn.nn.training import trial

    setup = SimpleNamespace(data=None, provenance={"source_fingerprint": "sha256:a"})
    monkeypatch.setattr(trial, "source", lambda data, job: "sha256:a")
    trial.check_unchanged(setup, None)
    monkeypatch.setattr(trial, "source", lambda data, job: "sha256:b")
    with pytest.raises(ValueError, match="were changed while this trial was trained"):
        trial.check_unchanged(setup, None)


def test_of_a_pipeline_s_traceback_the_reason_is_told():
    from edgedyn.studies.worker import _reason

    text = """Graph execution error:

Detected at node PyFunc defined at (most recent call last):
ValueError: b/i05.png could not be read as an image, it may be cut short; repair or remove it.
Traceback (most recent call last):

  File "script_ops.py", line 269, in __call__
    return func(device, token, args)
"""
    assert _reason(RuntimeError(text)) == next(x for x in text.splitlines() if "b/i05" in x)
