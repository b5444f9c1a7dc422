"""The families of operators; every module here is imported when an operator is first asked for."""
