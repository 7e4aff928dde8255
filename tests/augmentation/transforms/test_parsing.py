"""Policies: weights, names, files; and external transforms that replay from what was written."""

import json
from collections import Counter

import numpy as np
import pytest

from tests.conftest import fill
from toolkit.augmentation import params
from toolkit.augmentation.params import ArmParams, AugmentParams, EntryParams
from toolkit.augmentation.preview import write_preview
from toolkit.augmentation.render import augment_folder
from toolkit.augmentation.transforms import compose, external, parsing
from toolkit.augmentation.transforms.policy import Policy
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.errors import InputError
from toolkit.io import images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
PICTURE = images.to_picture(PIXELS)
EXTERNAL = [
    ("albumentations.Affine", {"rotate": [-10, 10], "scale": [0.9, 1.1]}),
    ("albumentations.AdditiveNoise", {"spatial_mode": "per_pixel", "noise_type": "gaussian"}),
    ("albumentations.CoarseDropout", {"p": 0.5}),
    ("albumentations.RandomResizedCrop", {"size": [40, 40]}),
    ("albumentations.ElasticTransform", {}),
    ("torchvision.RandomAffine", {"degrees": 10, "translate": [0.1, 0.1]}),
    ("torchvision.ColorJitter", {"brightness": 0.3, "hue": 0.1}),
    ("torchvision.TrivialAugmentWide", {}),
    ("torchvision.GaussianNoise", {}),
]


def only(transform, **arguments):
    return parsing.make_policy([EntryParams(transform=transform, arguments=arguments)])


def draw(policy, seed):
    return compose.sample_policy(policy, np.random.default_rng(seed), PICTURE)


def drawn_picture(policy, seed):
    name, params = draw(policy, seed)
    return compose.apply_transform(name, PICTURE, params)


@pytest.mark.parametrize(("name", "arguments"), EXTERNAL, ids=[name for name, _ in EXTERNAL])
def test_an_external_transform_replays_from_what_was_written(name, arguments):
    policy = only(name, **arguments)
    for seed in range(3):
        transform, drawn = draw(policy, seed)
        written = json.loads(json.dumps(drawn, allow_nan=False))
        once = compose.apply_transform(transform, PICTURE, drawn)
        assert once == compose.apply_transform(transform, PICTURE, written)
        assert draw(policy, seed) == (transform, drawn)


def test_other_seeds_give_other_images():
    for name, arguments in EXTERNAL:
        policy = only(name, **arguments)
        assert len({drawn_picture(policy, seed).tobytes() for seed in (1, 2, 3, 4)}) > 1, name


def test_the_drawn_numbers_of_the_libraries_are_recorded():
    _, affine = draw(only("albumentations.Affine", rotate=[-10, 10]), 0)
    _, jitter = draw(only("torchvision.ColorJitter", brightness=0.3), 0)
    assert -10 <= affine["sampled"]["rotate"] <= 10
    assert 0.7 <= jitter["sampled"]["brightness_factor"] <= 1.3
    assert affine["arguments"] == {"rotate": [-10, 10], "p": 1.0}


def test_an_external_transform_acts_always_unless_told_otherwise():
    for name in ("albumentations.HorizontalFlip", "torchvision.RandomHorizontalFlip"):
        flips = [drawn_picture(only(name), seed) for seed in range(12)]
        assert all(np.array_equal(flip, PIXELS[:, ::-1]) for flip in flips)
        rare = {drawn_picture(only(name, p=0.5), seed).tobytes() for seed in range(12)}
        assert len(rare) == 2


def test_the_choice_of_a_transform_does_not_steer_what_its_library_draws():
    """Both started from one seed, the first choice would see only small first numbers."""
    gamma = {"transform": "albumentations.RandomGamma", "arguments": {"gamma_limit": [50, 150]}}
    rare = parsing.make_policy(
        [EntryParams(**gamma, weight=0.1), EntryParams(transform="identity", weight=0.9)]
    )
    drawn = [draw(rare, seed) for seed in range(400)]
    gammas = [d["sampled"]["gamma"] for name, d in drawn if name != "identity"]
    assert 25 < len(gammas) < 60
    assert min(gammas) < 0.7
    assert max(gammas) > 1.3


def test_weights_are_kept():
    policy = parsing.make_policy("homework")
    counts = Counter(draw(policy, seed)[0] for seed in range(3500))
    expected = {"horizontal_flip": 700, "rotate": 700, "gaussian_blur": 300, "pad_resize": 500}
    expected |= {"resized_crop": 600, "sharpness": 400, "autocontrast": 300}
    assert counts.keys() == expected.keys()
    assert all(abs(counts[name] - number) < 0.2 * number for name, number in expected.items())


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_named_policy_draws_and_replays(name):
    policy = parsing.make_policy(name)
    for seed in range(30):
        transform, drawn = draw(policy, seed)
        once = compose.apply_transform(transform, PICTURE, drawn)
        assert once == compose.apply_transform(transform, PICTURE, drawn)
        assert (once.size, once.mode) == (PICTURE.size, "RGB")


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [float("nan")], [float("inf")]])
def test_weights_that_are_negative_or_all_zero_are_refused(weights):
    choices = tuple(EntryParams.model_construct(transform="identity", weight=w) for w in weights)
    with pytest.raises(InputError, match=r"weights must be 0 or more, and one .* positive, got"):
        Policy(choices, keep_identical=True)


@pytest.mark.parametrize(
    ("transform", "arguments", "message"),
    [
        ("rotat", {}, "unknown transform 'rotat' .did you mean 'rotate'"),
        ("albumentations.Affin", {}, "did you mean 'Affine'"),
        ("albumentations.Affine", {"rotat": 1}, "Affine 'rotat' .did you mean 'rotate'.*scale"),
        ("albumentations.Affine", {"rotate": "x"}, "Affine refuses its arguments .*rotate"),
        ("albumentations.OneOf", {}, "unknown albumentations transform 'OneOf'"),
        ("torchvision.RandomAffine", {}, "refuses its arguments .*'degrees'"),
        ("torchvision.ColorJitter", {"brightness": -1}, "refuses its arguments"),
        ("torch.Linear", {}, "unknown library 'torch' .did you mean 'torchvision'"),
        ("albumentations.Blur", {"blur_limit": float("nan")}, "NaN|nan|not JSON"),
    ],
)
def test_unknown_names_and_arguments_are_refused(transform, arguments, message):
    with pytest.raises(InputError, match=message):
        only(transform, **arguments)


@pytest.mark.parametrize(
    ("transform", "arguments", "message"),
    [
        ("albumentations.CenterCrop", {"height": 9, "width": 9}, "into uint8 9 x 9 x 3: a tran"),
        ("albumentations.ToFloat", {}, "ToFloat turns uint8 40 x 40 x 3 into float32 40 x 40 x 3"),
        ("torchvision.Resize", {"size": 20}, "torchvision.Resize turns .* must keep size"),
        ("torchvision.Grayscale", {}, "into uint8 40 x 40 x 1"),
        ("albumentations.FDA", {}, "FDA fails on an image of 40 x 40: .*fda_metadata"),
        ("torchvision.ToPILImage", {}, "ToPILImage fails on an image"),
        ("albumentations.Downscale", {"scale_range": (1e-9, 1e-9)}, "Downscale fails .*OpenCV"),
        ("albumentations.Defocus", {"radius": (10**6, 10**6)}, "Defocus fails .*allocate"),
    ],
)
def test_what_does_not_keep_size_and_type_is_refused_by_name(transform, arguments, message):
    with pytest.raises(InputError, match=message):
        drawn_picture(only(transform, **arguments), 0)


def test_a_transform_that_takes_for_ever_is_ended_and_named_with_its_image(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "SECONDS", 0.2)
    policy = only("albumentations.GlassBlur", iterations=10**5)
    problem = "albumentations.GlassBlur on an image of 40 x 40 took more than 0.2 seconds"
    photos = fill(tmp_path / "photos", {"a": 2, "b": 1}, size=40)
    with pytest.raises(InputError, match=rf"photos/b/000.png, or .*: {problem}; remove"):
        augment_folder(photos, tmp_path / "out", AugmentParams(), policy)
    with pytest.raises(InputError, match=problem):
        write_preview(tmp_path / "out.png", photos, AugmentParams(), policy)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_groups_in_groups_are_bounded(tmp_path):
    group = "{transform: some_of, arguments: {count: 10, replace: true}, of: [%s]}"
    deep = "{transform: rotate}"
    for _ in range(4):
        deep = group % deep
    (tmp_path / "p.yaml").write_text(f"[{deep}]")
    with pytest.raises(InputError, match=r"\[0\].of: up to 10,000 transforms .* at most"):
        parsing.make_policy(tmp_path / "p.yaml")


def test_advice_of_a_library_is_no_error():
    """albumentations warns that ShiftScaleRotate is a special case of Affine."""
    assert draw(only("albumentations.ShiftScaleRotate"), 0)[0] == "albumentations.ShiftScaleRotate"


def test_a_policy_file_is_a_list_of_choices(tmp_path):
    path = tmp_path / "mild.yaml"
    path.write_text(
        "- transform: rotate\n  weight: 2\n  arguments: {degrees: 5}\n- transform: identity\n"
    )
    for setting in (path, str(path)):
        policy = parsing.make_policy(setting)
        assert [c.weight for c in policy.entries] == [2, 1]
        assert policy.entries[0].arguments == {"degrees": 5}
        assert not policy.keep_identical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- transform: rotate\n  weight: -1\n",
            r"p.yaml:2:3: \[0\].weight must be greater than 0, got -1",
        ),
        ("- transfrom: rotate\n", r"p.yaml:1:3: \[0\].transf"),
        ("a: 1\n", "p.yaml:1:1: a is not a known key"),
        ("otherwise: homework\n", "p.yaml:1:1: by_class is missing"),
        ("", "p.yaml: the file must be a valid list"),
        ("- [\n", "p.yaml: not valid YAML"),
        (
            "- transform: rotate\n- transform: blur\n",
            r"p.yaml:2:3: \[1\].transform: unknown .* 'blur'",
        ),
        ("[]\n", "p.yaml: the list is empty"),
    ],
)
def test_a_wrong_policy_file_is_refused_with_its_key(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        parsing.make_policy(path)


def test_an_unknown_policy_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"policy 'homewrk' .did you mean 'homework'.*duplicate"):
        parsing.make_policy("homewrk")
    with pytest.raises(InputError, match=r"none.yaml: no such file"):
        parsing.make_policy(str(tmp_path / "none.yaml"))


def test_the_homework_policy_is_the_published_one():
    """The eight transforms and weights of the published experiment, in their order."""
    policy = parsing.make_policy("homework")
    assert [c.weight for c in policy.entries] == [0.7, 0.7, 0.3, 0.5, 0.6, 0.2, 0.2, 0.3]
    assert [(c.transform, c.arguments) for c in policy.entries] == [
        ("horizontal_flip", {"p": 0.7}),
        ("rotate", {"degrees": 20}),
        ("gaussian_blur", {"sigma": [0.1, 2.0]}),
        ("pad_resize", {"pixels": 10}),
        ("resized_crop", {"scale": [0.8, 1.0]}),
        ("sharpness", {"factor": 1.25, "p": 0.5}),
        ("sharpness", {"factor": 0.75, "p": 0.5}),
        ("autocontrast", {"p": 0.5}),
    ]
    assert policy.keep_identical


def test_the_default_arm_names_a_policy():
    for arm in params.AugmentParams().arms.values():
        parsing.make_policy(arm.policy)


def test_an_arm_leaves_transforms_out_and_keeps_the_others_as_they_are():
    homework = parsing.make_policy("homework")
    arm = ArmParams(policy="homework", without=["sharpness", "rotate"])
    policy = parsing.make_arm_policy("mine", arm)
    left = tuple(c for c in homework.entries if c.transform not in ("sharpness", "rotate"))
    assert policy.entries == left
    assert len(left) == 5  # sharpness stands twice in the policy
    assert policy.keep_identical
    assert parsing.make_arm_policy("mine", ArmParams(policy="homework")) == homework


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["flip"], r"augment.arms.mine.without: unknown .* 'flip'.*choose one of autocontrast, "),
        (["vertical_flip"], "unknown transform of this policy 'vertical_flip'"),
        (["rotate", "rotat"], "did you mean 'rotate'"),
    ],
)
def test_only_transforms_of_the_policy_can_be_left_out(without, message):
    with pytest.raises(InputError, match=message):
        parsing.make_arm_policy("mine", ArmParams(policy="homework", without=without))


def test_a_policy_is_not_left_empty():
    with pytest.raises(InputError, match="without: leaves no transform; the policy has identity"):
        parsing.make_arm_policy("duplicated", ArmParams(policy="duplicate", without=["identity"]))
