"""Times of training: beside the checkpoints, never in an output."""

import pytest

from toolkit.evaluation.leaderboard import Standing, leaderboard_table
from toolkit.evaluation.results import RunKey
from toolkit.io import files
from toolkit.pipeline import paths, timing
from toolkit.training.checkpoints import Store


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Runs of one arm: 10 s, 14 s, and one that was interrupted."""
    monkeypatch.chdir(tmp_path)
    for seed, seconds in enumerate((10.0, 14.0, None)):
        run = tmp_path / paths.MODELS / "a-r" / str(seed)
        files.write_file(run / timing.SIDE, f'{{"seed": {seed}}}')
        Store.of(tmp_path / paths.CHECKPOINTS, {"seed": seed}).finish(run, seconds)
    return tmp_path


KEYS = [RunKey("a", "r", seed) for seed in range(4)]


@pytest.mark.usefixtures("project")
def test_the_seconds_of_a_run_are_noted_beside_the_checkpoints():
    assert timing.training_seconds(KEYS) == {KEYS[0]: 10.0, KEYS[1]: 14.0}
    assert timing.arm_seconds(KEYS) == {("r", "a"): 12.0}


def test_another_run_in_the_same_place_and_a_damaged_note_have_no_seconds(project):
    files.write_file(project / paths.MODELS / "a-r" / "0" / timing.SIDE, '{"seed": 7}')
    for note in (project / paths.CHECKPOINTS).glob("*/finished.json"):
        if '"seconds": 14' in note.read_text():
            note.write_text("[]")
    assert timing.training_seconds(KEYS) == {}


def test_the_leaderboard_shows_seconds_where_they_are_known():
    standings = [Standing(arm, "r", arm, "gmean", 0.9, 0.8, 1.0, 5, 6, 1, 9) for arm in ("a", "b")]
    assert "s a run" not in leaderboard_table(standings)[0]
    rows = leaderboard_table(standings, {("r", "b"): 12.34})
    assert [row[-1] for row in rows] == ["s a run", "", "12.3"]
