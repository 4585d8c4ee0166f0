//! The names are in state files, so that most of them are golden.

use super::*;
use crate::event::header::Operation;
use crate::filter::{Grep, Languages, Sample, SampleBy};
use crate::source::endpoint;

fn filter(collections: &[&str], dids: &[&str], kinds: &[Kind]) -> Filter {
    let mut filter = Filter { kinds: kinds.to_vec(), ..Filter::default() };
    for collection in collections {
        filter.collections.add(collection).unwrap();
    }
    filter.dids = dids.iter().map(|&did| did.to_owned()).collect();
    filter
}

fn name(filter: &Filter) -> String {
    derive(filter, &[], false, &Destination::Stdout)
}

#[test]
fn a_derived_name_is_readable() {
    assert_eq!(name(&filter(&[], &[], &[])), "all");
    assert_eq!(name(&filter(&["app.bsky.feed.post"], &[], &[Kind::Commit])), "app.bsky.feed.post");
    assert_eq!(
        name(&filter(&["app.bsky.feed.*"], &["did:plc:abc"], &[Kind::Commit])),
        "app.bsky.feed.*+did:plc:abc"
    );
    assert_eq!(name(&filter(&[], &[], &[Kind::Identity])), "kind:identity");
    assert_eq!(name(&filter(&[], &[], &[Kind::Commit])), "kind:commit");
    let deletes = Filter {
        kinds: vec![Kind::Commit],
        operations: vec![Operation::Delete],
        max_message_bytes: Some(1000),
        ..Filter::default()
    };
    assert_eq!(name(&deletes), "operation:delete+max:1000");
}

#[test]
fn a_derived_name_does_not_depend_on_order() {
    let a = filter(&["app.bsky.feed.post", "app.bsky.feed.like"], &[], &[Kind::Commit]);
    let b = filter(&["app.bsky.feed.like", "app.bsky.feed.post"], &[], &[Kind::Commit]);
    assert_eq!(name(&a), "app.bsky.feed.like+app.bsky.feed.post");
    assert_eq!(name(&a), name(&b));
    let a = filter(&[], &[], &[Kind::Identity, Kind::Account]);
    let b = filter(&[], &[], &[Kind::Account, Kind::Identity]);
    assert_eq!(name(&a), "kind:account+kind:identity");
    assert_eq!(name(&a), name(&b));
}

/// State files hold these names, so they must never change.
#[test]
fn the_names_of_rules_that_no_server_knows_are_golden() {
    let mut rules = Filter { kinds: vec![Kind::Commit], ..Filter::default() };
    rules.languages.add("pt-BR").unwrap();
    rules.languages.add("de").unwrap();
    assert_eq!(name(&rules), "lang:de+lang:pt-br");
    rules.grep = Some(Grep::new("(?i)caf\u{e9} a|b").unwrap());
    rules.languages = Languages::default();
    assert_eq!(name(&rules), "grep:__i_caf__a_b-bf4f45bc");
    let mut rules = Filter { sample: Sample::new(100, SampleBy::Record), ..Filter::default() };
    assert_eq!(name(&rules), "sample:1/100");
    rules.sample = Sample::new(7, SampleBy::Did);
    rules.excluded.add("app.bsky.feed.like").unwrap();
    rules.excluded.add("a.b.*").unwrap();
    assert_eq!(name(&rules), "exclude:a.b.*+exclude:app.bsky.feed.like+sample:1/7:did");
}

#[test]
fn markers_are_part_of_a_name_only_if_the_user_asked_for_them() {
    let mut posts = filter(&["app.bsky.feed.post"], &[], &[Kind::Commit]);
    posts.markers = Markers::ForOutput;
    assert_eq!(name(&posts), "app.bsky.feed.post");
    posts.markers = Markers::Asked;
    assert_eq!(name(&posts), "app.bsky.feed.post+markers");
}

#[test]
fn long_combinations_are_shortened_and_still_differ() {
    let dids: Vec<String> = (0..1000).map(|n| format!("did:plc:{n:024}")).collect();
    let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
    let all = name(&filter(&["app.bsky.feed.post"], &dids, &[]));
    let fewer = name(&filter(&["app.bsky.feed.post"], &dids[..999], &[]));
    assert_eq!(all, "app.bsky.feed.post+did:plc:000000000000000000000000+999-more-c6f2ad02");
    assert_ne!(all, fewer);
    assert!(fewer.contains("+998-more-"), "{fewer}");
    assert!(check(&all).is_ok());
}

#[test]
fn a_single_part_that_is_too_long_is_cut() {
    let did = format!("did:web:{}.example.com", "x".repeat(300));
    let name = name(&filter(&[], &[&did], &[]));
    assert!(name.len() <= MAX_DERIVED_BYTES, "{name}");
    assert!(name.contains("...+0-more-"), "{name}");
}

#[test]
fn demo_and_local_servers_have_names_of_their_own() {
    let of = |hosts: &[&str], demo| {
        let hosts: Vec<Endpoint> = hosts.iter().map(|h| endpoint::parse(h).unwrap()).collect();
        derive(&Filter::default(), &hosts, demo, &Destination::Stdout)
    };
    assert_eq!(of(&["jetstream.example.com"], false), "all");
    assert_eq!(of(&["jetstream.example.com"], true), "demo:all");
    assert_eq!(
        of(&["127.0.0.1:6009", "localhost:6008", "ws://[::1]:7"], false),
        "all@localhost:7,6008,6009"
    );
    let many = ["[::1]:1", "[::1]:2", "[::1]:3", "[::1]:4", "[::1]:5"];
    assert_eq!(of(&many, false), "all@localhost:b726eed1");
    let local = [endpoint::parse("localhost:6008").unwrap()];
    assert_eq!(derive_0_1_0(&Filter::default(), &local, false), "all@localhost");
    assert_eq!(derive_0_1_0(&Filter::default(), &[], true), "demo:all");
    assert_eq!(of(&["localhost:6008", "jetstream.example.com"], false), "all");
}

/// State files hold these names, so they must never change.
#[test]
fn the_names_of_outputs_are_golden() {
    let name = |kind, label: &str, address: &str| {
        let (label, address) = (label.to_owned(), address.to_owned());
        let to = Destination::Named { kind, label, address };
        let posts = filter(&["app.bsky.feed.post"], &[], &[Kind::Commit]);
        let local = [endpoint::parse("localhost:6008").unwrap()];
        let names = [
            derive(&posts, &[], false, &to),
            derive(&posts, &local, false, &to),
            derive(&posts, &[], true, &to),
        ];
        names.iter().for_each(|name| check(name).unwrap());
        names
    };
    assert_eq!(
        name("file", "posts.ndjson", "/data/posts.ndjson"),
        [
            "app.bsky.feed.post+file:posts.ndjson-9df188ca",
            "app.bsky.feed.post@localhost:6008+file:posts.ndjson-9df188ca",
            "demo:app.bsky.feed.post+file:posts.ndjson-9df188ca",
        ]
    );
    let [spaces, ..] = name("file", "a b\u{200b}é.csv", "/data/a b\u{200b}é.csv");
    assert_eq!(spaces, "app.bsky.feed.post+file:a_b__.csv-e851b601");
    let [broker, ..] = name("nats", "firehose", "nats://n1:4222,n2:4222/firehose");
    assert_eq!(broker, "app.bsky.feed.post+nats:firehose-e7c45f9c");
}

#[test]
fn chosen_names_are_printable() {
    for good in ["a", "my-consumer", "posts@localhost", "+1:*", "日本", &"x".repeat(200)] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in
        ["", " ", "a b", "a\tb", "a\n", "\u{1b}[31m", "a\u{200b}b", "a\u{a0}b", &"x".repeat(201)]
    {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}

/// State files hold these names, so they must never change.
#[test]
fn a_list_of_a_file_is_named_by_its_file() {
    let lists = ListNames {
        did: Some(vec!["did:@dids.txt-9df188ca".to_owned()]),
        collection: Some(vec!["@nsids.txt-e7c45f9c".to_owned(), "a.b.c".to_owned()]),
        exclude: Some(vec!["@no.txt-e851b601".to_owned()]),
    };
    let content = |dids: &[&str]| {
        let mut filter = filter(&["a.b.c", "a.b.d"], dids, &[Kind::Commit]);
        filter.excluded.add("x.y.z").unwrap();
        derive_with(&filter, &lists, &[], false, &Destination::Stdout)
    };
    let name = content(&["did:plc:a"]);
    assert_eq!(name, "@nsids.txt-e7c45f9c+a.b.c+did:@dids.txt-9df188ca+exclude:@no.txt-e851b601");
    assert_eq!(content(&["did:plc:b"]), name);
    check(&name).unwrap();
}
