"""Where a project's files lie: what bare commands mean. Stages get their paths from dvc.yaml."""

from pathlib import Path

PARAMS = Path("params.yaml")
PREPARED, ARMS = Path("data/prepared"), Path("data/arms")
RUNS, AUDIT = Path("reports/runs"), Path("reports/audit.json")
PROBES, AUDITED = Path("reports/probe"), Path("reports/audit")
CHECKPOINTS = Path(".toolkit/checkpoints")
PROFILES = Path(".toolkit/profile")
