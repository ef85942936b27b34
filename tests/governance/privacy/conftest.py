import pytest

from governance.privacy.detector import build_detector
from governance.privacy.spans import Detector


@pytest.fixture(scope="session")
def detect() -> Detector:
    return build_detector()
