# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# filemon sends the targets to the script only through its control file, and changes no byte of them.

# Prints commands as the script reads them (fm_control): each argument in pieces of up to 500 bytes, with a '+' before
# each piece, and then the letter.
commands() { # LETTER ARGUMENT... [-- LETTER ARGUMENT...]
    perl -e 'while (@ARGV) {
        my $letter = shift;
        while (@ARGV) {
            my $argument = shift;
            last if $argument eq "--";
            print map("+$_", unpack("(a500)*", $argument)), $letter;
        }
    }' "$@"
}

# Whether the script received the bytes of standard input, followed by the command S, which ends the run.
received_is() {
    { cat; printf S; } > expected
    cmp expected root/proc/systemtap/filemon_test_1/control
}

watch_and_stop() { # ARG...
    watches <<'END'
wait
END
    start "$@"
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_every_command_to_the_script() {
    prepared
    watch_and_stop -n nothing-of-that-name -n other -D 3 -x /usr/x/../y -X /usr/y/z /etc
    { commands D 3 -- N nothing-of-that-name other -- I /usr/y /etc -- E /usr/y/z; printf G; } |
        received_is
    logged 1 '^staprun .*\.ko returns=1$'
    watch_and_stop -a /etc -D 0
    { commands D 0 -- I /etc; printf AG; } | received_is
    logged 1 '^staprun .*\.ko$'
    watch_and_stop -n nothing-of-that-name -w -F +usuario,fecha
    { commands N nothing-of-that-name -- K 1; printf WG; } | received_is
    watch_and_stop -n nothing-of-that-name -t exec,names
    { commands N nothing-of-that-name -- Y 1; printf QG; } | received_is
    logged 1 '^staprun .*\.ko names=1$'
    watch_and_stop -n nothing-of-that-name -t attributes,fail
    { commands N nothing-of-that-name -- Y 2; printf QG; } | received_is
    logged 1 '^staprun .*\.ko returns=1 attributes=1$'
    sleep 1000 & one=$!
    sleep 1000 & two=$!
    watch_and_stop -p $two,$one
    { printf G; commands P $one $two; printf F; } | received_is
    kill $one $two
}

# Bytes with a meaning in a shell, in stap's language, in printf(3) or in a protocol of lines.
test_hostile_bytes_are_data() {
    hostile=$(printf 'a b  "c" '\''d'\'' $(touch pwned) `touch pwned` %%n%%s \\ %%{ exit %%} ;|&\n\001\377+G\nP1')
    scenario stap <<'END'
keep
build
END
    watch_and_stop -n "$hostile" "/x/$hostile" -X "/y/$hostile"
    { commands N "$hostile" -- I "/x/$hostile" -- E "/y/$hostile"; printf G; } | received_is
    [ ! -e pwned ]
    not grep -q -a -e pwned standin/argv
    cmp standin/script.stp "$(dirname "$FILEMON")/monitorFicheros.stp"
}

test_the_longest_paths_and_names() {
    prepared
    name=$(perl -e 'print "n" x 255')
    path=$(perl -e 'print "/" . join("/", map("p$_" x 60, 100 .. 140))' | cut -c 1-4095)
    [ ${#path} -eq 4095 ]
    watch_and_stop -n "$name" "$path" "/$name/$name/$name"
    { commands N "$name" -- I "$path" "/$name/$name/$name"; printf G; } | received_is
    not grep -q -a -e "$name" standin/argv
    run -n "$name" "${path}x"
    [ "$status" -eq 1 ]
    [ -s err ]
}

# A piece of an argument has up to 500 bytes: arguments just below, at, and above that length.
test_arguments_of_the_length_of_a_write() {
    prepared
    for size in 499 500 501 1000; do
        path=$(perl -e 'print substr("/q" x 1000, 0, $ARGV[0] - 1) . "r"' $size)
        path=$(echo "$path" | sed 's|//|/q|g')
        watch_and_stop -n nothing-of-that-name "$path"
        { commands N nothing-of-that-name -- I "$path"; printf G; } | received_is
    done
}

test_ten_thousand_paths() {
    prepared
    perl -e 'print "/some/where/file$_\n" for 1 .. 10000' > paths
    watches <<'END'
wait
END
    # shellcheck disable=SC2046
    start -n nothing-of-that-name $(cat paths)
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    {
        commands N nothing-of-that-name
        sed 's/.*/+&I/' paths | tr -d '\n'
        printf G
    } | received_is
}

test_relative_paths_and_links_are_resolved() {
    prepared
    here=$(pwd -P)
    mkdir real
    ln -s real link
    watch_and_stop -n nothing-of-that-name link/x ./y/../z link
    { commands N nothing-of-that-name -- I "$here/real/x" "$here/z" "$here/real"; printf G; } |
        received_is
}

# The script gets an open descriptor of each, and no path.
test_inodes_are_sent_as_descriptors() {
    prepared
    mkdir real
    ln -s real link
    touch file
    watch_and_stop -n nothing-of-that-name -I link file -X /etc
    sed 's/+[0-9][0-9]*/+FD/g' root/proc/systemtap/filemon_test_1/control > received
    { commands N nothing-of-that-name -- O FD FD -- X FD; printf GS; } | cmp - received
}

test_a_deleted_inode_is_reported() {
    prepared
    watches <<'END'
wait
END
    touch file
    start -n nothing-of-that-name -I file
    wait_said 'watching with'
    mv -f "$(mktemp)" file
    wait_said 'file is deleted: with -I, another file that has this name is not meant'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

# Such as in a kernel that was built with CONFIG_RANDSTRUCT.  Without -I the module is as good as before.
test_inodes_that_the_script_refuses() {
    prepared
    scenario staprun <<'END'
ready filemon_test_1
until G
say {codigo: "sin_inodo", modulo: "filemon_test_1"}
caught
END
    touch file
    run -n nothing-of-that-name -I file
    [ "$status" -eq 1 ]
    said '-I is not possible: the kernel was built with CONFIG_RANDSTRUCT, or has no memory for the PATHs$'
    unsaid 'watching with'
    watch_and_stop -n nothing-of-that-name
    unsaid 'building'
}

# What the script reports was matched there; only the name of a failed open is compared here.
test_by_inode_any_path_is_reported() {
    {
        open_line 7 3 /elsewhere/file
        close_line 7 3
        open_line 7 -2 /elsewhere/none | sed 's/"open"/"fail"/; s/, tabla: 7//'
        open_line 7 -2 /etc/none | sed 's/"open"/"fail"/; s/, tabla: 7//'
    } > standin/lines
    lines_are_read send -x -I /etc
    records 'map([.codigo, .fichero]) == [["open", "/elsewhere/file"], ["close", "/elsewhere/file"], ["fail", "/etc/none"]]'
}

# The pids of running processes are sent after the name itself, so that no new process is missed.
test_names_of_running_programs() {
    prepared
    name=sleeper-$$ # a name that no other run of the tests uses
    cp "$(command -v sleep)" "bin/$name"
    "$name" 1000 & one=$!
    "$name" 1000 & two=$!
    trap 'kill "$one" "$two"' EXIT
    await sh -c "grep -q sleeper /proc/$one/comm && grep -q sleeper /proc/$two/comm"
    watch_and_stop -n "$name"
    { commands N "$name"; printf G; commands P $one $two; } | received_is
    said "$name: 2 processes, by comm"
}

# However many names there are, filemon reads /proc once.  Processes come and go, so the numbers of reads differ a little.
test_all_names_by_one_reading_of_proc() {
    prepared
    watches <<'END'
wait
END
    one=$(reads_of_proc 1)
    [ "$one" -gt 0 ]
    [ "$(reads_of_proc 300)" -lt $((10 * one)) ]
}

# Prints how many files and directories filemon reads with so many names.
reads_of_proc() { # NAMES
    # shellcheck disable=SC2046 # words
    ASAN_OPTIONS=detect_leaks=0 strace -o calls -e trace=openat,getdents64 "$tested" -e stap --module-dir "$modules" \
        -d 0.01 $(seq -f '-n program%g' "$1") > out 2> err < /dev/null
    said 'watching with'
    wc -l < calls
}

# Its pid could be reused before the engine watches, so filemon does not send it.
test_process_that_exits_before_the_watch() {
    prepared
    printf '%s\n' 'await begin' 'ready filemon_test_1' 'until G' watching wait | scenario staprun
    sleep 1000 & one=$!
    sleep 1000 & two=$!
    start -p $one,$two
    await grep -q staprun standin/log
    kill $one
    wait $one || :
    touch standin/begin
    wait_said 'watching with'
    said "process $one has exited"
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    { printf G; commands P $two; printf F; } | received_is
    kill $two
}

test_a_control_group_removed_during_the_start_ends_the_run() {
    groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    group=$groups/filemon-start$$
    mkdir "$group" || skip 'no control group can be made here'
    prepared
    scenario staprun <<'END'
ready filemon_test_1
until G
mark begins
await removed
watching
wait
END
    start -g "$group"
    await [ -e standin/begins ]
    rmdir "$group"
    : > standin/removed
    finish
    [ "$status" -eq 0 ]
    said 'watching with'
}
