use super::*;

const POST: &str = r#"{"did":"did:plc:abcdefghijklmnopqrstuvwx","time_us":1764136566475375,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.post","rkey":"k","record":{"text":"a \"b\",\tc\nd","langs":["en"],"big":123456789012345678901234567890,"dec":1.10},"cid":"c"},"cursor":7}"#;

fn config(jq: Option<&str>, format: OutputFormat) -> RenderConfig {
    let program = jq.map(|text| Arc::new(Program::compile(text).unwrap()));
    RenderConfig { program, format, raw_strings: false, safe_cells: false }
}

fn fields(list: &str) -> Vec<Field> {
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    fields::parse(&names).unwrap()
}

fn render(config: &RenderConfig, device: OutputDevice, event: &str) -> String {
    let mut renderer = Renderer::new(config, device);
    let mut out = renderer.header();
    renderer.render(event.as_bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn keys_keep_their_order_and_numbers_their_digits() {
    let plain = render(&config(Some("."), OutputFormat::Ndjson), OutputDevice::default(), POST);
    assert_eq!(plain, format!("{POST}\n"));
}

#[test]
fn csv_quotes_and_tsv_escapes_what_would_break_the_table() {
    let columns = fields("did,commit.record.text,commit.record.langs,commit.record.none,cursor");
    let csv =
        render(&config(None, OutputFormat::Csv(columns.clone())), OutputDevice::default(), POST);
    insta::assert_snapshot!(csv, @r#"
    did,commit.record.text,commit.record.langs,commit.record.none,cursor
    did:plc:abcdefghijklmnopqrstuvwx,"a ""b"",	c
    d","[""en""]",,7
    "#);
    let tsv = render(&config(None, OutputFormat::Tsv(columns)), OutputDevice::default(), POST);
    insta::assert_snapshot!(tsv.replace('\t', "<TAB>"), @r#"
    did<TAB>commit.record.text<TAB>commit.record.langs<TAB>commit.record.none<TAB>cursor
    did:plc:abcdefghijklmnopqrstuvwx<TAB>a "b",\tc\nd<TAB>["en"]<TAB><TAB>7
    "#);
}

#[test]
fn pretty_is_what_jq_prints_and_harmless_on_a_terminal() {
    let pretty = config(Some("{a:[1,{}],b:[],c:.commit.record.text}"), OutputFormat::Pretty);
    insta::assert_snapshot!(render(&pretty, OutputDevice::default(), POST), @r#"
    {
      "a": [
        1,
        {}
      ],
      "b": [],
      "c": "a \"b\",\tc\nd"
    }
    "#);
    let terminal = OutputDevice { is_terminal: true, colour: true };
    let shown = render(&pretty, terminal, &POST.replace("a \\\"b", "\u{9b}31m\u{202e}"));
    assert!(shown.contains(r"\u009b31m\u202e"), "{shown:?}");
    assert!(shown.contains("\x1b[34;1m\"a\"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[1;39m["), "{shown:?}");
}

#[test]
fn what_can_not_be_rendered_leaves_nothing_behind() {
    let mut renderer = Renderer::new(
        &config(Some(".a, error(\"no\")"), OutputFormat::Ndjson),
        OutputDevice::default(),
    );
    let mut out = b"before".to_vec();
    let error = renderer.render(br#"{"a":1}"#, &mut out).unwrap_err();
    assert_eq!((error, &*out), (RenderError::Failed("no".into()), &b"before"[..]));
    assert!(matches!(renderer.render(b"{", &mut out), Err(RenderError::Unreadable(_))));
    assert_eq!(out, b"before");
}

const HOSTILE: &str = r#"{"did":"did:plc:a","n":-5,"t":"=1+1","u":" @x","v":"a\u0000b","w":"\tx","x":"plain - text","y":"-","z":[-1]}"#;

#[test]
fn safe_cells_are_no_formulas_and_numbers_stay_numbers() {
    let columns = fields("n,t,u,v,w,x,y,z");
    let safe = |form| {
        render(
            &RenderConfig { safe_cells: true, ..config(None, form) },
            OutputDevice::default(),
            HOSTILE,
        )
    };
    let csv = safe(OutputFormat::Csv(columns.clone()));
    assert_eq!(csv, "n,t,u,v,w,x,y,z\n-5,'=1+1,' @x,a\u{fffd}b,'\tx,plain - text,'-,[-1]\n");
    let tsv = safe(OutputFormat::Tsv(columns.clone()));
    assert_eq!(tsv.lines().nth(1).unwrap().split('\t').nth(1), Some("'=1+1"));
    // Without the flag a cell is the text that the event has.
    let plain = render(&config(None, OutputFormat::Csv(columns)), OutputDevice::default(), HOSTILE);
    assert_eq!(plain.lines().nth(1), Some("-5,=1+1, @x,a\0b,\tx,plain - text,-,[-1]"));
}

#[test]
fn every_format_escapes_control_characters_on_a_terminal_only() {
    let text = "\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}é\r";
    let event = serde_json::json!({"did": "did:plc:a", "kind": "commit", "t": text}).to_string();
    let raw = RenderConfig { raw_strings: true, ..config(Some(".t"), OutputFormat::Ndjson) };
    let configs = [
        config(Some("."), OutputFormat::Ndjson),
        config(None, OutputFormat::Pretty),
        config(None, OutputFormat::Text),
        config(None, OutputFormat::Csv(fields("t"))),
        config(None, OutputFormat::Tsv(fields("t"))),
        raw.clone(),
    ];
    let terminal = OutputDevice { is_terminal: true, colour: false };
    for config in configs {
        let shown = render(&config, terminal, &event);
        let acts = |c: char| c != '\n' && crate::display::printable::acts_on_terminal(c);
        assert!(!shown.chars().any(acts), "{config:?}: {shown:?}");
        assert!(shown.contains("]0;x"), "{shown:?}");
    }
    let mut lines = Vec::new();
    Renderer::passthrough(terminal).render(event.as_bytes(), &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.contains("\\u009b31m\\u007f\\u202e"), "{lines}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&lines).unwrap(),
        serde_json::from_str::<serde_json::Value>(&event).unwrap()
    );
    assert_eq!(render(&raw, OutputDevice::default(), &event), format!("{text}\n"));
}

#[test]
fn an_expression_that_names_a_member_prints_what_the_interpreter_prints() {
    let events = [
        POST,
        r#"{"a":{"b":{"c":[1,{"d":"x"}]}},"did":"\u00e4"}"#,
        r#"{"did":"a","did":{"did":1e400,"b":-0.0},"a":null}"#,
        r#"{ "did" : "\ud83d" , "a" : 5 }"#,
        r#"{"did":"a\tb\"c\\","a":[],"d\u0069d":3}"#,
        r#"{"a":{"b":tru}}"#,
        r#"{"a":{"b":NaN}}"#,
        r#"[{"did":1}]"#,
    ];
    for path in [".did", ".a.b", ".a.b.c", ".commit.record.dec", ".commit.record", ".none.x"] {
        for event in events {
            // A pipe is no member's name, so that this runs the interpreter.
            let [fast, slow] = [path.to_owned(), format!("{path} | .")].map(|jq| {
                let config = config(Some(&jq), OutputFormat::Ndjson);
                let mut out = Vec::new();
                let count = Renderer::new(&config, OutputDevice::default())
                    .render(event.as_bytes(), &mut out);
                (count.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
            });
            assert_eq!(fast, slow, "{path} of {event}");
        }
    }
}

#[test]
fn a_named_member_is_written_as_the_interpreter_writes_it() {
    for value in [
        r#""plain text ~""#,
        r#""""#,
        r#"" ""#,
        r#""a\"b\\""#,
        r#""a\tb""#,
        "\"\u{7f}\"",
        "\"\u{e9}\u{202e}\"",
        "5",
        "1.10",
        "null",
        r#"{"b":"c"}"#,
        r#"["x"]"#,
    ] {
        let event = format!(r#"{{"a":{value}}}"#);
        for (raw_strings, is_terminal) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let rendered = |jq| {
                let config = RenderConfig { raw_strings, ..config(Some(jq), OutputFormat::Ndjson) };
                render(&config, OutputDevice { is_terminal, ..OutputDevice::default() }, &event)
            };
            assert_eq!(rendered(".a"), rendered(r#".["a"]"#), "{event}");
        }
    }
}
