"""An operating system that fails at a chosen call."""

import importlib
import os

from evergraph.stores import commit

commits = importlib.import_module("evergraph.stores.commit")

OLD, NEW = b"old" * 1000, b"new" * 900_000
CALLS = (
    "open",
    "writev",
    "fsync",
    "close",
    "link",
    "replace",
    "fchmod",
    "fstat",
    "statvfs",
    "stat",
    "unlink",
    "listdir",
)


class Faulty:
    """Stands for the os module: counts the commit's system calls, and fails the chosen one (or all from it on)."""

    def __init__(self, fail_at, error, keep_failing=False, short=False):
        self.count, self.fail_at, self.error, self.keep_failing, self.short = 0, fail_at, error, keep_failing, short
        self.log = []

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*args, **kwargs):
            self.count += 1
            self.log.append(name)
            if self.count == self.fail_at or (self.keep_failing and self.count > self.fail_at > 0):
                if self.short and name == "writev":
                    whole = b"".join(args[1])
                    return real(args[0], [whole[: max(len(whole) // 2, 1)]])
                if name == "close":  # the descriptor is gone even when close reports an error
                    real(*args)
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **kwargs)

        return call


def save(path, data=NEW):
    with commit(path, total=len(data)) as sink:
        for start in range(0, len(data), 700_000):
            sink.write(data[start : start + 700_000])
