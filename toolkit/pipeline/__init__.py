"""What DVC runs: the whole of params.yaml, project folders, experiments, revisions, sweeps."""
