"""Options of `toolkit train` that need thought: several seeds."""

from pathlib import Path

import pytest
import typer

from toolkit.cli import training


def test_seeds_are_ranges_and_lists():
    found = training._outputs(Path("models/original-r-{seed}"), "0-2,5")
    assert list(found) == [0, 1, 2, 5]
    assert found[5] == Path("models/original-r-5")


@pytest.mark.parametrize("seeds", ["x", "3-1", "", "1,", "-1"])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(typer.BadParameter, match="must be like 0-9 or 0,3,5"):
        training._outputs(Path("run-{seed}"), seeds)


def test_runs_of_several_seeds_need_folders_of_their_own():
    with pytest.raises(typer.BadParameter, match=r"--output must contain \{seed\}"):
        training._outputs(Path("run"), "0-9")
