#!/usr/bin/python3
"""tests/catalogue.tsv against itself, and against the design pages where they lie beside the checkout."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
DESIGN = HERE.parent.parent / "shared" / "design"


def slug(text):
    """The id of a line of limits.md: its first column in lower case with dashes, cut at a dash after 32 characters."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return "LIM-" + (words if len(words) <= 32 else words[:33].rsplit("-", 1)[0])


def design_ids():
    ids = {f"R{n}" for n in range(1, 33)} | {f"F{n}" for n in range(1, 33)}
    for line in (DESIGN / "threats.md").read_text(encoding="utf-8").splitlines():
        match = re.match(r"\| ([A-Z][0-9]+) \|", line)
        if match:
            ids.add(match.group(1))
    for line in (DESIGN / "limits.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| Limit ")):
            ids.add(slug(line.split("|")[1].strip()))
    return ids


def main():
    problems, seen = [], set()
    for number, line in enumerate((HERE / "catalogue.tsv").read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            problems.append(f"line {number}: {len(fields)} fields, not 3")
            continue
        identifier, sentence, labels = fields
        if identifier in seen:
            problems.append(f"line {number}: {identifier} stands twice")
        seen.add(identifier)
        if not sentence.endswith("."):
            problems.append(f"line {number}: not a sentence: {sentence}")
        for label in [] if re.fullmatch(r"open: [a-z][a-z ]*", labels) else labels.split():
            if not re.fullmatch(r"//[\w./-]+:[\w.-]+", label):
                problems.append(f"line {number}: not a test label: {label}")
    if DESIGN.is_dir():
        expected = design_ids()
        problems += [f"{i} of the design has no row" for i in sorted(expected - seen)]
        problems += [f"{i} is not in the design" for i in sorted(seen - expected)]
    else:
        print(f"the design pages are not at {DESIGN}: only the file itself was checked")
    print("\n".join(problems) or f"{len(seen)} rows in order")
    return 1 if problems or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
