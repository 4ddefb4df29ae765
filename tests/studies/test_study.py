"""Study files and fields: what is accepted, and one clear sentence for what is not."""

import tomllib

import pytest

from edgedyn.studies.study import read_study
from edgedyn.studies.study_file import example, load_study

BASE = {"data": "digits", "candidates": ["MobileNet"]}


def test_defaults_are_the_papers_protocol():
    study = read_study(BASE)
    t = study.training
    assert (t.epochs, t.early_epochs, t.batch_size, t.learning_rate) == (50, 5, 64, 1e-3)
    assert study.probe.units == (256, 128) and study.probe.frozen and study.probe.dropout == 0.4
    assert study.candidates[0].weights == "imagenet"
    # What no comparison has found a better rule than; the paper's is always shown beside it.
    assert study.methods == ("last_value", "capacitance", "pooled")
    assert (study.finish.top, study.finish.probe) == (None, "remove")


def test_the_example_is_a_study_of_six_candidates():
    study = read_study(tomllib.loads(example()))
    assert len(study.candidates) == 6 and study.data.spec == "digits"


def test_the_examples_comments_name_fields_that_exist(tmp_path):
    text = example()
    for line in text.splitlines():
        if line.startswith("# ") and "=" in line and "==" not in line and "[[" not in line:
            name = line[2:].split("=")[0].strip()
            assert name.isidentifier(), line
    # Take every hash off a default: the study must still be valid.
    tables = text[text.index("[training]") :].replace("\n# ", "\n")
    whole = text[: text.index("[training]")] + tables
    whole = whole.replace('dask = "local"', 'dask = "local" #')
    (tmp_path / "other-study").mkdir()
    study = read_study(tomllib.loads(whole), tmp_path)
    assert study.forecast.folders == (str(tmp_path / "other-study"),)
    assert study.engine.threads == 2 and study.engine.dask == "local"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": None}, "data must be a table"),
        ({"data": {"image_size": 8}}, "data.spec is missing"),
        ({"data": {"spec": 3}}, "data.spec must be text; got 3"),
        ({"data": {"spec": "digits", "validation_size": 1.5}}, "data.validation_size must be"),
        ({"data": {"spec": "digits", "n_train": 100}}, "data.n_train must be a list; got 100"),
        ({"data": {"spec": "digits", "n_train": [5, 5]}}, "data.n_train must differ; 5"),
        ({"candidates": []}, "candidates is empty"),
        ({"forecast": {"from": "here"}}, "forecast.from must be a list; got 'here'"),
        ({"forecast": {"from": ["gone"]}}, "forecast.from: there is no folder 'gone'"),
        ({"forecast": {"folders": []}}, "there is no field forecast.folders; known are from"),
        ({"candidates": "MobileNet"}, "candidates must be a list"),
        ({"candidates": ["VGG16", "VGG16"]}, "candidates' names must differ; VGG16"),
        ({"candidates": [{"name": "x"}]}, "exactly one of backbone, file, factory; got none"),
        ({"candidates": [{"backbone": "VGG16", "file": "a.keras"}]}, "got backbone and file"),
        ({"candidates": [{"factory": "models.vgg"}]}, "must be 'module:function'"),
        ({"candidates": [{"file": "absent.keras"}]}, "there is no file 'absent.keras'"),
        ({"candidates": [{"backbone": "VGG16", "weigths": "none"}]}, "did you mean 'weights'?"),
        ({"candidates": [{"backbone": "VGG16", "options": 3}]}, "options must be a table"),
        ({"traning": {}}, "there is no field traning; did you mean 'training'?"),
        ({"training": {"epoch": 5}}, "there is no field training.epoch; did you mean 'epochs'?"),
        ({"training": {"epochs": 2.5}}, "training.epochs must be an integer; got 2.5"),
        ({"training": {"epochs": 4}}, "training.early_epochs must be in 3..4"),
        ({"training": {"early_epochs": 2}}, "training.early_epochs must be in 3..50"),
        ({"training": {"learning_rate": 0}}, "training.learning_rate must be above 0"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate must be finite"),
        ({"training": {"optimizer": "adan"}}, "training.optimizer must be one of"),
        ({"training": {"optimizer": 3}}, "training.optimizer must be a name or a table"),
        ({"training": {"optimizer": {"name": "sgd", "learning_rate": 1}}}, "give training.learn"),
        (
            {"training": {"schedule": "cos"}},
            "training.schedule must be one of 'constant', 'cosine'",
        ),
        ({"training": {"augmentation": ["flop"]}}, r"training.augmentation\[0\] must be one of"),
        ({"training": {"augmentation": ["flip", "flip"]}}, "training.augmentation must differ; f"),
        ({"candidates": [{"backbone": "VGG16", "weights": False}]}, "weights must be text; got F"),
        ({"candidates": [{"backbone": "VGG16", "weights": 0}]}, "weights must be text; got 0"),
        ({"candidates": [{"backbone": "VGG16", "weights": ""}]}, "weights is empty"),
        ({"training": {"class_weights": True}}, "training.class_weights must be"),
        ({"training": {"precision": "float16"}}, "training.precision must be one of 'float32', 'm"),
        ({"training": {"weight_decay": -1}}, "training.weight_decay must be at least 0"),
        (
            {"training": {"weight_decay": 1, "optimizer": {"name": "adamw", "weight_decay": 1}}},
            "stands in training.optimizer, too",
        ),
        (
            {"training": {"precision": "mixed_bfloat16"}, "methods": ["pooled", "naswot"]},
            "naswot works in float32 alone",
        ),
        ({"finish": {"patience": 0}}, "finish.patience must be at least 1"),
        ({"training": {"seeds": []}}, "training.seeds is empty"),
        (
            {"training": {"seeds": [2**32]}},
            "training.seeds must be in 0..4294967295; got 4294967296",
        ),
        ({"training": {"seeds": [2**70]}}, "training.seeds"),
        ({"engine": {"timeout": 0}}, "engine.timeout must be above 0; got 0"),
        ({"training": {"seeds": [0, -1]}}, r"training.seeds\[1\] must be 0 or more; got -1"),
        ({"training": {"batch_norm_momentum": 1.0}}, r"must be in \[0, 1\)"),
        ({"probe": {"units": []}}, "probe.units is empty"),
        ({"probe": {"dropout": 1.0}}, "probe.dropout must be below 1"),
        ({"probe": {"frozen": 1}}, "probe.frozen must be true or false; got 1"),
        ({"capacitance": {"scope": "all"}}, "capacitance.scope must be one of"),
        ({"methods": []}, "methods is empty"),
        ({"methods": ["capacitence"]}, "methods has no 'capacitence'; did you mean 'capacitance'"),
        ({"stage": 3}, "stage must be text; got 3"),
        ({"output": 3}, "output must be text; got 3"),
        ({"stage": "last"}, "stage must be one of 'early', 'finish', 'full'"),
        ({"finish": {"top": 0}}, "finish.top must be at least 1"),
        ({"finish": {"probe": "drop"}}, "finish.probe must be one of"),
        ({"engine": {"workers": 0}}, "engine.workers must be at least 1"),
        ({"engine": {"dask": "10.0.0.1:8786"}}, "engine.dask must be 'local' or"),
        ({"engine": {"dask": "tcp://10.0.0.1:8786"}}, "another machine without TLS"),
        ({"engine": {"dask": "tcp://localhost.example.org:1"}}, "another machine without TLS"),
        ({"engine": 3}, "engine must be a table of fields; got 3"),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises((ValueError, TypeError), match=words) as raised:
        read_study({**BASE, **change})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["data", "candidates"])
def test_what_is_missing_is_named(name):
    with pytest.raises(ValueError, match=f"the study has no {name}"):
        read_study({k: v for k, v in BASE.items() if k != name})


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", "tls://far:1"]
)
def test_loopback_and_tls_are_fine(address):
    assert read_study({**BASE, "engine": {"dask": address}}).engine.dask == address


def test_an_open_scheduler_elsewhere_must_be_asked_for():
    engine = {"dask": "tcp://10.0.0.1:8786", "insecure": True}
    assert read_study({**BASE, "engine": engine}).engine.insecure


def test_trials_are_sizes_times_seeds_times_candidates_with_keys_of_their_own():
    names = ["a/b", "a b", "a_b", "../etc", "é", "x" * 90]
    study = read_study(
        {
            "data": {"spec": "digits", "n_train": [10, 20]},
            "candidates": [{"name": name, "backbone": "VGG16"} for name in names],
            "training": {"seeds": [3, 4]},
        }
    )
    keys = [trial.key for trial in study.trials]
    assert len(keys) == len(set(keys)) == 24
    assert all("/" not in key and not key.startswith(".") and len(key) < 100 for key in keys)


def test_files_are_sought_from_the_study_files_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ours.keras").write_bytes(b"x")
    path = tmp_path / "sub" / "study.toml"
    path.write_text('data = "digits"\ncandidates = [{ file = "ours.keras" }]\n')
    study = load_study(path, {})
    assert study.path("out") == tmp_path / "sub" / "out"
    digest = study.settings(study.trials[0])["candidate"]["file"]
    assert digest.startswith("sha256:2d711642b726b044")  # of the one byte "x"


def test_fields_replace_the_files_and_tables_are_merged(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('data = "digits"\ncandidates = ["VGG16"]\n[training]\nepochs = 9\n')
    study = load_study(path, {"training": {"seeds": [5]}, "data": {"n_train": [20]}})
    assert (study.training.epochs, study.training.seeds) == (9, (5,))
    assert (study.data.spec, study.data.n_train) == ("digits", (20,))
    again = load_study(study, {"stage": "early", "output": tmp_path})
    assert again.training == study.training and again.stage == "early"
    assert again.output == str(tmp_path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file.*--init"):
        load_study(tmp_path / "absent.toml", {})
    broken = tmp_path / "broken.toml"
    broken.write_text("data = \n")
    with pytest.raises(ValueError, match="not valid TOML"):
        load_study(broken, {})
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not valid TOML"):
        load_study(broken, {})
    with pytest.raises(TypeError, match="study must be a path"):
        load_study(3, {})  # type: ignore[arg-type]


def test_a_mark_at_the_beginning_of_a_file_is_passed_over(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('\ufeffdata = "digits"\ncandidates = ["VGG16"]\n', encoding="utf-8")
    assert load_study(path, {}).data.spec == "digits"
