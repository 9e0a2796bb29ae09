"""Data sets of your own images: a folder of pictures, an .npz, or a WebDataset tar."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer `folder`, `npz` and `tar`."""
    yield _own(
        "folder", "Pictures in a folder; the folders in it are the classes, if classes are asked for", "a folder"
    )
    yield _own(
        "npz", "An array of uint8 images in an .npz or .npy, with its `labels`, if classes are asked for", "a file"
    )
    yield _own("tar", "Pictures in a WebDataset tar, with their .cls, if classes are asked for", "a file")


def _own(name: str, summary: str, place: str) -> Component:
    return Component(
        name,
        f"ganbench_files.data:{name}",
        summary=summary,
        paper="https://github.com/webdataset/webdataset" if name == "tar" else "",
        gives={
            "data": "images",
            "shape": ("{channels}", "{resolution}", "{resolution}"),
            "classes": "{classes}",
            "modes": 0,
            "extractor": "inception-v3-compat",
            "samples": 10_000,
            "licence": "yours",
            "source": f"{place} of your own: {name}:PATH, from --data-root or the working folder",
        },
    )
