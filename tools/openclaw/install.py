"""Puts the pinned OpenClaw and the Node.js it needs into a cache directory, once; it starts nothing."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

NODE = "24.21.0"
OPENCLAW = "2026.9.6"  # what docs/openclaw.md says was tested
NODE_PACKAGE = f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"


class Installed(NamedTuple):
    """Where the two programs are."""

    node: Path
    entry: Path


def cache() -> Path:
    """Return the directory of what is kept between runs: $STITCHER_CACHE, or ~/.cache/stitcher."""
    return Path(os.environ.get("STITCHER_CACHE") or Path.home() / ".cache" / "stitcher")


def install() -> Installed:
    """Return where the programs are, after getting them from npm where they are missing (about 830 MB)."""
    target = cache() / f"openclaw-{OPENCLAW}-node-{NODE}"
    modules = target / "node_modules"
    found = Installed(modules / NODE_PACKAGE / "bin" / "node", modules / "openclaw" / "openclaw.mjs")
    if found.node.exists() and found.entry.exists():
        return found
    print(f"getting openclaw {OPENCLAW} and node {NODE} from npm into {target}", file=sys.stderr)
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="openclaw-", dir=cache()) as name:
        place = Path(name) / "whole"  # only a finished installation gets the final name
        place.mkdir()
        wanted = {"private": True, "dependencies": {NODE_PACKAGE: NODE, "openclaw": OPENCLAW}}
        (place / "package.json").write_text(json.dumps(wanted))
        # npm runs on whatever node the machine has, which may be older than the one that openclaw asks for.
        options = ["--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", *options], cwd=place, check=True, stdout=sys.stderr)
        shutil.rmtree(target, ignore_errors=True)
        place.rename(target)
    return found


if __name__ == "__main__":
    print(install().entry)
