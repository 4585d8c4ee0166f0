use super::*;

fn outputs(text: &str, event: &str) -> Result<Vec<String>, RenderError> {
    let program = Program::compile(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let event = jaq_json::read::parse_single(event.as_bytes()).unwrap();
    let mut all = Vec::new();
    program.run(event, |output| {
        let mut out = Vec::new();
        crate::render::json::write(&mut out, &output, crate::render::json::Style::default(), 0)?;
        all.push(String::from_utf8(out).unwrap());
        Ok(())
    })?;
    Ok(all)
}

#[track_caller]
fn check(text: &str, event: &str, expected: &[&str]) {
    assert_eq!(outputs(text, event).unwrap(), expected, "{text}");
}

/// On a thread with the stack that the writer has.
fn on_its_own_thread(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).unwrap();
    thread.join().unwrap();
}

#[test]
fn expressions_have_the_results_of_jq() {
    check(".a[]", r#"{"a":[1,null,false]}"#, &["1", "null", "false"]);
    check("select(.langs // [] | index(\"en\"))", r#"{"langs":["en"]}"#, &[r#"{"langs":["en"]}"#]);
    check("select(.langs // [] | index(\"en\"))", "{}", &[]);
    check("select(.langs // [] | index(\"en\"))", r#"{"langs":["en-US"]}"#, &[]);
    check(
        "4 / 2, 1.10, 10000000000000000000000, nan, 1e3",
        "1",
        &["2", "1.10", "10000000000000000000000", "null", "1e3"],
    );
    check(
        "{b:1,a:2} | del(.b), keys, to_entries[0].key",
        "1",
        &[r#"{"a":2}"#, r#"["a","b"]"#, "\"b\""],
    );
    check("del(.a)", r#"{"a":1,"b":2,"c":3}"#, &[r#"{"b":2,"c":3}"#]);
    check("del(.[0,2], .[-1:])", "[1,2,3,4]", &["[2]"]);
    check("del(.a[]?.b, .x.y)", r#"{"a":[{"b":1,"c":2}]}"#, &[r#"{"a":[{"c":2}]}"#]);
    check("[1,\"a\\\"b\",null] | @csv", "1", &[r#""1,\"a\"\"b\",""#]);
    check(
        "[1,\"a\\tb\"] | @tsv, @json, @base64",
        "1",
        &[r#""1\ta\\tb""#, r#""[1,\"a\\tb\"]""#, r#""WzEsImFcdGIiXQ==""#],
    );
    check(
        "[range(3)], [limit(2; repeat(1))], first(range(5;0;-2))",
        "1",
        &["[0,1,2]", "[1,1]", "5"],
    );
    check(
        "[recurse(if . < 2 then . + 1 else empty end)], [.. | numbers]",
        "0",
        &["[0,1,2]", "[0]"],
    );
    check(
        "def f: if . < 9 then . + 1 | f else . end; f, reduce range(4) as $i (0; . + $i)",
        "0",
        &["9", "6"],
    );
}

#[test]
fn products_updates_and_formats_have_the_results_of_jq() {
    check("[(1,2) * (3,4)], 2 * \"ab\" * 2", "1", &["[3,4,6,8]", "\"abababab\""]);
    check(
        ".a *= (1,2), (.. |= .)",
        r#"{"a":"x"}"#,
        &[r#"{"a":"x"}"#, r#"{"a":"xx"}"#, r#"{"a":"x"}"#],
    );
    check(
        "9999999999999999999999 * 2, (\"x\" * 0), ({a:{b:1}} * {a:{c:2}})",
        "1",
        &["19999999999999999999998", "null", r#"{"a":{"b":1,"c":2}}"#],
    );
    check("path(..), (.a |= 3)", r#"{"a":1}"#, &["[]", r#"["a"]"#, r#"{"a":3}"#]);
    check("(.. | numbers) |= . + 1", r#"{"a":[1]}"#, &[r#"{"a":[2]}"#]);
    check(
        ".t / 1000000 | floor | todate",
        r#"{"t":1764136566475375}"#,
        &[r#""2025-11-26T05:56:06Z""#],
    );
    check(".a | IN(1, 2), ($ENV | type)", r#"{"a":1}"#, &["true", "\"object\""]);
    check("try error(\"x\") catch ., (.a? // \"none\")", "1", &["\"x\"", "\"none\""]);
    check("\"\\(.a) and \\(.b)\"", r#"{"a":1,"b":[2]}"#, &[r#""1 and [2]""#]);
}

#[test]
fn an_endless_expression_ends_with_an_error() {
    on_its_own_thread(|| {
        for text in [
            "last(repeat(.))",
            "[repeat(1)] | length",
            "def f: f; f",
            "[limit(1000000000; range(1e18))]",
            "reduce range(1e12) as $i (0; . + 1)",
            "[range(1000) as $a | range(1000) as $b | range(1000) as $c | 1] | length",
            "until(false; .)",
            "0 | last(recurse(. + 1))",
            "[.[] as $a | repeat($a)]",
        ] {
            let error = outputs(text, "[1]").unwrap_err();
            assert_eq!(error, RenderError::TooManySteps, "{text}");
        }
        for text in
            ["def f: 1 + f; f", "def f: [f]; f", "def f: try f catch f; f", "def f: f | f; f"]
        {
            let error = outputs(text, "1").unwrap_err();
            assert!(matches!(error, RenderError::TooDeep | RenderError::TooManySteps), "{text}");
        }
        for text in [
            "reduce range(1000) as $i (\"x\"; . + .)",
            "\"x\" * 100000000000",
            "100000000000000000000000 * \"x\"",
            "try (\"x\" * 100000000000) catch 1",
            "{a: \"xx\"} | .a *= 20000000",
            "reduce range(60) as $i (2; . * .)",
        ] {
            let error = outputs(text, "1").unwrap_err();
            assert_eq!(error, RenderError::Failed(bounds::TOO_LARGE.into()), "{text}");
        }
        let error = outputs("reduce range(45000) as $i (.; [.])", "1").unwrap_err();
        assert!(error.to_string().contains("levels"), "{error}");
    });
}

#[test]
fn an_error_has_a_reason_without_control_characters() {
    let message = |text: &str| outputs(text, r#"{"a":"\u001b[31m"}"#).unwrap_err().to_string();
    assert_eq!(message(".a.b"), r#"cannot index "\u001b[31m" with "b""#);
    assert_eq!(message("error(.a)"), r"\u{1b}[31m");
    assert_eq!(message("halt"), "halt can't end a run: use --limit, --until or error");
    assert_eq!(message("{(1 | tostring): {(\"a\" | length): 1}}"), "object keys must be strings");
}

#[test]
fn a_fault_points_at_its_place() {
    let message = |text: &str| Program::compile(text).unwrap_err().to_string();
    insta::assert_snapshot!([
        "select(.commit.record.langs // [] | index(\"en\")",
        ".a | ",
        ".a ]",
        ".commit | slect(.a)",
        "map(1; 2)",
        ".a | nonsense",
        "$x + 1",
        "\"abc",
        "\"世界\" | foo",
        "if . then 1",
        "  ",
        ".[] as",
        "@nope",
        "include \"a\"; .",
        "inputs",
        ".a &",
        "reduce .[] as $x (0; 1",
        "def f: 1; # a comment\n  .a |\n\tbogus |\n  2",
        "[.aaaaaaaaaaaaaaaaaaaa, .bbbbbbbbbbbbbbbbbbbbbbb, .cccccccccccccccccccccc, .dddddddddddddd, eeeeeeeeeee, .ffffffffffffffffffffffff]",
    ].map(message).join("\n\n"));
}
