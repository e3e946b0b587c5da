"""MLflow's models in Python, imported without the warning about MLflow's own classes."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
    from mlflow.pyfunc import load_model, save_model
    from mlflow.pyfunc.model import PythonModel, PythonModelContext

__all__ = ["PythonModel", "PythonModelContext", "load_model", "save_model"]
