"""Install the pinned OpenClaw, and the Node.js it needs, into a cache directory; starts nothing."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

NODE = "24.21.0"
OPENCLAW = "2026.9.6"  # the version that docs/openclaw.md names
TRIES = 3
TRY_SECONDS = 400  # for 830 MB, which usually take half a minute
PAUSE_SECONDS = 5
NODE_PACKAGE = f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"


class Installed(NamedTuple):
    """The paths of the two programs."""

    node: Path
    entry: Path


def cache() -> Path:
    """Return the cache directory: $STITCHER_CACHE, or ~/.cache/stitcher."""
    return Path(os.environ.get("STITCHER_CACHE") or Path.home() / ".cache" / "stitcher")


def install() -> Installed:
    """Return the paths of the programs; installs them from npm if they are missing (about 830 MB)."""
    target = cache() / f"openclaw-{OPENCLAW}-node-{NODE}"
    if (found := find_installed(target)) is not None:
        return found
    print(f"installing openclaw {OPENCLAW} and node {NODE} from npm into {target}", file=sys.stderr)
    cache().mkdir(parents=True, exist_ok=True)
    for number in range(1, TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="openclaw-", dir=cache()) as name:
            place = Path(name) / "whole"  # only a complete installation gets the final name
            try:
                download(place)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
                print(f"try {number} of {TRIES} failed: {fault}", file=sys.stderr)
                time.sleep(PAUSE_SECONDS)
                continue
            if find_installed(place) and not find_installed(target):  # another process may have installed it meanwhile
                shutil.rmtree(target, ignore_errors=True)
                place.rename(target)
        if (found := find_installed(target)) is not None:
            return found
    sys.exit(f"npm could not install openclaw {OPENCLAW} and node {NODE}: see above")


def find_installed(target: Path) -> Installed | None:
    """Return the two programs if this directory has both, otherwise None."""
    modules = target / "node_modules"
    found = Installed(modules / NODE_PACKAGE / "bin" / "node", modules / "openclaw" / "openclaw.mjs")
    return found if found.node.exists() and found.entry.exists() else None


def download(place: Path) -> None:
    """Install into a new directory with npm; raises what subprocess.run raises."""
    place.mkdir()
    wanted = {"private": True, "dependencies": {NODE_PACKAGE: NODE, "openclaw": OPENCLAW}}
    (place / "package.json").write_text(json.dumps(wanted))
    # npm runs on the node of the machine, which may be older than the one that openclaw requires.
    options = ["--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error"]
    timeouts = ["--fetch-retries=5", "--fetch-retry-mintimeout=2000", "--fetch-timeout=60000"]
    argv = ["npm", "install", *options, *timeouts]
    subprocess.run(argv, cwd=place, check=True, stdout=sys.stderr, timeout=TRY_SECONDS)


if __name__ == "__main__":
    print(install().entry)
