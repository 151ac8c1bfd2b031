"""How fast netrun is, against bare `netrun_sim`: `python -m tests.benchmarks [case ...]`, or `make bench`.

It measures and prints a table; it judges nothing, and is no part of the tests.
"""
