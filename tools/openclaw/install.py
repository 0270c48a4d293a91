"""Puts the pinned OpenClaw and the Node.js it needs into a cache directory, once; it starts nothing."""

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
OPENCLAW = "2026.9.6"  # what docs/openclaw.md says was tested
TRIES = 3
TRY_SECONDS = 400  # for 830 MB, which take half a minute where nothing is slow
PAUSE_SECONDS = 5
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
    if (found := in_place(target)) is not None:
        return found
    print(f"getting openclaw {OPENCLAW} and node {NODE} from npm into {target}", file=sys.stderr)
    cache().mkdir(parents=True, exist_ok=True)
    for number in range(1, TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="openclaw-", dir=cache()) as name:
            place = Path(name) / "whole"  # only a finished installation gets the final name
            try:
                download(place)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
                print(f"try {number} of {TRIES} did not get it: {fault}", file=sys.stderr)
                time.sleep(PAUSE_SECONDS)
                continue
            if in_place(place) and not in_place(target):  # somebody else may have been quicker
                shutil.rmtree(target, ignore_errors=True)
                place.rename(target)
        if (found := in_place(target)) is not None:
            return found
    sys.exit(f"npm does not give openclaw {OPENCLAW} and node {NODE}: see above")


def in_place(target: Path) -> Installed | None:
    """Return the two programs where this directory has both."""
    modules = target / "node_modules"
    found = Installed(modules / NODE_PACKAGE / "bin" / "node", modules / "openclaw" / "openclaw.mjs")
    return found if found.node.exists() and found.entry.exists() else None


def download(place: Path) -> None:
    """Let npm fill a new directory; raises what subprocess.run raises."""
    place.mkdir()
    wanted = {"private": True, "dependencies": {NODE_PACKAGE: NODE, "openclaw": OPENCLAW}}
    (place / "package.json").write_text(json.dumps(wanted))
    # npm runs on whatever node the machine has, which may be older than the one that openclaw asks for.
    options = ["--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error"]
    patience = ["--fetch-retries=5", "--fetch-retry-mintimeout=2000", "--fetch-timeout=60000"]
    argv = ["npm", "install", *options, *patience]
    subprocess.run(argv, cwd=place, check=True, stdout=sys.stderr, timeout=TRY_SECONDS)


if __name__ == "__main__":
    print(install().entry)
