from .comparison import Comparison as Comparison, compare_results as compare_results
from .evaluate import (
    Evaluation as Evaluation,
    RunOutputs as RunOutputs,
    evaluate_run as evaluate_run,
)
from .probe import Probe as Probe, probe_arm as probe_arm
from .results import RunResult as RunResult, read_result as read_result
