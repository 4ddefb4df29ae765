"""The pruner in real studies of Optuna, on candidates whose end is known."""

import pickle

import numpy as np
import pytest

optuna = pytest.importorskip("optuna", reason="pip install optuna")

from edgedyn.predict.stopping import CapacitancePruner, report_epoch  # noqa: E402

EPOCHS = 12
FINALS = [0.9, 0.5, 0.93, 0.7, 0.95, 0.3]  # with these, 0.5, 0.7 and 0.3 are pruned
STORAGES = ["memory", pytest.param("sqlite", marks=pytest.mark.slow), "journal"]


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def objective(trial):
    """Go straight to the final accuracy as beta_eff goes to 0."""
    final = trial.suggest_categorical("final", FINALS)
    rng = np.random.default_rng(int(1000 * final))
    for epoch in range(EPOCHS):
        beta = 0.6 ** (epoch + 1)
        accuracy = final - 0.3 * beta + 1e-4 * rng.standard_normal()
        report_epoch(trial, epoch, accuracy=accuracy, beta_eff=beta)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def study_of(finals, objective=objective, n_jobs=1, storage=None, **options):
    study = optuna.create_study(
        direction="maximize",
        pruner=CapacitancePruner(**options),
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    for final in finals:
        study.enqueue_trial({"final": final})
    study.optimize(objective, n_trials=len(finals), n_jobs=n_jobs)
    return study


def pruned(study):
    return {t.params["final"]: t.last_step + 1 for t in study.trials if t.state.name == "PRUNED"}


def storages(tmp_path):
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    return {
        "memory": None,
        "sqlite": f"sqlite:///{tmp_path / 'study.db'}",
        "journal": optuna.storages.JournalStorage(journal),
    }


@pytest.mark.parametrize("where", STORAGES)
def test_hopeless_trials_end_after_the_observed_epochs(where, tmp_path):
    study = study_of(FINALS, storage=storages(tmp_path)[where])
    assert isinstance(study.pruner, optuna.pruners.BasePruner)
    assert pruned(study) == {0.5: 5, 0.7: 5, 0.3: 5}
    assert study.best_params == {"final": 0.95}


@pytest.mark.parametrize("observed", [3, 7])
def test_epochs_before_the_first_prediction(observed):
    assert set(pruned(study_of(FINALS, observed=observed)).values()) == {observed}


def test_the_leading_candidates_run_to_their_end():
    assert set(pruned(study_of([0.9, 0.93, 0.95, 0.7, 0.5], keep=3))) == {0.7, 0.5}
    assert set(pruned(study_of([0.9, 0.7, 0.5], keep=3))) == set()


def test_trials_in_parallel_threads():
    study = study_of([*FINALS, *FINALS], n_jobs=3)
    assert study.best_params == {"final": 0.95}
    assert 0.95 not in pruned(study) and 0.3 in pruned(study)
    assert {t.state.name for t in study.trials} <= {"COMPLETE", "PRUNED"}


def test_failed_trials_do_not_count():
    def crashing(trial):
        value = objective(trial)
        if trial.number == 0:
            raise RuntimeError("out of memory")
        return value

    study = optuna.create_study(direction="maximize", pruner=CapacitancePruner())
    for final in (0.9, 0.5):
        study.enqueue_trial({"final": final})
    study.optimize(crashing, n_trials=2, catch=RuntimeError)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize("beta", [np.nan, np.inf])
@pytest.mark.parametrize("where", STORAGES)
def test_trials_without_a_usable_beta_go_on(beta, where, tmp_path):
    def degenerate(trial):
        if trial.suggest_categorical("final", FINALS) == 0.9:
            return objective(trial)
        for epoch in range(EPOCHS):
            report_epoch(trial, epoch, accuracy=0.2, beta_eff=beta)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.2

    study = study_of([0.9, 0.3], degenerate, storage=storages(tmp_path)[where])
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE"]
    assert set(study.trials[1].user_attrs["beta_eff"].values()) == {None}


@pytest.mark.parametrize("where", STORAGES)
def test_a_diverged_trial_is_pruned_at_once_even_the_first(where, tmp_path):
    def diverging(trial):
        trial.suggest_categorical("final", FINALS)
        for epoch, accuracy in enumerate([0.5, np.nan, 0.5]):
            report_epoch(trial, epoch, accuracy=accuracy, beta_eff=np.nan)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    assert pruned(study_of([0.9], diverging, storage=storages(tmp_path)[where])) == {0.9: 2}


def test_a_step_counts_once():
    trial = optuna.create_study(direction="maximize").ask()
    report_epoch(trial, 3, accuracy=np.float32(0.5), beta_eff=np.float64(0.4))
    with pytest.warns(UserWarning, match="already reported"):
        report_epoch(trial, 3, accuracy=0.6, beta_eff=0.3)
    assert trial.user_attrs == {"beta_eff": {"3": 0.4}}


def test_steps_may_come_in_any_order():
    study = optuna.create_study(direction="maximize", pruner=CapacitancePruner())
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values={0: 0.9}))
    trial = study.ask()
    for step in (4, 0, 3, 1, 2):
        report_epoch(trial, step, accuracy=0.5 - 0.3 * 0.6**step, beta_eff=0.6**step)
    assert trial.should_prune()


def test_studies_and_pruners_are_pickled():
    study = pickle.loads(pickle.dumps(study_of(FINALS[:2], keep=2)))
    assert isinstance(study.pruner, CapacitancePruner) and study.pruner.rule.keep == 2
    study.enqueue_trial({"final": 0.3})
    study.optimize(objective, n_trials=1)
    assert study.trials[-1].state.name == "PRUNED"


def test_studies_that_minimize_are_refused():
    study = optuna.create_study(direction="minimize", pruner=CapacitancePruner())
    with pytest.raises(ValueError, match="direction='maximize'"):
        study.ask().should_prune()


def test_trials_that_report_no_beta_are_refused():
    study = optuna.create_study(direction="maximize", pruner=CapacitancePruner())
    trial = study.ask()
    for step in range(4):
        trial.report(0.5, step)
        assert not trial.should_prune()
    trial.report(0.5, 4)
    with pytest.raises(ValueError, match="trial 0 has reported 5 values and no beta_eff"):
        trial.should_prune()


def test_percentages_are_refused_before_they_are_stored():
    trial = optuna.create_study(direction="maximize").ask()
    with pytest.raises(ValueError, match="divide percentages by 100"):
        report_epoch(trial, 0, accuracy=87.0, beta_eff=0.4)
    assert trial.user_attrs == {}


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="observed must be at least 3"):
        CapacitancePruner(observed=2)
