"""`mx.test_utils`: random arrays, comparisons, and checks of symbols, as programs' tests use them.

A star import also brings the modules that such programs expect with it: `np`, `mx`, `os`, `sys`, `time`, `logging`.
"""

import json
import logging
import os
import platform
import sys
import time

import numpy as np
import numpy.random as rnd
import numpy.testing as npt

import evergraph.mxnet as mx
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.utils import array
from evergraph.mxnet.symbol import Symbol
from evergraph.mxnet.testing.arrays import *  # noqa: F403
from evergraph.mxnet.testing.data import *  # noqa: F403
from evergraph.mxnet.testing.statistics import *  # noqa: F403
from evergraph.mxnet.testing.symbols import *  # noqa: F403
from evergraph.mxnet.testing.symbols import _parse_aux_states, _parse_location
from evergraph.mxnet.testing.tolerances import *  # noqa: F403
from evergraph.mxnet.testing.tolerances import find_max_violation as _find_max_violation
from evergraph.mxnet.util import getenv, setenv, use_np

# no __all__: what a star import brings is every name without an underscore, as in MXNet

_KEPT = (json, logging, os, platform, sys, time, np, rnd, npt, mx, Context, current_context, array, Symbol)
_ALSO = (_parse_aux_states, _parse_location, _find_max_violation, getenv, setenv, use_np)

try:
    import scipy.stats as ss
except ImportError:  # programs that draw their buckets from scipy have it
    ss = None
