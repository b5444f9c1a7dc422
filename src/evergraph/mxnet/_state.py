"""What MXNet keeps for each thread: recording, training, NumPy semantics."""

import threading

__all__ = ["STATE"]


class _State(threading.local):
    """One thread's flags.

    Attributes:
        recording: whether operators are recorded for a gradient (`autograd.record`).
        training: whether layers behave as in training.
        np_shape: whether () is a scalar's shape and 0 a true size.
        np_array: whether NumPy-like arrays are wanted.
    """

    recording = False
    training = False
    np_shape = False
    np_array = False


STATE = _State()
