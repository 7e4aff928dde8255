"""From predictions to numbers: scores, curves, thresholds, calibration, intervals, tests."""
