use proptest::prelude::*;

use super::*;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind, TimeUs};
use crate::sink::output_record::{OutputRecord, OutputState};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, any::<u64>(), Just(u64::MAX), Just(LARGEST_EXACT + 1)]
}

fn mark() -> impl Strategy<Value = EventPosition> {
    let seq = proptest::option::of(number().prop_map(Seq));
    (number().prop_map(TimeUs), seq).prop_map(|(time, seq)| EventPosition { time, seq })
}

fn resume() -> impl Strategy<Value = Resume> {
    let identities = proptest::collection::vec(number(), 0..20);
    (mark(), mark(), number(), number(), identities).prop_map(
        |(newest, rewind_to, latest, stream, identities)| Resume {
            position: Position {
                origin: Origin {
                    server: "a.example".into(),
                    kind: ServerKind::V2,
                    filter_fingerprint: stream,
                },
                newest,
                rewind_to,
                max_time: TimeUs(latest),
            },
            identities,
        },
    )
}

fn output(path: &str, length_bytes: u64, tail_hash: u64) -> OutputRecord {
    OutputRecord {
        path: path.into(),
        pattern: path.to_owned(),
        rotation: None,
        state: OutputState::Open,
        length_bytes,
        tail_hash,
        period_start: None,
        number: 0,
    }
}

/// Everything that a store has of a consumer.
fn all(store: &Store, consumer: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        store.entry(consumer).unwrap(),
        store.gaps(consumer, 9_999).unwrap(),
        store.outputs(consumer).unwrap(),
        secrets_of(&store.connection, consumer).unwrap(),
    )
}

fn store(home: &tempfile::TempDir, name: &str) -> Store {
    Store::open(&home.path().join(name)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_exported_is_imported_exactly(
        resume in resume(), from in number(), to in number(), length in number(), hash in number(),
    ) {
        let home = tempfile::tempdir().unwrap();
        let (mut ours, mut theirs) = (store(&home, "a.db"), store(&home, "b.db"));
        let checkpoint = crate::checkpoint::Checkpoint { resume, filter: None, outputs: vec![], additions: None };
        ours.save("c/d", &checkpoint, TimeUs(5)).unwrap();
        ours.keep_earlier("c/d", TimeUs(6)).unwrap();
        let gap = Gap {
            seen_at: TimeUs(to), from_time: Some(TimeUs(from)), to_time: None,
            from_seq: None, to_seq: Some(Seq(to)), reason: "a \"reason\"\n".to_owned(),
        };
        ours.record_gap("c/d", &gap).unwrap();
        ours.persist_output("c/d", &output("/out.ndjson", length, hash)).unwrap();
        ours.persist_output("c/d", &output("nats://h/s", length, 0)).unwrap();
        let text = serde_json::to_string(&ours.export("c/d").unwrap().unwrap()).unwrap();
        let export: Export = serde_json::from_str(&text).unwrap();
        theirs.import(std::slice::from_ref(&export), false).unwrap();
        prop_assert_eq!(all(&theirs, "c/d"), all(&ours, "c/d"));
        // Once more, over itself and back.
        theirs.import(&[export], true).unwrap();
        let again = theirs.export("c/d").unwrap().unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
        prop_assert!(theirs.remove("c/d").unwrap());
        prop_assert_eq!(theirs.export("c/d").unwrap().is_none(), true);
        let secrets = |store: &Store| secrets_of(&store.connection, "c/d").unwrap();
        prop_assert_ne!(secrets(&theirs), secrets(&ours));
    }

    #[test]
    fn no_text_makes_an_import_panic_or_half_done(
        resume in resume(), edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let home = tempfile::tempdir().unwrap();
        let (mut ours, mut theirs) = (store(&home, "a.db"), store(&home, "b.db"));
        let checkpoint = crate::checkpoint::Checkpoint { resume, filter: None, outputs: vec![], additions: None };
        ours.save("c", &checkpoint, TimeUs(5)).unwrap();
        ours.persist_output("c", &output("/out.ndjson", 5, 7)).unwrap();
        let mut text = serde_json::to_vec(&ours.export("c").unwrap().unwrap()).unwrap();
        for (at, byte) in edits {
            let at = at % text.len();
            text[at] = byte;
        }
        let Ok(export) = serde_json::from_slice::<Export>(&text) else { return Ok(()) };
        let name = export.name.clone();
        let is_imported = theirs.import(&[export], false).is_ok();
        prop_assert_eq!(theirs.names().unwrap().len(), usize::from(is_imported));
        // What was imported can be read.
        prop_assert_eq!(theirs.export(&name).unwrap().is_some(), is_imported);
        theirs.identity_secrets(&name).unwrap();
    }
}
