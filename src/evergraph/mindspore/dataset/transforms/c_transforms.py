"""The transforms under the name that old programs import."""

from evergraph.mindspore.dataset.transforms import *  # noqa: F403
