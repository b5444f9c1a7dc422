"""A fuzzer that knows the structure of files: by hand, `python -m tests.fuzz --seconds 3600`."""
