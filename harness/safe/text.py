"""Text that an engine or a stranger wrote, made safe to look at."""

import re
import sys

# What a terminal obeys instead of showing it (C0, DEL, C1), what turns the direction of the text
# around it (U+202A to U+202E, U+2066 to U+2069 and the marks), what cannot be encoded (surrogates),
# and what is not there to the eye: a name that looks like another one.
UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_UNSEEN_OR_BREAK = re.compile(f"[{UNSEEN}\t\n]")


def visible(text: object) -> str:
    r"""The text with every character that is not shown written as an escape: ``\x1b``, ``\u202e``.

    Line ends and tabs stay; "\r\n" is a line end.
    """
    return _UNSEEN.sub(_escape, str(text).replace("\r\n", "\n"))


def one_line(text: object) -> str:
    r"""The same on one line: line ends and tabs become ``\n`` and ``\t``."""
    return _UNSEEN_OR_BREAK.sub(_escape, str(text))


def flat(text: object) -> str:
    """The words of a message that is not ours, a library's for example, on one line and safe."""
    return one_line(" ".join(str(text).split()))


def say(text: object) -> None:
    """A line for people on standard error, as everything that `bench` says of itself."""
    print(f"bench: {one_line(text)}", file=sys.stderr)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    short = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\0": r"\0"}.get(character)
    number = ord(character)
    wide = rf"\u{number:04x}" if number < 0x10000 else rf"\U{number:08x}"
    return short or (rf"\x{number:02x}" if number < 0x100 else wide)
