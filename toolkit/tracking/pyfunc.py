"""MLflow's models in Python, imported without the warning about MLflow's own classes."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
    from mlflow.pyfunc import save_model
    from mlflow.pyfunc.model import PythonModel, PythonModelContext

__all__ = ["PythonModel", "PythonModelContext", "save_model"]
