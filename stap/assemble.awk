# SPDX-License-Identifier: GPL-2.0-or-later
# Puts each file that a line of the kind #include "FILE" names in the place of that line, once.
#
#   awk -f stap/assemble.awk stap/monitorFicheros.stp

function put(path,    line, got, name) {
    while ((got = (getline line < path)) > 0) {
        if (line !~ /^#include "/) {
            print line
            continue
        }
        split(line, name, "\"")
        put_once(dir name[2])
    }
    if (got < 0) {
        print path ": it cannot be read" > "/dev/stderr"
        exit 1
    }
    close(path)
}

function put_once(path) {
    if (!(path in seen)) {
        seen[path] = 1
        put(path)
    }
}

BEGIN {
    dir = ARGV[1]
    sub(/[^\/]*$/, "", dir)
    put_once(ARGV[1])
}
