# SPDX-License-Identifier: GPL-2.0-or-later
# Compares metrics with the totals that they were made of, and prints one line for each fault:
#
#   jq -Rrs --slurpfile records totals.json --argjson top N -f check-metrics.jq metrics

def samples:
    split("\n") | map(select(test("^[^#]")) | capture("^(?<name>[a-z_]+)([{](?<labels>.*)[}])? (?<value>[-+.0-9e]+)$")
        | .value |= tonumber);

def sum_faults($samples; $name; $expected):
    [$samples[] | select(.name == $name) | .value] as $values
    | if $expected == null and $values == [] then empty
      elif ($values | add) - $expected | fabs > 1e-6 then "\($name): the sum is not \($expected)"
      else empty end;

# A program that closes what another one opened has none open, not less than none.
def open_faults($samples; $totals):
    ([$samples[] | select(.name == "filemon_open_descriptors") | .value] | add) as $sum
    | if $sum >= $totals.abiertos then empty else "filemon_open_descriptors: \($sum) < \($totals.abiertos)" end;

def bucket_faults($samples; $totals):
    [$samples[] | select(.name | endswith("_bucket")) | {le: (.labels | capture("le=\"(?<le>[^\"]*)\"").le), value}] as $buckets
    | if $buckets | map(.value) != (map(.value) | sort) then "buckets are not cumulative" else empty end,
      if $buckets[-1] == {le: "+Inf", value: $totals.cierres} then empty else "no last bucket +Inf" end,
      ($buckets[:-1][] | (.le | tonumber * 1e9 + 0.5 | floor) as $ns
        | ([$totals.histograma[] | select(.hasta_ns <= $ns + 1) | .cierres] | add // 0) as $expected
        | select(.value != $expected) | "bucket \(.le): not \($expected)");

samples as $samples
| ($records | map(select(.codigo == "resumen")) | last) as $totals
| sum_faults($samples; "filemon_opens_total"; $totals.aperturas),
  sum_faults($samples; "filemon_open_failures_total"; $totals.fallos),
  sum_faults($samples; "filemon_closes_total"; $totals.cierres),
  open_faults($samples; $totals),
  sum_faults($samples; "filemon_file_opens_total"; $totals.aperturas),
  sum_faults($samples; "filemon_file_open_failures_total"; $totals.fallos),
  sum_faults($samples; "filemon_file_open_descriptors"; $totals.abiertos),
  sum_faults($samples; "filemon_file_open_seconds_total"; $totals.total_ns / 1e9),
  sum_faults($samples; "filemon_open_duration_seconds_sum"; $totals.total_ns / 1e9),
  sum_faults($samples; "filemon_open_duration_seconds_count"; $totals.cierres),
  sum_faults($samples; "filemon_lost_events_total"; $totals.perdidos),
  sum_faults($samples; "filemon_read_bytes_total"; $totals.leidos),
  bucket_faults($samples; $totals),
  ($samples | group_by([.name, .labels])[] | select(length > 1) | "two samples of \(.[0].name){\(.[0].labels)}"),
  ($samples | map(select(.labels // "" | test("^(program|file)="))) | group_by(.name)[]
    | select(length > $top + 1) | "\(.[0].name) has more than \($top) rows")
