#!/usr/bin/env bash
# Predicted speed of every scheme on 2 to 64 devices, as rows of results/scaling.csv, from pieces measured on one thread of this
# machine. Other programs may run: what counts is the processor's time.
# Usage: scripts/mesh/scaling.sh [MODEL…, default resnet50 vit_l] >results/scaling.csv
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
scripts/engine.sh "$dir/liblocus.so"
go build -tags lazyengine -o "$dir/locus" ./cmd/locus
flags=(--method layerwise,sgr --ranks 2,4,8,16,32,64 --link 100 --latency 10us --faster 1000 --batch 256 --threads 1)

echo model,gbits,latency_us,faster,batch,ranks,scheme,speed,command,commit,machine,n,seed
[ $# -gt 0 ] || set -- resnet50 vit_l
for name in "$@"; do
    "$dir/locus" plan --model "$name" "${flags[@]}" --json 2>/dev/null |
        NAME=$name COMMAND="locus plan --model $name ${flags[*]}" COMMIT=$(git rev-parse --short HEAD) python3 -c '
import json, os, sys
r = json.load(sys.stdin)
for row in r["rows"]:
    print(",".join([os.environ["NAME"], "%g" % r["link_gbits"], "%.0f" % (1e6 * r["latency_seconds"]), "%g" % r["faster"],
                    str(r["batch"]), str(row["ranks"]), "\"%s\"" % row["scheme"], "%.3g" % row["speed"],
                    "\"%s\"" % os.environ["COMMAND"], os.environ["COMMIT"], "\"one thread of an AMD EPYC\"", "1", "1"]))'
done
