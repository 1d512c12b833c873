#!/usr/bin/env bash
# Builds the tests of package torch for Linux on arm64, and runs those of its kernels under qemu: on Debian 12, from Debian's
# own packages, which are fetched into FOLDER (1 GB) and installed nowhere. The machine itself gets a cross compiler and
# qemu. It takes some minutes.
#
#   scripts/arm64.sh FOLDER [TESTS]     TESTS is what go test -run takes
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "arm64: needs a folder, as in scripts/arm64.sh /tmp/arm64" >&2; exit 2; }
folder=$(realpath -m "$1")
tests=${2:-BatchNormAct(Agr|Dec|Rep|Thr|Sta|Sho|Twi|Lea|Mem|Ref)|NormTangent|NormalizeRows|Pool|AttentionI|MoveRows|Rows}
root=$folder/root libs=/usr/lib/aarch64-linux-gnu

command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64-static >/dev/null || {
    echo "arm64: needs a cross compiler and qemu: apt-get install g++-aarch64-linux-gnu qemu-user-static" >&2
    exit 1
}
if [ ! -e "$root$libs/libtorch_cpu.so" ]; then
    mkdir -p "$root" "$folder"/{lists/partial,archives/partial}
    touch "$folder/status"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)
    [ -n "$mirror" ] || { echo "arm64: apt knows no mirror of Debian 12: run this on Debian 12, after apt-get update" >&2; exit 1; }
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg arch=arm64] $mirror bookworm main" >"$folder/sources.list"
    apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::status=$folder/status"
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder" -o "Dir::Cache::archives=$folder/archives"
        -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/nonexistent)
    "${apt[@]}" update
    "${apt[@]}" install -y --download-only --no-install-recommends libtorch-dev libgloo-dev libopenblas0-openmp libstdc++-12-dev
    for package in "$folder"/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$folder/archives"
fi

link=""
for libraries in "$root$libs" "$root/lib/aarch64-linux-gnu" "$root/lib" "$root$libs/openblas-openmp"; do
    link+=" -Wl,-rpath-link,$libraries"
done
GOARCH=arm64 CGO_ENABLED=1 CC="aarch64-linux-gnu-gcc --sysroot=$root" CXX="aarch64-linux-gnu-g++ --sysroot=$root" \
    CGO_CFLAGS=-O2 CGO_CXXFLAGS=-O2 CGO_LDFLAGS="$link" go test -trimpath -c -o "$folder/torch.test" ./torch
cd torch
qemu-aarch64-static -L "$root" -E "LD_LIBRARY_PATH=$libs/openblas-openmp" -E OMP_NUM_THREADS=2 "$folder/torch.test" -test.short -test.v -test.run "$tests"
