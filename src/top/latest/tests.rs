//! What is kept, and that it is bounded.

use proptest::prelude::*;

use super::*;
use crate::event::format::EventFormat;

fn line(did: &str, collection: &str, rkey: &str) -> String {
    format!(
        r#"{{"did":"{did}","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"create","collection":"{collection}","rkey":"{rkey}"}}}}"#
    )
}

fn add(latest: &mut LatestEvents, line: &str) {
    latest.add(&EventFormat::V1.parse(line.as_bytes()).unwrap(), line.as_bytes());
}

fn lines<'k>(events: impl Iterator<Item = &'k KeptEvent>) -> Vec<String> {
    let text = |event: &KeptEvent| match event {
        KeptEvent::Line(line) => String::from_utf8(line.clone()).unwrap(),
        KeptEvent::TooLong(bytes) => bytes.to_string(),
    };
    events.map(text).collect()
}

#[test]
fn the_latest_events_of_each_name_are_kept() {
    let mut latest = LatestEvents::default();
    let all: Vec<String> = (0..40).map(|n| line("did:plc:a", "x.y.z", &n.to_string())).collect();
    all.iter().for_each(|line| add(&mut latest, line));
    let other = line("did:plc:b", "x.y.z", "other");
    add(&mut latest, &other);
    assert_eq!(lines(latest.of_account("did:plc:a")), all[40 - EVENTS_PER_NAME..]);
    assert_eq!(lines(latest.of_account("did:plc:b")), std::slice::from_ref(&other));
    let of_collection = lines(latest.of_collection("x.y.z"));
    assert_eq!(of_collection.len(), EVENTS_PER_NAME);
    assert_eq!(of_collection.last(), Some(&other));
    assert_eq!(latest.of_collection("x.y").count(), 0);
    let long = line("did:plc:a", "x.y.z", &"k".repeat(MAX_EVENT_BYTES));
    add(&mut latest, &long);
    assert_eq!(lines(latest.of_account("did:plc:a")).last(), Some(&long.len().to_string()));
}

#[test]
fn identity_events_name_handles() {
    let mut latest = LatestEvents::default();
    let identity = |handle: &str| {
        format!(
            r#"{{"did":"did:plc:a","time_us":1,"kind":"identity","identity":{{"did":"did:plc:a"{handle}}}}}"#
        )
    };
    for handle in ["", r#","handle":null"#, r#","handle":"""#, r#","handle":"handle.invalid""#] {
        add(&mut latest, &identity(handle));
        assert_eq!(latest.handle("did:plc:a"), None, "{handle}");
    }
    add(&mut latest, &identity(r#","handle":"a.example""#));
    add(&mut latest, &identity(""));
    assert_eq!(latest.handle("did:plc:a"), Some("a.example"));
    latest.add_handle("did:plc:a", "x".repeat(MAX_HANDLE_BYTES + 1));
    assert_eq!(latest.handles().collect::<Vec<_>>(), [("did:plc:a", "a.example")]);
}

#[test]
fn names_that_are_inactive_for_longest_are_forgotten() {
    let mut latest = LatestEvents::default();
    for n in 0..3 * MAX_NAMES {
        add(&mut latest, &line(&format!("did:plc:{n}"), "x.y.z", "k"));
        add(&mut latest, &line("did:plc:busy", &format!("x.y.c{n}"), "k"));
        latest.add_handle(&format!("did:plc:{n}"), "h.example".into());
        for rings in [&latest.accounts, &latest.collections] {
            assert!(rings.rings.values.len() <= MAX_NAMES && rings.bytes <= MAX_BYTES);
        }
        assert!(latest.handles.values.len() <= MAX_HANDLES);
    }
    let last = 3 * MAX_NAMES - 1;
    assert_eq!(latest.of_account(&format!("did:plc:{last}")).count(), 1);
    assert_eq!(latest.of_account("did:plc:0").count(), 0);
    assert_eq!(latest.of_account("did:plc:busy").count(), EVENTS_PER_NAME);
    assert_eq!(latest.of_collection("x.y.z").count(), EVENTS_PER_NAME);
}

#[test]
fn large_events_are_bounded_by_bytes() {
    let mut latest = LatestEvents::default();
    let rkey = "k".repeat(MAX_EVENT_BYTES - 500);
    for n in 0..2_000 {
        add(&mut latest, &line(&format!("did:plc:{}", n % 300), "x.y.z", &rkey));
        assert!(latest.accounts.bytes <= MAX_BYTES);
    }
    assert!(latest.accounts.rings.values.len() > 5);
}

proptest! {
    #[test]
    fn the_cost_is_the_sum_of_what_is_kept(
        steps in prop::collection::vec((0u8..20, 0usize..3_000), 0..300)
    ) {
        let mut rings = Rings::default();
        for (name, length) in steps {
            rings.add(&format!("did:plc:{name}"), &vec![b'x'; length]);
            let kept = rings.rings.values.iter().map(|(name, (_, ring))| {
                name.len() + OVERHEAD_BYTES + ring.iter().map(cost).sum::<usize>()
            });
            prop_assert_eq!(kept.sum::<usize>(), rings.bytes);
        }
    }
}
