from .classification import compute_metrics as compute_metrics
from .confusion import (
    METRICS as METRICS,
    PER_CLASS as PER_CLASS,
    confusion_matrix as confusion_matrix,
)
from .params import CompareParams as CompareParams, EvaluateParams as EvaluateParams
from .predictions import (
    Predictions as Predictions,
    read_predictions as read_predictions,
    write_predictions as write_predictions,
)
from .scores import RANKINGS as RANKINGS, SCORES as SCORES
