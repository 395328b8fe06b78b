# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# Functions that the test scripts share.

failed=0 # 1 after a test of this script has failed; the script's exit status

# NAME: reports that the test NAME passed.
pass() { echo "ok - $1"; }

# NAME [FILE...]: reports that the test NAME failed, and prints the FILEs as the explanation.
fail() {
    echo "not ok - $1"; shift
    [ $# -eq 0 ] || head -n 40 "$@" | quote
    failed=1
}

# NAME EXPECTED FOUND: the test NAME passes if both files are equal and not empty.
has_same_content() {
    echo "$2 is empty" > "$tmp/diff"
    if [ -s "$2" ] && diff -u "$2" "$3" > "$tmp/diff"; then
        pass "$1"
    else
        fail "$1" "$tmp/diff"
    fi
}

# Prints standard input as the explanation of a failed test.
quote() { cut -c 1-1000 | sed 's/^/#  /'; }

# Makes a temporary directory, $tmp, which is removed when the script exits.
make_tmp() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' HUP INT TERM
}

# PID: whether this process has exited; a zombie has.
has_exited() {
    line=
    read -r line 2> /dev/null < "/proc/$1/stat" || return 0
    case $line in *') Z '*) return 0 ;; esac
    return 1
}

# HELPERS PROGRAM: whether the PROGRAM of 32 bits is among the HELPERS, and the kernel runs it.  One of x86-64 can be
# told not to (ia32_emulation=off), and not every processor of arm64 can.
runs_32_bit() {
    [ -e "$1/$2" ] || return
    "$1/fdwork" --exec "$1/$2" > /dev/null 2>&1
    [ $? -ne 126 ]
}
no_32_bit='no 32-bit programs run, or are built, on this machine'

# COMMAND...: repeats COMMAND until it succeeds, and discards its output.  Fails after $patience seconds (default: 60),
# or as soon as the process $watcher_pid, if that is set, has exited.
await() {
    read -r uptime _ < /proc/uptime
    deadline=$((${uptime%.*} + ${patience:-60}))
    until "$@" > /dev/null 2>&1; do
        read -r uptime _ < /proc/uptime
        if [ "${uptime%.*}" -ge "$deadline" ] || { [ -n "${watcher_pid:-}" ] && has_exited "$watcher_pid"; }; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.01
    done
}

# PART SCRIPT ARG...: runs each function test_NAME of SCRIPT as one test: calls "SCRIPT ARG... test_NAME" in an
# empty directory.
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
