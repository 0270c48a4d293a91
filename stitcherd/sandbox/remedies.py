"""What to do where bubblewrap is there and does not work: read from what it says, and from the kernel's settings."""

from pathlib import Path

SETTINGS = Path("/proc/sys")

# A setting of the kernel that keeps ordinary users from making namespaces, by the value that does it.
_FORBIDDING = {
    ("kernel/unprivileged_userns_clone", "0"): "allow it: sysctl kernel.unprivileged_userns_clone=1",
    ("kernel/apparmor_restrict_unprivileged_userns", "1"): (
        "AppArmor forbids it: give bwrap a profile with `userns,`, or sysctl"
        " kernel.apparmor_restrict_unprivileged_userns=0"
    ),
    ("user/max_user_namespaces", "0"): "allow it: sysctl user.max_user_namespaces=10000",
}
_SAID = {
    "nknown option": "bubblewrap 0.8 or newer is needed",
    "mount proc": "parts of /proc are hidden, as in a container, or by ProtectKernelTunables= and its like in a unit",
}


def remedy(said: str, settings: Path = SETTINGS) -> str | None:
    """Return what would help against what bubblewrap said, if it is known."""
    for words, hint in _SAID.items():
        if words in said:
            return hint
    for (name, value), hint in _FORBIDDING.items():
        file = settings / name
        if file.exists() and file.read_text().strip() == value:
            return hint
    return None
