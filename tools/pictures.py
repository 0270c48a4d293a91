"""`make pictures`: copy the screenshots in docs/ from the snapshots of the tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SNAPSHOTS = ROOT / "tests" / "tui" / "screens" / "__snapshots__" / "test_snapshots"
PICTURES = ("jobs", "job")
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Write each picture with a font of the viewer's system: it must not load one from elsewhere."""
    for name in PICTURES:
        drawn = (SNAPSHOTS / f"test_screen[{name}-120x40].svg").read_text("utf-8")
        drawn = FONT.sub("", drawn).replace("Fira Code", "monospace")
        (ROOT / "docs" / f"screen-{name}.svg").write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()
