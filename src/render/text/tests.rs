use super::*;
use crate::render::text_width::columns;

fn line(columns: usize, colour: bool, event: &str) -> String {
    let layout = TextLayout::with_columns(OutputDevice { colour, is_terminal: true }, columns);
    let event = jaq_json::read::parse_single(event.as_bytes()).unwrap();
    let mut out = Vec::new();
    layout.write(&event, &mut out, 0).unwrap();
    String::from_utf8(out).unwrap().trim_end_matches('\n').to_owned()
}

fn commit(collection: &str, operation: &str, record: &str) -> String {
    format!(
        r#"{{"did":"did:plc:abcdefghijklmnopqrstuvwx","time_us":1764136566475375,"kind":"commit","commit":{{"operation":"{operation}","collection":"{collection}","rkey":"3kabc"{record}}}}}"#
    )
}

fn events() -> Vec<String> {
    let of =
        |collection, record: &str| commit(collection, "create", &format!(",\"record\":{record}"));
    let other = |rest: &str| {
        format!(r#"{{"did":"did:web:example.com","time_us":1764136566475375,{rest}}}"#)
    };
    vec![
        of("app.bsky.feed.post", r#"{"text":"Good morning,\n世界! A long post that goes on and on and on, until no reader is left"}"#),
        of("app.bsky.feed.post", r#"{"text":"no\u001b[31m \u202eway\u0007","reply":{}}"#),
        of("app.bsky.feed.post", r#"{"text":"","embed":{"$type":"app.bsky.embed.images"}}"#),
        of("app.bsky.feed.like", r#"{"subject":{"cid":"b","uri":"at://did:plc:zyxwvutsrqponmlkjihgfedc/app.bsky.feed.post/3kxyz"}}"#),
        of("app.bsky.graph.follow", r#"{"subject":"did:plc:zyxwvutsrqponmlkjihgfedc"}"#),
        of("com.example.some.quite.longNameOfACollection", r#"{"$type":"x","n":1,"o":{"p":[2]}}"#),
        commit("app.bsky.feed.like", "delete", ""),
        other(r#""kind":"identity","identity":{"did":"d","handle":"alice.example.com"}"#),
        other(r#""kind":"account","account":{"active":false,"status":"takendown"}"#),
        r#"{"$type":"network.bsky.jetstream.subscribeEvents#create","did":"did:plc:abcdefghijklmnopqrstuvwx","time":"2025-11-26T05:56:06.475375Z","operation":"create","collection":"app.bsky.feed.post","rkey":"k","record":{"text":"of v2"}}"#.to_owned(),
        r#"["what an expression", "made"]"#.to_owned(),
    ]
}

#[test]
fn lines_have_the_documented_columns() {
    let page =
        |columns| events().iter().map(|e| line(columns, false, e)).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("eighty_columns", page(80));
    insta::assert_snapshot!("wide", page(140));
}

#[test]
fn no_line_exceeds_the_width_or_has_control_characters() {
    for columns_ in [1, 5, 9, 20, 40, 79, 80, 81, 131, 132, 200] {
        for event in events() {
            let line = line(columns_, false, &event);
            assert!(columns(&line) <= columns_, "{columns_}: {line:?}");
            assert!(line.chars().all(crate::display::printable::is_harmless), "{line:?}");
        }
    }
}

#[test]
fn colours_do_not_change_the_text() {
    for event in events() {
        let plain = line(80, false, &event);
        let coloured = line(80, true, &event);
        let stripped = console::strip_ansi_codes(&coloured).into_owned();
        assert_eq!(stripped, plain);
    }
}
