#!/usr/bin/env bash
# Checks that commands which do not compute start without libtorch, and that one which does loads it, by what the dynamic
# linker says that it loads. Checks, too, what is said where it cannot be loaded.
#
#   scripts/light.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
locus=${1:-bin/locus}
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# loads CODE ARGUMENTS... runs the program, which is to end with that exit code, and tells whether it loaded libtorch.
loads() {
    local want=$1 code=0
    shift
    LD_DEBUG=files "$locus" "$@" >/dev/null 2>"$said" </dev/null || code=$?
    [ "$code" = "$want" ] || { echo "light: locus $* ended with $code, not $want" >&2; grep -v '^ *[0-9]*:' "$said" >&2; exit 1; }
    grep -q 'calling init:.*libtorch_cpu' "$said"
}

while read -r code arguments; do
    # shellcheck disable=SC2086 # words on purpose
    if loads "$code" $arguments; then
        echo "light: locus $arguments loads libtorch" >&2
        exit 1
    fi
done <<'EOF'
0
0 --version
0 help
0 help train
0 train --help
0 completion bash
0 __complete train fashion
0 __complete train --set optim.
0 list methods
0 list models
0 list heads
0 list optimizers
0 list recipes *-k16
0 list studies
0 list data
0 list keys optim
0 show fashion-sgr
0 data list
0 data get fashion-mnist
2 trian
2 train no-such-recipe
2 train --set optim.lr=fast
2 train --set method.name=sgd
2 compare --methods bp,nobody
2 eval no-such-folder
2 data check nobody
2 report no-such-folder
2 watch no-such-folder
EOF
loads 0 doctor || { echo "light: locus doctor does not load libtorch: what was looked for is not what the linker says" >&2; exit 1; }

# Without its engine the program says in one line what is missing.
alone=$(mktemp -d)
trap 'rm -rf "$said" "$alone"' EXIT
cp "$locus" "$alone/locus"
code=0
"$alone/locus" doctor >/dev/null 2>"$said" || code=$?
[ "$code" = 1 ] && [ "$(wc -l <"$said")" = 1 ] && grep -q 'cannot load the engine: liblocus.so' "$said" || {
    echo "light: without its engine locus doctor ends with $code and says:" >&2
    cat "$said" >&2
    exit 1
}

# Where it may map too little it says so, and where stacks are too small: OpenBLAS would ask for its buffers for ever, and a
# thread would end the process.
for limit in '-v 2200000' '-d 900000' '-s 128'; do
    code=0
    # shellcheck disable=SC2086
    (ulimit $limit && timeout -s KILL 100 "$locus" doctor) >/dev/null 2>"$said" || code=$?
    [ "$code" = 2 ] && [ "$(wc -l <"$said")" = 1 ] && grep -q "ulimit ${limit%% *}" "$said" || {
        echo "light: under ulimit $limit locus doctor ends with $code and says:" >&2
        cat "$said" >&2
        exit 1
    }
done

# A stack that no thread can have is not taken.
code=0
OMP_STACKSIZE=100G timeout -s KILL 100 "$locus" doctor >/dev/null 2>"$said" || code=$?
[ "$code" = 0 ] && grep -q '^warning: OMP_STACKSIZE=100G is not taken' "$said" || {
    echo "light: with OMP_STACKSIZE=100G locus doctor ends with $code and says:" >&2
    cat "$said" >&2
    exit 1
}
echo "light: these commands start without libtorch"
