#!/usr/bin/env bash
# Where the kernels cannot be built, configuring says so in a sentence, before any compiler does in a page.
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

refused() { # WORDS ARGUMENT...: cmake with the arguments fails, and its words hold WORDS
  local words=$1
  shift
  if cmake -S "$source" -B "$work/build" "$@" >"$work/log" 2>&1; then
    echo "configured in spite of: $*"
    exit 1
  fi
  tr -s ' \n' ' ' <"$work/log" | grep -qF "$words" || { echo "does not say '$words':"; cat "$work/log"; exit 1; }
  rm -rf "$work/build"
}

refused "gemtune runs on x86-64 processors; this build is for aarch64" \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64

mkdir -p "$work/include/oneapi/dnnl"
echo '#include "oneapi/dnnl/dnnl.h"' >"$work/include/dnnl.h"
echo '#define DNNL_VERSION_MAJOR 3' >"$work/include/oneapi/dnnl/dnnl_version.h"
refused "gemtune needs oneDNN 2.x" -DDNNL_INCLUDE="$work/include"
