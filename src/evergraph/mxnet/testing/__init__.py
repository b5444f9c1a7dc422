"""What `mx.test_utils` is made of."""
