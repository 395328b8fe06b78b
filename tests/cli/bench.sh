# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/bench/measure, with stand-ins for the other tools, and tests/bench/records.

# Writes stand-ins for tools that need tracefs in the directory where it belongs.
make_tools() {
    for tool in bpftrace perf; do
        cat > bin/$tool <<'END'
#!/bin/sh
[ -e /sys/kernel/tracing/events ] || { echo "there is no tracefs" >&2; exit 1; }
END
        chmod 755 bin/$tool
    done
    echo 'echo attached; exec sleep 1000' >> bin/bpftrace
    echo 'shift 5; exec "$@"' >> bin/perf # perf trace -o FILE -e EVENTS COMMAND...
}

# Measures a few rows where tracefs is not mounted; sets $status.
measure_without_tracefs() {
    status=0
    unshare --mount --propagation private sh -c '
        while umount -l /sys/kernel/tracing 2> /dev/null; do :; done
        ROUNDS=1 PAIRS=100 PAIRS_SLOW=100 exec "$@"' sh \
        "$CLI/../bench/measure" bpf "$tested" "$HELPERS/../openclose" plain bpftrace_nothing perf_trace \
        > out 2> err < /dev/null || status=$?
}

test_bench_where_tracefs_is_not_mounted() {
    [ "$(id -u)" -eq 0 ] || skip 'only root can mount'
    grep -qw tracefs /proc/filesystems || skip 'this kernel has no tracefs'
    make_tools
    measure_without_tracefs
    [ "$status" -eq 0 ]
    grep -q '^bpftrace, doing nothing at all calls  *[0-9]' out
    grep -q '^perf trace  *[0-9]' out
    not grep 'left out' out
}

test_bench_where_tracefs_cannot_be_mounted() {
    [ "$(id -u)" -eq 0 ] || skip 'only root can mount'
    make_tools
    cat > bin/mount <<END
#!/bin/sh
case "\$*" in *tracefs*) echo "mount: permission denied" >&2; exit 32 ;; esac
exec $(command -v mount) "\$@"
END
    chmod 755 bin/mount
    measure_without_tracefs
    [ "$status" -eq 0 ]
    grep -q '^plain  *[0-9]' out
    grep -qx 'left out: bpftrace, doing nothing at all calls: it ended: there is no tracefs' out
    grep -qx 'left out: perf trace: it ended: there is no tracefs' out
}

test_bench_of_what_reads_records() {
    sed -n 2,4p "$CLI/../jq/records.json" > records
    "$FILEMON" -q -c -f json -o totals -r records
    ROUNDS=1 "$CLI/../bench/records" "$FILEMON" "$CLI/../../src/share/jq" records totals > out
    head -n 1 out | grep -qx '3 records of [0-9]* bytes each'
    [ "$(grep -cE '^(jq -c|filemon -r|[a-z]*\.jq).* [0-9]+ +[0-9.]+$' out)" -eq 8 ]
    grep -q '^metrics.jq: [0-9]* ms for totals of [0-9]* kB$' out
}
