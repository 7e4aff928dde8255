"""Which images are shown, and what their pictures look like."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from toolkit.evaluation.results import MISTAKES_COLUMNS
from toolkit.metrics import mistakes
from toolkit.metrics.mistakes import ExplainedExample, HardExample
from toolkit.metrics.predictions import Predictions
from toolkit.reporting.mistakes import overlay_picture, write_mistakes


def scored(actual, scores, classes=("a", "b")):
    scores = np.array(scores, dtype=float)
    predicted = tuple(classes[k] for k in scores.argmax(axis=1))
    ids = tuple(f"i{n}" for n in range(len(actual)))
    return Predictions(classes, ids, tuple(actual), predicted, scores)


def ids_of(choices, kind):
    return [choice.id for choice in choices if choice.kind == kind]


@pytest.fixture
def few():
    rows = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9], [0.3, 0.7]]
    return scored("aaabbb", rows)


def test_mistakes_come_by_confidence_and_rare_images_by_the_score_of_their_class(few):
    choices = mistakes.choose_examples(few, "b")
    assert ids_of(choices, "mistake") == ["i1", "i3", "i2"]
    assert ids_of(choices, "hardest") == ["i3", "i5", "i4"]


def test_a_mistake_has_the_score_of_what_was_said_a_hard_image_of_what_is(few):
    choices = {(choice.kind, choice.id): choice for choice in mistakes.choose_examples(few, "b")}
    assert choices["mistake", "i3"] == HardExample("mistake", "i3", "b", "a", "a", 0.7)
    assert choices["hardest", "i3"] == HardExample("hardest", "i3", "b", "a", "b", 0.3)


def test_at_most_eight_of_a_kind_and_equal_scores_in_the_files_order():
    predictions = scored("b" * 20, [[0.75, 0.25]] * 20)
    choices = mistakes.choose_examples(predictions, "b")
    assert ids_of(choices, "mistake") == ids_of(choices, "hardest") == [f"i{n}" for n in range(8)]


def test_without_a_positive_class_the_rarest_is_shown():
    predictions = scored("aaab", [[0.9, 0.1]] * 4)
    assert ids_of(mistakes.choose_examples(predictions), "hardest") == ["i3"]


def test_of_equally_rare_classes_the_one_found_least_is_shown():
    predictions = scored("aabb", [[0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    assert ids_of(mistakes.choose_examples(predictions), "hardest") == ["i0", "i1"]


def test_without_scores_there_is_nothing_to_choose_by():
    assert mistakes.choose_examples(Predictions(("a", "b"), ("1",), ("a",), ("b",))) == ()


# --- the files --------------------------------------------------------------------------------


def explained(size=32, label="<a>/../b", path="../<a>/x,y.png"):
    photo = np.full((size, size, 3), 100, np.uint8)
    choice = HardExample("mistake", "id", label, "b", "b", 0.1)
    return ExplainedExample(choice, path, photo, np.zeros((size, size), np.float32))


def test_the_table_names_the_pictures_and_no_file_is_named_by_the_data(tmp_path):
    write_mistakes(tmp_path, [explained(), explained()])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00.jpg", "01.jpg", "mistakes.csv"]
    header, first, _ = csv.reader(io.StringIO((tmp_path / "mistakes.csv").read_text()))
    assert tuple(header) == MISTAKES_COLUMNS
    assert first == ["00.jpg", "id", "../<a>/x,y.png", "<a>/../b", "b", "0.1", "mistake"]


def test_without_mistakes_there_is_a_header(tmp_path):
    write_mistakes(tmp_path, [])
    assert (tmp_path / "mistakes.csv").read_text() == ",".join(MISTAKES_COLUMNS) + "\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_bytes_each_time(tmp_path):
    for name in "xy":
        write_mistakes(tmp_path / name, [explained()])
    first, second = ((tmp_path / name / "00.jpg").read_bytes() for name in "xy")
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (64, 32)


@pytest.mark.parametrize(("size", "height"), [(16, 16), (128, 128), (200, 128)])
def test_photo_and_overlay_stand_side_by_side_and_are_not_large(size, height):
    item = explained(size)
    picture = overlay_picture(item.photo, item.heatmap)
    assert picture.shape == (height, 2 * height, 3)
    assert (picture[:, :height] == 100).all()


def test_the_overlay_is_lighter_where_it_is_hotter():
    """Also for who sees no colors: by lightness alone."""
    heat = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    overlay = overlay_picture(explained().photo, heat)[0, 32:]
    lightness = np.asarray(Image.fromarray(overlay[None]).convert("L"), dtype=int)[0]
    assert (np.diff(lightness) >= 0).all()
    assert lightness[-1] - lightness[0] > 80
    assert overlay[0].tolist() == [84, 51, 92]  # half of (100, 100, 100) and viridis' (68, 1, 84)
