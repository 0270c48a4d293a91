"""Raw HTML in Markdown, after CommonMark 0.31: what a tag looks like, and where a block of HTML ends."""

import re

_ATTRIBUTE = r"[A-Za-z_:][A-Za-z0-9_.:-]*+(?:[ \t\n]*+=[ \t\n]*+(?:[^ \t\n\"'=<>`]++|'[^']*+'|\"[^\"]*+\"))?+"
TAG = rf"<[A-Za-z][A-Za-z0-9-]*+(?:[ \t\n]++{_ATTRIBUTE})*+[ \t\n]*+/?>|</[A-Za-z][A-Za-z0-9-]*+[ \t\n]*+>"

_RAW = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:[ >]|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<![A-Z]", r">"),
        (r"<!\[CDATA\[", r"\]\]>"),
    )
)
_BLOCK_TAG = re.compile(
    r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir"
    r"|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li"
    r"|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td"
    r"|tfoot|th|thead|title|tr|track|ul)(?: |/?>|$)",
    re.IGNORECASE,
)
_LONE_TAG = re.compile(rf"(?:{TAG}) *")


def html_end(text: str, *, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return what ends the raw HTML that starts here, None where none does."""
    if not text.startswith("<"):
        return None
    for start, end in _RAW:
        if start.match(text):
            return end
    if _BLOCK_TAG.match(text) or (not in_paragraph and _LONE_TAG.fullmatch(text)):
        return re.compile("")
    return None
