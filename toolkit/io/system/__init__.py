"""What differs between Linux, macOS and Windows: only these modules ask which of them it is.

What Windows or macOS lack is done in another way, or left out; docs/reliability.md says what is
weaker there.
"""
