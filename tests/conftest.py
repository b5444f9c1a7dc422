"""What holds for all tests: none of them asserts a time, and a busy machine draws examples slowly."""

from hypothesis import HealthCheck, settings

settings.register_profile("evergraph", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("evergraph")
