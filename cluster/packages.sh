#!/usr/bin/env bash
# The Debian packages that Carousel is built from: the one list. Installs what is missing; says so, and how, when it may not.
#
#   cluster/packages.sh [--full] [--list]
#
#   --full   also what `tests/run.sh --full` checks with
#   --list   print the list and install nothing
set -euo pipefail

packages=(
  # To build: Bazel brings a JDK, and g++ as part of build-essential.
  bazel-bootstrap bazel-rules-java g++ git ca-certificates
  # protoc only recommends libprotobuf-dev, and without it there are no headers.
  libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libgrpc++-dev libabsl-dev
  librocksdb-dev libxxhash-dev libzstd-dev
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  # To test.
  libgtest-dev libgmock-dev binutils python3
  # A text to train on: an English dictionary.
  dict-gcide
)
full_packages=(clang-14 clang-format-14 clang-tidy-14 shellcheck)

list_only=false
for argument in "$@"; do
  case "$argument" in
    --full) packages+=("${full_packages[@]}") ;;
    --list) list_only=true ;;
    -h | --help)
      sed -n '2,8s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "packages.sh: unknown argument \"$argument\"; usage: cluster/packages.sh [--full] [--list]" >&2
      exit 2
      ;;
  esac
done

if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "packages.sh: this is no Debian system (no dpkg, no apt-get). Carousel is built from Debian 12's packages: run it there, or in a" >&2
  echo "container or chroot made of it." >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=absent
  [[ "$status" == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if ((EUID != 0)); then
  echo "packages.sh: ${#missing[@]} Debian packages are missing, and only root may install them. Run, then start this again:" >&2
  echo "  sudo apt-get update && sudo ${install[*]}" >&2
  exit 1
fi

# Debian's own questions have nobody to answer them here; the locale need not exist.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && "${install[@]}"; } >"$log" 2>&1; then
  tail -n 25 "$log" >&2
  echo "packages.sh: apt-get could not install them (its last words are above). Carousel needs Debian 12 (bookworm) and a mirror that can" >&2
  echo "be reached: look at /etc/apt/sources.list, then run by hand:" >&2
  echo "  apt-get update && ${install[*]}" >&2
  exit 1
fi
