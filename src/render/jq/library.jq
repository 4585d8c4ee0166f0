# Filters that jaq's libraries lack, or define differently from jq.

# jaq's versions move the last key of an object to the place of the deleted one.
def del(f): delpaths([path(f)]);

# An assignment to the result of these creates missing containers.
def getpath($path): reduce $path[] as $p (.; .[$p]);
def setpath($path; $value): getpath($path) = $value;

def toarray: if isarray then . else [.] end;
def leaf_paths: paths(scalars);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def @csv: csv_row;
def @tsv: tsv_row;

# A group that did not participate in the match is null, not missing.
def test(re; flags): is_match(re; flags);
def test(re): is_match(re; null);
def scan(re; flags):
  matches(re; "g" + flags)[] | [.[].string] | if length > 1 then .[1:] else .[0] end;
def scan(re): scan(re; null);

# Without fractions of a second, and in the C locale.
def strftime($format): strftime_utc($format | c_locale);
def strflocaltime($format): strftime_local($format | c_locale);
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def todate: todateiso8601;
def date: todateiso8601;
def dateadd(unit; n): . + n;
def datesub(unit; n): . - n;

def tostream:
  def inside($at):
    if (isarray or isobject) and length > 0 then
      (to_entries as $members
      | ($members[] | .key as $key | .value | inside($at + [$key])),
        [$at + [$members[-1].key]])
    else [$at, .] end;
  inside([]);
def fromstream(events):
  foreach events as $event ({};
    (if .done then {} else . end)
    | ($event[0]) as $at
    | if $event | length == 2
      then setpath(["value"] + $at; $event[1]) | .done = ($at == [])
      else .done = ($at | length == 1) end;
    if .done then .value else empty end);
def truncate_stream(depth; events):
  depth as $depth | events | if .[0] | length > $depth then .[0] |= .[$depth:] else empty end;
def truncate_stream(events): . as $depth | truncate_stream($depth; null | events);

def JOIN($index; key): [.[] | [., $index[key]]];
def JOIN($index; rows; key): rows | [., $index[key]];
def JOIN($index; rows; key; joined): JOIN($index; rows; key) | joined;
def format($name):
  if $name == "text" then @text elif $name == "json" then @json
  elif $name == "csv" then @csv elif $name == "tsv" then @tsv
  elif $name == "html" then @html elif $name == "uri" then @uri
  elif $name == "sh" then @sh elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d
  else error("\($name) is not a valid format") end;
