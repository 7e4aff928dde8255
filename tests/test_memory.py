"""A batch that does not fit in memory: what fits is said, or it is taken in parts.

For real: in a process of its own, whose memory is limited.
"""

import multiprocessing
import resource
from pathlib import Path

import pytest

from tests.arms import arm, settings
from toolkit import dataset, fitting, trainee
from toolkit.errors import InputError

ROOM = 450 << 20  # bytes: too few for resnet18 and 64 images of 128 px, enough for some of them


def train(folder: Path, recipe: dict, answers) -> None:
    data = dataset.load(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
    try:
        fitted = fitting.fit(data, data, trainee.job(settings(**recipe), "r", 0))
    except InputError as error:
        answers.put(str(error))
    else:
        answers.put(fitted.parts)


def answer(folder: Path, **recipe):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toolkit.training", "dvclive.live"])
    answers = context.SimpleQueue()
    child = context.Process(
        target=train, args=(folder, {"epochs": 1, "batch": 64} | recipe, answers)
    )
    child.start()
    child.join(120)
    assert child.exitcode == 0
    return answers.get()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return arm(tmp_path_factory.mktemp("memory") / "arm", {"a": 40, "b": 24}, size=128)


def test_it_is_said_which_batch_fits(folder):
    text = answer(folder)
    assert "train.recipes.r.batch 64 does not fit in the memory of this machine (cpu)" in text
    assert "set it to " in text


def test_it_is_taken_in_parts_if_allowed(folder):
    assert answer(folder, accumulate=True) in {2, 4, 8, 16}
