"""What MLflow keeps of a registered version's code: it loads this file, never a pickle."""

from mlflow.models import set_model

from toolkit.tracking.serving import InterOrderModel

set_model(InterOrderModel())
