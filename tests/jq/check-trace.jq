# SPDX-License-Identifier: GPL-2.0-or-later
# Compares a trace with the records that it was made of, and prints one line for each fault:
#
#   jq -r --slurpfile records records.json --argjson orphans N -f check-trace.jq trace.json
#
# orphans: how many closes have no open among the records.

def is_id: type == "number" and . == floor and . >= 0;

def event_faults:
    .[] | . as $event
    | if (.name | type) != "string" then "no name"
      elif (.pid | is_id | not) or (.tid | is_id | not) then "pid or tid is no number"
      elif .ph == "X" and (.ts > 1.5e15 and .dur >= 0 | not) then "no ts or dur"
      elif .ph == "i" and (.ts > 1.5e15 and (.s | IN("g", "t")) | not) then "no ts or scope"
      elif .ph == "M" and (.name | IN("process_name", "thread_name", "thread_sort_index") | not) then "unknown metadata"
      elif .ph | IN("X", "i", "M") | not then "unknown ph"
      else empty end
    | "\(.): \($event | tojson)";

def slices: map(select(.ph == "X"));

# Viewers nest slices of one row, so a slice must end before the next begins.
def overlaps:
    slices | group_by([.pid, .tid])[] | sort_by(.ts)
    | range(1; length) as $i
    | select(.[$i - 1].ts + .[$i - 1].dur > .[$i].ts + 0.25)
    | "overlap: \(.[$i - 1] | tojson) \(.[$i] | tojson)";

# Each close is one slice, of the time that the record says, give or take the truncation to µs.
def close_faults($records):
    ([slices[] | select(.args.duracion_ns)
        | [.pid % 10000000, .tid % 1000000, .name, (.dur * 1000 + 0.5 | floor), .ts]] | sort) as $found
    | ([$records[] | select(.codigo == "close")
        | [.pid, .descriptor, .fichero, .duracion_ns, .date_us - .duracion_ns / 1000]] | sort) as $expected
    | if ($found | length) != ($expected | length) then "\($found | length) slices of \($expected | length) closes"
      else
        range($found | length) as $i
        | $found[$i] as $slice | $expected[$i] as $close
        | if $slice[:4] != $close[:4] or ($slice[4] - $close[4] | fabs > 2) then "\($slice | tojson) is not \($close | tojson)"
          else empty end
      end;

# Each open is one slice, closed or not.
def open_faults($records; $orphans):
    (slices | length) as $found
    | ([$records[] | select(.codigo | IN("open", "dup", "held"))] | length + $orphans) as $expected
    | if $found == $expected then empty else "\($found) slices, not \($expected)" end;

def instant_faults($records):
    (map(select(.ph == "i")) | length) as $found
    | ([$records[] | select(.codigo | IN("open", "dup", "held", "close", "error") | not)] | length) as $expected
    | if $found == $expected then empty else "\($found) instants, not \($expected)" end;

def names_faults:
    ([.[] | select(.ph != "M" and .s != "g") | [.pid, .tid]] | unique) - ([.[] | select(.name == "thread_name") | [.pid, .tid]])
    | .[] | "row without a name: \(.)";

event_faults, overlaps, close_faults($records), open_faults($records; $orphans), instant_faults($records), names_faults
