"""What pytest does not collect: examples that need care, or a package that is not installed."""

from importlib.util import find_spec

# Ray runs in a process of its own, which tests/predict/test_stopping_ray.py starts.
collect_ignore = ["edgedyn/predict/stopping_ray.py", "tests/predict/ray_experiment.py"]
if find_spec("optuna") is None:
    collect_ignore.append("edgedyn/predict/stopping_optuna.py")
if find_spec("dask") is None:
    collect_ignore.append("edgedyn/studies/spread.py")
for name in ("jax", "tensorflow", "torch"):
    if find_spec(name) is None:
        collect_ignore.append(f"edgedyn/nn/graph/autodiff/{name}.py")
