"""The README's face, used as a person would: plain folders, no params.yaml, no DVC, no git."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolkit as tk
from toolkit.errors import InputError

SPLITS = (("train", 24, 8), ("valid", 8, 6), ("test", 8, 6))
RECIPES = {"tiny": {"network": "resnet18", "width": 0.125, "epochs": 1, "batch": 16}}


def draw(folder: Path, counts: dict[str, int], seed: int) -> Path:
    """Pictures of several sizes: dark ones of one class, bright ones of the other."""
    rng = np.random.default_rng(seed)
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            side = int(rng.integers(32, 64))
            low = 128 * number
            pixels = rng.integers(low, low + 120, (side, side + 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, (split, common, rare) in enumerate(
        (("train", 24, 8), ("valid", 8, 6), ("test", 8, 6))
    ):
        draw(tmp_path / "photos" / split, {"common": common, "rare": rare}, seed)
    return tmp_path / "photos"


def test_steps_compose_on_plain_folders(photos: Path) -> None:
    balanced = tk.augment(photos / "train", "balanced", target=16, policy="affine_photo")
    assert balanced.result.counts == {"common": 24, "rare": 16}
    assert "<img" in balanced._repr_html_()
    arms: dict[str, list[tk.Predictions]] = {}
    for arm, folder in (("original", photos / "train"), ("augmented", Path("balanced"))):
        for seed in (0, 1):
            run = tk.train(
                folder, valid=photos / "valid", recipe="tiny", recipes=RECIPES, seed=seed, threads=1
            )
            arms.setdefault(arm, []).append(tk.predict(run, photos / "test"))
    scores = tk.evaluate(arms["augmented"][0], positive="rare", resamples=200)
    assert 0 <= scores.metrics["gmean"] <= 1
    assert "<table>" in scores._repr_html_()
    verdict = tk.compare(arms, resamples=200)
    assert verdict.arms == ("original", "augmented")
    assert len(repr(verdict)) < 200
    assert "<table>" in verdict._repr_html_()
    with pytest.raises(InputError, match="nowhere: no such evaluation"):
        tk.compare("nowhere")


def test_photos_without_labels_are_predicted(photos: Path) -> None:
    run = tk.train(photos / "train", valid=photos / "valid", recipe="tiny", recipes=RECIPES)
    (photos / "broken.png").write_bytes(b"no image")
    some = tk.predict(run, [photos / "test/rare/000.png", photos / "broken.png"], output="some.csv")
    assert some.actual == ()
    assert list(some.problems) == [str(photos / "broken.png")]
    with pytest.raises(ValueError, match="actual"):
        tk.evaluate(some)


def test_an_audit_shows_itself(photos: Path) -> None:
    audit = tk.audit(photos)
    assert audit.findings == audit.findings
    assert "<table>" in audit._repr_html_()
    assert len(audit.table()) > 20
