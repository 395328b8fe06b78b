# SPDX-License-Identifier: GPL-2.0-or-later
# Checks documents against the field definitions of ECS, and prints one line for each fault:
#
#   jq -r --rawfile fields ecs.fields -f check-ecs.jq
#
# Names below "filemon" are free: ECS has no field set of that name.

# What ECS allows in the categorization fields (schemas/event.yml, tag v9.4.0).
def kinds: ["alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error"];
def outcomes: ["failure", "success", "unknown"];
def expected_types: {
    file: ["access", "change", "creation", "deletion", "info"],
    process: ["access", "change", "end", "info", "start"]
};

def is_date: type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{6}Z$");
def is_of($expected):
    if $expected == "date" then is_date
    elif $expected == "long" then type == "number" and . == floor
    elif ["keyword", "wildcard", "match_only_text"] | index($expected) then type == "string"
    else false end;

def leaves: paths(type != "object") | select(map(type) | index("number") | not) | select(.[0] != "filemon");

def field_faults($fields):
    . as $document
    | leaves as $path
    | ($path | join(".")) as $name
    | $fields[$name] as $field
    | ($document | getpath($path)) as $value
    | if $field == null then "\($name): no such field"
      elif $field.array and ($value | type == "array" and length > 0 and all(is_of($field.type))) then empty
      elif ($field.array | not) and ($value | is_of($field.type)) then empty
      else "\($name): not of type \($field.type): \($value)" end;

def event_faults:
    if .kind | IN(kinds[]) | not then "event.kind: \(.kind)" else empty end,
    if .outcome == null or (.outcome | IN(outcomes[])) then empty else "event.outcome: \(.outcome)" end,
    (.category // [] | .[] | select(expected_types[.] == null) | "event.category: \(.)"),
    ((.type // [])[] as $type | select([expected_types[.category[]][]] | index($type) | not) | "event.type: \($type)"),
    if .action then empty else "event.action is missing" end;

($fields | split("\n")
    | map(select(test("^[^#]")) | split("\t") | {key: .[0], value: {type: .[1], array: (.[2] == "array")}})
    | from_entries) as $fields
| (., inputs) as $document
| $document
| (field_faults($fields), (.event | event_faults),
    if .["@timestamp"] then empty else "@timestamp is missing" end,
    if .ecs.version == "9.4.0" then empty else "ecs.version: \(.ecs.version)" end,
    if any(.. | select(. == {} or . == null or . == []); true) and (.filemon.ficheros == null) then "empty or null member" else empty end)
| "\(.): \($document | tojson)"
