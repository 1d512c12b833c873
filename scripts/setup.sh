#!/usr/bin/env bash
# Makes sure that what Locus needs beyond Go modules is on this machine: a C++ compiler, libtorch with a fast BLAS, the
# headers of Gloo, over which processes talk, libjpeg-turbo for photographs, and Fashion-MNIST for the quickstart. Silent
# and quick when nothing is missing; otherwise it installs with apt-get.
# LIBTORCH=/path (an unpacked zip of pytorch.org, or the torch folder of a Python package) stands in for the libtorch
# of the distribution.
#
#   scripts/setup.sh --cuda FOLDER     puts a libtorch with CUDA into a new folder, with pip, and says how to build with it
#   scripts/setup.sh --cpu FOLDER      the same for the CPU alone, a fifth of the size
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

# The oldest libtorch and g++ that Locus is built and tested with.
least_libtorch=1.13
least_gcc=10

# at_least VERSION LEAST
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | sed -n 1p)" = "$2" ]
}

# version_of FOLDER prints the version of the libtorch whose headers are in FOLDER/include, such as 1.13.1.
version_of() {
    local include=$1/include/torch part header number=""
    for part in MAJOR MINOR PATCH; do
        for header in headeronly/version.h csrc/api/include/torch/version.h version.h; do # newer releases first
            number+=$(sed -n "s/^#define TORCH_VERSION_$part \([0-9]\)/.\1/p" "$include/$header" 2>/dev/null)
        done
    done
    printf '%s\n' "${number#.}"
}

# Where no libtorch is new enough, in words.
readonly elsewhere="make libtorch fetches one with pip, and so does unpacking https://pytorch.org/get-started/locally/ by hand; build with LIBTORCH=its folder"

check_version() {
    local version
    version=$(version_of "$1")
    at_least "$version" $least_libtorch || fail "the libtorch in $1 is ${version:-of an unknown version}: must be $least_libtorch or newer; $elsewhere"
}

check_compiler() {
    local version
    command -v g++ >/dev/null || return 0 # it will be installed, or named as missing
    version=$(g++ -dumpfullversion -dumpversion 2>/dev/null)
    at_least "$version" $least_gcc || fail "g++ is $version: must be $least_gcc or newer, for C++20; install one, and name it with CXX=g++-$least_gcc"
}

# check_apt names what apt would install instead of a libtorch that is new enough.
check_apt() {
    local candidate
    candidate=$(apt-cache policy libtorch-dev 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [ -n "$candidate" ] && [ "$candidate" != "(none)" ] || fail "apt has no libtorch-dev here: $elsewhere"
    at_least "$candidate" $least_libtorch || fail "apt has libtorch $candidate here, and Locus needs $least_libtorch or newer: $elsewhere"
}

check_libtorch() {
    local file
    for file in include/ATen/ATen.h lib/libtorch_cpu.so lib/libc10.so; do
        [ -e "$LIBTORCH/$file" ] || fail "LIBTORCH is $LIBTORCH: must be a folder with $file (an unpacked zip of pytorch.org, or the torch folder of a Python package)"
    done
    check_version "$LIBTORCH"
}

# fetch FLAG FOLDER fetches PyTorch's wheel, which has libtorch in it. Of NVIDIA's libraries, all are needed for a card, and
# two by the wheel's CPU half, which is linked against them on x86-64.
fetch() {
    local flag=$1 folder=$2
    [ -n "$folder" ] || fail "$flag needs a folder, as in scripts/setup.sh $flag ~/libtorch"
    [ ! -e "$folder" ] || fail "$folder is there already: give a new folder, or build with what it has: make build LIBTORCH=$folder/torch"
    [ "$flag" = --cpu ] || [ "$(uname -sm)" = "Linux x86_64" ] || fail "PyTorch's wheels have CUDA for Linux on x86-64, this is $(uname -sm): get a libtorch from https://pytorch.org/get-started/locally/"
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is not installed: apt-get install python3-pip, or unpack a libtorch from https://pytorch.org/get-started/locally/ and build with LIBTORCH=its folder"
    if [ "$flag" = --cuda ]; then
        echo "setup: fetching PyTorch with CUDA into $folder (about 3 GB to fetch, 6 GB on disk)"
        pip "$folder" "torch>=2.9"
        [ -e "$folder/torch/lib/libtorch_cuda.so" ] || fail "the torch that pip found for this machine is for the CPU only: get a libtorch with CUDA from https://pytorch.org/get-started/locally/"
        toolkit "$folder" crt # CUDA's headers that the others include: see scripts/graphs.sh
    else
        echo "setup: fetching PyTorch for the CPU into $folder (up to 600 MB to fetch, 1.2 GB on disk)"
        pip "$folder" --no-deps "torch>=2.9"
        toolkit "$folder" cudart,cupti
    fi
    LIBTORCH=$folder/torch
    check_libtorch
    echo "setup: now make build LIBTORCH=$LIBTORCH, then bin/locus doctor"
}

# toolkit FOLDER PARTS fetches parts of CUDA's toolkit, of the release that the PyTorch there wants, if it wants any.
toolkit() {
    local release
    release=$(sed -n 's/^Requires-Dist: cuda-toolkit\[.*\]\(==[0-9.]*\).*/\1/p' "$1"/torch-*.dist-info/METADATA)
    [ -z "$release" ] || pip "$1" "cuda-toolkit[$2]$release"
}

# pip FOLDER WHAT...
pip() {
    local folder=$1
    shift
    python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --target "$folder" "$@" ||
        fail "pip could not install $*: see above; what it has fetched is in $folder, which can be removed"
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
        "a C++20 compiler named g++ (10 or newer), from your distribution, and libtorch 1.13 or newer, from https://pytorch.org/get-started/locally/" \
        "for image folders also libjpeg-turbo (libturbojpeg.so.0), from your distribution" \
        "then run again with LIBTORCH=/path/to/libtorch; for the quickstart put Fashion-MNIST's four .gz files where LOCUS_DATA points"
}

[ "$(uname -s)" = Linux ] || fail "this is $(uname -s), and Locus runs on Linux alone: use a Linux machine, or a container (docs/set-up.md)"
case "${1:-}" in
"") ;;
--cuda | --cpu)
    fetch "$1" "${2:-}"
    exit 0
    ;;
*) fail "unknown argument $1: must be --cpu FOLDER or --cuda FOLDER, or none" ;;
esac
check_go
check_compiler
if [ -n "${LIBTORCH:-}" ]; then
    check_libtorch
elif [ -e /usr/include/ATen/ATen.h ]; then
    check_version /usr
fi
missing=()
if ! command -v apt-get >/dev/null; then
    check_without_apt
    exit 0
fi
mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -gt 0 ] || exit 0

echo "setup: installing ${missing[*]} with apt-get (once)"
as_root apt-get -qq update || echo "setup: apt-get update failed, trying with the package lists that are here" >&2
[[ " ${missing[*]} " != *" libtorch-dev "* ]] || check_apt
as_root apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null ||
    fail "apt-get could not install: ${missing[*]}" \
        "a distribution without libtorch-dev: unpack libtorch from https://pytorch.org/get-started/locally/" \
        "and run again with LIBTORCH=/path/to/libtorch"
