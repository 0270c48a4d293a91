"""Finds well-known credential formats in added lines; precise by design, so that there are few false positives."""

from collections.abc import Callable, Iterator

from stitcherd.gates.patch import DiffFinding, FileChange, LinePattern

# The formats of their issuers. Each starts with a distinct prefix; all match in linear time.
_TOKEN_FORMATS = {
    "a GitHub token": rb"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "a GitLab token": rb"gl(?:pat|oas|ptt|dt|rt|ft|soat)-[A-Za-z0-9_-]{20,}",
    "an AWS access key": rb"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])",
    "a private key": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "an Anthropic key": rb"sk-ant-[A-Za-z0-9_-]{24,}",
    "an OpenAI key": rb"sk-(?:proj-|svcacct-|admin-)[A-Za-z0-9_-]{32,}|sk-[A-Za-z0-9]{40,}",
    "a Slack token": rb"xox[abeoprs]-(?:[0-9]+-)+[A-Za-z0-9]{16,}|xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-f0-9]{32,}",
    "a Stripe key": rb"[rs]k_live_[A-Za-z0-9]{20,}",
    "a Google API key": rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "an npm token": rb"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])",
    "a PyPI token": rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
}
_ANY_TOKEN = LinePattern.of(
    rb"(?<![A-Za-z0-9_])(?:" + b"|".join(b"(%s)" % pattern for pattern in _TOKEN_FORMATS.values()) + b")",
    *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"gl", b"AKIA", b"ASIA", b"PRIVATE KEY", b"sk-"),
    *(b"xox", b"xapp-", b"k_live_", b"AIza", b"npm_", b"pypi-"),
)
_TOKEN_NAMES = tuple(_TOKEN_FORMATS)
_DISTINCT_CHARACTERS_MIN = 8  # a token with fewer is a placeholder, like ghp_xxxxxxxx


def find_secrets(change: FileChange, mask_secrets: Callable[[bytes], bytes]) -> Iterator[DiffFinding]:
    """Yield a finding for each kind of secret that a change adds; no finding contains the secret.

    `mask_secrets` returns data with the secrets of the job replaced.
    """
    seen = set()
    for match in change.added.find(_ANY_TOKEN):
        name = _TOKEN_NAMES[(match.lastindex or 1) - 1]
        if name not in seen and not _is_placeholder(match[0]):
            seen.add(name)
            yield _finding(change, match.start(), name)
    data = bytes(change.added.data)
    after = mask_secrets(data)
    if after != data:
        yield _finding(
            change, _first_difference(data, after), "a secret of stitcherd.toml, or a value passed by `env`,"
        )


def _finding(change: FileChange, offset: int, name: str) -> DiffFinding:
    return DiffFinding(change.path, change.added.line_at(offset), "secret", f"{name} is written here")


def _is_placeholder(token: bytes) -> bool:
    return token.endswith(b"EXAMPLE") or len(set(token)) < _DISTINCT_CHARACTERS_MIN


def _first_difference(one: bytes, other: bytes) -> int:
    low, high = 0, len(one)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
