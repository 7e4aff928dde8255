"""The plan: how many (imbalanced-learn as the oracle), who, and how; longer begins with shorter."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.utils import check_sampling_strategy

from tests.helpers.flips import flipped
from tests.helpers.waiting import TIMEOUT
from toolkit.augmentation import plan
from toolkit.augmentation.params import EntryParams
from toolkit.augmentation.plan import PlannedImage
from toolkit.augmentation.transforms import compose, parsing
from toolkit.datasets.folds import NEW, divide_samples, training_rows
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.manifest import Manifest, Sample, write_manifest

HOMEWORK, DUPLICATE = parsing.make_policy("homework"), parsing.make_policy("duplicate")
COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 40), min_size=2)
WORDS = ["auto", "minority", "not minority", "not majority", "all"]


def samples(**counts):
    return [
        Sample(f"{label}{number:03d}", f"{label}/{number}.png", label)
        for label, count in counts.items()
        for number in range(count)
    ]


def pixels(sample, size=12):
    """Another small picture for each sample."""
    rng = np.random.default_rng([*sample.id.encode()])
    return rng.integers(20, 230, (size, size, 3), dtype=np.uint8)


def picture(sample):
    return images.to_picture(pixels(sample))


def make(originals, quotas, policy=HOMEWORK, *, seed=0, draw="even", read=picture):
    """The whole plan, by class and number."""
    rows = [
        row
        for parent, numbers in plan.assign_parents(originals, quotas, draw=draw, seed=seed)
        for row, _ in plan.plan_rows(parent, numbers, policy, seed, read(parent))
    ]
    return tuple(sorted(rows, key=lambda row: (row.label, row.number)))


def oracle(counts, strategy):
    labels = [name for name, count in counts.items() for _ in range(count)]
    quotas = check_sampling_strategy(strategy, labels, "over-sampling")
    return {str(name): int(number) for name, number in quotas.items() if number}


@given(COUNTS, st.sampled_from(WORDS))
def test_words_mean_what_imbalanced_learn_means(counts, word):
    assert plan.compute_quotas(counts, word) == oracle(counts, word)


@given(COUNTS, st.data())
def test_a_mapping_means_what_imbalanced_learn_means(counts, data):
    largest = max(counts.values())
    target = {n: data.draw(st.integers(count, largest)) for n, count in counts.items()}
    assert plan.compute_quotas(counts, target) == oracle(counts, target)


@given(st.integers(1, 60), st.integers(1, 500), st.floats(0.01, 1))
def test_a_ratio_means_what_imbalanced_learn_means(few, many, ratio):
    counts = {"a": few, "b": many}
    try:
        expected = oracle(counts, ratio)
    except ValueError:
        try:
            assert plan.compute_quotas(counts, ratio) == {}
        except InputError:
            return
    else:
        assert plan.compute_quotas(counts, ratio) == expected


@given(COUNTS, st.integers(1, 60))
def test_a_number_lifts_every_class_that_has_fewer(counts, target):
    after = Counter(counts) + Counter(plan.compute_quotas(counts, target))
    assert after == {name: max(count, target) for name, count in counts.items()}


def test_the_published_quota():
    counts = {"with_mask": 500, "without_mask": 60}
    assert plan.compute_quotas(counts, 360) == {"without_mask": 300}
    assert plan.compute_quotas(counts, 360, ["without_mask"]) == {"without_mask": 300}
    assert plan.compute_quotas(counts, "auto", ["with_mask"]) == {}
    assert plan.compute_quotas(counts, 60) == {}


@pytest.mark.parametrize(
    ("target", "classes", "message"),
    [
        (50, ["a"], "target asks for 50 images of class 'a', which has 60 already: .* 60 or more"),
        ({"a": 10}, None, "asks for 10 images of class 'a', which has 60"),
        ({"x": 10}, None, "unknown class 'x'; choose one of a, b, empty"),
        (90, ["bb"], "unknown class 'bb' .did you mean 'b'"),
        ({"a": 90}, ["a"], "leave out the list of classes"),
        ("largest", None, "or one of auto, not majority, minority.* got 'largest'"),
        (0.5, None, "needs two classes, got 0.5 with 3"),
        (90, None, "class 'empty' has no image to make 90 of"),
        ("auto", None, "class 'empty' has no image"),
    ],
)
def test_an_impossible_target_is_refused(target, classes, message):
    with pytest.raises(InputError, match=message):
        plan.compute_quotas({"a": 60, "b": 500, "empty": 0}, target, classes)


def test_a_seed_gives_the_numbers_that_it_always_gave():
    assert plan.DRAWS["even"](5, 12, 3, "a") == [0, 3, 1, 2, 4, 3, 1, 0, 2, 4, 0, 4]
    assert plan.DRAWS["random"](5, 12, 3, "a") == [0, 4, 3, 2, 3, 3, 2, 3, 4, 1, 3, 0]
    assert make(samples(a=3), {"a": 4}, seed=3) == (
        PlannedImage("a001", "a", 1, "rotate", {"angle": 11.767711}, 1537229753),
        PlannedImage("a000", "a", 2, "pad_resize", {"pixels": 10}, 1699132466),
        PlannedImage("a002", "a", 3, "autocontrast", {"applied": False}, 3608633043),
        PlannedImage("a002", "a", 4, "sharpness", {"applied": True, "factor": 1.25}, 4038889976),
    )


def test_an_even_draw_takes_every_parent_equally_often():
    """300 new images of 60 parents: five each, where a random draw takes some 1 and some 11."""
    rows = make(samples(a=60, b=2), {"a": 300}, DUPLICATE)
    assert set(Counter(row.parent for row in rows).values()) == {5}
    assert [row.number for row in rows] == list(range(1, 301))


@given(st.integers(1, 9), st.integers(0, 30))
def test_an_even_draw_differs_by_at_most_one(parents, quota):
    drawn = Counter(plan.DRAWS["even"](parents, quota, 3, "a"))
    assert sum(drawn.values()) == quota
    assert max(drawn.values(), default=0) - min(drawn[p] for p in range(parents)) <= 1


def test_a_random_draw_is_imbalanced_learns():
    rows = make(samples(a=60, b=2), {"a": 300}, DUPLICATE, draw="random")
    copies = Counter(row.parent for row in rows)
    assert sum(copies.values()) == 300
    assert max(copies.values()) > 8


@given(
    st.integers(1, 30), st.integers(0, 60), st.integers(0, 60), st.sampled_from(["even", "random"])
)
def test_a_longer_draw_begins_with_the_shorter_one(parents, one, two, draw):
    short, long = sorted((one, two))
    longer = plan.DRAWS[draw](parents, long, 7, "some class")
    assert longer[:short] == plan.DRAWS[draw](parents, short, 7, "some class")


@pytest.mark.parametrize("draw", ["even", "random"])
def test_a_longer_plan_begins_with_the_shorter_one_for_every_class(draw):
    originals = samples(a=7, b=5, c=3)
    short = make(originals, {"a": 9, "b": 4}, draw=draw)
    long = make(originals, {"a": 20, "b": 11, "c": 2}, draw=draw)
    for label, quota in {"a": 9, "b": 4}.items():
        assert [r for r in long if r.label == label][:quota] == [
            r for r in short if r.label == label
        ]


def test_a_plan_depends_on_ids_but_not_on_names_or_order():
    originals = samples(a=7, b=5)
    renamed = [Sample(s.id, f"x/{s.path}", s.label) for s in reversed(originals)]
    assert make(originals, {"a": 9}) == make(renamed, {"a": 9})


def test_seeds_and_classes_have_plans_of_their_own():
    a, b = (make(samples(**{name: 6}), {name: 12}) for name in "ab")
    assert [r.seed for r in a] != [r.seed for r in b]
    assert make(samples(a=6), {"a": 12}, seed=1) != make(samples(a=6), {"a": 12}, seed=2)
    assert len({r.seed for r in (*a, *b)}) == 24


def test_the_row_is_recomputed_from_its_seed_alone():
    policy = parsing.make_policy([EntryParams(transform="horizontal_flip", arguments={"p": 0.1})])
    originals = samples(a=3)
    for row in make(originals, {"a": 12}, policy):
        parent = next(s for s in originals if s.id == row.parent)
        drawn = compose.sample_policy(policy, np.random.default_rng(row.seed), picture(parent))
        assert drawn == (row.transform, row.params) == ("horizontal_flip", {"applied": True})


def test_homework_keeps_the_copies_equal_to_their_parent():
    """(.7 x .3 + (.2 + .2 + .3) x .5) / 3.5 = 16%, and about 1% of tiny turns and blurs."""
    parents = {s.id: images.to_picture(pixels(s, 128)) for s in samples(a=20)}
    rows = make(samples(a=20), {"a": 1500}, read=lambda s: parents[s.id])
    identical = sum(
        compose.apply_transform(r.transform, parents[r.parent], r.params) == parents[r.parent]
        for r in rows
    )
    assert 0.14 < identical / 1500 < 0.20


def test_a_policy_that_never_changes_an_image_is_refused_by_the_images_name():
    still = parsing.make_policy([EntryParams(transform="rotate", arguments={"degrees": 0})])
    with pytest.raises(InputError, match=r"a/0.png: the policy .rotate. never changes .*duplicate"):
        make(samples(a=1), {"a": 1}, still)


def test_derived_samples_are_no_parents_and_a_class_without_any_is_refused():
    child = Sample("child", "a/child.png", "a", parent="a000")
    assert {row.parent for row in make([*samples(a=1), child], {"a": 4})} == {"a000"}
    with pytest.raises(InputError, match="class 'z' has no image to make 3 of"):
        make(samples(a=1), {"z": 3})


def test_a_plan_on_disk_is_the_plan(tmp_path):
    rows = make(samples(a=4, b=2), {"a": 9, "b": 3})
    plan.write_plan(tmp_path, rows)
    assert plan.read_plan(tmp_path) == rows
    lines = (tmp_path / "plan.csv").read_text().splitlines()
    assert lines[0] == "parent,label,number,transform,params,seed"
    assert len(lines) == 13


def test_every_one_of_many_flipped_bits_in_a_plan_is_noticed(tmp_path):
    """manifest.json beside it names its sha256."""
    plan.write_plan(tmp_path, make(samples(a=4), {"a": 9}))
    write_manifest(tmp_path, Manifest(("a",), ()), (plan.TABLE,))
    for data in flipped((tmp_path / "plan.csv").read_bytes(), 200):
        (tmp_path / "plan.csv").write_bytes(data)
        with pytest.raises(InputError, match=r"plan\.csv: changed since it was written"):
            plan.read_plan(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan.csv: "),
        ("a,b\n", "columns must be parent,.* got a,b"),
        ("parent,label,number,transform,params,seed\np,a,1,rotate\n", "plan.csv: line 2"),
        ("parent,label,number,transform,params,seed\np,a,x,rotate,{},1\n", "line 2: .*'x'"),
    ],
)
def test_a_damaged_plan_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        plan.read_plan(tmp_path)


def test_a_missing_plan_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"plan.csv: no such file; `toolkit augment` writes it"):
        plan.read_plan(tmp_path)


def test_nothing_heavy_is_imported_unless_asked_for():
    code = (
        "import sys; from toolkit.augmentation import render\n"
        "from toolkit.augmentation.transforms.parsing import make_policy; make_policy('homework')\n"
        "print([m for m in ('torch', 'sklearn', 'imblearn', 'albumentations', 'cv2', 'matplotlib')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    assert done.stdout.strip() == "[]"


def test_numbers_are_one_after_the_other_within_each_class():
    rows = make(samples(a=4, b=2), {"b": 5, "a": 3})
    assert [(r.label, r.number) for r in rows] == [
        *(("a", n) for n in (1, 2, 3)),
        *(("b", n) for n in range(1, 6)),
    ]
    assert all((x.label, x.number) < (y.label, y.number) for x, y in pairwise(rows))


@settings(max_examples=40)
@given(
    few=st.integers(4, 8),
    many=st.integers(20, 40),
    folds=st.integers(2, 4),
    target=st.sampled_from(["auto", 50, {"few": 41}, 0.99]),
    draw=st.sampled_from(["even", "random"]),
    seed=st.integers(0, 99),
)
def test_one_plan_brings_every_fold_exactly_to_the_target(few, many, folds, target, draw, seed):
    originals = divide_samples(samples(few=few, many=many), folds, 2, np.random.default_rng(seed))
    counts = Counter(s.label for s in originals)
    quotas = plan.compute_quotas(counts, target)
    by_fold = plan.fold_quotas(originals, target)
    lengths = plan.plan_lengths(originals, quotas, by_fold, draw=draw, seed=seed)
    planned = {
        (parent.label, number): replace(parent, id=f"new-{parent.label}-{number}",
                                        path=f"{parent.label}/new-{number}", parent=parent.id)
        for parent, numbers in plan.assign_parents(originals, lengths, draw=draw, seed=seed)
        for number in numbers
    }  # fmt: skip
    new = tuple(planned[key] for key in sorted(planned))
    notes = {NEW: {"all": quotas, "folds": by_fold}}
    table = Manifest(("few", "many"), (*originals, *new), notes)
    used = set()
    for division, fold in [(0, None), *((d, f) for d in range(2) for f in range(folds))]:
        rows = [table.samples[row] for row in training_rows(table, division, fold)]
        assert all(fold is None or sample.folds[division] != fold for sample in rows)
        ends, before = (
            Counter(s.label for s in rows if not (original and s.derived))
            for original in (False, True)
        )
        goal = {"auto": before["many"], 0.99: int(0.99 * before["many"])}
        wanted = target["few"] if isinstance(target, dict) else goal.get(target, target)
        assert ends["few"] == wanted
        assert ends["many"] == (50 if target == 50 else before["many"])
        used |= {sample.id for sample in rows if sample.derived}
    last = {f"new-{label}-{n}" for label, n in lengths.items()}
    assert last <= used  # no image is made that no fold needs
