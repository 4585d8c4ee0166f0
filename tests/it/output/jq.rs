//! `--jq` is the language of jq: skytail follows jq where jaq differs from it. A table reports what
//! it can't show.

use std::process::Command;

use crate::output::fixture::Fixture;

/// Expressions with the same result for every event. jq 1.6 and later agree on all of them.
const EXPRESSIONS: &[&str] = &[
    r##""ÄRGER"|test("ärger"; "i")"##,
    r##""é"|test("^\\p{L}$")"##,
    r##""a\nb"|test("^b")"##,
    r##""a\nb"|test("a.b")"##,
    r##""a\nb"|test("a.b";"s")"##,
    r##""a\nb"|test("a.b";"p")"##,
    r##""ac"|[match("a(?<x>b)?(c)")]"##,
    r##""ac"|[capture("a(?<x>b)?(?<y>c)")]"##,
    r##""ac"|[scan("a(b)?(c)")]"##,
    r##""a,b, c"|split(", *";null)"##,
    r##""a,b, c"|[splits(", *")]"##,
    r##""aXbX"|gsub("x";"-";"i")"##,
    r##""aXbX"|sub("x";"-";"i")"##,
    r##""ab"|[sub("(?<x>a)";"1","2")]"##,
    r##""x"|test(["X","i"])"##,
    r##""aß😀x"|[match("x").offset]"##,
    r##""ab"|[match("(a)(?<n>b)").captures]"##,
    r##""aab"|gsub("(?<l>a)";"<\(.l)>")"##,
    r##""ab"|test("A B";"xi")"##,
    r##""a b"|[match("[a-z]";"g").string]"##,
    r##""abc"|[scan("c")]"##,
    r##""aab"|[match("a*";"gn").string]"##,
    r##"{}|.a.b=1"##,
    r##"{}|.a[1].b=1"##,
    r##"{}|.a.b|=1"##,
    r##"{}|.a+=1"##,
    r##"{}|.a.b+=1"##,
    r##"{}|.a.b//=1"##,
    r##"{"a":{"c":null}}|.a.c.d=1"##,
    r##"{}|setpath(["a",0,"b"];1)"##,
    r##"null|.[2]=1"##,
    r##"{"a":null}|.["a"]["b"]=1"##,
    r##""k" as $k|{}|.[$k].x="y""##,
    r##"try ("x"|.a=1) catch "error""##,
    r##"try ({a:"x"}|.a.b=1) catch "error""##,
    r##"def f: .a.b; {}|f=3"##,
    r##"{"a":[{"b":1},{}]}|.a[].b.c?=2"##,
    r##"{"a":[{"b":null},{}]}|.a[].b.c=2"##,
    r##"[1,2]|.[]|=.+1"##,
    r##"1425599621.678|todate"##,
    r##"1425599621|strftime("%c|%x|%X|%r|%D|%j|%%c")"##,
    r##""\ud83d\ude00""##,
    r##""a\\ud83d\ude00""##,
    r##"$__loc__"##,
    r##"[1,[2]]|[tostream]"##,
    r##"{"a":{"b":[]},"c":1}|[tostream]"##,
    r##"[1|truncate_stream([[0],1],[[1,0],2],[[1,0]],[[1]])]"##,
    r##"fromstream({"a":[1,{"b":[]}],"c":null}|tostream)"##,
    r##""a b" | format("uri"), ([1,"x"]|format("csv"))"##,
    r##"[[{"k":"a"},{"k":"b"}]|JOIN({"a":1,"b":2}; .k)]"##,
    r##"[[1,2],[3]]|[.[] as [$a] | $a]"##,
];

#[test]
fn differences_between_jaq_and_jq_are_resolved_as_in_jq() {
    let one = |expression: &&str| format!("(try [{expression}] catch {{failed: true}})");
    let all = EXPRESSIONS.iter().map(one).collect::<Vec<_>>().join(",");
    let all = format!("[{all}]");
    let output = Command::new("jq").args(["-nc", &all]).output().ok();
    let Some(output) = crate::support::requires("jq", output) else { return };
    let expected: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let ended = Fixture::new(3, 5_000).run(&["--jq", &all, "-n", "1"]);
    assert_eq!((ended.code(), ended.rest.len()), (0, 1), "{}", ended.stderr);
    let printed: Vec<serde_json::Value> = serde_json::from_str(&ended.rest[0]).unwrap();
    assert_eq!((expected.len(), printed.len()), (EXPRESSIONS.len(), EXPRESSIONS.len()));
    for ((expression, expected), printed) in EXPRESSIONS.iter().zip(&expected).zip(&printed) {
        assert_eq!(printed, expected, "{expression}");
    }
}

#[test]
fn an_invalid_regular_expression_is_refused_before_the_run_dials() {
    for (expression, message) in [
        (r#".kind | test("(")"#, "the regular expression \"(\" is invalid: unclosed group"),
        (r#"select(.kind | test("a"; "q"))"#, "'q' is not a flag of a regular expression"),
        (r#"[.kind | gsub("[";"")]"#, "is invalid: unclosed character class"),
        (r#"def f: .kind | [scan("\\p{Foo}")]; f"#, "Unicode property not found"),
        (r#".kind | capture(["(?<a>x", "i"])"#, "unclosed group"),
        (r#".kind | test("\\w{900}{900}")"#, "too large when compiled"),
        (".[] as [$a] ?// $a | $a", "alternative destructuring (?//) is not supported"),
    ] {
        // Nothing listens there: exit code 3 would show that the program tried to connect.
        let flags = ["--host", "ws://127.0.0.1:1", "--max-retries", "0", "--jq", expression];
        let ended = crate::support::tail::tail(&crate::support::Scratch::new().path(""), &flags);
        assert_eq!(ended.code(), 2, "{expression}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{expression}: {}", ended.stderr);
        assert!(ended.stderr.contains("\n  "), "{expression} is not shown: {}", ended.stderr);
    }
}

#[test]
fn an_invalid_computed_regular_expression_skips_its_event() {
    let ended = Fixture::new(5, 5_000).run(&["--jq", r#""(" as $re | .kind | test($re)"#]);
    assert_eq!((ended.code(), ended.rest.len()), (0, 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("is invalid: unclosed group"), "{}", ended.stderr);
}

#[test]
fn an_output_without_columns_is_a_table_error() {
    for (expression, what) in [
        (".did", "a string"),
        (".cursor", "a number"),
        ("null", "null"),
        ("[.did]", "an array"),
        (".did == 1", "a boolean"),
    ] {
        let flags = ["--jq", expression, "--format", "csv", "--fields", "did,kind"];
        let fixture = Fixture::new(20, 5_000);
        let ended = fixture.run(&flags);
        assert_eq!((ended.code(), ended.rest.len()), (0, 0), "{}", ended.stderr);
        let message = format!("and this output is {what}: make an object with --jq");
        assert!(ended.stderr.contains("--format can't lay out"), "{}", ended.stderr);
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
        let ended = Fixture::new(20, 5_000).run(&[&flags[..], &["--jq-errors", "fail"]].concat());
        assert_eq!((ended.code(), ended.rest.len()), (1, 0), "{}", ended.stderr);
    }
    let flags = ["--jq", "[.kind, .cursor]", "--format", "tsv", "--fields", "1,0"];
    let ended = Fixture::new(1, 5_000).run(&flags);
    assert_eq!(ended.rest, ["1\t0\n", "5000\tcommit\n"], "{}", ended.stderr);
}

#[test]
fn a_field_that_no_event_has_is_reported_once() {
    for count in [20, 3_000] {
        let fixture = Fixture::new(count, 5_000);
        let file = fixture.file("t.csv");
        let fields = "did,commit.recrod.text,nothing,cursor";
        let ended = fixture.run(&["-o", &file, "--format", "csv", "--fields", fields]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let message = ": commit.recrod.text, nothing; check how they are spelled";
        assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("no event has had").count(), 1, "{}", ended.stderr);
        let ended = Fixture::new(count, 5_000).run(&["--format", "csv", "--fields", "did,cursor"]);
        assert!(!ended.stderr.contains("no event has had"), "{}", ended.stderr);
    }
}
