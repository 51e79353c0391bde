#!/usr/bin/python3
"""flip.py FILE FIND REPLACE: prints the file with the one place where FIND stands replaced; it must be exactly one."""
import sys

path, find, replace = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    text = file.read()
if text.count(find) != 1:
    sys.exit(f"{path}: {find!r} stands there {text.count(find)} times")
print(text.replace(find, replace), end="")
