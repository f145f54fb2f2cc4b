"""Built-in readers: the declarations; the code lies beside them."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import ReaderSpec, hookimpl


@hookimpl
def register_readers() -> Iterator[ReaderSpec]:
    """Offer the readers."""
    yield ReaderSpec(
        name="image_folder",
        summary=(
            "A folder with one folder of images for each class, as in photos/cat/1.jpg and photos/dog/2.jpg; "
            "train/, valid/ and test/ may stand above them."
        ),
        build="seedbed.plugins.readers.image_folder:build",
        folders=True,
    )
    yield ReaderSpec(
        name="demo",
        summary="Data that installed packages carry: demo:digits, 1,797 handwritten digits of 8 by 8 pixels.",
        build="seedbed.plugins.readers.demo:build",
        schemes=("demo",),
    )
