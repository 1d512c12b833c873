#!/usr/bin/env bash
# Makes sure that what Locus needs beyond Go modules is on this machine: a C++ compiler, libtorch with a fast BLAS, the
# headers of Gloo, over which processes talk, libjpeg-turbo for photographs, and Fashion-MNIST for the quickstart. Silent
# and quick when nothing is missing; otherwise it installs with apt-get.
# LIBTORCH=/path (an unpacked zip of pytorch.org, or the torch folder of a Python package) stands in for the libtorch
# of the distribution.
#
#   scripts/setup.sh --cuda FOLDER     puts a libtorch with CUDA into a new folder, with pip, and says how to build with it
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

check_go() {
    command -v go >/dev/null || fail "Go is not installed: get 1.26 or newer from https://go.dev/dl/"
    local said
    # The first command that reads go.mod: from Go 1.21 on it fetches the version named there, before that it fails.
    said=$(go list -m 2>&1) || fail \
        "this is $(cd / && go version | cut -d' ' -f3), Locus needs 1.26 or newer: https://go.dev/dl/ (from 1.21 on, Go fetches it by itself unless GOTOOLCHAIN=local)" \
        "Go says: ${said//$'\n'/ }"
}

check_libtorch() {
    local file
    for file in include/ATen/ATen.h lib/libtorch_cpu.so lib/libc10.so; do
        [ -e "$LIBTORCH/$file" ] || fail "LIBTORCH is $LIBTORCH: must be a folder with $file (an unpacked zip of pytorch.org, or the torch folder of a Python package)"
    done
}

# cuda FOLDER fetches PyTorch's wheel for Linux, which has libtorch with CUDA, and NVIDIA's libraries.
cuda() {
    local folder=$1
    [ -n "$folder" ] || fail "--cuda needs a folder, as in scripts/setup.sh --cuda ~/libtorch-cuda"
    [ ! -e "$folder" ] || fail "$folder is there already: give a new folder, or build with what it has: make build LIBTORCH=$folder/torch"
    [ "$(uname -sm)" = "Linux x86_64" ] || fail "PyTorch's wheels have CUDA for Linux on x86-64, this is $(uname -sm): get a libtorch from https://pytorch.org/get-started/locally/"
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is not installed: apt-get install python3-pip, or unpack a libtorch with CUDA from https://pytorch.org/get-started/locally/ and build with LIBTORCH=its folder"
    echo "setup: fetching PyTorch with CUDA into $folder (about 3 GB to fetch, 6 GB on disk)"
    python3 -m pip install --quiet --target "$folder" "torch>=2.9" || fail "pip could not install torch: see above; nothing else was changed"
    LIBTORCH=$folder/torch
    check_libtorch
    [ -e "$LIBTORCH/lib/libtorch_cuda.so" ] || fail "the torch that pip found for this machine is for the CPU only: get a libtorch with CUDA from https://pytorch.org/get-started/locally/"
    echo "setup: now make build LIBTORCH=$LIBTORCH, then bin/locus doctor"
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
    # The library itself is libturbojpeg0 in Debian and libturbojpeg in Ubuntu; the package for developers has one name.
    local packages=(dataset-fashion-mnist libturbojpeg0-dev) package
    [ -n "${LIBTORCH:-}" ] || packages+=(libtorch-dev libgloo-dev libopenblas0-openmp)
    command -v g++ >/dev/null || echo g++
    command -v make >/dev/null || echo make
    for package in "${packages[@]}"; do
        installed "$package" || echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        fail "packages are missing, and this is neither root nor a machine with sudo; install as root: ${missing[*]}"
    fi
}

# Without apt the tools are looked for by what they do, not by package.
check_without_apt() {
    [ -n "${LIBTORCH:-}" ] || [ -e /usr/include/ATen/ATen.h ] || missing+=(libtorch)
    command -v g++ >/dev/null || missing+=(g++)
    [ ${#missing[@]} = 0 ] || fail "this machine has no apt-get; install by hand what is missing: ${missing[*]}" \
        "a C++17 compiler named g++, from your distribution, and libtorch 1.13 or newer, from https://pytorch.org/get-started/locally/" \
        "for image folders also libjpeg-turbo (libturbojpeg.so.0), from your distribution" \
        "then run again with LIBTORCH=/path/to/libtorch; for the quickstart put Fashion-MNIST's four .gz files where LOCUS_DATA points"
}

if [ "${1:-}" = --cuda ]; then
    cuda "${2:-}"
    exit 0
fi
check_go
[ -z "${LIBTORCH:-}" ] || check_libtorch
missing=()
if ! command -v apt-get >/dev/null; then
    check_without_apt
    exit 0
fi
mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -gt 0 ] || exit 0

echo "setup: installing ${missing[*]} with apt-get (once)"
as_root apt-get -qq update || echo "setup: apt-get update failed, trying with the package lists that are here" >&2
as_root apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null ||
    fail "apt-get could not install: ${missing[*]}" \
        "a distribution without libtorch-dev: unpack libtorch from https://pytorch.org/get-started/locally/" \
        "and run again with LIBTORCH=/path/to/libtorch"
