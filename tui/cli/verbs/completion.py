"""`stitcher completion`: prints the completion script of a shell, and answers the questions of those scripts."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence

from shared.locations import SocketPathTooLong, config_dir, socket_path
from tui.cli import exits
from tui.cli.completion.candidates import complete
from tui.cli.completion.scripts import SCRIPTS
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient

SEPARATOR = "\x1f"
_TIMEOUT = 0.5  # seconds for one response of the daemon: the user has pressed tab and waits
_INSTALL = {
    "bash": "into ~/.bashrc: source <(stitcher completion bash)",
    "zsh": "into ~/.zshrc, after compinit: source <(stitcher completion zsh)",
    "fish": "stitcher completion fish > ~/.config/fish/completions/stitcher.fish",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the shell, and the option that the scripts use."""
    how = "; ".join(f"{shell}: {line}" for shell, line in _INSTALL.items())
    parser.add_argument("shell", metavar="bash|zsh|fish", nargs="?", choices=SCRIPTS, help=f"the shell. {how}")
    parser.add_argument("--words", help=SUPPRESS)


def run(options: Namespace, terminal: Terminal) -> int:
    """Print the script of a shell, or for such a script the candidates at the cursor."""
    if options.words is not None:
        _print_candidates(options.words.split(SEPARATOR), terminal)
        return exits.OK
    if options.shell is None:
        terminal.note(f"stitcher: which shell: {', '.join(SCRIPTS)}?")
        return exits.USAGE
    terminal.data(SCRIPTS[options.shell].removesuffix("\n"))
    if terminal.stdout_is_terminal:
        terminal.note(f"to install it: {_INSTALL[options.shell]}")
    return exits.OK


def _print_candidates(words: Sequence[str], terminal: Terminal) -> None:
    candidates = complete(words, _client(words))
    terminal.data(candidates.kind)
    for candidate in candidates.words:
        terminal.data(f"{candidate.word}\t{candidate.description}")


def _client(words: Sequence[str]) -> DaemonClient | None:
    """Return a client of the daemon that the line being completed selects."""
    try:
        path = socket_path(_option_value(words, "--socket"), config_dir(_option_value(words, "--config")))
    except SocketPathTooLong:
        return None
    return DaemonClient(path, _TIMEOUT)


def _option_value(words: Sequence[str], name: str) -> str | None:
    for at, word in enumerate(words[:-1]):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and at + 2 < len(words):
            return words[at + 1]
    return None
