//! Behaviour of the counters and tables.

use std::collections::HashSet;

use super::*;

fn line(did: &str, collection: &str, operation: &str, more: &str) -> String {
    format!(
        r#"{{"did":"{did}","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"{operation}","collection":"{collection}","rkey":"k"{more}}}}}"#
    )
}

fn post(did: &str) -> String {
    line(did, "app.bsky.feed.post", "create", r#","record":{"langs":["en","de"]}"#)
}

fn aggregate(events: &[(u64, String)]) -> Aggregate {
    let (mut aggregate, reader) = (Aggregate::new(Duration::from_secs(10)), LineReader::default());
    for (s, line) in events {
        aggregate.add(&reader, line.as_bytes(), Duration::from_secs(*s));
    }
    aggregate
}

fn names(found: &(Vec<Row>, usize)) -> Vec<&str> {
    found.0.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn every_event_is_counted_under_each_of_its_attributes() {
    let identity = r#"{"did":"did:plc:b","time_us":1,"kind":"identity","identity":{}}"#;
    let events = [
        (0, post("did:plc:a")),
        (0, post("did:plc:b")),
        (1, line("did:plc:a", "app.bsky.feed.like", "delete", "")),
        (1, identity.to_owned()),
        (1, "nonsense".to_owned()),
    ];
    let aggregate = aggregate(&events);
    let at = Duration::from_secs(2);
    let row = |rows: Vec<Row>| -> Vec<(String, u64)> {
        rows.into_iter().map(|row| (row.name, row.total)).collect()
    };
    let is = |name: &str, n| (name.to_owned(), n);
    assert_eq!(aggregate.events(at).total, 4);
    assert_eq!(row(aggregate.kinds(at)), [is("commit", 3), is("identity", 1)]);
    assert_eq!(row(aggregate.operations(at)), [is("create", 2), is("update", 0), is("delete", 1)]);
    assert_eq!(
        row(aggregate.collections(at, RowQuery::default(), 9).0),
        [is("app.bsky.feed.post", 2), is("app.bsky.feed.like", 1)]
    );
    assert_eq!(row(aggregate.languages(at, RowQuery::default(), 9).0), [is("de", 2), is("en", 2)]);
    let accounts = row(aggregate.accounts(at, RowQuery::default(), 9).0);
    assert_eq!(accounts, [is("did:plc:a", 2), is("did:plc:b", 2)]);
    assert_eq!(aggregate.collection_totals()[0], ("app.bsky.feed.post", [2, 0, 0, 0]));
    assert_eq!(aggregate.account_error_bound(), 0);
}

#[test]
fn rates_cover_the_window_and_totals_are_kept() {
    let events: Vec<(u64, String)> = (0..40).map(|s| (s / 2, post("did:plc:a"))).collect();
    let aggregate = aggregate(&events);
    let rate = |s| aggregate.events(Duration::from_secs(s)).per_second;
    assert!((rate(20) - 2.0).abs() < 0.01, "{}", rate(20));
    assert!((rate(25) - 1.0).abs() < 0.21, "{}", rate(25));
    assert!(rate(31) == 0.0);
    assert_eq!(aggregate.events(Duration::from_secs(500)).total, 40);
    let accounts = |s| aggregate.accounts(Duration::from_secs(s), RowQuery::default(), 1).0;
    assert!((accounts(20)[0].per_second - 2.0).abs() < 0.01, "{:?}", accounts(20));
    assert_eq!((accounts(60)[0].per_second, accounts(60)[0].total), (0.0, 40));
    let series = aggregate.events(Duration::from_secs(20)).series;
    assert_eq!((series.len(), series[39], &series[40..]), (60, 0, &[2; 20][..]));
}

#[test]
fn rows_are_sorted_filtered_and_truncated() {
    let mut events: Vec<(u64, String)> =
        (0..5).map(|_| (0, line("did:plc:a", "x.old.one", "create", ""))).collect();
    events.push((30, line("did:plc:a", "x.new.Two", "update", "")));
    events.push((30, line("did:plc:a", "x.new.Two", "delete", "")));
    events.push((30, line("did:plc:a", "a.new.three", "delete", "")));
    let aggregate = aggregate(&events);
    let at = Duration::from_secs(31);
    let query = |sort, filter| RowQuery { sort, filter, ..RowQuery::default() };
    let by_rate = aggregate.collections(at, query(Sort::Rate, ""), 9);
    assert_eq!(names(&by_rate), ["x.new.Two", "a.new.three", "x.old.one"]);
    let by_total = aggregate.collections(at, query(Sort::Total, ""), 2);
    assert_eq!((names(&by_total), by_total.1), (vec!["x.old.one", "x.new.Two"], 3));
    assert_eq!(
        names(&aggregate.collections(at, query(Sort::Name, "NEW.T"), 9)),
        ["a.new.three", "x.new.Two"]
    );
    let upwards = RowQuery { is_reversed: true, ..query(Sort::Total, "") };
    let upwards = aggregate.collections(at, upwards, 2);
    assert_eq!((names(&upwards), upwards.1), (vec!["a.new.three", "x.new.Two"], 3));
    let known_as = HashSet::from(["x.old.one".to_owned()]);
    let also = RowQuery { also: Some(&known_as), ..query(Sort::Name, "three") };
    assert_eq!(names(&aggregate.collections(at, also, 9)), ["a.new.three", "x.old.one"]);
    let deletes = RowQuery { operation: Some(Operation::Delete), ..RowQuery::default() };
    let deletes = aggregate.collections(at, deletes, 9);
    assert_eq!(names(&deletes), ["a.new.three", "x.new.Two"]);
    assert!(deletes.0.iter().all(|row| row.total == 1 && row.series[59] == 1));
}

#[test]
fn inactive_names_are_evicted_for_new_ones() {
    let reader = LineReader::default();
    let mut aggregate = Aggregate::new(Duration::from_secs(10));
    let at = Duration::from_secs;
    for n in 0..MAX_COLLECTIONS + 10 {
        aggregate.add(
            &reader,
            line("did:plc:a", &format!("x.y{n}"), "create", "").as_bytes(),
            at(0),
        );
    }
    let all =
        |aggregate: &Aggregate, s| aggregate.collections(at(s), RowQuery::default(), usize::MAX).1;
    assert_eq!(all(&aggregate, 0), MAX_COLLECTIONS + 1, "and the others");
    aggregate.add(&reader, post("did:plc:a").as_bytes(), at(62));
    let (rows, _) = aggregate.collections(at(62), RowQuery::default(), usize::MAX);
    assert_eq!(rows[0].name, "app.bsky.feed.post");
    assert_eq!((rows[1].name.as_str(), rows[1].total, rows.len()), (OTHERS, 10, 2));
}

#[test]
fn a_long_window_has_long_slices() {
    let second = Duration::from_secs(1);
    assert_eq!((Aggregate::new(second).slice(), Aggregate::new(second).window_slices), (second, 1));
    assert_eq!(
        (Aggregate::new(second * 60).slice(), Aggregate::new(second * 60).window_slices),
        (second, 60)
    );
    let hour = Aggregate::new(second * 3600);
    assert_eq!((hour.slice(), hour.window_slices, hour.period_slices()), (second * 60, 60, 12));
}
