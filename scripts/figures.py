#!/usr/bin/env python3
"""Prints rows of results/figures.csv: what the paper's Figures 2 to 4 show, of the runs of a comparison.

    bin/locus compare figure3-layerwise figure3-sgr --set threads=1 --out DIR
    scripts/figures.py DIR COMMIT MACHINE >results/figures.csv
    scripts/figures.py --means DIR COMMIT MACHINE >results/diagnoses-plainnet.csv

A diagnosis is a row, and so is an epoch; what a row has not measured is empty. --means prints the means over a run's
diagnoses instead.
"""
import csv
import json
import pathlib
import statistics
import sys

means = sys.argv[1] == "--means"
folder, commit, machine = pathlib.Path(sys.argv[-3]), sys.argv[-2], sys.argv[-1]
origin = ["command", "commit", "machine", "n", "seed"]
columns = ["quantity", "meaning", "module", "method", "mean"] if means else [
    "method", "step", "s", "shift_2", "shift_3", "shift_4", "train_loss", "train_acc", "test_loss", "test_acc"]
meanings = {"sgr_cos": "between neighbours", "global_cos": "local against global gradient",
            "shift_train": "ΔL_k on the images of the step", "shift": "ΔL_k on held-out images"}


def figures(method, events):
    for e in events:
        if e["event"] == "diagnosis":
            s = statistics.fmean(v for v in e["sgr_loss"] if v is not None)
            shift = {f"shift_{k + 1}": f"{v:.6g}" for k, v in enumerate(e["shift_train"]) if v is not None}
            yield {"method": method, "step": e["step"], "s": f"{s:.6g}"} | shift
        elif e["event"] == "epoch":
            yield {"method": method, "step": e["step"]} | {
                k: f"{e[k]:.6g}" for k in columns if k in e and k.split("_")[0] in ("train", "test")}


def averages(method, events):
    diagnoses = [e for e in events if e["event"] == "diagnosis"]
    for quantity, meaning in meanings.items():
        for module, values in enumerate(zip(*(d[quantity] for d in diagnoses)), 1):
            if None not in values:
                mean = statistics.fmean(values)
                text = f"{mean:.4f}" if quantity.startswith("shift") else "1" if mean > 0.9999 else f"{mean:.2f}"
                yield {"quantity": quantity, "meaning": meaning, "module": module, "method": method, "mean": text}


out = csv.DictWriter(sys.stdout, columns + origin, lineterminator="\n")
out.writeheader()
rows = []
for run in sorted(p.parent for p in folder.glob("*/summary.json")):
    summary = json.loads((run / "summary.json").read_text())
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    common = {"command": "locus compare figure3-layerwise figure3-sgr --set threads=1", "commit": commit,
              "machine": machine, "n": 1, "seed": summary["seed"]}
    rows += [row | common for row in (averages if means else figures)(summary["method"], events)]
if means:
    rows.sort(key=lambda r: (list(meanings).index(r["quantity"]), r["module"]))  # stable: methods stay in order
out.writerows(rows)
