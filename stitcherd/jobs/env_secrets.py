"""Which values that rails pass to jobs by `env` are secret: everything that is not known to be something else."""

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

SECRET_MIN = 8  # characters; masking a shorter one would mask ordinary words
URL_WORD_MAX = 15  # characters of a word in the path of an address; a longer one may be a token, as in a webhook's

_ORDINARY_NAMES = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|HOSTNAME|TMPDIR|LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLORTERM|LS_COLORS"
    r"|EDITOR|VISUAL|PAGER|DISPLAY|WAYLAND_DISPLAY|XDG_[A-Z_]+|NO_PROXY|no_proxy|GIT_(?:AUTHOR|COMMITTER)_[A-Z]+"
    r"|(?:[A-Z0-9]+_)*MODEL"
)
_COMMON_WORDS = frozenset(
    {
        *("always", "automatic", "critical", "debug", "default", "dev", "development", "disable", "disabled"),
        *("enable", "enabled", "false", "host", "info", "local", "localhost", "never", "none", "optional", "prod"),
        *("production", "release", "required", "staging", "test", "testing", "true", "undefined", "unlimited"),
        *("unset", "verbose", "warning"),
    }
)
_ORDINARY_VALUES = re.compile(
    r"[a-z]{2,3}_[A-Z]{2}(?:\.[A-Za-z0-9-]+)?"  # a locale
    r"|(?:[A-Z][a-z]+_?)+(?:/(?:[A-Z][a-z]+_?)+)+"  # a time zone
    r"|[0-9]{1,4}(?:\.[0-9]{1,5}){1,3}(?::[0-9]{1,5})?"  # a version, an address
    r"|(?:[a-z0-9-]{1,20}\.)+[a-z]{2,10}(?::[0-9]{1,5})?"  # a host
    r"|[A-Za-z0-9._+-]{1,40}@(?:[a-z0-9-]{1,20}\.)+[a-z]{2,10}"  # an e-mail address
)
_TELLING_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|COOKIE|PRIVATE", re.IGNORECASE)


def passed_secrets(environ: Mapping[str, str], names: Iterable[str]) -> frozenset[bytes]:
    """Return the secret values of the variables `names` of an environment, and the passwords in their addresses."""
    found: set[str] = set()
    for name in names:
        value = environ.get(name, "").strip()
        if not _is_ordinary(name, value):
            found |= {value, *_passwords(value)}
    return frozenset(os.fsencode(value) for value in found if len(value) >= SECRET_MIN)


def _is_ordinary(name: str, value: str) -> bool:
    if _ORDINARY_NAMES.fullmatch(name) or _is_paths(value) or set(re.split(r"\W+", value.lower())) <= _COMMON_WORDS:
        return True
    if _TELLING_NAMES.search(name):
        return False
    return _ORDINARY_VALUES.fullmatch(value) is not None or _is_open_address(value)


def _is_paths(value: str) -> bool:
    """Return whether a value is a path, or several with colons; one from the root counts if the root has it."""
    return all(
        part.startswith(("~/", "./", "../")) or (part.startswith("/") and os.path.lexists("/" + part.split("/")[1]))
        for part in value.split(":")
    )


def _is_open_address(value: str) -> bool:
    """Return whether a value is a URL in which nothing can be secret."""
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    words = re.split(r"[/_.-]", url.path)
    is_plain = not (url.query or url.fragment or "@" in url.netloc)
    return bool(url.scheme and url.netloc) and is_plain and all(len(word) <= URL_WORD_MAX for word in words)


def _passwords(value: str) -> set[str]:
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}
