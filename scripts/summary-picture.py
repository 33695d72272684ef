#!/usr/bin/env python3
"""Draws coloured terminal output as SVG.

Usage, from the project's folder, on a terminal emulated by script(1):

    script -qec "stty cols 92; cargo run --release -- demo run" /dev/null \
        | scripts/summary-picture.py '$ kingtide demo run' > docs/summary.svg

Reads the output with its escape sequences from standard input, keeps what stands after the last
time the screen was cleared, and writes the picture. The first argument is shown as the command.
"""

import re
import sys
from html import escape

CELL_WIDTH = 8.0
LINE_HEIGHT = 18
MARGIN = 16
PALETTE = {
    30: "#45475a", 31: "#f38ba8", 32: "#a6e3a1", 33: "#f9e2af",
    34: "#89b4fa", 35: "#cba6f7", 36: "#94e2d5", 37: "#cdd6f4",
    90: "#8087a2", 91: "#f38ba8", 92: "#a6e3a1", 93: "#f9e2af",
    94: "#89b4fa", 95: "#cba6f7", 96: "#94e2d5", 97: "#ffffff",
}
FOREGROUND = "#cdd6f4"
BACKGROUND = "#1e1e2e"
SGR = re.compile(r"\x1b\[([0-9;]*)m")
OTHER_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]")


def summary(text):
    """Returns the lines from the verdict on: what the display drew over is left out."""
    text = text.replace("\r\n", "\n").replace("\r", "")
    lines = [OTHER_ESCAPE.sub("", line) for line in text.split("\n")]
    plain = [SGR.sub("", line) for line in lines]
    verdicts = [at for at, line in enumerate(plain) if re.match(r"[✓✗] (PASSED|FAILED)", line)]
    if not verdicts:
        sys.exit("summary-picture: the input holds no summary")
    lines = lines[verdicts[0] :]
    while lines and not SGR.sub("", lines[-1]).strip():
        lines.pop()
    return lines


def spans(line, style):
    """Yields runs of one style with the column where they begin."""
    column = 0
    for at, part in enumerate(SGR.split(line)):
        if at % 2 == 1:
            for code in [int(code or 0) for code in part.split(";")]:
                if code == 0:
                    style.clear()
                elif code == 1:
                    style["bold"] = True
                elif code == 2:
                    style["dim"] = True
                elif code == 22:
                    style.pop("bold", None)
                    style.pop("dim", None)
                elif code == 39:
                    style.pop("color", None)
                elif code in PALETTE:
                    style["color"] = PALETTE[code]
        elif part:
            yield column, part, dict(style)
            column += len(part)


def draw(lines):
    """Returns the picture. Each word stands in its cells, whatever the width of the font."""
    columns = max(len(SGR.sub("", line)) for line in lines)
    width = columns * CELL_WIDTH + 2 * MARGIN
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="The summary of kingtide demo run">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="13" fill="{FOREGROUND}">',
    ]
    style = {}
    for row, line in enumerate(lines):
        y = MARGIN + row * LINE_HEIGHT + 13
        for column, text, look in spans(line, style):
            attributes = ""
            if "color" in look:
                attributes += f' fill="{look["color"]}"'
            if look.get("bold"):
                attributes += ' font-weight="bold"'
            if look.get("dim"):
                attributes += ' fill-opacity="0.65"'
            for word in re.finditer(r"\S+", text):
                x = MARGIN + (column + word.start()) * CELL_WIDTH
                length = len(word[0]) * CELL_WIDTH
                out.append(f'<text x="{x:g}" y="{y}" textLength="{length:g}"{attributes}>{escape(word[0])}</text>')
    out += ["</g>", "</svg>"]
    return "\n".join(out) + "\n"


def main():
    lines = summary(sys.stdin.read())
    if len(sys.argv) > 1:
        lines = [f"\x1b[90m{sys.argv[1]}\x1b[0m", ""] + lines
    sys.stdout.write(draw(lines))


if __name__ == "__main__":
    main()
