#!/usr/bin/env python3
"""Prints rows of results/exits.csv: accuracy against computation, of the report of a trained network.

    bin/locus train fashion-layerwise --steps 400 --set method.modules=4 --out RUN
    bin/locus eval RUN --report REPORT
    scripts/exits.py REPORT COMMIT MACHINE >results/exits.csv

A row is a confidence at which samples leave early, or a head that all samples leave at. Rows that repeat the one before
them are left out.
"""
import csv
import pathlib
import sys

report, commit, machine = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
origin = {"command": "locus train fashion-layerwise --steps 400 --set method.modules=4; locus eval RUN --report REPORT",
          "commit": commit, "machine": machine, "n": 1, "seed": 1}


def rows(name):
    with open(report / name, newline="") as f:
        return list(csv.DictReader(f))


heads = rows("heads.csv")
whole = float(heads[-1]["macs"])
out = csv.DictWriter(sys.stdout, ["way", "confidence", "module", "accuracy", "millions", "percent", *origin], lineterminator="\n")
out.writeheader()
before = None
for r in rows("exits.csv"):
    macs = float(r["macs"])
    if (r["accuracy"], macs) != before:
        out.writerow({"way": "each at the first head that is sure enough", "confidence": r["confidence"], "module": "", "accuracy": r["accuracy"],
                      "millions": f"{macs / 1e6:.4g}", "percent": f"{100 * macs / whole:.1f}"} | origin)
    before = (r["accuracy"], macs)
for h in heads:
    macs = float(h["macs"])
    out.writerow({"way": "all at one head", "confidence": "", "module": h["module"], "accuracy": h["top1"],
                  "millions": f"{macs / 1e6:.4g}", "percent": f"{100 * macs / whole:.1f}"} | origin)
