# SPDX-License-Identifier: GPL-2.0-or-later
# Compares a trace with the records that it was made of, and prints one line for each fault:
#
#   jq -r --slurpfile records records.json --argjson orphans N -f check-trace.jq trace.json
#
# orphans: how many closes have no open among the records.

def is_id: type == "number" and . == floor and . >= 0;

# µs since the midnight before the first record.  Perfetto's numbers of ns are exact for 100 days.
def is_time: type == "number" and . >= 0 and . < 100 * 86400000000;

def event_faults:
    .[] | . as $event
    | if (.name | type) != "string" then "no name"
      elif (.pid | is_id | not) or (.tid | is_id | not) then "pid or tid is no number"
      elif .tid == .pid and .pid != 0 then "the number of the process, which Perfetto gives to row 0"
      elif .ph == "X" and ((.ts | is_time) and .dur >= 0 | not) then "no ts or dur"
      elif .ph == "i" and ((.ts | is_time) and (.s | IN("g", "t")) | not) then "no ts or scope"
      elif .ph == "M" and (.name | IN("process_name", "thread_name", "thread_sort_index") | not) then "unknown metadata"
      elif (.name | endswith("_name")) and .ph == "M" and .args.name == "" then "an empty name"
      elif .ph | IN("X", "i", "M") | not then "unknown ph"
      else empty end
    | "\(.): \($event | tojson)";

def day($records): $records[0].date_us | . - . % 86400000000;

def slices: map(select(.ph == "X"));

# Perfetto's ns.
def ns: . * 1000 | round;

# Viewers nest slices of one row, so a slice must end before the next begins, in ns as Perfetto rounds them.  Slices of
# the same time are in the order of the file.
def overlaps:
    slices | group_by([.pid, .tid])[] | sort_by(.ts | ns)
    | range(1; length) as $i
    | select((.[$i - 1].ts | ns) + (.[$i - 1].dur | ns) > (.[$i].ts | ns))
    | "overlap: \(.[$i - 1] | tojson) \(.[$i] | tojson)";

# Each close is one slice, of the time that the record says, give or take the truncation to µs, and after time 0.  A
# close that another thread reports before the open has a duration of 0, at the time of the open.
def close_faults($records):
    day($records) as $day
    | ([slices[] | select(.args.duracion_ns)
        | [.pid % 10000000, .tid % 1000000, .name, .args.duracion_ns, .ts, (.ts + .dur)]] | sort) as $found
    | ([$records[] | select(.codigo == "close") | ([.date_us - $day, 0] | max) as $closed
        | [.pid, .descriptor, .fichero, .duracion_ns, ([$closed - .duracion_ns / 1000, 0] | max), $closed]]
        | sort) as $expected
    | if ($found | length) != ($expected | length) then "\($found | length) slices of \($expected | length) closes"
      else
        range($found | length) as $i
        | $found[$i] as $slice | $expected[$i] as $close
        | (if $slice[3] == 0 then 1000 else 2 end) as $late
        | if $slice[:4] == $close[:4] and all(4, 5; $slice[.] - $close[.] | . >= -2 and . <= $late) then empty
          else "\($slice | tojson) is not \($close | tojson)" end
      end;

# Each open is one slice, closed or not.
def open_faults($records; $orphans):
    (slices | length) as $found
    | ([$records[] | select(.codigo | IN("open", "dup", "held"))] | length + $orphans) as $expected
    | if $found == $expected then empty else "\($found) slices, not \($expected)" end;

# One instant more names the day.
def instant_faults($records):
    "times count from \(day($records) / 1000000 | todate)" as $day
    | if map(select(.name == $day)) | length == 1 then empty else "no instant: \($day)" end,
    (map(select(.ph == "i")) | length) as $found
    | ([$records[] | select(.codigo | IN("open", "dup", "held", "close", "error") | not)] | length + 1) as $expected
    | if $found == $expected then empty else "\($found) instants, not \($expected)" end;

def names_faults:
    ([.[] | select(.ph != "M" and .s != "g") | [.pid, .tid]] | unique) - ([.[] | select(.name == "thread_name") | [.pid, .tid]])
    | .[] | "row without a name: \(.)";

event_faults, overlaps, close_faults($records), open_faults($records; $orphans), instant_faults($records), names_faults
