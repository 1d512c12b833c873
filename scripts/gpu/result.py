"""Prints one line of results.jsonl: what a part of check.sh ended with.

result.py NAME EXIT-CODE SECONDS OUTPUT-FILE JSON-FILE; the last one need not be there."""

import json
import sys

name, code, seconds, output, measured = sys.argv[1:]
with open(output, errors="replace") as f:
    text = f.read()
result = {"part": name, "exit": int(code), "seconds": int(seconds), "output": text[-20000:]}
try:
    with open(measured) as f:
        result["measured"] = json.load(f)
except OSError:
    pass
print(json.dumps(result))
