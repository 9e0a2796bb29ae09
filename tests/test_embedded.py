import shutil
import subprocess

import pytest

from ganbench.embedded import as_script, datatables
from ganbench.errors import ResultsError

MODULE = "var a=1;var table=2;export{a as Other,table as default};\n/*! SpryMedia Ltd */\n"


def test_the_installed_bundle_leaves_one_name_and_keeps_its_notices():
    script = datatables()
    assert script.count("window.DataTable=") == 1
    assert "© SpryMedia Ltd - datatables.net/license" in script
    assert "</script" not in script
    assert "<!--" not in script


def test_a_module_becomes_a_script_that_exports_its_default():
    assert as_script(MODULE, "x.js") == (
        '(()=>{"use strict";var a=1;var table=2;window.DataTable=table;\n/*! SpryMedia Ltd */\n\n})();'
    )


def test_what_would_end_the_element_or_open_a_comment_is_written_otherwise():
    script = as_script(f'"</script><!--";{MODULE}', "x.js")
    assert r'"<\/script><\!--"' in script


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("var a=1;", "0 lists of exports"),
        (f"{MODULE}export{{b}}", "2 lists of exports"),
        (MODULE.replace("table as default", "table"), "no default export"),
        (MODULE.replace("SpryMedia", "Nobody"), "no notice"),
    ],
)
def test_a_bundle_of_another_shape_is_refused_by_name(module, cause):
    with pytest.raises(ResultsError, match=f"itables x.js: .*{cause}.*expected that of itables 2.9"):
        as_script(module, "x.js")


def test_a_missing_bundle_is_named(monkeypatch):
    monkeypatch.setattr("ganbench.embedded.find_spec", lambda name: None)
    datatables.cache_clear()
    with pytest.raises(ResultsError, match="itables is not installed"):
        datatables()
    monkeypatch.undo()
    assert datatables()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to read JavaScript")
def test_the_script_can_be_read_by_an_engine(tmp_path):
    (tmp_path / "bundle.js").write_text(datatables(), encoding="utf-8")
    subprocess.run(["node", "--check", tmp_path / "bundle.js"], check=True, timeout=60)
