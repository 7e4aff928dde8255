"""The named policies, POLICIES, and their text for a policy file."""

import io
import json
from typing import Any

from toolkit.augmentation.transforms.policy import Policy, PolicyEntry


def _entry(transform: str, weight: float = 1.0, **arguments: Any) -> PolicyEntry:
    return PolicyEntry(transform, weight, arguments)


def _operations(part: float, bits: list[int]) -> tuple[PolicyEntry, ...]:
    """Return the fourteen operations of RandAugment, up to `part` of their widest magnitudes."""
    factor = [round(1 - 0.9 * part, 3), round(1 + 0.9 * part, 3)]
    slope, fraction = round(0.3 * part, 3), round(0.45 * part, 3)
    return (
        _entry("identity"),
        _entry("autocontrast", p=1),
        _entry("equalize"),
        _entry("rotate", degrees=round(30 * part, 3)),
        _entry("solarize", threshold=[round(256 * (1 - part)), 256]),
        _entry("saturation", factor=factor),
        _entry("posterize", bits=bits),
        _entry("contrast", factor=factor),
        _entry("brightness", factor=factor),
        _entry("sharpness", factor=factor, p=1),
        _entry("shear_x", slope=slope),
        _entry("shear_y", slope=slope),
        _entry("translate_x", fraction=fraction),
        _entry("translate_y", fraction=fraction),
    )


def policy_text(name: str, policy: Policy) -> str:
    """Return a policy, called `name`, as the text of a policy file."""
    from ruamel.yaml import YAML  # slow to import

    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    if policy.keep_identical and policy.entries:
        stream.write(f"# {name} keeps new images that equal their parent; a file draws again.\n")
    yaml.dump(json.loads(json.dumps(_written(policy))), stream)  # a copy, or YAML writes aliases
    return stream.getvalue()


def _written(policy: Policy) -> Any:
    entries = [_to_yaml(entry) for entry in policy.entries]
    if not policy.by_class:
        return entries
    by_class = {"by_class": {name: _written(part) for name, part in policy.by_class.items()}}
    return by_class | ({"otherwise": entries} if entries else {})


def _to_yaml(entry: PolicyEntry) -> dict[str, Any]:
    written = {
        "transform": entry.transform,
        "weight": entry.weight if entry.weight != 1 else None,
        "arguments": dict(entry.arguments),
        "of": [_to_yaml(part) for part in entry.of],
        "limit": dict(entry.limit),
    }
    return {key: value for key, value in written.items() if value}


POLICIES: dict[str, Policy] = {
    # As published: about 16% of the new images equal their parents, and are kept.
    "homework": Policy(
        (
            _entry("horizontal_flip", 0.7, p=0.7),
            _entry("rotate", 0.7, degrees=20),
            _entry("gaussian_blur", 0.3, sigma=[0.1, 2.0]),
            _entry("pad_resize", 0.5, pixels=10),
            _entry("resized_crop", 0.6, scale=[0.8, 1.0]),
            _entry("sharpness", 0.2, factor=1.25, p=0.5),
            _entry("sharpness", 0.2, factor=0.75, p=0.5),
            _entry("autocontrast", 0.3, p=0.5),
        ),
        keep_identical=True,
    ),
    # Plain copies: an arm that separates the effect of new images from that of repetition.
    "duplicate": Policy((_entry("identity"),), keep_identical=True),
    # A flip and a small change of position, after which a photo still shows the same thing and can
    # hardly be told from one that was taken. Changes of light, noise and blur are seen by a probe,
    # and leave images that are near-duplicates. Lanczos' interpolation (4) blurs the least.
    # OpenCV's Affine gives other bytes on CPUs without AVX2 (before 2013).
    "affine_photo": Policy(
        (
            PolicyEntry(
                "sequence",
                of=(
                    _entry("horizontal_flip", p=0.5),
                    _entry(
                        "albumentations.Affine",
                        scale=[0.92, 1.08],
                        translate_percent=[-0.06, 0.06],
                        rotate=[-6, 6],
                        border_mode=4,  # cv2.BORDER_REFLECT_101: no black corners
                        interpolation=4,
                    ),
                ),
            ),
        ),
        keep_identical=False,
    ),
    # Two of fourteen operations. E. Cubuk et al., "RandAugment: practical automated data
    # augmentation with a reduced search space", 2020. Magnitudes are drawn uniformly up to 18 of
    # 30, on average the 9 of the paper, which finds such a schedule as good as a fixed magnitude.
    "randaugment": Policy(
        (
            PolicyEntry(
                "some_of",
                arguments={"count": 2, "replace": True},
                of=_operations(0.6, [6, 8]),
            ),
        ),
        keep_identical=False,
    ),
    # One operation, of any magnitude. S. Müller, F. Hutter, "TrivialAugment: tuning-free yet
    # state-of-the-art data augmentation", 2021, over the ranges of RandAugment: the wide ones turn
    # by 135 degrees.
    "trivialaugment": Policy(_operations(1.0, [4, 8]), keep_identical=False),
    # Three chains of one to three operations, mixed with the original. D. Hendrycks et al.,
    # "AugMix: a simple data processing method to improve robustness and uncertainty", 2020, at
    # its severity of 3; flips and crops, and its loss, belong to training. The reference code draws
    # a level from 0.1 to 3 and cuts it to a whole number: posterize keeps 4 bits for levels under
    # 2.5, else 3; solarize inverts from 256 - 2 to 256 - 76 on.
    "augmix": Policy(
        (
            PolicyEntry(
                "mix",
                arguments={"chains": 3, "depth": [1, 3]},
                of=(
                    _entry("autocontrast", p=1),
                    _entry("equalize"),
                    _entry("posterize", round(2.4 / 2.9, 6), bits=[4, 4]),
                    _entry("posterize", round(0.5 / 2.9, 6), bits=[3, 3]),
                    _entry("rotate", degrees=9),
                    _entry("solarize", threshold=[180, 254]),
                    _entry("shear_x", slope=0.09),
                    _entry("shear_y", slope=0.09),
                    _entry("translate_x", fraction=0.1),
                    _entry("translate_y", fraction=0.1),
                ),
            ),
        ),
        keep_identical=False,
    ),
}
