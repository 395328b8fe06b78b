# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts of the tests have in common.

failed=0 # a test of this script has

# NAME
pass() { echo "ok - $1"; }

# NAME [FILE...]: the files say why.
fail() {
    echo "not ok - $1"; shift
    [ $# -eq 0 ] || head -n 40 "$@" | quote
    failed=1
}

# Standard input as the explanation of a test that failed.
quote() { cut -c 1-1000 | sed 's/^/#  /'; }

# Makes a directory, tmp, which is removed when the script ends.
make_tmp() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' HUP INT TERM
}

# PID: whether that process has exited, though nobody may have waited for it yet.
has_exited() {
    line=
    read -r line 2> /dev/null < "/proc/$1/stat" || return 0
    case $line in *') Z '*) return 0 ;; esac
    return 1
}

# COMMAND...: waits until it succeeds, whatever it prints.  Fails if the process watcher_pid, where it is set, has exited
# before, or after a time that stands for ever.
await() {
    read -r uptime _ < /proc/uptime
    deadline=$((${uptime%.*} + ${patience:-60}))
    until "$@" > /dev/null 2>&1; do
        read -r uptime _ < /proc/uptime
        if [ "${uptime%.*}" -ge "$deadline" ] || { [ -n "${watcher_pid:-}" ] && has_exited "$watcher_pid"; }; then
            echo "in vain: $*" >&2
            return 1
        fi
        sleep 0.01
    done
}

# PART SCRIPT ARG...: a test for each function test_NAME of the script, which is called with these
# arguments and the function's name, in an empty directory.
run_functions() {
    part=$1 script=$2; shift 2
    make_tmp
    # shellcheck disable=SC2013 # names have no blanks
    for test in $(sed -n 's/^\(test_[a-z_]*\)() {$/\1/p' "$script"); do
        mkdir "$tmp/$test"
        cd "$tmp/$test" || exit
        name="$part: $(echo "${test#test_}" | tr _ ' ')"
        if timeout -k 5 60 "$script" "$@" "$test" > said 2>&1 < /dev/null; then
            pass "$name"
        else
            fail "$name"
            tail -n 30 said err out 2> /dev/null | quote
        fi
    done
}
