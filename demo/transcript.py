#!/usr/bin/env python3
"""Keeps the transcript of `make demo` in README.md true.

Reads the demo's output from standard input and passes it on line by line, so that it is seen as it comes. Then it takes
out what differs from run to run, and either writes the rest between the marks in the file (`--write FILE`) or compares it
with what is there (`--check FILE`). Exit code: 0 the same or written, 1 different, 2 the input is not a whole demo.
"""
import difflib
import pathlib
import re
import sys

BEGIN, END = "<!-- transcript: `make transcript` writes what follows -->\n", "<!-- end of transcript -->\n"
HEX = re.compile(r"\br-[0-9a-f]{40}\b")
VARIES = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b\d+ bytes"), "N bytes"),
    (re.compile(r"(https?://127\.0\.0\.1):\d+"), r"\1:PORT"),
    (re.compile(r"\bccd_[\w.-]+"), "ccd_TOKEN"),
    # The column AGE is the last one.
    (re.compile(r"   (\d+[smh])+$"), "   AGO"),
]


def stable(lines):
    """The lines without what differs from run to run, with the receipts in the order of their requesters."""
    result = []
    for line in (line.rstrip() for line in lines):
        if HEX.search(line):
            line = HEX.sub("r-HASH", line)
        for pattern, word in VARIES:
            line = pattern.sub(word, line)
        result.append(line)
    narrow_tables(result)
    return result


def narrow_tables(lines):
    """Receipts have long names: where they are shortened, the head of their table is narrowed as well."""
    for number, line in enumerate(lines):
        if line.lstrip().startswith("NAME "):
            rows = range(number + 1, next((n for n in range(number + 1, len(lines)) if "   " not in lines[n].strip()), len(lines)))
            if any("r-HASH " in lines[row] for row in rows):
                lines[number] = line.replace(" " * len("r-" + "0" * 40), " " * len("r-HASH"), 1)
                lines[rows.start : rows.stop] = sorted(lines[rows.start : rows.stop], key=lambda row: row.split()[3:])


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("--write", "--check"):
        sys.exit(__doc__)
    mode, path = sys.argv[1], pathlib.Path(sys.argv[2])
    seen = []
    for line in sys.stdin:
        print(line, end="", flush=True)
        seen.append(line)
    if not seen or not seen[-1].startswith("done: "):
        print("the demo did not come to its end; README.md was not touched", file=sys.stderr)
        sys.exit(2)

    wanted = ["```text", *stable(seen), "```"]
    before, rest = path.read_text().split(BEGIN)
    shown, after = rest.split(END)
    if mode == "--write":
        path.write_text(before + BEGIN + "\n".join(wanted) + "\n" + END + after)
        return
    difference = list(difflib.unified_diff(shown.splitlines(), wanted, f"{path}, as committed", "this run", lineterm=""))
    if difference:
        print(*difference, f"\n{path} shows another demo: run `make transcript` and commit {path}", sep="\n", file=sys.stderr)
        sys.exit(1)


main()
