"""The index of records: the records remain the truth, whatever it says."""

import copy
import hashlib
import os
import pickle
import shutil
import threading
from dataclasses import replace
from math import nan

import msgspec
import pytest
from hypothesis import given, settings
from test_store import made, records

import edgedyn as ed
from edgedyn.studies import EpochRecord, pack_records
from edgedyn.studies import index as indexing
from edgedyn.studies import record as recording
from edgedyn.studies import selection as selecting
from edgedyn.studies.record import packed, unpacked
from edgedyn.studies.store import Store

NAMES = ("vgg", "resnet", "densenet")


@pytest.fixture
def always(monkeypatch):
    """Index any number of records, however young they are."""
    monkeypatch.setattr(indexing, "FEW", 0)
    monkeypatch.setattr(indexing, "SETTLED", -(10**18))


@pytest.fixture
def store(tmp_path, always):
    """Return the store of a study that has been read once, so that it has an index."""
    found = Store(tmp_path)
    for name in NAMES:
        found.write(name, made(name))
    found.index()
    assert index_of(found).is_file()
    return found


def index_of(store):
    return store.folder / "records" / indexing.INDEX


def said(records):
    """Return all that records hold, to be compared: NaN is not equal to itself."""
    return [repr(r) for r in records]


def opened(monkeypatch):
    """Return the list of record files that are read from now on."""
    names, read = [], indexing.read_record

    def reading(path):
        names.append(os.path.basename(path))
        return read(path)

    monkeypatch.setattr(indexing, "read_record", reading)
    return names


def test_an_index_spares_the_files(store, monkeypatch):
    read = opened(monkeypatch)
    loaded = ed.load_records(store.folder)
    assert [r.model for r in loaded] == sorted(NAMES)
    assert list(store.read(NAMES)) == list(NAMES)
    assert said(ed.load_records(store.folder / "records")) == said(loaded)
    assert read == []
    index_of(store).unlink()
    assert said(ed.load_records(store.folder)) == said(loaded)
    assert sorted(read) == [f"{name}.json" for name in sorted(NAMES)]


@settings(max_examples=60, deadline=None)
@given(record=records())
def test_what_an_index_gives_is_what_the_file_gives(tmp_path_factory, record):
    store = Store(tmp_path_factory.mktemp("store"))
    store.write("key", record)
    (from_file,) = ed.load_records(store.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "FEW", 0)
        patch.setattr(indexing, "SETTLED", -(10**18))
        store.index()
    (indexed,) = ed.load_records(store.folder)
    assert "epochs" not in vars(indexed)
    assert indexed.n_epochs == len(record.epochs)
    assert repr(indexed) == repr(from_file) == repr(record)
    assert indexed.n_epochs == len(indexed.epochs)


@pytest.mark.parametrize(
    "change",
    [
        lambda path, text: path.write_text(text.replace('"vgg"', '"VGG"')),  # as long as it was
        lambda path, text: path.write_text(text[:9]),
        lambda path, text: shutil.copy(path.with_name("resnet.json"), path),
        lambda path, text: shutil.copy2(path.with_name("resnet.json"), path),  # with its times
    ],
)
def test_a_changed_record_is_read_again(store, change):
    path = store.folder / "records" / "vgg.json"
    change(path, path.read_text())
    with pytest.raises(ValueError, match=r"it has changed|Input data was|remove one of them"):
        ed.load_records(store.folder)


def test_a_file_under_another_name_is_read_again(store):
    folder = store.folder / "records"
    (folder / "resnet.json").replace(folder / "vgg.json")
    assert [r.model for r in ed.load_records(store.folder)] == ["densenet", "resnet"]


def test_times_put_back_do_not_deceive(store):
    """Size and modification time are as they were: the inode's own time is not."""
    path = store.folder / "records" / "vgg.json"
    was = path.stat()
    text = path.read_text()
    path.write_text(text.replace('"early"', '"EARLY"'))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(ValueError, match="it has changed since it was written"):
        ed.load_records(store.folder)


def test_young_files_are_not_indexed(tmp_path, monkeypatch):
    """They might change once more within one tick of the system's clock."""
    monkeypatch.setattr(indexing, "FEW", 0)
    store = Store(tmp_path)
    store.write("vgg", made())
    store.index()
    assert not index_of(store).exists()
    old = os.stat(tmp_path / "records" / "vgg.json").st_mtime_ns + indexing.SETTLED + 1
    monkeypatch.setattr(indexing.time, "time_ns", lambda: old + 10**9)
    store.index()
    assert index_of(store).is_file()


def test_few_records_need_no_index(tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "SETTLED", -(10**18))
    store = Store(tmp_path)
    store.write("vgg", made())
    store.index()
    assert os.listdir(tmp_path / "records") == ["vgg.json"]


def other_part(entries, digest=None):
    """Return a part of an index with any payload."""
    text = msgspec.msgpack.encode(entries)
    return len(text).to_bytes(8, "little") + (digest or hashlib.sha256(text).digest()) + text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(indexing.HEAD) - 1],
        lambda data: data[: len(indexing.HEAD) + 5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"x",
        lambda data: data + other_part([["vgg"]]),
        lambda data: data + other_part([], digest=bytes(32)),
        lambda data: data.replace(b"edgedyn", b"edgedyx", 1),
        lambda data: data.replace(b"schema", b"Schema", 1),
        lambda data: os.urandom(len(data)),
    ],
)
def test_a_damaged_index_is_made_anew(store, damage, monkeypatch):
    path, loaded = index_of(store), said(ed.load_records(store.folder))
    path.write_bytes(damage(path.read_bytes()))
    assert said(ed.load_records(store.folder)) == loaded
    store.write("vit", made("vit"))
    store.index()
    read = opened(monkeypatch)
    assert [r.model for r in ed.load_records(store.folder)] == sorted([*NAMES, "vit"])
    assert read == []


def test_new_records_are_appended_and_old_entries_swept_out(store):
    path = index_of(store)
    first = path.read_bytes()
    store.write("vit", made("vit"))
    store.index()
    assert path.read_bytes().startswith(first)
    for epochs in range(4, 14):  # the same record again and again
        store.write("vit", made("vit", epochs=epochs))
        store.index()
        assert path.read_bytes().count(b"digits") <= 2 * len([*NAMES, "vit"])
        (vit,) = [r for r in ed.load_records(store.folder) if r.model == "vit"]
        assert vit.n_epochs == len(vit.epochs) == epochs


def test_removed_records_are_gone(store):
    (store.folder / "records" / "vgg.json").unlink()
    assert {r.model for r in ed.load_records(store.folder)} == {"resnet", "densenet"}
    assert store.read(NAMES).keys() == {"resnet", "densenet"}


def test_a_copied_study_is_read_from_its_records(store, tmp_path_factory, monkeypatch):
    there = tmp_path_factory.mktemp("copy") / "study"
    shutil.copytree(store.folder, there)
    read = opened(monkeypatch)
    assert said(ed.load_records(there)) == said(ed.load_records(store.folder))
    assert len(read) == len(NAMES)


def test_without_room_there_is_no_index(tmp_path, always, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    store = Store(tmp_path)
    store.write("vgg", made())
    monkeypatch.setattr(indexing, "atomic", full)
    store.index()
    assert said(store.read(["vgg"]).values()) == said([made()])
    assert not index_of(store).exists()


def test_where_times_can_be_put_back_there_is_no_index(store, monkeypatch):
    monkeypatch.setattr(indexing, "TELLING", False)
    read = opened(monkeypatch)
    ed.load_records(store.folder)
    assert len(read) == len(NAMES)
    index_of(store).unlink()
    store.index()
    assert not index_of(store).exists()


def test_packing_takes_the_index_away(store):
    loaded = said(ed.load_records(store.folder))
    pack_records(store.folder)
    assert not (store.folder / "records").exists()
    assert said(ed.load_records(store.folder)) == loaded


def test_packed_epochs_are_read_when_asked_for(store):
    """Whatever is done with a record is as with one that has its epochs."""
    whole = made()

    def lazy():
        return store.read(["vgg"])["vgg"]

    assert "epochs" not in vars(lazy())
    assert lazy().n_epochs == 3
    assert repr(lazy()) == repr(whole)
    assert repr(lazy().to_dict()) == repr(whole.to_dict())
    assert replace(lazy(), epochs=()).n_epochs == 0
    assert repr(replace(lazy(), seed=4).epochs) == repr(whole.epochs)
    assert repr(pickle.loads(pickle.dumps(lazy()))) == repr(whole)
    assert repr(copy.deepcopy(lazy())) == repr(copy.copy(lazy())) == repr(whole)
    assert lazy().observed(2) == whole.observed(2)
    one = lazy()
    assert one == one
    with pytest.raises(AttributeError, match="has no 'epoch'"):
        _ = lazy().epoch
    assert not hasattr(whole, "_packed")


def test_columns_hold_any_epochs():
    some = (EpochRecord(1, nan, 0.5, nan, 0.1, "ok", measures={"val_loss": 1.5}, val_correct="x"),)
    assert repr(unpacked(packed(some))) == repr(some)
    assert unpacked(packed(())) == ()


def test_a_study_indexes_its_records_at_its_end(tmp_path, always):
    fields = {
        "data": {"spec": "digits", "n_train": [50]},
        "candidates": [{"name": "mlp", "factory": "edgedyn.nn.models.small:mlp"}],
        "training": {"epochs": 3, "early_epochs": 3},
        "stage": "early",
        "output": str(tmp_path),
    }
    first = selecting.select(**fields)
    assert (tmp_path / "records" / indexing.INDEX).is_file()
    again = selecting.select(**fields)
    assert said(again.records) == said(first.records)
    assert str(again.ranking) == str(first.ranking)


def test_threads_may_read_the_same_epochs(store, monkeypatch):
    """Whoever comes second, in the midst of the first one's reading, gets the same."""
    record = store.read(["vgg"])["vgg"]
    unpack = recording.unpacked

    def slowly(columns):
        found = unpack(columns)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recording, "unpacked", unpack)
            other.append(record.epochs)
        return found

    other = []
    monkeypatch.setattr(recording, "unpacked", slowly)
    assert record.epochs is other[0]
    assert len(record.epochs) == record.n_epochs == 3
    assert record.__getattr__("epochs") is other[0]  # asked for while there were none yet


def test_indexing_leaves_alone_what_cannot_be_read(store):
    """Else a study's end would hide records of others, and `load_records` say nothing."""
    path = store.folder / "records" / "later.json"
    path.write_text('{"schema": 99}')
    store.write("vit", made("vit"))
    store.index()
    assert path.is_file()
    with pytest.raises(ValueError, match=r"later\.json"):
        ed.load_records(store.folder)


def test_a_link_to_nowhere_is_a_record_that_cannot_be_read(store):
    path = store.folder / "records" / "gone.json"
    path.symlink_to(store.folder / "nowhere")
    store.index()
    with pytest.raises(ValueError, match=r"gone\.json' cannot be read"):
        ed.load_records(store.folder)
    assert store.read(["gone", "vgg"]).keys() == {"vgg"}
    assert not path.is_symlink()
    assert ed.load_records(store.folder)


def test_what_messagepack_cannot_hold_is_read_from_the_records(tmp_path, always):
    store = Store(tmp_path)
    store.write("vgg", replace(made(), settings={"large": 2**70}))
    store.index()
    assert not index_of(store).exists()
    assert ed.load_records(tmp_path)[0].settings == {"large": 2**70}


def test_too_deep_an_index_is_none(store):
    loaded = said(ed.load_records(store.folder))
    entry = msgspec.msgpack.encode([["vgg", [0] * 4, {"model": None}, 0, b""]])
    text = entry.replace(b"\xc0", b"\x91" * 50_000 + b"\x90")
    head = len(text).to_bytes(8, "little") + hashlib.sha256(text).digest()
    index_of(store).write_bytes(indexing.HEAD + head + text)
    assert said(ed.load_records(store.folder)) == loaded


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_is_no_index(store):
    index_of(store).unlink()
    os.mkfifo(index_of(store))
    found = []
    reader = threading.Thread(
        target=lambda: found.append(ed.load_records(store.folder)), daemon=True
    )
    reader.start()
    reader.join(30)
    assert [len(records) for records in found] == [len(NAMES)]


def test_packing_leaves_alone_what_is_no_index(store):
    index_of(store).unlink()
    index_of(store).mkdir()
    pack_records(store.folder)
    assert len(ed.load_records(store.folder)) == len(NAMES)
