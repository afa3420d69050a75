#!/usr/bin/env bash
# No backend uses a function of another, and the contract uses none of any: read from the built libraries' symbols.
set -euo pipefail
build=$(dirname "$GEMTUNE")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

uses() { nm --format=posix "$build/lib$1.a" | awk '$2 == "U" { print $1 }' | sort -u; }
defines() { nm --format=posix "$build/lib$1.a" | awk '$2 ~ /^[TDBRV]$/ { print $1 }' | sort -u; }

bad=0
for user in gt_kernels gt_kernels_ref gt_kernels_cpu; do
  uses $user >"$work/uses"
  for owner in gt_kernels_ref gt_kernels_cpu; do
    [[ $user == "$owner" ]] && continue
    defines $owner >"$work/defines"
    [[ -s $work/defines && -s $work/uses ]] || { echo "lib$user.a or lib$owner.a has no symbols"; exit 1; }
    if comm -12 "$work/uses" "$work/defines" | grep . >"$work/both"; then
      echo "$user uses what $owner defines: $(tr '\n' ' ' <"$work/both")"
      bad=1
    fi
  done
done
exit $bad
