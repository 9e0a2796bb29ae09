"""DataTables as a script that can stand inside a page, taken from the bundle that the itables package carries."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ganbench.errors import ResultsError

BUNDLE = "html/dt_bundle.js"
GLOBAL = "DataTable"
"""What the page's own scripts call the library by, on `window`."""

_EXPORT = re.compile(r"\bexport\s*\{(?P<names>[^{}]*)\}\s*;?")
_NAMES = re.compile(r"\s*(?P<local>[\w$]+)(?:\s+as\s+(?P<exported>[\w$]+))?\s*")
_LICENCE = "SpryMedia Ltd"


@cache
def datatables() -> str:
    """DataTables and what it needs as one plain script, which leaves `window.DataTable` behind and no other name.

    The notices of its licences stay in. Raises ResultsError where the installed bundle has another shape.
    """
    return as_script(_bundle(), BUNDLE)


def as_script(module: str, name: str) -> str:
    """`module`, an ES module without imports, as a script that puts its default export on `window`.

    Raises ResultsError, which calls the module `name`, where it does not end by exporting a default.
    """
    exports = list(_EXPORT.finditer(module))
    if len(exports) != 1:
        raise _other_shape(name, f"{len(exports)} lists of exports, expected one")
    default = _default_of(exports[0]["names"])
    if default is None:
        raise _other_shape(name, "no default export")
    if _LICENCE not in module:
        raise _other_shape(name, "no notice of DataTables' licence")
    start, end = exports[0].span()
    body = f"{module[:start]}window.{GLOBAL}={default};{module[end:]}"
    return inside_element(f'(()=>{{"use strict";{body}\n}})();')


def inside_element(script: str) -> str:
    """`script` with nothing in it that ends a `<script>` element or opens a comment of HTML."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _default_of(names: str) -> str | None:
    for item in names.split(","):
        found = _NAMES.fullmatch(item)
        if found and found["exported"] == "default":
            return found["local"]
    return None


def _bundle() -> str:
    specification = find_spec("itables")  # found without being imported: that would bring a notebook's tools along
    if specification is None or not specification.submodule_search_locations:
        raise ResultsError("itables is not installed, which carries the page's table; install ganbench's dependencies")
    path = Path(specification.submodule_search_locations[0]) / BUNDLE
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _other_shape(BUNDLE, str(error)) from error


def _other_shape(name: str, cause: str) -> ResultsError:
    return ResultsError(f"itables {name}: not a bundle that the page can use ({cause}); expected that of itables 2.9")
