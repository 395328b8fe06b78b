# SPDX-License-Identifier: GPL-2.0-or-later
# Turns the totals of filemon into metrics for Prometheus, in its text format:
#
#   filemon -c -f json ... | jq -rf metrics.jq --argjson top 10 > filemon.prom
#
# Of several totals the last is taken, since each counts from the start.  There is a row for each of
# the "top" programs and files (default: 20), in the order of --sort; "(others)" are the rest, so
# that the sum over all programs, or over all files, is the total.

# Labels can hold any text.
def quoted:
    split("\\") | join("\\\\") | split("\"") | join("\\\"") | split("\n") | join("\\n")
    | "\"" + . + "\"";

def labels($pairs):
    $pairs | map(select(.[1]) | .[0] + "=" + (.[1] | quoted)) | join(",")
    | if . == "" then "" else "{" + . + "}" end;

def head($metric; $type; $help): "# HELP \($metric) \($help)", "# TYPE \($metric) \($type)";

def counts: ["aperturas", "fallos", "cierres", "abiertos", "total_ns", "leidos", "escritos"];

def sum_of($rows):
    reduce $rows[] as $row (.;
        reduce counts[] as $key (.; if $row[$key] then .[$key] += $row[$key] else . end));

# Names that differ only in bytes that are not UTF-8 must not be the same label.
def name($table):
    .[$table + "_hex"] as $hex | .[$table] + if $hex then " (\($hex))" else "" end;

# The table's first $top rows, and the sum of the others.  A process can give itself any name.
def rows($table; $top):
    .[$table + "s"] as $all
    | ($all[:$top] | map(select(.[$table] != "(others)"))) as $shown
    | ($shown | map(.name = name($table)))
        + [.["otros_" + $table + "s"] // {} | sum_of($all - $shown) | .name = "(others)"];

# {by, host, rows} are the rows.  A metric whose value the totals do not have is left out.
def metric($of; $metric; $type; $help; value):
    [$of.rows[] | {name: .name, value: value} | select(.value != null)] as $rows
    | if $rows == [] then empty else
        head($metric; $type; $help),
        ($rows[] | $metric + labels([["host", $of.host], [$of.by, .name]]) + " \(.value)")
      end;

def single($metric; $type; $help; value):
    head($metric; $type; $help), $metric + labels([["host", .maquina]]) + " \(value)";

# Every fourth power of two from 2^10 ns, about 1 µs, to 2^42 ns, about 73 minutes: the same buckets
# each time, as Prometheus needs them.  filemon counts times of less than hasta_ns, in whole ns.
def histogram($metric; $help):
    def row($suffix; $le; $value):
        $metric + $suffix + labels([["host", .maquina], ["le", $le]]) + " \($value)";
    def up_to($limit): [.histograma[] | select(.hasta_ns <= $limit) | .cierres] | add // 0;
    head($metric; "histogram"; $help),
    (range(10; 43; 2) as $exponent
        | (reduce range($exponent) as $_ (1; . * 2)) as $limit
        | row("_bucket"; "\(($limit - 1) / 1000000000)"; up_to($limit))),
    row("_bucket"; "+Inf"; .cierres),
    row("_sum"; null; .total_ns / 1000000000),
    row("_count"; null; .cierres);

def of_programs($of):
    metric($of; "filemon_opens_total"; "counter"; "Files opened, by program."; .aperturas),
    metric($of; "filemon_open_failures_total"; "counter"; "Failed opens, by program."; .fallos),
    metric($of; "filemon_closes_total"; "counter"; "Descriptors closed, by program."; .cierres),
    metric($of; "filemon_open_descriptors"; "gauge"; "Open descriptors, by program."; .abiertos),
    metric($of; "filemon_read_bytes_total"; "counter"; "Bytes read, by program."; .leidos),
    metric($of; "filemon_written_bytes_total"; "counter"; "Bytes written, by program."; .escritos);

def of_files($of):
    metric($of; "filemon_file_opens_total"; "counter"; "Opens, by file."; .aperturas),
    metric($of; "filemon_file_open_failures_total"; "counter"; "Failed opens, by file."; .fallos),
    metric($of; "filemon_file_open_descriptors"; "gauge"; "Open descriptors, by file."; .abiertos),
    metric($of; "filemon_file_open_seconds_total"; "counter"; "How long files were open, by file.";
        .total_ns / 1000000000);

def metrics($top):
    of_programs({by: "program", host: .maquina, rows: rows("proceso"; $top)}),
    of_files({by: "file", host: .maquina, rows: rows("fichero"; $top)}),
    histogram("filemon_open_duration_seconds"; "How long files were open."),
    single("filemon_lost_events_total"; "counter"; "Events lost."; .perdidos),
    single("filemon_totals_timestamp_seconds"; "gauge"; "When these totals were counted.";
        .date_us / 1000000);

reduce (., inputs) as $record (null; if $record.codigo == "resumen" then $record else . end)
| if . then metrics($ARGS.named.top // 20) else empty end
