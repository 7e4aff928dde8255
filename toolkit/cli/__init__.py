"""The command line: Typer commands, and the only room that prints."""
