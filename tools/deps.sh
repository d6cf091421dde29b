#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes sure that the Debian packages of tools/packages.txt are installed. As root: installs what is missing, and no daemon that comes
# with a package is started, now or at the next boot. Else: prints the one line to run, exit code 1. Quick when nothing is missing.
#
# usage: tools/deps.sh [--check] [build|test|demo|fuzz]...	(no group = all; --check never installs)
set -eu

list=$(dirname "$0")/packages.txt
policy=/usr/sbin/policy-rc.d
mark='# made by OffKube tools/deps.sh, process'
check=no
groups=

for arg in "$@"; do
	case $arg in
	--check) check=yes ;;
	build | test | demo | fuzz) groups="$groups $arg" ;;
	*)
		sed -n 's/^# //p' "$0" | sed -n '/^usage/p' >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system; needed are the counterparts of tools/packages.txt. continuing" >&2
	exit 0
fi

wanted=$(awk -v groups="${groups:-build test demo fuzz}" '
	BEGIN { n = split(groups, g, " "); for (i = 1; i <= n; i++) want[g[i]] = 1 }
	$1 in want { print $2 }' "$list" | sort -u)
# shellcheck disable=SC2086 # a list of names
present=$(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' $wanted 2>/dev/null |
	sed -n 's/^installed \([^:]*\).*/\1/p' | sort -u) || true
missing=$(comm -23 <(echo "$wanted") <(echo "$present") | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends $missing"
if [ "$check" = yes ] || [ "$(id -u)" -ne 0 ]; then
	echo "deps: packages are missing; run as root:" >&2
	echo "$line" >&2
	exit 1
fi

# A policy that a killed run left is ours to remove; any other is the host's own and stays.
if [ -f "$policy" ]; then
	owner=$(sed -n "s|^$mark \([0-9]*\)\$|\1|p" "$policy")
	if [ -n "$owner" ] && [ ! -d "/proc/$owner" ]; then
		rm -f "$policy"
	fi
fi
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\n%s %s\nexit 101\n' "$mark" "$$" >"$policy"
	chmod 755 "$policy"
fi

echo "deps: $line" >&2
export DEBIAN_FRONTEND=noninteractive
# RUNLEVEL=1: a host's own policy may allow starts; nothing is started in runlevel 1.
export RUNLEVEL=1
apt-get update -qq >&2 || echo "deps: package lists not refreshed, continuing" >&2
# Nor is one started at the next boot: what the packages (nginx, redis-server) enable is disabled again, what was enabled before stays.
enabled()
{
	find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null | sort
}
before=$(enabled)
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing >&2
comm -13 <(echo "$before") <(enabled) | while IFS= read -r link; do
	[ -z "$link" ] || rm -f "$link"
done
