# SPDX-License-Identifier: GPL-2.0-or-later
# Compares metrics with the totals that they were made of, and prints one line for each fault:
#
#   jq -Rrs --slurpfile records totals.json --argjson top N -f check-metrics.jq metrics

# All values of labels have the escapes of JSON, and no others.
def label_values: [scan("([a-z]+)=(\"(?:[^\"\\\\]|\\\\.)*\")") | {key: .[0], value: (.[1] | fromjson)}] | from_entries;

def samples:
    split("\n") | map(select(test("^[^#]")) | capture("^(?<name>[a-z_]+)([{](?<labels>.*)[}])? (?<value>[-+.0-9e]+)$")
        | .value |= tonumber | .labels = (.labels // "" | label_values));

def counts: {opens_total: .aperturas, open_failures_total: .fallos, closes_total: .cierres, open_descriptors: .abiertos,
    open_seconds_total: (.total_ns / 1e9), read_bytes_total: .leidos, written_bytes_total: .escritos};

# Each metric of the prefix has one sample for each row, in their order; none if the rows do not have the value.
def row_faults($samples; $prefix; $rows; names):
    ({total_ns: 0} | counts | keys_unsorted[]) as $key
    | [$samples[] | select(.name == $prefix + $key)] as $found
    | [$rows[] | {value: counts[$key], name: names} | select(.value != null)] as $expected
    | if ($found | length) != ($expected | length) then "\($prefix)\($key): \($found | length) samples"
      else
        range($found | length) as $i
        | if ($found[$i].value - $expected[$i].value | fabs > 1e-6)
              or ($found[$i].labels | .program // .file // "") != $expected[$i].name
          then "\($found[$i] | tojson) is not \($expected[$i] | tojson)" else empty end
      end;

def table_faults($samples; $prefix; $key; $totals; $top):
    row_faults($samples; $prefix; $totals[$key + "s"][:$top];
        .[$key] + if .[$key + "_hex"] then " (\(.[$key + "_hex"]))" else "" end);

def value_faults($samples; $name; $expected):
    [$samples[] | select(.name == $name) | .value] as $values
    | if ($values | length) == 1 and ($values[0] - $expected | fabs < 1e-6) then empty else "\($name): \($values), not \($expected)" end;

def bucket_faults($samples; $totals):
    [$samples[] | select(.name | endswith("_bucket")) | {le: .labels.le, value}] as $buckets
    | if $buckets | map(.value) != (map(.value) | sort) then "buckets are not cumulative" else empty end,
      if $buckets[-1] == {le: "+Inf", value: $totals.cierres} then empty else "no last bucket +Inf" end,
      ($buckets[:-1][] | (.le | tonumber * 1e9 + 0.5 | floor) as $ns
        | ([$totals.histograma[] | select(.hasta_ns <= $ns + 1) | .cierres] | add // 0) as $expected
        | select(.value != $expected) | "bucket \(.le): not \($expected)");

samples as $samples
| ($records | map(select(.codigo == "resumen")) | last) as $totals
| row_faults($samples; "filemon_"; [$totals]; ""),
  table_faults($samples; "filemon_program_"; if $totals.ejecutables then "ejecutable" else "proceso" end; $totals; $top),
  table_faults($samples; "filemon_file_"; "fichero"; $totals; $top),
  value_faults($samples; "filemon_open_duration_seconds_sum"; $totals.total_ns / 1e9),
  value_faults($samples; "filemon_open_duration_seconds_count"; $totals.cierres),
  value_faults($samples; "filemon_lost_events_total"; $totals.perdidos),
  value_faults($samples; "filemon_totals_timestamp_seconds"; $totals.date_us / 1e6),
  bucket_faults($samples; $totals),
  ($samples | group_by([.name, .labels])[] | select(length > 1) | "two samples of \(.[0].name) \(.[0].labels | tojson)"),
  ($samples[] | select(.labels | [.host, .watch] != [$totals.maquina, $ARGS.named.watch]) | "\(tojson): host or watch")
