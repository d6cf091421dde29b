#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the programs that OffKube is compared with from their Go modules (go.mod here): kube-proxy. Only when they are not there for this go.mod and
# go.sum. Prints "SKIP: why" and exits with 77 when Go is missing or too old, or the modules cannot be had.
#
# usage: tests/peers/build.sh [FOLDER]	default: build/peers of this tree
# $OFFKUBE_PEERS_CACHE: a folder that several trees share; FOLDER then gets links into it.
set -eu

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
out=$(realpath -m "${1:-$here/../../build/peers}")
version=$(sed -n 's/^require k8s\.io\/kubernetes v//p' "$here/go.mod")
wanted=$(sed -n 's/^go //p' "$here/go.mod")

skip() {
	echo "SKIP: $*"
	exit 77
}

find_go() {
	local dir
	for dir in "$(dirname "$(command -v go 2>/dev/null || echo /nonexistent/go)")" /usr/local/go/bin; do
		if [ -x "$dir/go" ]; then
			echo "$dir/go"
			return
		fi
	done
}

go=$(find_go)
[ -n "$go" ] || skip "no Go here (in PATH or /usr/local/go/bin); kube-proxy is built with Go $wanted or later"
# GOTOOLCHAIN=local: never another Go than the one that is here.
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0
have=$("$go" env GOVERSION | sed 's/^go//')
newest=$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | tail -n 1)
[ "$newest" = "$have" ] || skip "Go $have is here; kube-proxy $version needs $wanted or later"

key=$(cat "$here/go.mod" "$here/go.sum" "$here/tools.go" | sha256sum | cut -c1-16)
store=$(realpath -m "${OFFKUBE_PEERS_CACHE:-$out}")
program=$store/kube-proxy-$key
mkdir -p "$out" "$store"

if [ ! -x "$program" ]; then
	# One builder at a time: several trees, or a test and a person.
	exec 9>"$store/.lock"
	flock 9
fi
if [ ! -x "$program" ]; then
	echo "building kube-proxy $version with Go $have" >&2
	ld="-s -w -X k8s.io/component-base/version.gitVersion=v$version"
	ld="$ld -X k8s.io/component-base/version.gitMajor=${version%%.*} -X k8s.io/component-base/version.gitMinor=$(echo "$version" | cut -d. -f2)"
	cd "$here"
	"$go" mod download >"$store/.download" 2>&1 ||
		skip "the Go modules cannot be had: $(tail -n 1 "$store/.download")"
	"$go" build -trimpath -ldflags "$ld" -o "$program.new" k8s.io/kubernetes/cmd/kube-proxy
	find "$store" -maxdepth 1 -name 'kube-proxy-*' ! -name "kube-proxy-$key*" -delete
	mv "$program.new" "$program"
fi
ln -sfn "$program" "$out/kube-proxy.new"
mv -T "$out/kube-proxy.new" "$out/kube-proxy"
"$out/kube-proxy" --version
