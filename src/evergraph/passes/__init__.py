"""Graph to graph: passes by name, the upgrade, shape and type inference, checks, pruning."""

from evergraph.passes.registry import Context, Edit, Outcome, Pass, apply, find, graph_pass, names

__all__ = ["Context", "Edit", "Outcome", "Pass", "apply", "find", "graph_pass", "names"]
