"""Run as `python -m toolkit`."""

from toolkit.start import main

main()
