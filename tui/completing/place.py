"""Where the cursor is on a line, read off the parsers: in which verb, and at the value of which argument."""

from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterable, Iterator

from msgspec import Struct

from tui.parsing import VerbParser


class Place(Struct, frozen=True):
    """The parser that would read the word, the verb that it is of, and whose value it would be (None: of nothing)."""

    parser: ArgumentParser
    verb: str
    argument: Action | None
    may_be_option: bool


def find(parser: ArgumentParser, before: Iterable[str]) -> Place | None:
    """Walk over the words before the cursor as argparse would; None behind a verb or an action that is unknown."""
    verb, awaited, dashes, taken = "", None, False, 0
    for word in before:
        if awaited is not None:
            awaited = None
        elif word == "--" and not dashes:
            dashes = True
        elif not dashes and word.startswith("-") and (action := option(parser, word)) is not None:
            awaited = None if action.nargs == 0 else action
        elif not dashes and word.startswith("--"):
            continue  # with its value behind =, or unknown
        elif isinstance(action := _positional(parser, taken), _SubParsersAction):
            if word not in action.choices:
                return None
            parser, taken, verb = action.choices[word], 0, verb or word
            if isinstance(parser, VerbParser):
                parser.learn()
        else:
            taken += 1
    free = awaited is None and not dashes
    return Place(parser, verb, awaited or _positional(parser, taken), may_be_option=free)


def option(parser: ArgumentParser, word: str) -> Action | None:
    """Return the option that a word names."""
    return next((action for action in _actions(parser) if word in action.option_strings), None)


def options(parser: ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the name of each option, and what it does."""
    for action in _actions(parser):
        yield from ((name, action.help or "") for name in action.option_strings if action.help != SUPPRESS)


def choices(action: Action) -> Iterator[tuple[str, str]]:
    """Yield the verbs or actions that a parser knows, or the values that an argument may have; and what each is."""
    if isinstance(action, _SubParsersAction):
        yield from ((choice.dest, choice.help or "") for choice in action._choices_actions)  # noqa: SLF001 (see _actions)
    else:
        yield from ((str(choice), "") for choice in action.choices or ())


def _positional(parser: ArgumentParser, taken: int) -> Action | None:
    """Return what the next word is when so many have been taken."""
    for action in _actions(parser):
        if not action.option_strings:
            if action.nargs in {"*", "+"} or not taken:
                return action
            taken -= 1
    return None


def _actions(parser: ArgumentParser) -> list[Action]:
    return parser._actions  # noqa: SLF001 (argparse tells nobody what it was told; as argcomplete reads it)
