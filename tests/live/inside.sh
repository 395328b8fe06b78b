# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# Functions of the scripts that run under the systemd that tests/live/machine boots, in the directory /share.  $part is
# the first word of each test's name.

# shellcheck source=tests/lib.sh
. ./lib.sh
patience=120
trap report EXIT

# If the script has failed, prints the last test and the journal.
report() {
    status=$?
    [ "$status" -eq 0 ] || { echo "after: ${test:-the start}"; journalctl --no-pager -n 40 -p notice; } >&2
}

# NAME COMMAND...: the test NAME passes if COMMAND succeeds.
ok() {
    test=$1; shift
    if "$@" > output 2>&1; then pass "$part: $test"; else fail "$part: $test" output; fi
}
is() {
    [ "$1" = "$2" ] && return
    printf "'%s', not '%s'\n" "$1" "$2"
    return 1
}

# UNIT: installs this file of /share, as make install PREFIX=/usr does.
install_unit() {
    sed 's#@BINDIR@#/usr/bin#; s#@DATADIR@#/usr/share/filemon#' "/share/$1" > "/etc/systemd/system/$1"
}

# WORDS NAME: prints the command of README that begins with WORDS, for the program NAME instead of nginx.  Fails if README
# has none.
documented() { sed -n "s/^    \($1\>\)/\1/p" /share/README.md | sed "s/nginx/$2/g" | grep -m 1 .; }
