"""Which directories a sandbox may not be shown, because somebody's secrets lie in them."""

import os
from collections.abc import Iterable
from pathlib import Path

_OF_HOME = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".config/gh", ".docker", ".kube", ".netrc", ".npmrc"),
    *(".git-credentials", ".config/git/credentials", ".pypirc", ".password-store", ".local/share/keyrings"),
    *(".mozilla", ".config/chromium", ".config/google-chrome", ".bash_history"),
)
_OF_SYSTEM = ("/dev", "/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/proc", "/run", "/sys", "/var/lib/docker")


def exposed(mount: str, private: Iterable[Path]) -> Path | None:
    """Return what a mount would show that it must not, or None: one of `private`, or a usual place of secrets.

    A mount that is below such a place, or above it, shows it; links are followed. The user's home is above some.
    """
    home = Path.home()
    guarded = [*private, *(home / name for name in _OF_HOME), *map(Path, _OF_SYSTEM)]
    asked = Path(os.path.expanduser(mount))  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    for place in guarded:
        for one, other in ((asked, place), (asked.resolve(), place.resolve())):
            if one.is_relative_to(other) or other.is_relative_to(one):
                return place
    return None
