"""Pipelines that albumentations saved do here what they do there, or are refused by name."""

import json

import albumentations as A  # noqa: N812 - as everybody writes it
import numpy as np
import pytest

from toolkit.augmentation.transforms import compose, parsing
from toolkit.errors import InputError
from toolkit.io import images

PICTURE = images.to_picture(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))
PIPELINE = A.Compose([
    A.RandomResizedCrop(size=(224, 224), scale=(0.5, 0.9), p=0.5),
    A.HorizontalFlip(p=0.3),
    A.OneOf([A.Affine(rotate=(-9, 9), p=0.5), A.RandomGamma(p=0.25)], p=0.4),
    A.SomeOf([A.Blur(), A.ToGray(), A.VerticalFlip(p=1)], n=2),
    A.Normalize(),
    A.ToTensorV2(),
])  # fmt: skip


def written(folder, pipeline, form="json"):
    A.save(pipeline, folder / f"mine.{form}", data_format=form)
    return folder / f"mine.{form}"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_saved_pipeline_is_a_policy(tmp_path, form):
    policy = parsing.make_policy(str(written(tmp_path, PIPELINE, form)))
    assert policy.names() == [
        "resized_crop", "identity", "horizontal_flip", "albumentations.Affine",
        "albumentations.RandomGamma", "albumentations.Blur", "albumentations.ToGray",
        "vertical_flip",
    ]  # fmt: skip
    assert "mine.json: ToTensorV2 is left out: training does that".replace(
        "json", form
    ) in " ".join(policy.notes)
    (entry,) = policy.entries
    crop, flip, choice, some = entry.of
    assert [(part.transform, part.weight) for part in crop.of] == [
        ("resized_crop", 0.5), ("identity", 0.5),
    ]  # fmt: skip
    assert crop.of[0].arguments["scale"] == [0.5, 0.9]
    assert flip.arguments == {"p": 0.3}
    assert [part.weight for part in choice.of] == [0.4, 0.6]
    affine, gamma = choice.of[0].of
    assert (affine.weight, gamma.weight) == (0.5, 0.25)
    assert affine.arguments["p"] == gamma.arguments["p"] == 1
    assert some.arguments == {"count": 2, "replace": False}
    for seed in range(8):
        transform, params = compose.sample_policy(policy, np.random.default_rng(seed), PICTURE)
        done = compose.apply_transform(transform, PICTURE, params)
        assert done == compose.apply_transform(transform, PICTURE, json.loads(json.dumps(params)))
        assert done.size == PICTURE.size


@pytest.mark.parametrize(
    ("pipeline", "names"),
    [
        (A.VerticalFlip(p=1), ["vertical_flip"]),
        (A.Compose([A.VerticalFlip(p=1)]), ["vertical_flip"]),
        (A.OneOrOther(A.Blur(), A.NoOp(), p=0.2), ["albumentations.Blur", "identity"]),
        (A.RandomOrder([A.NoOp(), A.ToGray()], n=2), ["identity", "albumentations.ToGray"]),
        (A.Sequential([A.Blur(p=1)], p=0), ["identity"]),
    ],
)  # fmt: skip
def test_groups_and_single_transforms(tmp_path, pipeline, names):
    assert parsing.make_policy(written(tmp_path, pipeline)).names() == names


def test_names_of_earlier_versions_are_those_of_their_classes(tmp_path):
    node = {"__class_fullname__": "albumentations.augmentations.geometric.transforms.Affine"}
    (tmp_path / "a.json").write_text(json.dumps({"__version__": "1.3.0", "transform": node}))
    assert parsing.make_policy(tmp_path / "a.json").names() == ["albumentations.Affine"]


BAD = {
    "os.system": "'os.system' is not a transform of albumentations",
    "albumentations.Rotte": "did you mean 'Rotate'",
    "SelectiveChannelTransform": "SelectiveChannelTransform: a group with no counterpart here",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_known_is_refused_by_name(tmp_path, name):
    node = {"__class_fullname__": name}
    if "Channel" in name:
        node["transforms"] = []
    (tmp_path / "a.json").write_text(json.dumps({"transform": node}))
    with pytest.raises(InputError, match=BAD[name]) as caught:
        parsing.make_policy(tmp_path / "a.json")
    assert str(caught.value).startswith(f"{tmp_path}/a.json: ")


@pytest.mark.parametrize(
    "node",
    [
        None, [], {"p": 1}, {"__class_fullname__": 3},
        {"__class_fullname__": "Blur", "p": "x"}, {"__class_fullname__": "Blur", "p": float("nan")},
        {"__class_fullname__": "Blur", "blur": 3}, {"__class_fullname__": "Compose"},
        {"__class_fullname__": "Compose", "transforms": [{"__class_fullname__": "Normalize"}]},
        {"__class_fullname__": "SomeOf", "transforms": [], "n": 1},
        {"__class_fullname__": "SomeOf", "transforms": [{"__class_fullname__": "Blur"}], "n": -1},
        {"__class_fullname__": "OneOf", "transforms": [{"__class_fullname__": "Blur", "p": 0}]},
        {"__class_fullname__": "OneOf", "transforms": [3]},
    ],
)  # fmt: skip
def test_values_that_were_not_saved_so_are_refused(tmp_path, node):
    (tmp_path / "a.json").write_text(json.dumps({"transform": node}))
    with pytest.raises(InputError, match=r"a\.json: "):
        parsing.make_policy(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{transform: {__class_fullname__: Rotate, 0.5: 1}}",
            "the keys of a transform must be text",
        ),
        ("{transform: {{a: b}: c}}", "not valid YAML"),
    ],
)
def test_keys_that_are_no_text_are_refused(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        parsing.make_policy(tmp_path / "a.yaml")
