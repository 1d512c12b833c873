#!/usr/bin/env bash
# Makes liblocus_graphs.so, with which steps on a card are recorded (docs/gpu.md), where LIBTORCH is the folder of a libtorch for
# CUDA. It needs CUDA's headers, cuda_runtime_api.h and those that it includes. scripts/setup.sh --cuda fetches them; else they are
# looked for in CUDA_HOME and /usr/local/cuda. Without them it says so, and everything else works.
#
#   scripts/graphs.sh [FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-bin/liblocus_graphs.so}")
[ -e "${LIBTORCH:-}/lib/libtorch_cuda.so" ] || exit 0

headers=
for folder in "$LIBTORCH"/../nvidia/*/include "${CUDA_HOME:-/usr/local/cuda}/include"; do
    if [ -e "$folder/cuda_runtime_api.h" ] && [ -e "$folder/crt/host_config.h" ]; then
        headers=$folder
        break
    fi
done
if [ -z "$headers" ]; then
    echo "graphs: CUDA's headers (cuda_runtime_api.h, crt/host_config.h) are neither beside $LIBTORCH nor in ${CUDA_HOME:-/usr/local/cuda}: steps on a card will not be recorded" >&2
    exit 0
fi

sources="${CXX:-g++} $LIBTORCH $headers $(cat torch/graphs/graphs.cpp torch/recorder.h | sha256sum)"
if [ -e "$out" ] && [ "$(cat "$out.from" 2>/dev/null)" = "$sources" ]; then
    exit 0
fi
mkdir -p "$(dirname "$out")"
# A new file in place of the old one, which a running program may have open.
"${CXX:-g++}" -shared -fPIC -std=c++20 -O2 -o "$out.new" torch/graphs/graphs.cpp \
    -isystem "$LIBTORCH/include" -isystem "$LIBTORCH/include/torch/csrc/api/include" -isystem "$headers" \
    -L"$LIBTORCH/lib" -ltorch_cuda -lc10_cuda -ltorch_cpu -lc10 -Wl,-rpath,"$LIBTORCH/lib"
mv "$out.new" "$out"
echo "$sources" >"$out.from"
