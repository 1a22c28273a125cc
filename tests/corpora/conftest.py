"""What tests of several corpora share."""

import pytest

from ser.core.errors import UserError
from ser.corpora import ffmpeg


@pytest.fixture(scope="session")
def program():
    try:
        return ffmpeg.find()
    except UserError as error:
        pytest.skip(str(error))
