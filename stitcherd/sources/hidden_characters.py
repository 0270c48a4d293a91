"""Removes the characters of a text that no reader sees, or that reorder what is seen, and names their kinds."""

import re

_EMOJI = "\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_IDEOGRAPHS = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1820-\u18aa"
_JOINED = (  # the letters of scripts that are spelled with joiners: from Arabic to N'Ko, Mongolian, and those of India
    rf"\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff{_MONGOLIAN}\ua840-\ua8ff\ua980-\ua9df"
    r"\uaa60-\uaa7f\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00010eff\U00011000-\U00011fff"
)
_VIRAMAS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_BRITISH_FLAGS = (  # England, Scotland and Wales: a black flag, then tags that name the country
    r"(?<=\U0001f3f4)\U000e0067\U000e0062"
    r"(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_SPELLING = re.compile(  # what the visible characters around it need
    "|".join(
        (
            rf"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])",
            rf"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])|(?<=[{_VIRAMAS}])\u200d",
            rf"(?<=[0-9#*\xa9\xae{_EMOJI}])[\ufe0e\ufe0f]|(?<=[\u2200-\u2aff{_IDEOGRAPHS}])[\ufe00-\ufe02]",
            rf"(?<=[{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]|(?<=[{_MONGOLIAN}])[\u180b-\u180f]",
            _BRITISH_FLAGS,
        )
    )
)
_ESCAPES = "escape sequences"
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\|\x9c)"
)
_KINDS = {
    "control characters": r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff",
    "bidi controls": r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    "tag characters": r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff",
    "variation selectors": r"\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef",
    "zero-width characters": r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164"
    r"\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a",
}
_NAMES = tuple(_KINDS)
_KIND = re.compile("|".join(f"([{each}])" for each in _KINDS.values()))
_HIDDEN = re.compile(f"[{''.join(_KINDS.values())}]+")  # one class, which is found fast
_CONTROL = re.compile(r"[\x1b\x80-\x9f]")
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029]")


def drop_hidden_characters(text: str) -> tuple[str, list[str]]:
    r"""Return the text without hidden characters, and the names of their kinds. Takes time linear in the text.

    What remains are printable characters, tabs, and `\n` for every end of a line.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text, []
    found: dict[str, None] = {}
    text = _LINE_END.sub("\n", text)
    if _CONTROL.search(text):
        text, count = _ESCAPE.subn("", text)
        found = {_ESCAPES: None} if count else {}
    kept, at = [], 0
    while (run := _HIDDEN.search(text, at)) is not None:
        spelled = _SPELLING.match(text, run.start())
        kept.append(text[at : spelled.end() if spelled else run.start()])
        at = spelled.end() if spelled else run.end()
        if spelled is None:  # nor is the rest of the run: it has no visible neighbour
            kinds = {kind.lastindex for each in set(run[0]) if (kind := _KIND.match(each)) is not None}
            found |= {_NAMES[number - 1]: None for number in sorted(filter(None, kinds))}
    return "".join(kept) + text[at:], list(found)
