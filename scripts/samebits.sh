#!/usr/bin/env bash
# Shows that two programs train the same networks, bit for bit: a few steps of one recipe a method family with each, and then
# a comparison of the weights.
#
#   scripts/samebits.sh BASE_PROGRAM NEW_PROGRAM [NAME...]
#   scripts/samebits.sh --golden PROGRAM >cli/testdata/bits/golden.txt
#
# Names choose among the runs of cli/testdata/bits/runs.txt. The second form prints a hash of the weights of each run, for
# TestBits. It lets the engine use the oldest instructions that it has, which every x86-64 processor executes alike.
# Both need Fashion-MNIST, python3 and about a minute; the exit code is 1 if weights differ.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 BASE_PROGRAM NEW_PROGRAM [NAME...], or $0 --golden PROGRAM" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

common="--steps 12 --set threads=1 --set data.limit=96 --set data.test_limit=16 --set data.batch=16 --set model.depth=8 --set model.width=4"

# The tensors of files, by name, type, shape and bytes; what describes a file may differ. Of one file: their hash.
compare() {
    python3 - "$@" <<'PYTHON'
import hashlib, json, sys
def load(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + n])
    head.pop("__metadata__", None)
    return {k: (t["dtype"], t["shape"], raw[8 + n + t["data_offsets"][0] : 8 + n + t["data_offsets"][1]]) for k, t in head.items()}
a = load(sys.argv[1])
if len(sys.argv) == 2:
    h = hashlib.sha256()
    for name in sorted(a):
        dtype, shape, data = a[name]
        h.update(f"{name} {dtype} {' '.join(map(str, shape))}\n".encode() + data)
    print(h.hexdigest())
    sys.exit()
b = load(sys.argv[2])
different = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
print(f"{len(a)} tensors, {len(different)} different" + (": " + ", ".join(different[:3]) if different else ""))
sys.exit(bool(different))
PYTHON
}

# run PROGRAM FOLDER ARGUMENTS trains into a folder.
run() {
    local program=$1 out=$2 arguments=$3
    # shellcheck disable=SC2086 # words on purpose
    "$program" train ${arguments%% --*} $common ${arguments#"${arguments%% --*}"} --out "$out" >"$dir/log" 2>&1 || {
        echo "$program train $arguments failed:" >&2
        tail -n 3 "$dir/log" >&2
        return 1
    }
}

runs() { grep -v '^#' "$here/cli/testdata/bits/runs.txt"; }

if [ "$1" = --golden ]; then
    export ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem ONEDNN_MAX_CPU_ISA=SSE41
    while IFS=: read -r name arguments; do
        case $name in *bf16*) continue ;; esac # the engine chooses bfloat16's algorithms by the processor
        run "$2" "$dir/$name" "$arguments" </dev/null
        echo "$name $(compare "$dir/$name/last.safetensors")"
    done < <(runs)
    exit
fi

base=$1 new=$2
shift 2
failed=0
while IFS=: read -r name arguments; do
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    for side in base new; do
        run "${!side}" "$dir/$name-$side" "$arguments" </dev/null || { failed=1; continue 2; }
    done
    printf '%-18s' "$name"
    compare "$dir/$name-base/last.safetensors" "$dir/$name-new/last.safetensors" || failed=1
done < <(runs)
exit $failed
