# SPDX-License-Identifier: GPL-2.0-or-later
# Checks events against the schema of OCSF, and prints one line for each fault:
#
#   jq -r --rawfile attributes ocsf.attributes -f check-ocsf.jq

# Captions of activity_id (events/system/filesystem.json, tag v1.2.0); 99 is named by the product.
def activities: {
    "0": "Unknown", "1": "Create", "2": "Read", "3": "Update", "4": "Delete", "5": "Rename", "6": "Set Attributes",
    "7": "Set Security", "8": "Get Attributes", "9": "Get Security", "10": "Encrypt", "11": "Decrypt", "12": "Mount",
    "13": "Unmount", "14": "Open"
};
def statuses: {"0": "Unknown", "1": "Success", "2": "Failure"};

def is_integer: type == "number" and . == floor;
def is_of($expected):
    if $expected | IN("integer_t", "long_t") then is_integer
    elif $expected == "timestamp_t" then is_integer and . > 1500000000000 and . < 4000000000000
    elif $expected == "hostname_t" then type == "string" and test("^[A-Za-z0-9.-]+$")
    elif $expected | endswith("_t") then type == "string"
    else type == "object" end;

def faults($schema; $name):
    . as $object
    | $schema[$name] as $attributes
    | (keys[] as $key
        | $attributes[$key].type as $type
        | $object[$key]
        | if $type == null then "\($name).\($key): no such attribute"
          elif is_of($type) | not then "\($name).\($key): not of type \($type): \(.)"
          elif $schema[$type] then faults($schema; $type)
          else empty end),
      ($attributes | to_entries[]
        | if .value.requirement == "required" and $object[.key] == null then "\($name).\(.key) is missing"
          elif .value.requirement == "at_least_one" and (.key | split("|") | all($object[.] == null))
          then "\($name): none of \(.key)"
          else empty end);

def event_faults:
    if .type_uid == .class_uid * 100 + .activity_id then empty else "type_uid: \(.type_uid)" end,
    if .category_uid == (.class_uid / 1000 | floor) then empty else "category_uid: \(.category_uid)" end,
    if .activity_name == activities["\(.activity_id)"]
        or (.activity_id == 99 and (.activity_name | IN(activities[]) | not) and .activity_name != null)
    then empty else "activity_name: \(.activity_name)" end,
    if .status == statuses["\(.status_id)"] then empty else "status: \(.status)" end,
    if .severity_id | IN(range(1; 7)) then empty else "severity_id: \(.severity_id)" end,
    if (.file.type_id // 0) | IN(range(0; 8)) then empty else "file.type_id: \(.file.type_id)" end;

($attributes | split("\n") | map(select(test("^[^#]")) | split("\t"))
    | reduce .[] as $row ({}; .[$row[0]][$row[1]] = {type: $row[2], requirement: $row[3]})) as $schema
| (., inputs) as $event
| $event
| (faults($schema; {"0": "base_event", "1001": "file_activity"}["\(.class_uid)"] // error("class_uid \(.class_uid)")),
    event_faults)
| "\(.): \($event | tojson)"
