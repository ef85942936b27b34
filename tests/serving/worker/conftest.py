"""The fleet of tests/serving/fleet.py for the tests of this folder."""

from tests.serving.fleet import make_fleet

__all__ = ["make_fleet"]
