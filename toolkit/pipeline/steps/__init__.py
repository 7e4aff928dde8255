"""One verb a module: what each command, and the function of the same name, does."""
