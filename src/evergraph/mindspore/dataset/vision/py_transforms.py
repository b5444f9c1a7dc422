"""The transforms under the name that old programs import."""

from evergraph.mindspore.dataset.vision import *  # noqa: F403
