"""Where things lie in a project folder. Imports nothing heavy, for `toolkit --help` needs it."""

from pathlib import Path

PARAMS, PROVENANCE = Path("params.yaml"), Path("provenance")
RAW, PREPARED = Path("data/raw"), Path("data/prepared")
ARMS, FEATURES = Path("data/arms"), Path("data/features")
MODELS = Path("models")
RUNS, AUDIT = Path("reports/runs"), Path("reports/audit.json")
PROBES, AUDITED = Path("reports/probe"), Path("reports/audit")
UNPACKED, KEPT_FEATURES = Path(".toolkit/unpacked"), Path(".toolkit/features")
KEPT_EVALUATIONS = Path(".toolkit/evaluations")
CHECKPOINTS, PROFILES = Path(".toolkit/checkpoints"), Path(".toolkit/profile")
EXPORTED = Path("exported")
SWEEP_LOGS, LEADERBOARD_LOGS = Path(".toolkit/sweep"), Path(".toolkit/leaderboard")
