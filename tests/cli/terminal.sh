# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Output on a terminal, and without one.

# Runs filemon on a terminal with COLUMNS columns, and writes everything that it prints to "typescript".
on_terminal() { # COLUMNS ARG...
    columns=$1; shift
    cat > session <<END
#!/bin/sh
stty cols $columns -opost
exec '$tested' -e stap --module-dir '$modules' $*
END
    chmod +x session
    SHELL=/bin/sh TERM=xterm script -q -e -f -c 'exec ./session' typescript < /dev/null > /dev/null
}

# Whether filemon printed PATTERN on the terminal.
shown() { # PATTERN
    grep -q -e "$(printf '%b' "$1")" typescript
}

a_long_path_is_opened() {
    {
        open_line 7 3 /usr/share/javascript/very/deep/down/there/is/a/file.js
        close_line 7 3
    } > standin/lines
    prepared
    watches <<'END'
send lines
wait
END
}

test_text_on_a_terminal() {
    a_long_path_is_opened
    on_terminal 80 -f text -d 0.3 -n nothing-of-that-name
    shown '\033\\[32mopen \033\\[m'
    shown '7 .*close.*27.0ms  /usr/.*….*/file.js'
    # Without colours no line is wider than the terminal.
    sed 's/\x1b\[[0-9]*m//g' typescript | grep '/file.js' > lines
    [ "$(wc -l < lines)" -eq 2 ]
    while read -r line; do [ "${#line}" -le 82 ]; done < lines # … is three bytes
}

test_text_on_a_wide_terminal() {
    a_long_path_is_opened
    on_terminal 200 -f text -d 0.3 -n nothing-of-that-name
    shown ' /usr/share/javascript/very/deep/down/there/is/a/file.js'
    not shown '…'
}

test_no_color() {
    a_long_path_is_opened
    NO_COLOR=1 on_terminal 80 -f text -d 0.3 -n nothing-of-that-name
    shown '/file.js'
    not shown '\033'
}

test_json_on_a_terminal() {
    a_long_path_is_opened
    on_terminal 80 -q -d 0.3 -n nothing-of-that-name
    sed '/^Script /d' typescript | jq -e -s 'length == 2' > out
}

# As stap, the stand-in prints its passes, waits for the file "seen", and builds the module.
stap_shows_passes() {
    scenario stap <<'END'
say Pass 1: parsed user script and 480 library scripts.
say Pass 2: analyzed script: 9 probes.
mark analyzed
await seen
build
END
}

test_a_build_shows_its_passes_on_a_terminal() {
    stap_shows_passes
    on_terminal 200 --prepare & printer=$!
    await grep -q 'pass 3 of 4' typescript
    touch standin/seen
    wait $printer
    shown '\r\033\\[Kfilemon: building the probe module for kernel .*: pass 1 of 4, [0-9]* s\r'
    shown '\r\033\\[Kfilemon: the module is built'
    not shown 'last time'
}

test_a_build_is_one_line_without_a_terminal() {
    stap_shows_passes
    touch standin/seen
    "$tested" --prepare --module-dir "$modules" > out 2> err
    [ "$(wc -l < err)" -eq 2 ]
    said "^filemon: first run on kernel $release: .*, once$"
    said '^filemon: the module is built'
    not grep -q "$(printf '[\r\033]')" err
}

test_the_time_of_the_last_build() {
    prepared
    [ "$(readlink "$modules/seconds")" -lt 60 ]
    rm "$modules/$release"/*/*.ko "$modules/seconds"
    ln -s 1234 "$modules/seconds"
    stap_shows_passes
    on_terminal 200 --prepare & printer=$!
    await grep -q 'pass 3 of 4, [0-9]* s (last time it took 1234 s)' typescript
    touch standin/seen
    wait $printer
    shown 'stap 9.9/0.999, once (last time it took 1234 s)'
    [ "$(readlink "$modules/seconds")" -lt 60 ]
}

# Anything but a number is ignored.
test_a_malformed_time_of_the_last_build() {
    mkdir -p "$modules"
    ln -s "$(printf 'x\033')" "$modules/seconds"
    "$tested" --prepare --module-dir "$modules" > out 2> err
    said 'once$'
    [ "$(readlink "$modules/seconds")" -lt 60 ]
}

test_quiet_shows_no_progress() {
    stap_shows_passes
    touch standin/seen
    on_terminal 200 -q --prepare
    not shown 'pass\|built'
}
