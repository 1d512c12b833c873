#!/usr/bin/python3
"""Average precision, F1 and the best threshold of random answers, by scikit-learn: ranking.json. Without it, nothing is changed."""
import json
import sys
import warnings

try:
    import numpy
    from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
except ImportError:
    print("scikit-learn is missing: ranking.json stays as it is")
    sys.exit(0)

warnings.filterwarnings("ignore")
cases = []
for seed, (samples, classes, levels) in enumerate([(40, 4, 0), (60, 5, 7), (7, 3, 3), (200, 6, 0)]):
    random = numpy.random.default_rng(seed)
    has = (random.random((samples, classes)) < random.uniform(0.05, 0.6, classes)).astype(int)
    logits = random.normal(size=(samples, classes)) + 1.5 * has - 0.7
    if levels:  # ties
        logits = numpy.round(logits * levels / 6) * 6 / levels
    logits = logits.astype(numpy.float32)
    if seed == 1:
        has[:, 2] = 0  # nobody has the class, and some are taken to have it
    if seed == 2:
        has[:, 1], logits[:, 1] = 0, -1  # and none
    said = (logits >= 0).astype(int)
    each = []
    for k in range(classes):
        one = {"positives": int(has[:, k].sum()), "ap": None, "f1": None, "best": None, "best_f1": None}
        if has[:, k].any():
            one["ap"] = float(average_precision_score(has[:, k], logits[:, k]))
            precision, recall, thresholds = precision_recall_curve(has[:, k], logits[:, k])
            f1 = 2 * precision[:-1] * recall[:-1] / numpy.maximum(precision[:-1] + recall[:-1], 1e-12)
            at = max(i for i in range(len(f1)) if f1[i] > f1.max() - 1e-12)
            one["best"], one["best_f1"] = float(thresholds[at]), float(f1[at])
        if has[:, k].any() or said[:, k].any():
            one["f1"] = float(f1_score(has[:, k], said[:, k]))
        each.append(one)
    cases.append({
        "classes": classes, "logits": logits.flatten().tolist(), "has": has.flatten().tolist(), "each": each,
        "map": float(numpy.mean([one["ap"] for one in each if one["ap"] is not None])),
        "f1": float(f1_score(has, said, average="macro", zero_division=numpy.nan)),
        "f1_micro": float(f1_score(has, said, average="micro")),
    })
with open("ranking.json", "w") as f:
    json.dump(cases, f)
    f.write("\n")
