"""`mx.nd`: arrays and the functions on them."""
