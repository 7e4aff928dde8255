"""From the results of runs to comparisons and verdicts; the probe; sweeps as numbers."""
