"""Records and journals on disk: what is written is read back, what is broken is set aside."""

import json
import shutil
from dataclasses import replace
from math import inf, isnan, nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn._bits import pack_bits, unpack_bits
from edgedyn._environment import published
from edgedyn._files import json_ready, sealed, unsealed
from edgedyn._job import Job
from edgedyn.studies import EpochRecord, RecordTable, TrialRecord, pack_records
from edgedyn.studies.journal import Journal, ended, record_of
from edgedyn.studies.record import LATER
from edgedyn.studies.store import Store
from edgedyn.studies.study import read_study

finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = finite | st.just(nan)
words = st.text(max_size=20)
tables = st.dictionaries(words, numbers, max_size=3)


@st.composite
def records(draw):
    names = draw(st.lists(words, max_size=3, unique=True))
    epochs = [
        EpochRecord(
            k,
            draw(numbers),
            *draw(st.tuples(*[st.floats(0, 1) | st.just(nan)] * 2)),
            draw(numbers),
            draw(words),
            *draw(st.tuples(numbers, numbers)),
            {name: draw(numbers) for name in names},
            pack_bits(draw(st.lists(st.booleans(), max_size=9))),
        )
        for k in range(1, draw(st.integers(0, 4)) + 1)
    ]
    return TrialRecord(
        model=draw(st.text(min_size=1, max_size=20)),
        data=draw(words.filter(lambda text: published(text) == text)),  # paths lose folders
        seed=draw(st.integers(0, 9)),
        settings={"a": {"b": [1, 2.5, None, "x"]}},
        epochs=tuple(epochs),
        status=draw(st.sampled_from(["completed", "early", "diverged", "failed"])),
        train_seconds=abs(draw(numbers)),
        beta_seconds=abs(draw(finite)),
        scores=draw(tables),
        n_train=draw(st.none() | st.integers(1, 9)),
        reason=draw(words),
    )


@settings(max_examples=60, deadline=None)
@given(records())
def test_records_come_back_as_they_were(tmp_path_factory, record):
    store = Store(tmp_path_factory.mktemp("store"))
    store.write("key", record)
    (again,) = ed.load_records(store.folder)
    assert repr(again) == repr(record)  # NaN is not equal to itself, its repr is
    assert repr(TrialRecord.from_dict(json.loads(json.dumps(record.to_dict())))) == repr(record)
    text = (store.folder / "records" / "key.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def made(model="vgg", epochs=3, status="early", **fields):
    lines = tuple(EpochRecord(k + 1, 1.0, 0.5, nan, 0.1, "ok") for k in range(epochs))
    settings = fields.pop("settings", {})
    return TrialRecord(model, "digits", 0, settings, lines, status, 1.0, 0.1, **fields)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"schema": 5', '"schema": 2'),
        lambda text: text.replace('"status": "early"', '"status": "well"'),
        lambda text: text.replace('"seed"', '"sead"'),
        lambda text: text.replace('"epoch": [1, 2, 3]', '"epoch": [1, 2]'),
        lambda text: text.replace('"beta_eff"', '"beta"'),
        lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5, 5.0, 0.5]"),
        lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5, true, 0.5]"),
        lambda text: text.replace("[0.5, 0.5, 0.5]", '[0.5, "0.5", 0.5]'),
        lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5, [0.5], 0.5]"),
        lambda text: text.replace('"epoch": [1, 2, 3]', '"epoch": [1, 3, 2]'),
        lambda text: text.replace('["ok", "ok", "ok"]', '["ok", null, "ok"]'),
        lambda text: text.replace('"seed": 0', '"seed": "0"'),
        lambda text: text.replace('"scores": {}', '"scores": {"logme": "high"}'),
        lambda text: text.replace('"provenance": {}', '"provenance": null'),
        lambda text: text.replace('"provenance": {}', '"provenance": []'),
        lambda text: text.replace('"provenance": {}', '"provenance": {"data": [1]}'),
        lambda text: text.replace('"settings": {}', f'"settings": {"[" * 9999}{"]" * 9999}'),
    ],
)
@pytest.mark.parametrize("seal", [True, False])
def test_broken_records_are_set_aside_and_named(tmp_path, break_it, seal):
    store = Store(tmp_path)
    store.write("one", made())
    store.write("two", made("resnet"))
    path = tmp_path / "records" / "one.json"
    text = unsealed(path.read_bytes()).decode()
    broken = break_it(text)
    assert broken != text
    path.write_text(sealed(broken) if "{" in broken and seal else broken)
    with pytest.raises(ValueError, match=r"one\.json' cannot be read"):
        ed.load_records(tmp_path)
    assert list(store.read(["one", "two", "three"])) == ["two"]
    assert not path.exists() and len(list((tmp_path / "set-aside").iterdir())) == 1
    assert [r.model for r in ed.load_records(tmp_path)] == ["resnet"]


def test_a_copy_is_no_second_seed(tmp_path):
    study = read_study({"data": "digits", "candidates": ["VGG16"], "training": {"seeds": [0, 1]}})
    store, (first, second) = Store(tmp_path), study.trials
    store.write(first.key, made(model="VGG16"))
    store.write(second.key, made(model="VGG16"))
    with pytest.raises(ValueError, match=r"'VGG16-s1' is of another run \(VGG16, seed 0\)"):
        ed.load_records(tmp_path)
    store.write("copied", made(model="VGG16"))
    (tmp_path / "records" / f"{second.key}.json").unlink()
    with pytest.raises(ValueError, match=r"are of the same run \(VGG16, seed 0\); remove one"):
        ed.load_records(tmp_path)
    store.write(second.key, made(model="VGG16"))
    assert list(store.of_trials(study.trials)) == [first.key]
    assert [p.name[: len(second.key)] for p in (tmp_path / "set-aside").iterdir()] == [second.key]
    store.write(second.key, replace(made(model="ResNet50"), seed=1))  # another model's
    assert list(store.of_trials(study.trials)) == [first.key]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        records(),
        min_size=1,
        max_size=4,
        unique_by=lambda one: (one.model, one.data, one.n_train, one.seed),
    )
)
def test_packed_records_are_read_as_the_folder_is(tmp_path_factory, some):
    store = Store(tmp_path_factory.mktemp("store"))
    for k, record in enumerate(some):
        store.write(f"r{k}", record)
    before = list(ed.load_records(store.folder))
    packed = pack_records(store.folder)
    assert not (store.folder / "records").exists()
    for place in (store.folder, packed):
        assert repr(list(ed.load_records(place))) == repr(before)
    assert repr(store.read(["r0", "absent"])) == repr({"r0": before[0]})


def test_a_record_of_its_own_comes_before_the_packed_one(tmp_path):
    store = Store(tmp_path)
    store.write("one", made())
    store.write("two", made("resnet"))
    pack_records(tmp_path)
    store.write("two", made("resnet", 5))
    store.write("three", made("vgg19"))
    assert [len(r.epochs) for r in ed.load_records(tmp_path)] == [3, 3, 5]
    assert len(store.read(["two"])["two"].epochs) == 5
    pack_records(tmp_path)
    assert [r.model for r in ed.load_records(tmp_path)] == ["vgg", "vgg19", "resnet"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-30], "line 2 of"),
        (lambda text: text.replace('"key":"two"', '"kez":"two"'), "line 2 of"),
        (lambda text: text.replace('"beta_eff"', '"beta"'), "line 1 of .* has changed since"),
        (
            lambda text: "\n".join(
                sealed(unsealed(line.encode()).decode().replace('"beta_eff"', '"beta"'))
                for line in text.splitlines()
            ),
            "record 'one' of",
        ),
        (
            lambda text: "\n".join(unsealed(line.encode()).decode() for line in text.splitlines()),
            "line 1 of .* has no digest",
        ),
        (lambda text: "", "there are no records"),
    ],
)
def test_a_damaged_packed_file_is_named(tmp_path, change, words):
    store = Store(tmp_path)
    store.write("one", made())
    store.write("two", made("resnet"))
    path = pack_records(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=words):
        ed.load_records(tmp_path)


def test_older_records_say_which_probe_they_had(tmp_path):
    for batch_norm, word in ((True, "identity"), (False, "none")):
        record = made(settings={"probe": {"units": [256, 128], "batch_norm": batch_norm}})
        old = {**record.to_dict(), "schema": 3}
        for epoch in old["epochs"]:
            del epoch["val_correct"]
        probe = TrialRecord.from_dict(old).settings["probe"]
        assert probe == {"units": [256, 128], "batch_norm": word, "momentum": 0.99}
    with pytest.raises(ValueError, match="this edgedyn reads 3, 4, 5"):
        TrialRecord.from_dict({**made().to_dict(), "schema": 2})


def test_older_records_had_the_defaults_of_fields_that_came_later(tmp_path):
    study = read_study({"data": "digits", "candidates": ["VGG16"]})
    settings = json_ready(study.settings(study.trials[0]))
    for name in LATER:
        assert settings["training"].pop(name) == json_ready(getattr(study.training, name))
    record = made(model="VGG16", settings=settings)
    records = {study.trials[0].key: replace(record, epochs=record.epochs[:1])}
    Store(tmp_path).check(study, records)
    other = read_study({**study.to_dict(), "training": {"schedule": "cosine"}})
    with pytest.raises(ValueError, match='training.schedule: "constant" there, "cosine" now'):
        Store(tmp_path).check(other, records)


def test_a_finish_without_progress_is_complete(tmp_path):
    journal, job = Journal(tmp_path), replace(JOB, target=9, last=9, early=1, patience=2)
    for n, accuracy in enumerate((0.9, 0.4, 0.6, 0.5, 0.6), start=1):
        status = record_of(journal, job, "").status
        assert status == "early" and not ended(journal, job)
        journal.append({**LINE, "epoch": n, "val_accuracy": accuracy})
    assert ended(journal, job) and record_of(journal, job, "").status == "completed"
    assert not ended(journal, replace(job, target=1))  # the finish has not begun
    assert not ended(journal, replace(job, patience=3))


@given(st.lists(st.booleans(), max_size=40))
def test_bits_come_back(bits):
    assert unpack_bits(pack_bits(bits)).tolist() == bits


@pytest.mark.parametrize("text", ["", "3", "x:oA==", "3:oA", "9:oA==", "-1:oA==", "3:\u00e4"])
def test_what_is_no_list_of_bits(text):
    with pytest.raises(ValueError, match="is no list of"):
        unpack_bits(text)


def test_no_records(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match="there are no records in"):
            ed.load_records(folder)


def test_a_table_of_records():
    table = RecordTable([made(), made("bad", 0, "failed", reason="no memory")])
    assert len(table) == 2 and table[-1].reason == "no memory"
    frame = table.to_frame()
    assert len(frame) == 4 and frame.reason.tolist() == ["", "", "", "no memory"]
    assert isnan(frame.epoch.iloc[-1])


def test_two_cannot_hold_a_folder(tmp_path):
    first, second = Store(tmp_path / "s"), Store(tmp_path / "s")
    with first.locked():
        with pytest.raises(ValueError, match="another run is at work on"), second.locked():
            pass
    with second.locked():
        pass


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write to the output folder"):
        with Store(tmp_path / "file" / "s").locked():
            pass


LINE = {
    "epoch": 1,
    "train_loss": 1.0,
    "val_accuracy": 0.5,
    "beta_eff": 0.1,
    "beta_status": "ok",
    "train_seconds": 1.0,
    "beta_seconds": 0.1,
    "measures": {"val_loss": inf},
    "diverged": False,
}
JOB = Job("vgg", "digits", 0, None, last=2, command="edgedyn select study.toml")


def test_half_a_line_counts_for_nothing(tmp_path):
    journal = Journal(tmp_path)
    for k in (1, 2, 3):
        journal.append({**LINE, "epoch": k})
    path = tmp_path / "epochs.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        n = len(Journal(tmp_path).epochs)
        assert n == whole[:cut].count(b"\n")
    path.write_bytes(whole[:-10])
    again = Journal(tmp_path)
    again.cut(2)
    again.append({**LINE, "epoch": 3})
    assert [line["epoch"] for line in Journal(tmp_path).epochs] == [1, 2, 3]


def test_a_record_of_a_journal(tmp_path):
    journal = Journal(tmp_path)
    journal.append(LINE)
    assert record_of(journal, JOB, "").status == "early"
    journal.append({**LINE, "epoch": 2, "beta_eff": nan, "beta_status": "gauge_degenerate"})
    journal.append({"test": {"after": 2, "accuracy": 0.75}})
    journal.append({"scores": {"logme": nan}})
    for n in (300.0, 200.0):
        journal.append({"peak_memory_mib": n})
    record = record_of(Journal(tmp_path), JOB, "")
    assert record.status == "completed" and record.final_test_accuracy == 0.75
    assert isnan(record.epochs[0].test_accuracy) and isnan(record.epochs[1].beta_eff)
    assert isnan(record.epochs[0].measures["val_loss"])  # infinity is no JSON
    assert record.train_seconds == 2.0 and isnan(record.scores["logme"])
    assert record.provenance["peak_memory_mib"] == 300.0
    # A trial that ended before it knew its data tells at least where and by what it was run.
    made_by = record.provenance["environment"]
    assert made_by["command"] == JOB.command and made_by["edgedyn"] == ed.__version__


def test_a_journal_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").write_text("")
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / "epochs.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="behind a link; a journal must be a file"):
        Journal(folder)
    (folder / "epochs.jsonl").unlink()
    Journal(folder)
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(ValueError, match="behind a link; a journal must be a file"):
        Journal(tmp_path / "linked")


def test_an_early_stage_does_not_care_how_others_were_finished(tmp_path):
    fields = {"data": "digits", "candidates": ["VGG16"], "training": {"epochs": 9}}
    study = read_study(fields)
    settings = json_ready(study.settings(study.trials[0]))
    record = made(model="VGG16", epochs=9, settings={**settings, "finish_probe": "remove",
                  "early_epochs": 5, "patience": 3})  # fmt: skip
    Store(tmp_path).check(read_study({**fields, "stage": "early"}), {study.trials[0].key: record})
    with pytest.raises(ValueError, match="finish_probe"):
        Store(tmp_path).check(
            read_study({**fields, "stage": "full"}), {study.trials[0].key: record}
        )


def test_no_folder_of_an_absolute_path_is_published(tmp_path):
    study = read_study({"data": "folder:/home/ann/photos", "candidates": ["VGG16"]})
    settings = json_ready(study.settings(study.trials[0]))
    old = made(model="VGG16", settings=settings)  # as they were written before
    store = Store(tmp_path)
    store.write("one", replace(old, data="folder:/home/ann/photos"))
    (again,) = ed.load_records(tmp_path)
    assert again.data == again.settings["data"]["spec"] == "folder:photos"
    store.check(study, {study.trials[0].key: again})  # and is that of the same study
    job = replace(JOB, command="edgedyn select study.toml")
    text = repr(record_of(Journal(tmp_path / "t"), job, "failed", "'/home/ann/x.png' is no image"))
    assert "ann" not in text and "'x.png' is no image" in text


def test_a_copy_of_another_trial_s_files_counts_for_nothing(tmp_path):
    journal = Journal(tmp_path / "small-n130-s1")
    epoch = {
        "train_loss": 1.0,
        "val_accuracy": 0.5,
        "beta_eff": 0.1,
        "beta_status": "ok",
        "measures": {},
    }
    journal.append({"epoch": 1, **epoch})
    journal.write_meta({"settings": {"a": 1}})
    assert len(Journal(journal.folder).epochs) == 1
    shutil.copytree(journal.folder, tmp_path / "small-n130-s0")
    other = Journal(tmp_path / "small-n130-s0")
    assert other.lines == [] and other.meta() == {}


def test_a_record_of_another_training_size_is_set_aside(tmp_path):
    study = read_study(
        {
            "data": {"spec": "digits", "n_train": [60, 130]},
            "candidates": [{"name": "small", "factory": "edgedyn.nn.models.small:mlp"}],
        }
    )
    store = Store(tmp_path)
    few, many = study.trials
    record = TrialRecord("small", "digits", 0, {}, (), "failed", 0.0, 0.0, n_train=few.n_train)
    store.write(few.key, record)
    shutil.copy(tmp_path / "records" / f"{few.key}.json", tmp_path / "records" / f"{many.key}.json")
    assert list(store.of_trials(study.trials)) == [few.key]
    assert [p.name.startswith(many.key) for p in (tmp_path / "set-aside").iterdir()] == [True]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": ""}, "names no model"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"n_train": -5}, "n_train is -5"),
        ({"train_seconds": -1.0}, "seconds are negative"),
        ({"schema": 5.0}, "has schema 5.0"),
    ],
)
def test_what_no_run_is_called_is_refused(fields, words):
    record = TrialRecord("small", "digits", 0, {}, (), "failed", 0.0, 0.0)
    with pytest.raises(ValueError, match=words):
        TrialRecord.from_dict({**record.to_dict(), **fields})


def _third_epochs(record, **changes):
    """Return an older record's text, some of its epochs' columns and its fields changed."""
    values = record.to_dict()
    epochs = values.pop("epochs")
    columns = {name: [epoch[name] for epoch in epochs] for name in EpochRecord.__struct_fields__}
    columns["measures"] = {}
    fields = {name: value for name, value in changes.items() if name not in columns}
    columns |= {name: value for name, value in changes.items() if name in columns}
    return json.dumps(json_ready({**values, "schema": 4, **fields, "epochs": columns}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"val_correct": [pack_bits([1, 0]), ""]}, "val_accuracy 0.75 contradicts its val_correct"),
        ({"beta_status": ["ok", "fine"]}, "beta_status 'fine' is none"),
        ({"beta_eff": [0.5, 1e308]}, "beyond what a network can have"),
        ({"settings": {"training": {"epochs": 3}}}, "completed with 2 of 3 epochs"),
    ],
)
def test_older_records_that_contradict_themselves_are_refused(tmp_path, changes, words):
    epochs = tuple(
        EpochRecord(k, 0.7, 0.75, 0.8, 0.4, "ok", val_correct=pack_bits([1, 1, 0, 1]))
        for k in (1, 2)
    )
    settings = {"training": {"epochs": 2}}
    record = TrialRecord("small", "digits", 0, settings, epochs, "completed", 1.0, 0.1)
    path = tmp_path / "small-s0.json"
    path.write_text(_third_epochs(record))
    assert len(ed.load_records(tmp_path)) == 1
    path.write_text(_third_epochs(record, **changes))
    with pytest.raises(ValueError, match=words):
        ed.load_records(tmp_path)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("folder:/srv/data/ann smith/pics", "folder:pics"),
        ("/srv/ann smith/c.keras", "c.keras"),
        ("'/srv/ann smith/nothing.txt' is not there", "'nothing.txt' is not there"),
        ("file:///srv/ann/x", "file:x"),
        ("[/srv/ann/x], `/srv/ann/b`, \u201c/srv/ann/x\u201d", "[x], `b`, \u201cx\u201d"),
        ("a|/srv/ann/b;/srv/ann/c", "a|b;c"),
        (r"\\server\share\ann\x", "x"),
        (r"C:\Users\Ann Smith\x.keras", "x.keras"),
        (f"{Path.home()} is full", "~ is full"),
        (f"{Path.home()}/my pics/x.keras has changed", "x.keras has changed"),
        ("1/2 of https://example.org/a/b", "1/2 of https://example.org/a/b"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_path(text, left):
    assert published(text) == left == published(left)
