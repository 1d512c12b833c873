#!/usr/bin/env bash
# Makes the folder .gpu: all that a machine with a card needs that has PyTorch, but neither Go nor a network. It has the
# program, tests with their golden values, the comparison with PyTorch, Fashion-MNIST and check.sh, which runs them there.
#
#   make gpu LIBTORCH=/path/to/torch
#
# LIBTORCH is the torch folder of the same release as PyTorch there. To build against it, CUDA's own libraries are not needed:
# unzip the wheels of torch, nvidia-cuda-runtime, nvidia-cuda-crt and nvidia-cuda-cupti into one folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=.gpu
packages=(torch torch/dist nn zoo)

[ -e "${LIBTORCH:-}/lib/libtorch_cuda.so" ] || {
    echo "gpu: LIBTORCH is '${LIBTORCH:-}': must be the torch folder of a CUDA build, with lib/libtorch_cuda.so" >&2
    exit 2
}
export CGO_CXXFLAGS="${CGO_CXXFLAGS/ -g/}" # debugging information would be stripped again
export GOFLAGS=-trimpath

mkdir -p $out/fashion-mnist $out/peers
go build -o $out/locus ./cmd/locus
for package in "${packages[@]}"; do
    go test -c -o "$out/$(basename "$package").test" "./$package"
    mkdir -p "$out/$package"
    [ ! -d "$package/testdata" ] || cp -ru "$package/testdata" "$out/$package/"
done
scripts/graphs.sh $out/liblocus_graphs.so
strip $out/locus $out/*.test
xz --force --threads 0 -1 $out/locus $out/*.test
cp scripts/gpu/check.sh scripts/gpu/result.py $out/
cp bench/peers/*.py $out/peers/
cp -u "${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}"/*.gz $out/fashion-mnist/
{
    git rev-parse HEAD
    git diff --quiet HEAD && echo "as committed" || echo "with changes"
} >$out/commit
du -sh $out
