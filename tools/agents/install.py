"""Install the pinned programs of agents from npm into a cache directory; starts nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = {  # the versions that docs/agents.md names
    "claude": ("@anthropic-ai/claude-code", "2.1.197"),
    "codex": ("@openai/codex", "0.169.0"),
    "opencode": ("opencode-ai", "1.18.33"),
    "gemini": ("@google/gemini-cli", "0.61.0"),
}
TRY_SECONDS = 400


def program(name: str) -> Path:
    """Return the path of a program, whether or not it is installed."""
    cache = Path(os.environ.get("STITCHER_CACHE") or Path.home() / ".cache" / "stitcher")
    return cache / f"{name}-{PROGRAMS[name][1]}" / "node_modules" / ".bin" / name


def install(name: str) -> bool:
    """Install a program that is missing (100 to 400 MB); say whether it is there now."""
    path = program(name)
    target = path.parents[2]
    if path.exists():
        return True
    package, version = PROGRAMS[name]
    print(f"installing {package} {version} from npm into {target}", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=target.parent) as directory:
        whole = Path(directory) / "whole"  # only a complete installation gets the final name
        whole.mkdir()
        (whole / "package.json").write_text('{"private": true}\n')
        argv = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"{package}@{version}"]
        try:
            subprocess.run(argv, cwd=whole, check=True, stdout=sys.stderr, timeout=TRY_SECONDS)
        except (OSError, subprocess.SubprocessError) as fault:
            print(f"{name} is not installed, its tests are SKIPPED: {fault}", file=sys.stderr)
            return False
        if not path.exists():  # another process may have installed it meanwhile
            shutil.rmtree(target, ignore_errors=True)
            whole.rename(target)
    return path.exists()


if __name__ == "__main__":
    sys.exit(0 if all(list(map(install, PROGRAMS))) else 1)
