# SPDX-License-Identifier: GPL-2.0-or-later
# Puts each file that a line of the kind #include "FILE" names in the place of that line, once.
#
#   awk -f stap/assemble.awk stap/monitorFicheros.stp

# With -v lines=1 the lines of embedded C tell the compiler which file they come from, and all others
# that stap made them.

function say_line(number, path) {
    if (lines)
        print "#line " number " \"" path "\""
}

function put(path,    line, got, name, number) {
    number = 0
    while ((got = (getline line < path)) > 0) {
        number++
        if (line ~ /^%}/)
            say_line(1, "made by stap")
        if (line ~ /^#include "/) {
            split(line, name, "\"")
            put_once(dir name[2])
            say_line(number + 1, path)
        } else {
            print line
        }
        if (line ~ /^%{$/)
            say_line(number + 1, path)
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
        say_line(1, path)
        put(path)
    }
}

BEGIN {
    dir = ARGV[1]
    sub(/[^\/]*$/, "", dir)
    put_once(ARGV[1])
}
