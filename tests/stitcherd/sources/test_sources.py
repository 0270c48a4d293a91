"""The table of sources: a new kind needs one module and one entry in the table."""

import shutil
import subprocess
import sys
from pathlib import Path

from shared.models import Thread
from stitcherd.sources import SOURCES

ROOT = Path(__file__).parents[3]
NEW_SOURCE = '''
"""Webhooks of Acme."""

from stitcherd.sources.payload import JSON, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_verifier
from stitcherd.sources.base import Source
from stitcherd.sources.trigger import Trigger


def parse(headers, body, /, *, source, bot, form=False):
    return Trigger(source=source, event=headers["X-Acme-Event"])


SOURCE = Source(
    kind="acme",
    verify=hmac_verifier("X-Acme-Signature"),
    parse=parse,
    external_id=delivery_id_reader("X-Acme-Delivery"),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=("X-Acme-Event",),
    content_types=frozenset({JSON}),
)
'''


def test_the_kinds_that_the_table_has() -> None:
    assert list(SOURCES) == ["gitea", "github", "gitlab", "mosaic", "standard"]


def test_where_each_kind_keeps_the_head_of_a_change() -> None:
    change, issue = Thread("change", 7), Thread("issue", 7)
    assert {kind: source.head_ref(change) for kind, source in SOURCES.items()} == {
        "gitea": "refs/pull/7/head",
        "github": "refs/pull/7/head",
        "gitlab": "refs/merge-requests/7/head",
        "mosaic": None,
        "standard": None,
    }
    assert {source.head_ref(thread) for source in SOURCES.values() for thread in (issue, None)} == {None}


def test_a_new_source_is_one_module_and_one_entry(tmp_path: Path) -> None:
    for package in ("shared", "stitcherd"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    sources = tmp_path / "stitcherd" / "sources"
    (sources / "acme.py").write_text(NEW_SOURCE)
    table = sources / "__init__.py"
    table.write_text(
        table.read_text().replace("import gitea,", "import acme, gitea,").replace("(gitea,", "(acme, gitea,")
    )
    (tmp_path / "stitcherd.toml").write_text(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n'
        '[sources.hooks]\nkind = "acme"\nsecrets = [{env = "ACME_SECRET"}]\n'
    )
    (tmp_path / "rails.yaml").write_text("version: 1\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={"ACME_SECRET": "x" * 20, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    checked = run("-m", "stitcherd", "--config", str(tmp_path), "--check")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    script = "SOURCES['acme'].parse({'X-Acme-Event': 'it'}, b'', source='hooks', bot=None).event"
    parsed = run("-c", f"from stitcherd.sources import SOURCES; print({script})")
    assert parsed.stdout == "it\n", parsed.stderr
