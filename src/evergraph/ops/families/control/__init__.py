"""Control flow over subgraphs, and operators written in Python."""
