"""Tests of the MXNet face."""
