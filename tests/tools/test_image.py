"""What is read of the image's own file."""

from tests.image.dockerfile import ROOT
from tools.image import DOCKERFILE, allocator


def test_the_allocator_is_told_what_the_image_tells_it() -> None:
    assert DOCKERFILE == ROOT / "Dockerfile"
    assert allocator() == {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}
