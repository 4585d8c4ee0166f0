use super::*;
use crate::event::header::{parse, parse_spans};

/// A seed of XXH3, and two record keys whose events have the same 0.1.0 id under it.
const COLLIDING_SEED: u64 = 8999366892653588108;
const COLLIDING: [&str; 2] = [
    "QMvCoDRFOQYrCQG2N.x~8XjOBeVPcQtF~SJ.NQuA8fT_8NOMcYZu2mzL_HY:IqGBh_yL:JB6hu5xoXDl\
     cUOKzgy1OYb5ssqKnnU78KPPNcDrOQZ7Aj9kYpfr13zawQ:.kF0dXU1y_t7uFbooK~~OGqh9v1GYCIWJ\
     ebg81l4bNEm2KvOsrnm0Y7tI7OlC0YrN-ivO9bAlF4aG81NSran.pvCHY20VJfzvKagxYXVpkcZczZP3\
     :S_1PejGwMMNMjATY5.uIKQCeW~6Y:2MEvRrNODG99qiG96WoAmxcJxNVKJWEwLHVeIaphp3nUq47wjA\
     0lrEQ3YWXMJkq:UdjLwmwL8SS4t66oBOAcw7JIm-hwU3vLthYXqRp2EtppYO~e:a~KQ9AyK~4OpMp25C\
     eRsexhLDQ2V8~B:LaQYUmO8d~nXp:yH0:Cnoln8KH9WFKfzqFEgFtVCXvrWQuxtu4AF3~~R~6fFm7CXw\
     Z1m1kZy3.~OFR7fCvtxCXaQm.A7uhc1B",
    "QMvCoDRFOQYrCQG2N.x~8XjOBeVPcQtF~SJ.NQuA8fT_8NOMcYZu2mzL_HY:IqGBh_yL:JB6hu5xoXDl\
     cUOKzgy1OYb5ssqKnnU78KPPNcDrOQZ7Aj9kYpfr13zawQ:.kF0dXU1y_t7uFbooK~~OGqh9v1GYCIWJ\
     ebg81l4bNEm2KvOsrnm0Y7tI7OlC0YrN-ivO9bAlF4aG81NSran.pvCHY20VJfzvKagxYXVpkcZczZP3\
     :S_1PejGwMMNMjATY5.uIKQCeW~6Y:2MEvRrNODG99qiG96WoAmxcJ8NVKJWEwLHVeIaphp3nUq47wjA\
     0lrEQ3YWXMJkq:UdjLwmwL8SS4t66oBOAcw7JIm-hwU3vLthYXqRp2EtppYO~e:a~KQ9AyK~4OpMp25C\
     eRsexhLDQ2V8~B:LaQYUmOxd~nXp:yH0:Cnoln8KH9WFKfzqFEgFtVCXvrWQuxtu4AF3~~R~6fFm7CXw\
     Z1m1kZy3.~OFR7fCvtxCXaQm.A7uhc1B",
];

fn event_id(line: &str) -> u64 {
    let mut hasher = EventIdHasher::new(EventIdKey::new(1));
    let id = hasher.of(&parse(line.as_bytes()).unwrap());
    let spans = parse_spans(line.as_bytes()).unwrap();
    assert_eq!(hasher.of_line(&spans, line.as_bytes()), id, "{line}");
    id
}

#[test]
fn an_event_has_the_same_id_on_every_server() {
    let legacy = r#"{"did":"d","time_us":5,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"c.d.e","rkey":"k","record":{"t":"&"}}}"#;
    let v2 = r#"{"did":"d","time_us":6,"cursor":9,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"c.d.e","rkey":"\u006b","record":{"t":"\u0026"}}}"#;
    assert_eq!(event_id(legacy), event_id(v2));
}

#[test]
fn the_id_depends_on_each_field() {
    let event = |rev: &str, operation: &str, rkey: &str| {
        event_id(&format!(
            r#"{{"did":"d","time_us":5,"kind":"commit","commit":{{"rev":"{rev}","operation":"{operation}","collection":"c","rkey":"{rkey}"}}}}"#
        ))
    };
    let all = [
        event("r", "create", "k"),
        event("s", "create", "k"),
        event("r", "delete", "k"),
        event("r", "create", "l"),
        event("rc", "reate", "k"),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|b| a != b));
    }
}

#[test]
fn other_events_are_identified_by_time_and_cursor() {
    let event = |cursor: u64, rest: &str| {
        event_id(&format!(r#"{{"did":"d","time_us":5,"cursor":{cursor}{rest}}}"#))
    };
    for rest in [
        "",
        r#","kind":"new""#,
        r#","kind":"n\u0065w""#,
        r#","kind":"commit""#,
        r#","kind":"commit","commit":{}"#,
        r#","kind":"sync","sync":{"seq":0}"#,
    ] {
        assert_ne!(event(1, rest), event(2, rest), "{rest}");
        assert_eq!(event(1, rest), event(1, rest), "{rest}");
    }
}

#[test]
fn the_id_depends_on_both_halves_of_the_key() {
    let line = r#"{"did":"d","time_us":5,"kind":"identity","identity":{"seq":7}}"#;
    let header = parse(line.as_bytes()).unwrap();
    let of = |bits| EventIdHasher::new(EventIdKey::new(bits)).of(&header);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert_ne!(of(1), of(1 | 1 << 64));
}

#[test]
fn the_id_is_siphash_1_3_of_the_fields_with_their_lengths() {
    // The expected value hashes the fields as written out here.
    let mut hasher = EventIdHasher::new(EventIdKey::new(7 << 64 | 9));
    let line = r#"{"did":"d","time_us":5,"kind":"account","account":{"seq":7}}"#;
    let id = hasher.of(&parse(line.as_bytes()).unwrap());
    let input = b"d\x01\0\0\0account\x07\0\0\0\x07\0\0\0\0\0\0\0";
    assert_eq!(id, SipHasher13::new_with_keys(7, 9).hash(input));
    assert_eq!(hasher.legacy_id(3), xxh3_64_with_seed(input, 3));
}

#[test]
fn pairs_built_to_collide_under_xxh3_do_not_collide() {
    // Two record keys of 512 bytes whose events have the same 0.1.0 id under this seed.
    let (did, rev) = ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "3mptbypk4ze2j");
    let event = |rkey: &str| {
        format!(
            r#"{{"did":"{did}","time_us":5,"kind":"commit","commit":{{"rev":"{rev}","operation":"create","collection":"app.bsky.feed.like","rkey":"{rkey}"}}}}"#
        )
    };
    let [a, b] = COLLIDING.map(event);
    let mut hasher = EventIdHasher::new(EventIdKey::new(COLLIDING_SEED.into()));
    let first = hasher.of(&parse(a.as_bytes()).unwrap());
    let legacy = hasher.legacy_id(COLLIDING_SEED);
    assert_ne!(hasher.of(&parse(b.as_bytes()).unwrap()), first);
    assert_eq!(hasher.legacy_id(COLLIDING_SEED), legacy, "the pair collides under XXH3");
}

#[test]
fn fields_of_every_length_are_hashed_whole() {
    let mut hasher = EventIdHasher::new(EventIdKey::new(7 << 64 | 9));
    for length in (0..80).chain([600, 5_000]) {
        let did = "abcdefghij".repeat(length / 10 + 1)[..length].to_owned();
        let line =
            format!(r#"{{"did":"{did}","time_us":5,"kind":"account","account":{{"seq":7}}}}"#);
        let id = hasher.of_line(&parse_spans(line.as_bytes()).unwrap(), line.as_bytes());
        let mut input = did.into_bytes();
        input.extend((length as u32).to_le_bytes());
        input.extend(b"account\x07\0\0\0\x07\0\0\0\0\0\0\0");
        assert_eq!(id, SipHasher13::new_with_keys(7, 9).hash(&input), "{length}");
    }
}

#[test]
fn identity_and_account_events_with_one_relay_seq_differ() {
    let event = |kind: &str| {
        event_id(&format!(r#"{{"did":"d","time_us":5,"kind":"{kind}","{kind}":{{"seq":7}}}}"#))
    };
    assert_ne!(event("identity"), event("account"));
}
