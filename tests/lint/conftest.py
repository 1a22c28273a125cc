"""Sets of an experiment in which all is well."""

import pytest

from tests.lint.builder import Sets


@pytest.fixture
def sets(tmp_path):
    return Sets(tmp_path)
