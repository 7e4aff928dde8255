from .params import ArmParams as ArmParams, AugmentParams as AugmentParams
from .plan import (
    PlannedImage as PlannedImage,
    compute_quotas as compute_quotas,
    read_plan as read_plan,
)
from .render import (
    AugmentationResult as AugmentationResult,
    OutputFormat as OutputFormat,
    augment_folder as augment_folder,
    write_original as write_original,
)
from .transforms.parsing import make_policy as make_policy
from .transforms.policy import Policy as Policy
from .transforms.presets import POLICIES as POLICIES
from .transforms.registry import TRANSFORMS as TRANSFORMS
