"""`toolkit serve`, and `toolkit.serve`."""

import socket
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import InputError, explain_error, require_package
from toolkit.metrics.params import ThresholdRule
from toolkit.pipeline.steps.predict import describe_decisions, read_decisions
from toolkit.reporting.serving import drop_page
from toolkit.training import runs
from toolkit.training.runs import Run

AT_ONCE = 64
"""Connections; whoever comes then is told to come back (503)."""
GRACE = 3
"""Seconds that requests may take once it is ended."""


def serve(
    run: Run | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve a page on which a person drops photos, and JSON for programs, until it is stopped.

    `run` is what `train` returned, or its folder; `positive` and `threshold` are those of
    `predict`. `host` and `port` are where it listens: by default only this machine reaches it.
    Port 0 is any that is free; `say` gets the address. Photos are decoded in processes of their
    own, within limits, and not kept. Raises InputError for an address that cannot be listened on,
    for a package that is missing, and as `predict` does.
    """
    require_package("fastapi")
    require_package("uvicorn")
    import uvicorn  # extras

    from toolkit.pipeline import serving

    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    decisions = read_decisions(about, positive, threshold)
    about, network = runs.load_run(about.located())
    local = host in serving.LOOPBACK
    if not local:
        say(f"WARNING: whoever reaches {host} can send photos; there is no password")
    page = drop_page(
        f"{about.arm}-{about.recipe}-{about.seed}",
        about.classes,
        describe_decisions(decisions, threshold),
        "this machine" if local else host,
        serving.MAX_PHOTOS,
        serving.MAX_BYTES // 1_000_000,
    )
    predictor = serving.Predictor(about, network, decisions)
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


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = explain_error(error)
        raise InputError(f"{host}:{port}: cannot listen there ({reason}); try --port 0") from error
