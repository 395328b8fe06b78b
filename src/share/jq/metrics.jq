# SPDX-License-Identifier: GPL-2.0-or-later
# Turns the totals of filemon into metrics for Prometheus, in its text format:
#
#   filemon -c -f json ... | jq -rf metrics.jq --argjson top 10 --arg watch NAME > filemon.prom
#
# Of several totals the last is taken, since each counts from the start.  The "top" programs and
# files (default: 20), in the order of --sort, have metrics of their own: the others are in the
# metrics of everything.  A row for the others would be a counter that decreases when one of them
# gets into the top, and Prometheus would take that for a restart.
#
# "watch" becomes a label of each metric.  Without it, the metrics of two runs of filemon on one
# machine are the same metrics.

# Labels can hold any text.
def quoted:
    split("\\") | join("\\\\") | split("\"") | join("\\\"") | split("\n") | join("\\n")
    | "\"" + . + "\"";

def labels($pairs):
    $pairs | map(select(.[1]) | .[0] + "=" + (.[1] | quoted)) | join(",")
    | if . == "" then "" else "{" + . + "}" end;

def sample($metric; $pairs; $value): $metric + labels($pairs) + " \($value)";

def head($metric; $type; $help): "# HELP \($metric) \($help)", "# TYPE \($metric) \($type)";

# Labels of every metric.
def common: [["host", .maquina], ["watch", $ARGS.named.watch]];

# Names that differ only in bytes that are not UTF-8 must not be the same label.
def name($key):
    .[$key + "_hex"] as $hex | .[$key] + if $hex then " (\($hex))" else "" end;

# A row is {labels, counts}.
def row_of_all: {labels: common, counts: .};

def rows_of($key; $by; $top):
    common as $common
    | .[$key + "s"][:$top] | map({labels: ($common + [[$by, name($key)]]), counts: .});

# A metric whose value the totals do not have is left out.
def metric($rows; $metric; $type; $help; value):
    [$rows[] | {labels, value: (.counts | value)} | select(.value != null)] as $rows
    | if $rows == [] then empty else
        head($metric; $type; $help), ($rows[] | sample($metric; .labels; .value))
      end;

def counters($rows; $prefix; $of):
    metric($rows; $prefix + "opens_total"; "counter"; "Files opened\($of)."; .aperturas),
    metric($rows; $prefix + "open_failures_total"; "counter"; "Failed opens\($of)."; .fallos),
    metric($rows; $prefix + "closes_total"; "counter"; "Descriptors closed\($of)."; .cierres),
    metric($rows; $prefix + "open_descriptors"; "gauge"; "Open descriptors\($of)."; .abiertos),
    metric($rows; $prefix + "open_seconds_total"; "counter"; "How long files were open\($of).";
        .total_ns / 1000000000),
    metric($rows; $prefix + "read_bytes_total"; "counter"; "Bytes read\($of)."; .leidos),
    metric($rows; $prefix + "written_bytes_total"; "counter"; "Bytes written\($of)."; .escritos);

# Every fourth power of two from 2^10 ns, about 1 µs, to 2^42 ns, about 73 minutes: the same buckets
# each time, as Prometheus needs them.  filemon counts times of less than hasta_ns, in whole ns.
def histogram($metric; $help):
    common as $common
    | def bucket($le; $value): sample($metric + "_bucket"; $common + [["le", $le]]; $value);
    def up_to($limit): [.histograma[] | select(.hasta_ns <= $limit) | .cierres] | add // 0;
    head($metric; "histogram"; $help),
    (range(10; 43; 2) as $exponent
        | (reduce range($exponent) as $_ (1; . * 2)) as $limit
        | bucket("\(($limit - 1) / 1000000000)"; up_to($limit))),
    bucket("+Inf"; .cierres),
    sample($metric + "_sum"; $common; .total_ns / 1000000000),
    sample($metric + "_count"; $common; .cierres);

def metrics($top):
    row_of_all as $all
    | counters([$all]; "filemon_"; ""),
    counters(rows_of(if .ejecutables then "ejecutable" else "proceso" end; "program"; $top);
        "filemon_program_"; ", by program"),
    counters(rows_of("fichero"; "file"; $top); "filemon_file_"; ", by file"),
    histogram("filemon_open_duration_seconds"; "How long files were open."),
    metric([$all]; "filemon_lost_events_total"; "counter"; "Events lost."; .perdidos),
    metric([$all]; "filemon_totals_timestamp_seconds"; "gauge"; "When these totals were counted.";
        .date_us / 1000000);

# A key that totals must have and these do not, or null.
def missing:
    . as $totals
    | first(
        (("aperturas", "fallos", "abiertos", "cierres", "total_ns", "perdidos", "date_us")
            | select($totals[.] | type != "number")),
        (("ficheros", "histograma", if $totals.ejecutables then "ejecutables" else "procesos" end)
            | select($totals[.] | type != "array"))
    ) // null;

def fault:
    if . == null then "there are no totals here, as filemon -c -f json writes them"
    else missing | if . then "these totals of filemon do not have the key \(.)" else null end end;

reduce (., inputs) as $record (null;
    if ($record | type) == "object" and $record.codigo == "resumen" then $record else . end)
| fault as $fault
| if $fault then error("metrics.jq: " + $fault) else metrics($ARGS.named.top // 20) end
