from .augmentation.transforms.policy import Policy as Policy
from .evaluation.comparison import Comparison as Comparison
from .io.manifest import Manifest as Manifest
from .metrics.predictions import Predictions as Predictions
from .pipeline.steps.advise import advise as advise
from .pipeline.steps.audit import audit as audit
from .pipeline.steps.augment import augment as augment
from .pipeline.steps.compare import compare as compare
from .pipeline.steps.embed import embed as embed
from .pipeline.steps.evaluate import evaluate as evaluate
from .pipeline.use.export import export as export
from .pipeline.steps.fetch import fetch as fetch
from .pipeline.steps.init import init as init
from .pipeline.steps.leaderboard import leaderboard as leaderboard
from .pipeline.steps.predict import predict as predict
from .pipeline.steps.prepare import prepare as prepare
from .pipeline.steps.probe import probe as probe
from .pipeline.use.push import push as push
from .pipeline.steps.report import report as report
from .pipeline.use.serve import serve as serve
from .pipeline.steps.sweep import sweep as sweep
from .pipeline.steps.train import train as train
from .training.runs import Run as Run

__all__: list[str]
__version__: str
