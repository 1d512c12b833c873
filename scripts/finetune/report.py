#!/usr/bin/env python3
"""Makes results/fine-tuning-photos.csv of the rows in results/fine-tuning-rows.csv, with Go.

Means and differences are those of `scripts/finetune -sum`. Times are the measured steps of results/fine-tuning-hours.csv,
as rows come from machines that did other work, too.

    python3 scripts/finetune/report.py && make evidence
"""
import csv
import os
import subprocess
import tempfile

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
RATES = {"resnet50": "0.01", "vit_s": "1e-4"}  # of photos.sh
ORDER = ["frozen, probe", "last module only", "bp", "bp, checkpoints", "layerwise", "sgr", "block rotation"]


def read(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


hours = {(r["model"], r["part"]): r["seconds_per_step"] for r in read("results/fine-tuning-hours.csv")}
rows = read("results/fine-tuning-rows.csv")
out = []
for model, rate in RATES.items():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["go", "run", "./scripts/finetune", "-model", model, "-lr", rate, "-sum",
                        "-done", "results/fine-tuning-rows.csv", "-out", folder], check=True)
        means = read(os.path.join(folder, "summary.csv"))
    for r in sorted(means, key=lambda r: ORDER.index(r["way"])):
        of = [x for x in rows if x["model"] == model and x["way"] == r["way"]]
        r["seconds_per_step"] = hours[model, r["way"]]
        r["time_over_bp"] = "%.2f" % (float(r["seconds_per_step"]) / float(hours[model, "bp"]))
        r["peak_mib"] = "%.0f" % float(r["peak_mib"])
        n, seed = r.pop("n"), r.pop("seed")
        out.append({"model": model, **r, "command": of[0]["command"], "commit": " ".join(dict.fromkeys(x["commit"] for x in of)),
                    "machine": of[0]["machine"], "n": n, "seed": seed})
with open("results/fine-tuning-photos.csv", "w", newline="") as f:
    w = csv.DictWriter(f, out[0].keys(), lineterminator="\n")
    w.writeheader()
    w.writerows(out)
