"""A training that was killed, stopped or out of time resumes to the same weights, bit for bit."""

import json
import multiprocessing
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.arms import arm, settings
from tests.helpers.waiting import TIMEOUT, wait_until
from toolkit.errors import InputError, StoppedError
from toolkit.io import closure
from toolkit.training import checkpoints, runs, steps
from toolkit.training.checkpoints import Store
from toolkit.training.params import Checkpoint
from toolkit.training.state import initial_state, training_job
from toolkit.training.train import TrainingOptions, train_one

STEP = Checkpoint(minutes=0)  # save after each step


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return arm(folder / "plain", {"a": 6, "b": 3}), arm(folder / "valid", {"a": 2, "b": 2})


def params(every=STEP, **recipe):
    return settings(**{"epochs": 3} | recipe).model_copy(update={"checkpoint": every})


def train(data, output: Path, options: TrainingOptions | None = None, every=STEP, **recipe):
    return train_one(*data, "r", params(every, **recipe), seed=1, output=output, options=options)


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    train(data, folder)
    return contents(folder)


def stop_after(steps: int, monkeypatch, act) -> None:
    """Call `act` on the next training's schedule after the given number of steps."""
    count = iter(range(1, 1000))
    real = checkpoints.CheckpointSchedule.after_step

    def after_step(self, *arguments):
        if next(count) == steps:
            act(self)
        real(self, *arguments)

    monkeypatch.setattr(checkpoints.CheckpointSchedule, "after_step", after_step)


def interrupted(data, folder: Path, monkeypatch, steps: int = 4, **recipe) -> Path:
    """The checkpoint of a training that Ctrl-C stopped after some steps."""
    with monkeypatch.context() as patch:
        stop_after(steps, patch, lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(StoppedError):
            train(data, folder / "run", TrainingOptions(folder / "saved"), **recipe)
    return next((folder / "saved").iterdir()) / checkpoints.SIDE


def kill_after_saves(child, folder: Path, rng: random.Random) -> None:
    """SIGKILL at any moment after one or two more checkpoints, unless it ends before."""

    def written() -> int:
        return sum(path.stat().st_mtime_ns for path in folder.glob("*/state.json"))

    for _ in range(rng.randint(1, 2)):
        before = written()
        wait_until(lambda before=before: not child.is_alive() or written() != before)
    child.join(rng.uniform(0, 0.1))
    child.kill()
    child.join(timeout=TIMEOUT)


def test_killed_at_random_points_it_ends_with_the_same_run(data, unbroken, tmp_path):
    """Real processes and SIGKILL; also the curves of DVCLive are the same."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toolkit.training.train", "dvclive.live"])
    options = TrainingOptions(tmp_path / "saved")
    arguments = {"seed": 1, "output": tmp_path / "run", "options": options}
    rng, codes = random.Random(time.time_ns()), []
    while 0 not in codes and len(codes) < 4:
        child = context.Process(target=train_one, args=(*data, "r", params()), kwargs=arguments)
        child.start()
        if len(codes) < 3:
            kill_after_saves(child, tmp_path / "saved", rng)
        child.join(timeout=TIMEOUT)
        codes.append(child.exitcode)
        child.kill()  # if it hangs: Python waits for it when it exits
    assert codes[-1] == 0
    assert -signal.SIGKILL in codes
    assert contents(tmp_path / "run") == unbroken
    assert not list((tmp_path / "saved").glob("*/state.json"))


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_signal_stops_at_the_step_and_the_same_call_resumes(
    data, unbroken, tmp_path, monkeypatch, steps
):
    before = signal.getsignal(signal.SIGINT)
    interrupted(data, tmp_path, monkeypatch, steps)
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGINT) is before
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"))
    assert contents(tmp_path / "run") == unbroken


def test_the_message_of_a_signal_says_how_to_resume(data, tmp_path, monkeypatch):
    stop_after(3, monkeypatch, lambda _: signal.raise_signal(signal.SIGTERM))
    text = r"stopped after 1 of 3 epochs and step 1 of the next; the same command resumes"
    with pytest.raises(StoppedError, match=text) as caught:
        train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"))
    assert caught.value.number == signal.SIGTERM


def test_gradients_and_dropout_are_resumed_too(data, tmp_path, monkeypatch):
    recipe = {"network": "googlenet", "width": 0.125, "epochs": 1, "gradients": True, "batch": 3}
    train(data, tmp_path / "unbroken", **recipe)
    interrupted(data, tmp_path, monkeypatch, 2, **recipe)
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"), **recipe)
    assert contents(tmp_path / "run") == contents(tmp_path / "unbroken")


def test_layers_keep_their_order_in_a_table_of_gradients_that_was_resumed(
    data, tmp_path, monkeypatch
):
    train(data, tmp_path / "unbroken", gradients=True)
    interrupted(data, tmp_path, monkeypatch, 4, gradients=True)  # in the second epoch
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"), gradients=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "unbroken")


def out_of_time(self):
    self.started -= 3600


def test_out_of_time_it_keeps_the_best_so_far_and_can_resume(data, unbroken, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(4, patch, out_of_time)  # in the second epoch
        run = train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved", max_minutes=30))
    assert (len(run.history), run.complete, run.best_epoch) == (1, False, 1)
    assert runs.read_run(tmp_path / "run") == run
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"))
    assert contents(tmp_path / "run") == unbroken


def test_it_stops_before_an_epoch_that_would_not_be_done_in_time(data, tmp_path, monkeypatch):
    def seconds_left(self):
        self.started -= 60 - 1e-3

    stop_after(3, monkeypatch, seconds_left)  # at the end of the first epoch
    run = train(data, tmp_path / "run", TrainingOptions(max_minutes=1))
    assert (len(run.history), run.complete) == (1, False)


def test_without_one_epoch_there_is_no_run(data, tmp_path, monkeypatch):
    stop_after(1, monkeypatch, out_of_time)
    with pytest.raises(
        InputError, match="time was up before the end of the first epoch; raise --max-minutes"
    ):
        train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved", max_minutes=30))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("victim", ["state.json", "*.safetensors"])
def test_a_damaged_checkpoint_is_refused_by_name(data, unbroken, tmp_path, monkeypatch, victim):
    path = interrupted(data, tmp_path, monkeypatch)
    damaged = next(path.parent.glob(victim))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(
        InputError, match=r"state\.json: not a usable checkpoint .* --restart trains"
    ):
        train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"))
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved", restart=True))
    assert contents(tmp_path / "run") == unbroken


def test_a_checkpoint_of_another_training_is_refused(data, tmp_path, monkeypatch):
    path = interrupted(data, tmp_path, monkeypatch)
    with pytest.raises(InputError, match="it is of another training"):
        Store(path.parent, "0" * 64).load(None)


def test_weights_of_another_network_are_refused(data, tmp_path, monkeypatch):
    """Also where the key is right: then somebody wrote the checkpoint by hand."""
    path = interrupted(data, tmp_path, monkeypatch)
    key = json.loads(path.read_text())["state"]["key"]
    wide = settings(network="resnet18")
    other = initial_state(training_job(wide, "r", 0), 2)
    with pytest.raises(InputError, match="not a usable checkpoint"):
        Store(path.parent, key).load(other)


@pytest.mark.parametrize("change", [{"learning_rate": 0.002}, {"epochs": 4}])
def test_another_recipe_begins_anew(data, tmp_path, monkeypatch, change):
    interrupted(data, tmp_path, monkeypatch)
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"), **change)
    train(data, tmp_path / "fresh", **change)
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    assert len(list((tmp_path / "saved").glob("*/state.json"))) == 1  # the interrupted one's stays


def test_out_of_memory_after_a_checkpoint_begins_anew_in_parts(data, tmp_path, monkeypatch):
    """The bytes are those without a checkpoint, and of a machine that never had the memory."""

    def train_with(name, memory_lasts, options=None):
        calls, real = iter(range(100)), steps.loss

        def loss(output, labels, *weights):
            if len(labels) > 3 and next(calls) >= memory_lasts:
                raise MemoryError
            return real(output, labels, *weights)

        with monkeypatch.context() as patch:
            patch.setattr(steps, "loss", loss)
            run = train(data, tmp_path / name, options, batch=4, accumulate=True)
        assert run.parts == 2
        return contents(tmp_path / name)

    saved = TrainingOptions(tmp_path / "checkpoints")
    assert train_with("saved", 1, saved) == train_with("never", 0) == train_with("late", 1)


def test_saving_every_few_epochs_or_never_changes_nothing(data, unbroken, tmp_path):
    for every in (Checkpoint(epochs=2, minutes=60), Checkpoint(minutes=60)):
        train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"), every)
        assert contents(tmp_path / "run") == unbroken


@pytest.mark.parametrize("part", ["code", "versions"])
def test_other_code_or_another_version_begins_anew(data, tmp_path, monkeypatch, part):
    interrupted(data, tmp_path, monkeypatch)
    before = closure.trace_imports("toolkit.training.train")
    name = {"code": "toolkit.io.images", "versions": "pillow"}[part]
    changed = replace(before, **{part: getattr(before, part) | {name: "another"}})
    monkeypatch.setattr(closure, "trace_imports", lambda _: changed)
    train(data, tmp_path / "run", TrainingOptions(tmp_path / "saved"))
    assert len(list((tmp_path / "saved").glob("*/state.json"))) == 1  # the interrupted one's stays
