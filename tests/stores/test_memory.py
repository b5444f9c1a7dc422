"""What is read from a mapped file does not stay in memory."""

import os
import sys

import pytest

from evergraph.stores import open_source
from evergraph.tensors import Extent

SIZE = 64 << 20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts pages as Linux does")


def mapped():
    """Bytes of files that this process has in memory."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssFile"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(SIZE >> 20))
    return open_source(path)


def test_a_copy_through_the_mapping_lets_its_pages_go(source):
    before, most = mapped(), 0
    for start in range(0, SIZE, 100_000):
        for chunk in Extent(source, start, min(100_000, SIZE - start)).chunks():
            bytes(chunk)
        most = max(most, mapped())
    assert most - before < SIZE // 8
    for chunk in Extent(source, 0, SIZE).chunks():
        bytes(chunk)
    assert mapped() - before < SIZE // 8


def test_a_table_is_read_without_mapping_the_file(source):
    before = mapped()
    for start in range(0, SIZE - 100, 100_000):
        assert bytes(source.block(start, 100)[:100]) == source.peek(start, 100)
    assert mapped() - before < SIZE // 8


def test_released_bytes_are_there_again(source):
    view = source.read(12345, 100_000)
    kept = bytes(view)
    source.release(12345, 100_000)
    assert bytes(view) == kept == source.peek(12345, 100_000)


def test_small_arrays_that_lie_scattered_map_nothing_around_them(source):
    before = mapped()
    kept = [Extent(source, start, 1000).private() for start in range(0, SIZE, 1 << 17)]
    assert all(bytes(k) == source.peek(i << 17, 1000) for i, k in enumerate(kept))
    assert mapped() - before < SIZE // 8
