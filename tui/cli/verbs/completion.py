"""`stitcher completion`: completion of verbs, options and ids for bash, zsh or fish."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence

from shared.locations import SocketPathTooLong, config_dir, socket_path
from tui.cli import exits
from tui.cli.completion import candidates
from tui.cli.completion.scripts import SCRIPTS
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient

DIVIDER = "\x1f"
_PATIENCE = 0.5  # seconds for one answer of the daemon: somebody has pressed tab
_HOW = {
    "bash": "into ~/.bashrc: source <(stitcher completion bash)",
    "zsh": "into ~/.zshrc, behind compinit: source <(stitcher completion zsh)",
    "fish": "stitcher completion fish > ~/.config/fish/completions/stitcher.fish",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the shell, and what its script asks."""
    how = "; ".join(f"{shell}: {line}" for shell, line in _HOW.items())
    parser.add_argument("shell", metavar="bash|zsh|fish", nargs="?", choices=SCRIPTS, help=f"its script. {how}")
    parser.add_argument("--words", help=SUPPRESS)


def run(options: Namespace, terminal: Terminal) -> int:
    """Print the script of a shell, or for such a script what may stand where the cursor is."""
    if options.words is not None:
        _answer(options.words.split(DIVIDER), terminal)
        return exits.OK
    if options.shell is None:
        terminal.note(f"stitcher: which shell: {', '.join(SCRIPTS)}?")
        return exits.USAGE
    terminal.data(SCRIPTS[options.shell].removesuffix("\n"))
    if terminal.watched:
        terminal.note(f"to use it, {_HOW[options.shell]}")
    return exits.OK


def _answer(words: Sequence[str], terminal: Terminal) -> None:
    found = candidates.complete(words, _daemon(words))
    terminal.data(found.kind)
    for offer in found.words:
        terminal.data(f"{offer.word}\t{offer.what}")


def _daemon(words: Sequence[str]) -> DaemonClient | None:
    """Return the daemon that the line itself means."""
    try:
        return DaemonClient(socket_path(_given(words, "--socket"), config_dir(_given(words, "--config"))), _PATIENCE)
    except SocketPathTooLong:
        return None


def _given(words: Sequence[str], name: str) -> str | None:
    for at, word in enumerate(words[:-1]):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and at + 2 < len(words):
            return words[at + 1]
    return None
