"""`toolkit serve`, and `toolkit.serve`."""

import socket
from collections.abc import Callable
from pathlib import Path

from toolkit.datasets.local import open_images
from toolkit.errors import InputError, explain_error, require_package
from toolkit.metrics.params import ThresholdRule
from toolkit.pipeline.steps.predict import describe_decisions, read_decisions
from toolkit.progress import Track, silent
from toolkit.reporting.serving import drop_page
from toolkit.training import dataset, inference, runs
from toolkit.training.dataset import LabeledFolder
from toolkit.training.runs import Run

AT_ONCE = 64
"""Connections; whoever comes then is told to come back (503)."""
GRACE = 3
"""Seconds that requests may take once it is ended."""


def serve(
    run: Run | Path | str,
    *,
    images: Path | str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve a page on which a person drops photos, and JSON for programs, until it is stopped.

    `run` is what `train` returned, or its folder; `positive` and `threshold` are those of
    `predict`. `images` is a folder of the training images, of which the nearest three are shown
    beside each photo: those whose features, before the last layers, are the most similar ones.
    `host` and `port` are where it listens: by default only this machine reaches it.
    Port 0 is any that is free; `say` gets the address. Photos are decoded in processes of their
    own, within limits, and not kept. Raises InputError for an address that cannot be listened on,
    for a package that is missing, for images that cannot be used, and as `predict` does.
    """
    require_package("fastapi")
    require_package("uvicorn")
    import uvicorn  # extras

    from toolkit.pipeline import nearest, serving

    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    decisions = read_decisions(about, positive, threshold)
    about, network = runs.load_run(about.located())
    local = host in serving.LOOPBACK
    if not local:
        seen = "" if images is None else " and sees training photos"
        say(f"WARNING: whoever reaches {host} can send photos{seen}; there is no password")
    trained = None
    if images is not None:
        folder = _trained_folder(images, about, track, say)
        trained = nearest.load_photos(about, network, folder, track)
    page = drop_page(
        f"{about.arm}-{about.recipe}-{about.seed}",
        about.classes,
        describe_decisions(decisions, threshold),
        "this machine" if local else host,
        serving.MAX_PHOTOS,
        serving.MAX_BYTES,
        nearest=trained is not None,
    )
    predictor = serving.Predictor(about, network, decisions, trained)
    app = serving.build_app(predictor, page, serving.LOOPBACK if local else ("*",))
    with _listen(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        say(f"http://{name}:{listener.getsockname()[1]}/ is ready; Ctrl-C ends it")
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            limit_concurrency=AT_ONCE,
            timeout_graceful_shutdown=GRACE,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _trained_folder(
    images: Path | str, run: Run, track: Track, say: Callable[[str], object]
) -> LabeledFolder:
    folder = dataset.open_folder(open_images(images, track=track, say=say).folder, track, say)
    inference.check_known_classes(run, folder.path, folder.classes)
    if not folder.originals:
        raise InputError(f"{images}: holds new images only; name the folder of their originals")
    if folder.originals_sha256 != run.originals:
        say(f"{images}: not the images that the run was trained on; the nearest are of these")
    return folder


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = explain_error(error)
        raise InputError(f"{host}:{port}: cannot listen there ({reason}); try --port 0") from error
