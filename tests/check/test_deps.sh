#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tools/deps.sh with a false apt-get and dpkg-query, in a mount namespace with an empty /usr/sbin: what it installs, and that no policy
# of ours stays behind, whatever happens.
set -u

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" -eq 0 ] || { echo "SKIP: needs root for a mount namespace"; exit 77; }
	unshare -m true 2>/dev/null || { echo "SKIP: no mount namespaces here"; exit 77; }
	command -v dpkg-query >/dev/null || { echo "SKIP: not a Debian system"; exit 77; }
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
	unshare -m --propagation private bash "$0" inside "$tmp"
	exit $?
fi

tmp=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
policy=/usr/sbin/policy-rc.d
n_passed=0
n_failed=0
mount -t tmpfs none /usr/sbin || exit 1
mkdir -p /etc/systemd/system && mount -t tmpfs none /etc/systemd/system || exit 1
wants=/etc/systemd/system/multi-user.target.wants
mkdir $wants
ln -s /lib/systemd/system/own.service $wants/own.service
mkdir "$tmp/bin"
export PATH=$tmp/bin:$PATH

cat >"$tmp/bin/dpkg-query" <<'END'
#!/bin/bash
shift 3
for p in "$@"; do
	case $p in gcc | cmake | libc6-dev) [ -e "$TMP_DIR/missing" ] && continue ;; esac
	echo "installed $p:amd64"
done
END
cat >"$tmp/bin/apt-get" <<'END'
#!/bin/bash
[ "$1" = update ] && exit 0
echo "$*" >"$TMP_DIR/apt"
cat /usr/sbin/policy-rc.d >"$TMP_DIR/policy" 2>/dev/null
ln -sf /lib/systemd/system/daemon.service /etc/systemd/system/multi-user.target.wants/daemon.service
/usr/sbin/policy-rc.d start
echo $? >"$TMP_DIR/policy-says"
[ -e "$TMP_DIR/kill" ] && kill -"$(cat "$TMP_DIR/kill")" "$PPID"
[ ! -e "$TMP_DIR/fail" ]
END
cat >"$tmp/bin/id" <<'END'
#!/bin/bash
cat "$TMP_DIR/uid" 2>/dev/null || echo 0
END
chmod +x "$tmp/bin/"*
export TMP_DIR=$tmp

# run NAME WANTED-EXIT-CODE option...: from a clean slate, $tmp/out holds what was said
run()
{
	name=$1
	want=$2
	shift 2
	rm -f "$tmp/apt" "$tmp/policy" "$tmp/policy-says"
	{ bash "$top/tools/deps.sh" "$@" >"$tmp/out" 2>&1; } 2>/dev/null
	got=$?
	case $want in fail) [ $got -ne 0 ] && got=fail ;; esac
	is "$name: exit code" "$got" "$want"
}

# is WHAT GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		n_passed=$((n_passed + 1))
	else
		n_failed=$((n_failed + 1))
		echo "FAILED: $1: got '$2', wanted '$3'"
		cat "$tmp/out"
	fi
}

there()
{
	[ -e "$1" ] && echo yes || echo no
}

run "nothing missing" 0
is "nothing missing: apt-get" "$(there "$tmp/apt")" no
run "bad option" 2 --nonsense

touch "$tmp/missing"
line="apt-get install -y --no-install-recommends cmake gcc libc6-dev"
run "--check" 1 --check build
is "--check: the line" "$(tail -n 1 "$tmp/out")" "$line"
is "--check: apt-get" "$(there "$tmp/apt")" no
run "other group" 0 --check demo

echo 1000 >"$tmp/uid"
run "not root" 1 build
is "not root: the line" "$(tail -n 1 "$tmp/out")" "$line"
is "not root: apt-get" "$(there "$tmp/apt")" no
rm "$tmp/uid"

run "root" 0 build test
is "root: installs" "$(cat "$tmp/apt")" "install -y -qq --no-install-recommends cmake gcc libc6-dev"
is "root: the policy refuses starts" "$(cat "$tmp/policy-says")" 101
is "root: the policy is gone" "$(there $policy)" no
is "root: what is enabled" "$(ls $wants)" own.service

touch "$tmp/fail"
run "apt-get fails" fail build
is "apt-get fails: the policy was there" "$(cat "$tmp/policy-says")" 101
is "apt-get fails: the policy is gone" "$(there $policy)" no
rm "$tmp/fail"

echo TERM >"$tmp/kill"
run "terminated" fail build
is "terminated: the policy is gone" "$(there $policy)" no
echo KILL >"$tmp/kill"
run "killed" fail build
is "killed: the policy stays" "$(there $policy)" yes
rm "$tmp/kill"
run "after a killed run" 0 build
is "after a killed run: the policy is gone" "$(there $policy)" no

printf '#!/bin/sh\nexit 104\n' >$policy
chmod +x $policy
run "the host's own policy" 0 build
is "the host's own policy: used" "$(cat "$tmp/policy-says")" 104
is "the host's own policy: stays" "$(tail -n 1 $policy)" "exit 104"

echo "TESTS: $n_passed passed, $n_failed failed, 0 skipped"
[ "$n_failed" -eq 0 ]
