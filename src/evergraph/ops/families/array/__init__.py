"""Arrays: creation, shapes, indexing, ordering."""
